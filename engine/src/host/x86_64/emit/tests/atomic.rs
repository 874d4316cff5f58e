//! Atomics whose outcome is known.

use super::*;
use crate::ir::op::Align;
use crate::ir::{MemFlags, Op, Opcode, SINK};
use machine::{DATA, Setup};
use pure::block_of;

fn op(code: Opcode, size: u32, a: u8, b: u8, c: u8) -> Op {
    Op { aux: MemFlags::plain(size).align(Align::Trap).0, ..Op::rrr(code, a, b, c) }
}

/// Runs ops on words 20 (address of eight bytes that hold `old`) and 6 (`by`), twice: the first time the TLB is empty.
fn run(ops: &[Op], old: u64, by: u64) -> (Vec<u64>, u64) {
    let mut pair = Pair::new();
    let setup = Setup::default();
    let block = block_of(ops.to_vec());
    let mut last = None;
    for _ in 0..2 {
        let mut regs = [0; 64];
        (regs[20], regs[6]) = (RAM + 64, by);
        let mut memory = vec![0; DATA];
        memory[64..72].copy_from_slice(&old.to_le_bytes());
        pair.compare(&block, &regs, &memory, &setup).expect("as the interpreter");
        let mut now = [0; 8];
        assert!(pair.tested.shared.memory.read_bytes(RAM + 64, &mut now));
        let result = (pair.tested.regs[..32].to_vec(), u64::from_le_bytes(now));
        assert!(last.is_none_or(|last| last == result));
        last = Some(result);
    }
    last.expect("ran")
}

#[test]
fn sc_succeeds_after_lr_and_only_once() {
    for (size, memory) in [(2, 0x1111_1111_8000_0007), (3, 0xffff_ffff_8000_0007u64)] {
        let ops = [
            op(Opcode::LoadReserved, size, 5, 20, 0),
            op(Opcode::StoreCond, size, 7, 20, 6),
            op(Opcode::StoreCond, size, 8, 20, 5),
        ];
        let (regs, now) = run(&ops, 0x1111_1111_9000_0000, 0xffff_ffff_8000_0007);
        assert_eq!((regs[7], regs[8], now), (0, 1, memory));
        assert_eq!(regs[5], if size == 2 { 0xffff_ffff_9000_0000 } else { 0x1111_1111_9000_0000 });
    }
}

#[test]
fn sc_fails_on_another_address_or_width_or_value() {
    let lr = op(Opcode::LoadReserved, 2, 5, 20, 0);
    let away = Op::rri(Opcode::AddI, 21, 20, 4);
    let plain = Op { aux: MemFlags::plain(2).0, ..Op::rrr(Opcode::Store32, 0, 20, 6) };
    for ops in [
        [lr, away, op(Opcode::StoreCond, 2, 7, 21, 6)],
        [lr, away, op(Opcode::StoreCond, 3, 7, 20, 6)],
        [lr, plain, op(Opcode::StoreCond, 2, 7, 20, 20)],
    ] {
        assert_eq!(run(&ops, 0x55, 0x66).0[7], 1);
    }
}

#[test]
fn cas_stores_if_the_old_value_is_as_expected() {
    for (size, expected, stored) in [(2, 0x8000_0001, true), (2, 0x8000_0000, false), (3, 0x8000_0001, false)]
    {
        let ops = [Op { imm: expected, ..Op::new(Opcode::Li) }, op(Opcode::CompareSwap, size, 5, 20, 6)];
        let ops = ops.map(|o| if o.code == Opcode::Li { Op { a: 5, ..o } } else { o });
        let (regs, now) = run(&ops, 0x1_8000_0001, 2);
        assert_eq!(now, if stored { 0x1_0000_0002 } else { 0x1_8000_0001 });
        assert_eq!(regs[5], if size == 2 { 0xffff_ffff_8000_0001 } else { 0x1_8000_0001 });
    }
}

#[test]
fn amos_that_drop_the_old_value_still_write() {
    let cases = [
        (Opcode::AmoSwap, 6),
        (Opcode::AmoAdd, 16),
        (Opcode::AmoAnd, 2),
        (Opcode::AmoOr, 14),
        (Opcode::AmoXor, 12),
        (Opcode::AmoMin, 6),
        (Opcode::AmoMaxu, 10),
    ];
    for (code, now) in cases {
        for size in [2, 3] {
            assert_eq!(run(&[op(code, size, SINK, 20, 6)], 10, 6).1, now, "{code:?}");
        }
    }
}
