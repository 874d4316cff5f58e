//! Samples and lists, in each mode.

use super::Riscv;
use super::space_tests::{GLOBAL, RAM, SEEN, TABLES, kernel, leaf, page, run_of, sfence};
use crate::exec::harts::Harts;
use crate::exec::mode::Mode;
use crate::exec::mode::Tuning;
use crate::exec::vcpu::Vcpu;
use crate::watch::Stage;
use crate::watch::apart::{Apart, Mark};
use crate::watch::list::Listed;
use crate::watch::samples::{Privilege, Sample};

/// Instructions of a loop that counts a0 down, and of the driver round it.
const ROUND: i64 = 6 + 2 * (1 + 2 * 1_000 + 1);

/// The driver calls `li t0, 1000; 1: addi t0, t0, -1; bnez t0, 1b; ret` in page 0.
fn looping(mode: Mode) -> Vcpu<Riscv> {
    let v = kernel(mode, sfence(false, true));
    let code = [0x3e80_0293, 0xfff2_8293, 0xfe02_9ee3, 0x8067];
    let write = |at: u64, size, w: u64| assert_eq!(v.cpu.shared.memory.write(at, size, w), Ok(()));
    code.into_iter().zip(0..).for_each(|(word, n)| write(page(0) + 4 * n, 2, word));
    write(TABLES + 0x3000, 3, leaf(page(0), GLOBAL));
    v
}

/// A sample after so many rounds and a part of one.
fn sample(v: &mut Vcpu<Riscv>, rounds: i64, callers: bool) -> Sample {
    let samples = v.code().translations().clone();
    let (_, from) = samples.samples.since(0);
    v.begin_slice(rounds * ROUND + 500);
    samples.samples.ask(0, callers);
    v.run(true);
    v.end_slice();
    let (mut list, _) = samples.samples.since(from);
    assert_eq!(list.len(), 1);
    list.remove(0)
}

fn list(v: &Vcpu<Riscv>) -> Vec<Listed> {
    let (mut out, mut from) = (Vec::new(), Some(0));
    while let Some(n) = from {
        from = v.code().translations().list(n, &mut out);
    }
    out
}

#[test]
fn samples_say_where_a_hart_is_and_how_its_code_runs() {
    for (mode, stage) in Mode::ALL.into_iter().zip([Stage::Interpreter, Stage::Tier1, Stage::Tier2]) {
        let v = &mut looping(mode);
        run_of(v, 20, ROUND);
        let s = sample(v, 0, false);
        assert!((SEEN + 4..=SEEN + 8).contains(&s.pc), "{mode:?}: {:#x}", s.pc);
        assert_eq!(s.pa, Some(s.pc - SEEN + page(0)), "{mode:?}");
        // The loop is hot enough to be formed again at once.
        assert!(
            s.stage == stage || (stage, s.stage) == (Stage::Tier2, Stage::Settled),
            "{mode:?}: {:?}",
            s.stage
        );
        assert_eq!((s.hart, s.privilege, s.space, s.callers), (0, Privilege::Kernel, v.cpu.ext.satp, None));
    }
}

#[test]
fn samples_change_nothing() {
    let end = |ask: bool| {
        let v = &mut looping(Mode::Tier2);
        for _ in 0..50 {
            if ask {
                v.code().translations().samples.ask(0, true);
            }
            run_of(v, 1, ROUND);
        }
        (v.cpu.pc, v.cpu.instret(), v.cpu.regs, v.cpu.ext.clone())
    };
    let (with, without) = (end(true), end(false));
    assert!(with == without);
}

#[test]
fn callers_come_from_frames_in_memory() {
    let v = &mut looping(Mode::Tier1);
    let frame = RAM + 0x8_0000;
    for (at, word) in [(frame - 8, 0x1234), (frame - 16, frame + 64), (frame + 56, 0x5678), (frame + 48, 0)] {
        assert_eq!(v.cpu.shared.memory.write(at, 3, word), Ok(()));
    }
    v.cpu.regs[8] = frame;
    let callers = sample(v, 3, true).callers.expect("asked for");
    // The driver's call comes first.
    assert_eq!((&callers.list[1..], callers.cut), (&[0x1234, 0x5678][..], false));
    assert!((RAM..RAM + 0x20).contains(&callers.list[0]));
    v.cpu.regs[8] = 0x7777_7000;
    assert!(sample(v, 0, true).callers.expect("asked for").cut, "not mapped");
}

