//! What the engine's tiers have done, in words.

use super::api::Status;
use engine::exec::mode::TierCounts;

/// Names of the tiers, lowest first.
const TIERS: [&str; 3] = ["interpreter", "tier 1", "tier 2"];

/// A count with its digits in groups.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Where the guest's instructions were run: "12.0 % interpreter, 30.0 % tier 1, 58.0 % tier 2".
pub fn shares(counts: &TierCounts) -> String {
    let all: u64 = counts.insns.iter().sum();
    let share = |(n, name): (&u64, &str)| {
        ratio(*n, all).map_or_else(|| format!("0 % {name}"), |r| format!("{:.1} % {name}", r * 100.0))
    };
    counts.insns.iter().zip(TIERS).map(share).collect::<Vec<_>>().join(", ")
}

fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

fn bytes(n: u64) -> String {
    if n < 1 << 20 {
        format!("{} KiB", n.div_ceil(1 << 10))
    } else {
        format!("{:.1} MiB", n as f64 / 1_048_576.0)
    }
}

/// What one compiler has done; `tier` is 0 for tier 1.
fn compiler(counts: &TierCounts, tier: usize) -> String {
    let at = |list: &[u64; 2]| list.get(tier).copied().unwrap_or(0);
    let (done, insns, ns) = (at(&counts.compiled), at(&counts.compiled_insns), at(&counts.compile_ns));
    let (name, what) = if tier == 0 { ("tier 1", "blocks") } else { ("tier 2", "regions") };
    let mut line = format!("{name}: {} {what} compiled", grouped(done));
    if let (Some(each), Some(per_insn), Some(host)) =
        (ns.checked_div(done), ns.checked_div(insns), ratio(at(&counts.host_bytes), insns))
    {
        line += &format!(
            " of {} instructions in {} ({} each, {} an instruction), {host:.0} host bytes an instruction",
            grouped(insns),
            time(ns),
            time(each),
            time(per_insn)
        );
    }
    line + &format!("; {} failed", grouped(at(&counts.failed)))
}

/// All of it, for a terminal.
pub fn report(status: &Status) -> String {
    let c = &status.tiers;
    let all: u64 = c.insns.iter().sum();
    let looked = c.jump_hits + c.jump_misses;
    let hit = ratio(c.jump_hits, looked).map_or_else(String::new, |r| format!(" ({:.2} % hit)", r * 100.0));
    let [loads, stores, fetches] = c.tlb_misses;
    [
        format!("engine {}: {} instructions: {}", status.engine.word(), grouped(all), shares(c)),
        compiler(c, 0),
        compiler(c, 1),
        format!(
            "regions formed again: {}; that count again because guesses failed: {}",
            grouped(c.formed_again[0]),
            grouped(c.formed_again[1])
        ),
        format!(
            "code memory: {} in use; {} translations invalidated, {} evicted, {} kept because they were used; {} regions wait",
            bytes(c.code_bytes),
            grouped(c.invalidated),
            grouped(c.evicted),
            grouped(c.reopened),
            grouped(c.queued)
        ),
        format!(
            "jumps of compiled code: {} found their target, {} did not{hit}",
            grouped(c.jump_hits),
            grouped(c.jump_misses)
        ),
        format!(
            "TLB: {} loads, {} stores and {} fetches were not in its tables; {} of them walked the page tables",
            grouped(loads),
            grouped(stores),
            grouped(fetches),
            grouped((loads + stores + fetches).saturating_sub(c.tlb_held.iter().sum()))
        ),
        format!("copies and fills in bulk: {} of {} instructions", grouped(c.idioms), grouped(c.idiom_insns)),
    ]
    .into_iter()
    .chain(status.pins.iter().map(|pin| format!("pinned: {pin}")))
    .collect::<Vec<_>>()
    .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::api::{EngineMode, channel};

    #[test]
    fn numbers_are_grouped_and_scaled() {
        assert_eq!(
            (grouped(0), grouped(999), grouped(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        assert_eq!(
            (time(999), time(1_500), time(2_500_000)),
            ("999 ns".into(), "1.5 us".into(), "2.5 ms".into())
        );
        assert_eq!((bytes(1), bytes(3 << 19)), ("1 KiB".into(), "1.5 MiB".into()));
    }

    #[test]
    fn a_report_has_every_count() {
        let (machine, _end) = channel("m", &[], 1, EngineMode::Adaptive);
        let mut status = Status::clone(&machine.status());
        let empty = report(&status);
        assert!(empty.contains("engine adaptive: 0 instructions: 0 % interpreter"), "{empty}");
        status.tiers = TierCounts {
            insns: [1_000, 2_000, 5_000],
            compiled: [10, 2],
            compiled_insns: [100, 50],
            compile_ns: [20_000, 1_000_000],
            host_bytes: [4_000, 1_000],
            failed: [0, 1],
            formed_again: [1, 0],
            invalidated: 11,
            evicted: 12,
            reopened: 14,
            code_bytes: 5 << 20,
            queued: 13,
            jump_hits: 3,
            jump_misses: 1,
            tlb_misses: [7_000, 800, 90],
            tlb_held: [5_000, 90],
            idioms: 2,
            idiom_insns: 4_321,
            ..TierCounts::default()
        };
        status.pins = vec!["0x80200000-0x80201000=tier1".parse().expect("a pin")];
        let text = report(&status);
        for part in [
            "8,000 instructions: 12.5 % interpreter, 25.0 % tier 1, 62.5 % tier 2",
            "tier 1: 10 blocks compiled of 100 instructions in 20.0 us (2.0 us each, 200 ns an instruction), 40 host bytes an instruction; 0 failed",
            "tier 2: 2 regions compiled of 50 instructions in 1.0 ms (500.0 us each, 20.0 us an instruction), 20 host bytes an instruction; 1 failed",
            "5.0 MiB in use; 11 translations invalidated, 12 evicted, 14 kept because they were used; 13 regions wait",
            "3 found their target, 1 did not (75.00 % hit)",
            "TLB: 7,000 loads, 800 stores and 90 fetches were not in its tables; 2,800 of them walked",
            "copies and fills in bulk: 2 of 4,321 instructions",
            "pinned: 0x80200000-0x80201000=tier1",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
}
