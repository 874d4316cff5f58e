//! Blocks of many ops on few words, so that vector registers and what is known about words are used.

use super::*;
use crate::ir::op::{Fmt, FpFlags, Opcode};
use crate::jit::testing::operands::Random;

/// Float words; and integer words, which the emitter may be given in a general register.
const FLOATS: [u8; 6] = [32, 33, 34, 63, 70, SINK];
const SOURCES: [u8; 5] = [32, 33, 34, 63, 70];
const INTEGERS: [u8; 2] = [10, 11];

const CODES: [Opcode; 27] = {
    use Opcode::*;
    [
        FAdd, FSub, FMul, FDiv, FSqrt, FMadd, FNmadd, FSgnj, FSgnjn, FSgnjx, FMin, FMaxM, FEq, FLt, FLeq,
        FClass, FToI32, FToU32, FToI64, FToU64, FFromI32, FFromU64, FCvt, FRoundNx, FMoveX, FMoveF, Li,
    ]
};

fn random_op(random: &mut Random) -> Op {
    let code = random.of(&CODES);
    let fmt = random.of(&[Fmt::S, Fmt::D]);
    let from = if fmt == Fmt::S { Fmt::D } else { Fmt::S };
    let rm = if matches!(code, Opcode::FToU32 | Opcode::FToI64) { random.of(&[0, 1, 2, 3, 4, 7]) } else { 7 };
    let aux = FpFlags::boxed(fmt, rm).from(from).d(random.of(&SOURCES)).0;
    let to_float = Op {
        code,
        a: random.of(&FLOATS),
        b: random.of(&SOURCES),
        c: random.of(&SOURCES),
        aux,
        imm: random.float(fmt) as i64,
    };
    match code {
        Opcode::FEq | Opcode::FLt | Opcode::FLeq | Opcode::FClass | Opcode::FMoveX => {
            Op { a: random.of(&INTEGERS), ..to_float }
        }
        Opcode::FToI32 | Opcode::FToU32 | Opcode::FToI64 | Opcode::FToU64 => {
            Op { a: random.of(&INTEGERS), ..to_float }
        }
        Opcode::FFromI32 | Opcode::FFromU64 | Opcode::FMoveF => Op { b: random.of(&INTEGERS), ..to_float },
        _ => to_float,
    }
}

/// Emits `op`, a constant as an emitter of integer ops would.
fn emit_any(buffer: &mut Buffer, floats: &mut Floats, op: &Op, random: &mut Random) -> bool {
    if op.code == Opcode::Li {
        dynasm!(buffer ; .arch x64 ; mov r9, QWORD op.imm ; mov [r15 + reg_disp(op.a)], r9);
        floats.note(op);
        if random.below(2) == 0 && op.a != SINK {
            floats.keep(buffer, op.a, 9);
        }
        return true;
    }
    let in_register = op.b < 32 && random.below(2) == 0;
    if in_register {
        dynasm!(buffer ; .arch x64 ; mov r10, [r15 + reg_disp(op.b)]);
    }
    emit(buffer, floats, Features::default(), op, in_register.then_some(10))
}

fn interpret_all(ops: &[Op], rm: u8, regs: &[u64; 256]) -> ([u64; 256], u8) {
    let mut state = (*regs, 0);
    for op in ops {
        if op.code == Opcode::Li {
            state.0[op.a as usize] = op.imm as u64;
        } else {
            let (after, flags) = interpret(std::slice::from_ref(op), rm, &state.0);
            state = (after, state.1 | flags);
        }
    }
    state.0[SINK as usize] = 0;
    state
}

#[test]
fn words_in_registers() {
    let (mut rig, mut random, mut buffer) = (Rig::new(), Random::new(5), Buffer::default());
    for _ in 0..2000 {
        buffer.clear();
        let (mut floats, mut ops) = (Floats::default(), Vec::new());
        for _ in 0..random.below(40) {
            let op = random_op(&mut random);
            if emit_any(&mut buffer, &mut floats, &op, &mut random) {
                ops.push(op);
            }
        }
        let code = end(&mut buffer);
        for rm in 0..4 {
            let mut regs = [0; 256];
            SOURCES.iter().for_each(|&w| {
                let fmt = random.of(&[Fmt::S, Fmt::D]);
                regs[w as usize] = random.float(fmt);
            });
            INTEGERS.iter().for_each(|&w| regs[w as usize] = random.integer());
            let (mut got, flags) = rig.run(&code, rm, &regs);
            got[SINK as usize] = 0;
            let want = interpret_all(&ops, rm, &regs);
            assert!((got, flags) == want, "mode {rm}, flags {flags:#x} {:#x}\n{ops:#?}", want.1);
        }
    }
}