#[test]
fn all_translations_are_listed() {
    let v = &mut looping(Mode::Tier2);
    assert!(list(v).is_empty());
    run_of(v, 200, ROUND);
    let all = list(v);
    let head = page(0) + 4;
    let of =
        |stage: Stage| all.iter().find(|l| l.pa == head && l.stage >= stage && l.stage != Stage::Interpreter);
    let one = all.iter().find(|l| l.pa == head && l.stage == Stage::Tier1).expect("tier 1 stays");
    let two = of(Stage::Tier2).expect("a region");
    assert!(two.current && !one.current);
    assert_eq!((one.insns, one.bytes, one.blocks.len()), (2, 8, 1));
    assert!(two.blocks.contains(&head) && two.host_bytes > 0 && two.compile_ns > 0 && one.compile_ns > 0);
    assert!(one.exits[0] >= 1 && one.exits[1] <= one.exits[0]);
    let counted: u64 = all.iter().filter_map(|l| l.runs).sum();
    assert!(counted > 0, "mode tier 2 counts");
    let mut ids: Vec<u32> = all.iter().map(|l| l.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
    v.code().invalidate(page(0), 16);
    assert!(list(v).iter().all(|l| !l.blocks.contains(&head)));
}

/// The loop, run for a while by the harts of a machine.
fn machine(mode: Mode) -> Harts<Riscv> {
    let from = looping(mode);
    let harts = Harts::new(from.cpu.shared.clone());
    harts.settings().set_mode(mode);
    harts.settings().set_tuning(Tuning { workers: 0, ..harts.settings().tuning() });
    {
        let v = &mut *harts.vcpu(0).expect("hart");
        (v.cpu.regs, v.cpu.pc, v.cpu.ext) = (from.cpu.regs, from.cpu.pc, from.cpu.ext.clone());
        v.cpu.context_changed = true;
        run_of(v, 200, ROUND);
    }
    harts
}

fn listed(harts: &Harts<Riscv>, stages: [Stage; 2]) -> Listed {
    let all = list(&harts.vcpu(0).expect("hart"));
    all.into_iter().find(|l| l.pa == page(0) + 4 && stages.contains(&l.stage)).expect("translated")
}

/// Which instructions lines and host code are said to come from.
fn named(apart: &Apart) -> [Vec<u32>; 4] {
    let lines =
        [&apart.lifted, &apart.passed, &apart.clif].map(|l| l.iter().filter_map(|l| l.insn).collect());
    let marks = apart.host.iter().flat_map(|p| &p.marks);
    let host = marks.filter_map(|(_, m)| if let Mark::Insn(n) = m { Some(*n) } else { None }).collect();
    let [lifted, passed, clif] = lines;
    [lifted, passed, clif, host].map(|mut list: Vec<u32>| {
        list.sort_unstable();
        list.dedup();
        list
    })
}

#[test]
fn blocks_of_tier_1_are_taken_apart() {
    let harts = machine(Mode::Tier1);
    let one = listed(&harts, [Stage::Tier1; 2]);
    let apart = harts.take_apart(one.id, Some(SEEN + 4)).expect("it is there");
    assert_eq!((apart.stage, &apart.blocks[..]), (Stage::Tier1, &[page(0) + 4][..]));
    let asm: Vec<_> = apart.insns.iter().map(|i| (i.offset, &i.text[..])).collect();
    assert_eq!(asm, [(0, "addi t0,t0,-1"), (4, "bnez t0,0x40000004")]);
    assert_eq!(named(&apart), [vec![0, 1], vec![0, 1], vec![], vec![0, 1]]);
    let bytes: usize = apart.host.iter().map(|p| p.bytes.len()).sum();
    assert_eq!(bytes, one.host_bytes as usize);
    assert!(apart.host.iter().all(|p| p.marks[0].0 == 0 && p.marks.is_sorted_by_key(|m| m.0)));
    assert!(apart.host.len() == 2 && apart.host[0].marks[0].1 == Mark::Head);
    let code = harts.take_block_apart(page(0) + 4, one.key, Some(SEEN + 4)).expect("it is there");
    assert!(code.host.is_empty() && code.insns == apart.insns && code.passed == apart.passed);
    harts.code().invalidate(page(0), 16);
    assert!(
        harts.take_apart(one.id, Some(SEEN + 4)).is_none()
            && harts.take_apart(0, None).is_none()
            && harts.take_apart(u32::MAX, None).is_none()
    );
    assert!(harts.take_block_apart(page(0) + 4, one.key, Some(SEEN + 4)).is_none());
}

#[test]
fn regions_are_taken_apart() {
    let harts = machine(Mode::Tier2);
    let two = listed(&harts, [Stage::Tier2, Stage::Settled]);
    let apart = harts.take_apart(two.id, None).expect("it is there");
    let all: Vec<u32> = (0..apart.insns.len() as u32).collect();
    assert_eq!(apart.insns[0].text, "addi t0,t0,-1");
    let [lifted, passed, clif, host] = named(&apart);
    assert!(lifted == all && passed == all, "{lifted:?} {passed:?}");
    assert!(clif.contains(&0) && host.contains(&0), "{clif:?} {host:?}");
    assert!(apart.clif.len() > 10 && apart.clif[0].text.starts_with("function"), "{:?}", apart.clif);
    assert_eq!(apart.host[0].bytes.len(), two.host_bytes as usize);
}
