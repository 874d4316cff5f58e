//! Random programs in M-, S- and U-mode with translation on, in every mode of the engine beside the interpreter: see
//! `tests::tiers::random`.
//!
//! Some 200,000 random instructions in each mode; `VITRINE_TIER_INSNS` asks for another number, `VITRINE_TIER_SEED` for one program.

use engine::exec::mode::Mode;
use tests::tiers::random::{Way, compare, ways};

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Programs in one mode, until there were enough instructions.
fn run(way: &Way) {
    let wanted = from_env("VITRINE_TIER_INSNS").unwrap_or(200_000);
    let only = from_env("VITRINE_TIER_SEED");
    let (mut random, mut retired, mut compiled, mut again, mut programs) = (0, 0, [0; 3], 0, 0);
    let mut seed = only.unwrap_or(1);
    let mut found = Vec::new();
    while random < wanted && found.len() < 3 {
        match compare(seed, way) {
            Ok(ran) => {
                random += ran.random;
                retired += ran.retired;
                (0..3).for_each(|i| compiled[i] += ran.tiers.insns[i]);
                again += ran.tiers.formed_again[0];
            }
            Err(e) => found.push(format!("{e:#}")),
        }
        (programs, seed) = (programs + 1, seed + 1);
        if only.is_some() {
            break;
        }
    }
    println!(
        "{:?}: {programs} programs, {random} random instructions, {retired} in all, by tier {compiled:?}",
        way.mode
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
    if only.is_none() && engine::host::COMPILES {
        // A comparison of the interpreter with itself would find nothing.
        assert!(compiled[1] + compiled[2] > retired / 10, "{compiled:?} of {retired}");
        // Adaptive mode compiles by tier 2 what pays, and short programs do not.
        assert!(way.mode != Mode::Tier2 || compiled[2] > retired / 100, "{compiled:?} of {retired}");
        assert!(way.mode != Mode::Tier2 || again > 0, "no region was formed again");
    }
}

#[test]
fn tier_1_is_the_interpreter_on_random_programs() {
    run(&ways()[0]);
}

#[test]
fn tier_2_is_the_interpreter_on_random_programs() {
    run(&ways()[1]);
}

#[test]
fn adaptive_mode_is_the_interpreter_on_random_programs() {
    run(&ways()[2]);
}

#[test]
fn the_second_compiler_of_tier_1_is_the_interpreter_on_random_programs() {
    run(&ways()[3]);
}
