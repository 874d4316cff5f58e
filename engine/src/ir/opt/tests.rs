//! Passes against the reference evaluator on random blocks, and golden cases for people to read.

use super::*;
use crate::ir::parse::parse;
use crate::ir::print::print;
use crate::ir::testing::{Machine, TEMPS, blocks, helper, names};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

mod exhaustive;
mod lifted;

const RULES: Rules<'static> = Rules { temps: TEMPS, zero: Some(0), helper: &helper };

/// The passes by the names that golden files use.
const PASSES: [(&str, u8); 7] = [
    ("copy", Passes::COPY.0),
    ("fold", Passes::FOLD.0),
    ("strength", Passes::FOLD.0 | Passes::STRENGTH.0),
    ("pair", Passes::PAIR.0),
    ("dead", Passes::DEAD.0),
    ("coalesce", Passes::DEAD.0 | Passes::COALESCE.0),
    ("all", Passes::ALL.0),
];

/// What the passes leave must be well formed, no longer, and look the same to the guest.
fn check(before: &Block, passes: Passes, optimiser: &mut Optimiser) -> Result<(), TestCaseError> {
    check_by(&RULES, before, passes, optimiser)
}

fn check_by(
    rules: &Rules<'_>,
    before: &Block,
    passes: Passes,
    optimiser: &mut Optimiser,
) -> Result<(), TestCaseError> {
    let mut after = before.clone();
    optimiser.run_passes(&mut after, rules, passes);
    let texts = || format!("{}---\n{}", print(before, &names()), print(&after, &names()));
    prop_assert_eq!(verified(&after, &RULES), Ok(()), "{}", texts());
    prop_assert!(after.ops.len() <= before.ops.len());
    let insns = |block: &Block| block.bounds.iter().map(|b| (b.offset, b.len, b.raw)).collect::<Vec<_>>();
    prop_assert_eq!(insns(&after), insns(before));
    for seed in 0..6 {
        prop_assert_eq!(
            Machine::observe(&after, seed),
            Machine::observe(before, seed),
            "seed {}\n{}",
            seed,
            texts()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Each pass alone and all together, over blocks that share one optimiser, so that no fact may outlive its block.
    #[test]
    fn passes_keep_what_the_guest_sees(list in prop::collection::vec(blocks(24), 1..4)) {
        for (_, passes) in PASSES {
            let mut optimiser = Optimiser::new();
            for block in &list {
                check(block, Passes(passes), &mut optimiser)?;
            }
        }
    }

    #[test]
    fn any_set_of_passes_will_do(block in blocks(24), set in 0..64u8) {
        check(&block, Passes(set), &mut Optimiser::new())?;
    }

    #[test]
    fn without_a_zero_word_zero_is_a_word(block in blocks(24)) {
        check_by(&Rules { zero: None, ..RULES }, &block, Passes::ALL, &mut Optimiser::new())?;
    }
}

#[test]
fn facts_survive_the_end_of_time() {
    let text = "block 4 bytes\n; 0..4 13\nli a0, 1\naddi a1, a0, 1\nexit pc+4";
    let block = parse(text, &names()).unwrap();
    let mut optimiser = Optimiser::new();
    optimiser.facts = Facts::at_time(u32::MAX - 7);
    for _ in 0..8 {
        let mut copy = block.clone();
        optimiser.run(&mut copy, &RULES);
        assert_eq!(copy.ops[1], parse("block 0 bytes\nli a1, 2", &names()).unwrap().ops[0]);
    }
}

#[test]
fn an_unknown_helper_may_do_anything() {
    let text = "block 4 bytes\n; 0..4 13\nli a0, 1\ncall _ = @99(zero, zero, 0), insn=0\nli a0, 2\n\
                addi a1, a0, 1\nexit pc+4";
    let mut block = parse(text, &names()).unwrap();
    // Not verified here: the verifier would refuse the call.
    let unknown = Rules { helper: &|_| None, ..RULES };
    let mut facts = Facts::default();
    facts.start(9, None);
    block.ops.iter().take(2).for_each(|op| facts.step(op, &unknown));
    assert_eq!(facts.of(10), Fact::Unknown);
    dce::run(&mut block, &unknown, true);
    assert_eq!(block.ops.len(), 5);
}

/// `passes: <name>...`, then `in:` and `out:` with a block each. With `GOLDEN=update` in the environment the outputs
/// are written instead of compared.
#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ir/golden");
    let update = std::env::var("GOLDEN").is_ok_and(|v| v == "update");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let expected = golden_text(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        if update {
            fs::write(&file, expected).unwrap();
        } else {
            assert!(text == expected, "{}: expected\n{text}\ngot\n{expected}", file.display());
        }
    }
}

/// What the file should say: each `out:` made anew from its `in:`.
fn golden_text(text: &str) -> Result<String, String> {
    let mut out = String::new();
    for case in text.split_inclusive("\n====\n") {
        let (head, rest) = case.split_once("\nin:\n").ok_or("no `in:`")?;
        let (input, rest) = rest.split_once("out:\n").ok_or("no `out:`")?;
        let separator = if rest.ends_with("====\n") { "====\n" } else { "" };
        let line = head.lines().find_map(|l| l.strip_prefix("passes: ")).ok_or("no `passes:`")?;
        let mut block = parse(input, &names()).map_err(|e| e.to_string())?;
        verified(&block, &RULES).map_err(|e| format!("{e} in\n{input}"))?;
        Optimiser::new().run_passes(&mut block, &RULES, passes_named(line)?);
        out += &format!("{head}\nin:\n{input}out:\n{}{separator}", print(&block, &names()));
    }
    Ok(out)
}

fn passes_named(line: &str) -> Result<Passes, String> {
    line.split_whitespace().try_fold(Passes(0), |set, name| {
        let found = PASSES.iter().find(|(n, _)| *n == name).ok_or(format!("unknown pass {name}"))?;
        Ok(Passes(set.0 | found.1))
    })
}
