//! Random RISC-V code: what the lifter makes verifies, and the passes keep what the guest sees of it.

use super::*;
use crate::guest::riscv::decode::{Kind, decode};
use crate::guest::riscv::model::{Ext, Model};
use crate::guest::riscv::{KEY_FRM_INVALID, KEY_FRM_RMM, Riscv};
use crate::guest::{Guest, LiftInput};
use crate::ir::print::Names;

const MAJORS: [u32; 20] = [
    0x03, 0x07, 0x0f, 0x13, 0x13, 0x17, 0x1b, 0x23, 0x27, 0x2f, 0x33, 0x33, 0x37, 0x3b, 0x43, 0x53, 0x53,
    0x63, 0x67, 0x73,
];

/// A model that has every extension.
fn everything() -> Model {
    let mut model = Model::default();
    Ext::ALL.iter().for_each(|&ext| model.set(ext, true));
    model
}

/// An encoding made of random bits, often with registers `x8` to `x15` only, so that instructions meet.
fn encoding(dice: u64) -> u32 {
    let bits = dice as u32;
    let few = |bits: u32| bits & !(0b11 << 10 | 0b11 << 18 | 0b11 << 23) | 1 << 10 | 1 << 18 | 1 << 23;
    let funct7 = [0, 0x01, 0x04, 0x05, 0x10, 0x20, 0x30][(dice >> 32) as usize % 7] << 25;
    match dice >> 56 & 7 {
        0 | 1 => bits & 0xffff,
        n => {
            let major = MAJORS[(dice >> 40) as usize % MAJORS.len()];
            let bits = if n < 6 { few(bits) } else { bits };
            let bits = if n == 3 { bits & 0x1ff_ffff | funct7 } else { bits };
            bits & !0x7f | major
        }
    }
}

/// Legal code; only the last instruction may leave it.
fn code(dice: &[u64]) -> Vec<u8> {
    let model = everything();
    let mut bytes = Vec::new();
    for (i, &d) in dice.iter().enumerate() {
        let raw = encoding(d);
        let Some(insn) = decode(&model, raw).filter(|insn| insn.raw == raw) else { continue };
        let leaves = matches!(insn.row.kind, Kind::Jal | Kind::Jalr | Kind::Branch(_) | Kind::CallEnd(_));
        if !leaves || i + 1 == dice.len() {
            bytes.extend_from_slice(&raw.to_le_bytes()[..usize::from(insn.len)]);
        }
    }
    bytes
}

fn check_lifted(code: &[u8], key: u32) -> Result<(), TestCaseError> {
    let before = Riscv::lift(&everything(), LiftInput { code, key, max_insns: 64 });
    if before.bounds.is_empty() {
        return Ok(());
    }
    let rules = Rules::of::<Riscv>(Some(0));
    let names = Names::of::<Riscv>();
    let text = print(&before, &names);
    prop_assert_eq!(verified(&before, &rules), Ok(()), "{}", text);
    prop_assert_eq!(parse(&text, &names), Ok(before.clone()), "{}", text);
    let mut after = before.clone();
    optimise(&mut after, &rules);
    let texts = || format!("{text}---\n{}", print(&after, &names));
    prop_assert_eq!(verified(&after, &rules), Ok(()), "{}", texts());
    for seed in 0..4 {
        let machine = Machine { helper: Riscv::helper_desc, ..Machine::new(seed) };
        let (got, want) = (machine.clone().run(&after), machine.run(&before));
        prop_assert_eq!(got, want, "seed {}\n{}", seed, texts());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn lifted_code(dice in prop::collection::vec(any::<u64>(), 1..60), fs in 0..3u32, frm in 0..3usize) {
        check_lifted(&code(&dice), fs | [0, KEY_FRM_INVALID, KEY_FRM_RMM][frm])?;
    }

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 2..80), key in 0..3u32) {
        check_lifted(&bytes, key)?;
    }
}

/// The generator is worth nothing if it seldom makes an op: nearly every op that the lifter knows must come up.
#[test]
fn the_code_is_diverse() {
    use std::collections::HashSet;
    let mut seen = HashSet::new();
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut dice = Vec::new();
        for _ in 0..30 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            dice.push(state ^ state >> 29);
        }
        let block = Riscv::lift(&everything(), LiftInput { code: &code(&dice), key: 2, max_insns: 64 });
        seen.extend(block.ops.iter().map(|op| op.code));
    }
    assert!(seen.len() > 120, "{} of {} ops", seen.len(), crate::ir::Opcode::ALL.len());
}
