//! Float ops as compiled, against the interpreter's meaning of them: result words and flags.

use super::lowers;
use crate::exec::cpu::{Cpu, FloatEnv};
use crate::guest::riscv::Riscv;
use crate::guest::riscv::model::Model;
use crate::guest::riscv::testing::hart;
use crate::host;
use crate::interp::float;
use crate::ir::op::{Fmt, FpFlags, MemFlags, SINK};
use crate::ir::{Boundary, Op, Opcode};
use crate::jit::abi::Exit;
use crate::jit::region::{ANYWHERE, GuestRules, Region, RegionBlock};
use crate::jit::testing::exec::Loaded;
use crate::jit::testing::operands::{INTEGERS, Random, floats, floats_and_limits};
use crate::jit::tier2::Tier2;

/// Words of the operands and of the result.
const A: u8 = 40;
const B: u8 = 41;
const C: u8 = 42;
const D: u8 = 43;
const WORDS: [u8; 8] = [10, 11, A, B, C, D, 32, 33];

/// A block that jumps to itself; the budget ends it.
fn region(ops: &[Op]) -> Region {
    let end = Op { a: SINK, aux: 4, ..Op::new(Opcode::Jump) };
    let ops = ops.iter().copied().chain([end]).collect();
    let bounds = [Boundary { op: 0, offset: 0, len: 4, raw: 0 }];
    let block = RegionBlock {
        context: ANYWHERE,
        guess: Default::default(),
        offset: 0,
        ops,
        bounds: bounds.into(),
        insns: 1,
    };
    let rules = GuestRules::of::<Riscv>(&Model::default());
    Region {
        blocks: vec![block],
        contexts: Vec::new(),
        counts: Default::default(),
        page_offset: 0,
        pages: Default::default(),
        rules,
    }
}

struct Rig {
    tier2: Tier2,
    cpu: Box<Cpu<Riscv>>,
}

impl Rig {
    fn new() -> Rig {
        Rig { tier2: Tier2::new().expect("compiler"), cpu: hart() }
    }

    fn compile(&mut self, ops: &[Op]) -> Loaded {
        Loaded::new(&self.tier2.compile(&region(ops)).expect("code"))
    }

    /// Runs `code` `times` times with dynamic rounding mode `rm`: the registers after it, and the flags it raised.
    fn run(&mut self, code: &Loaded, times: i64, rm: u8, regs: &[u64; 256]) -> ([u64; 256], u8) {
        let cpu = &mut self.cpu;
        cpu.regs = *regs;
        (cpu.budget, cpu.pc, cpu.fenv) = (times, 0x8000_0000, FloatEnv { flags: 0, rm });
        cpu.core.guest_fcr = host::fcr(rm);
        // SAFETY: a live hart, and an entry that a compiler made, in memory that `code` keeps.
        let exit = unsafe { host::enter(&mut cpu.core, code.entry()) };
        assert_eq!((exit.kind(), cpu.budget), (Exit::POLL, 0));
        cpu.merge_float_flags();
        (cpu.regs, cpu.fenv.flags)
    }

    fn check(&mut self, code: &Loaded, times: i64, ops: &[Op], rm: u8, regs: &[u64; 256]) {
        let (mut want, mut fenv) = (*regs, FloatEnv { flags: 0, rm });
        (0..times).for_each(|_| ops.iter().for_each(|op| float::run(&mut want, &mut fenv, op)));
        let (got, flags) = self.run(code, times, rm, regs);
        for word in WORDS {
            let (got, want) = (got[word as usize], want[word as usize]);
            let operands = [regs[B as usize], regs[C as usize], regs[D as usize]];
            assert!(
                got == want,
                "{ops:#?}\nmode {rm}, {operands:x?}: word {word} is {got:#x}, not {want:#x}"
            );
        }
        let operands = [regs[B as usize], regs[C as usize], regs[D as usize]];
        assert!(
            flags == fenv.flags,
            "{ops:#?}\nmode {rm}, {operands:x?}: flags {flags:#x}, not {:#x}",
            fenv.flags
        );
    }

    fn check_all(&mut self, op: Op, operands: &[[u64; 3]]) {
        let code = self.compile(&[op]);
        let mut regs = [0x5555_aaaa_1234_5678; 256];
        for rm in 0..4 {
            for operands in operands {
                regs[B as usize..=D as usize].copy_from_slice(operands);
                self.check(&code, 1, &[op], rm, &regs);
            }
        }
    }
}

/// Operands by how many of them are read.
fn operands(op: &Op) -> Vec<[u64; 3]> {
    use Opcode::*;
    let flags = FpFlags(op.aux);
    let mut random = Random::new(u64::from(op.aux));
    let fields = op.code.fields();
    let fmt = if op.code == FCvt { flags.source() } else { flags.fmt() };
    if matches!(op.code, FFromI32 | FFromU32 | FFromI64 | FFromU64 | FMoveF) {
        let words = INTEGERS.into_iter().chain((0..500).map(|_| random.integer()));
        return words.map(|w| [w, 0, 0]).collect();
    }
    let mut any = || [random.float(fmt), random.float(fmt), random.float(fmt)];
    let mut all: Vec<_> = (0..1000).map(|_| any()).collect();
    let edges = floats(fmt);
    if fields.d {
        let some = |by: usize| edges.iter().step_by(by);
        let pairs = some(1).flat_map(|b| some(2).map(move |c| (b, c)));
        all.extend(pairs.flat_map(|(b, c)| some(3).map(move |d| [*b, *c, *d])));
    } else if fields.c {
        all.extend(edges.iter().flat_map(|b| edges.iter().map(move |c| [*b, *c, 0])));
    } else {
        all.extend(floats_and_limits(fmt).iter().map(|b| [*b, 0, 0]));
    }
    all
}

/// Every op, format and static rounding mode that is lowered.
#[test]
fn op_by_op() {
    let (mut rig, mut count) = (Rig::new(), 0);
    for &code in Opcode::ALL {
        let fields = code.fields();
        if fields.aux != crate::ir::fields::Aux::Fp {
            continue;
        }
        for fmt in [Fmt::S, Fmt::D, Fmt::H] {
            for rm in if fields.rounds { &[7, 0, 1, 2, 3, 4][..] } else { &[0][..] } {
                let from = if fmt == Fmt::S { Fmt::D } else { Fmt::S };
                let flags = FpFlags::boxed(fmt, *rm).d(D);
                let flags = if fields.from { flags.from(from) } else { flags };
                let op = Op { code, a: A, b: B, c: C, aux: flags.0, imm: 0 };
                if lowers(&op) {
                    rig.check_all(op, &operands(&op));
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 60, "{count} combinations are lowered");
}

fn random_op(random: &mut Random) -> Op {
    use Opcode::*;
    let floats = [A, B, C, D];
    let fmt = random.of(&[Fmt::S, Fmt::D, Fmt::D]);
    let code = random.of(&[
        FAdd, FSub, FMul, FDiv, FSqrt, FMadd, FNmadd, FSgnj, FSgnjn, FSgnjx, FMin, FMaxM, FEq, FLt, FLeq,
        FClass, FToI32, FToU32, FToI64, FToU64, FFromI32, FFromU64, FCvt, FMoveX, FMoveF,
    ]);
    let from = if fmt == Fmt::S { Fmt::D } else { Fmt::S };
    let to_integer = matches!(code, FToI32 | FToU32 | FToI64 | FToU64);
    let aux = FpFlags::boxed(fmt, if to_integer { 1 } else { 7 }).from(from).d(random.of(&floats)).0;
    let op = Op { code, a: random.of(&floats), b: random.of(&floats), c: random.of(&floats), aux, imm: 0 };
    match code {
        FEq | FLt | FLeq | FClass | FMoveX | FToI32 | FToU32 | FToI64 | FToU64 => {
            Op { a: random.of(&[10, 11, SINK]), ..op }
        }
        FFromI32 | FFromU64 | FMoveF => Op { b: random.of(&[10, 11]), ..op },
        _ => op,
    }
}

/// A way out in the middle of a block stores what nothing has settled yet: infinity less infinity, another NaN on the host.
#[test]
fn ways_out_leave_canonical_nans() {
    let (mut rig, mut regs) = (Rig::new(), [0; 256]);
    let load = Op { a: 11, b: 10, aux: MemFlags::plain(3).0, ..Op::new(Opcode::Load64) };
    for (fmt, infinity, nan) in [
        (Fmt::D, f64::INFINITY.to_bits(), 0x7ff8_0000_0000_0000),
        (Fmt::S, 0xffff_ffff_7f80_0000, 0xffff_ffff_7fc0_0000),
    ] {
        let aux = FpFlags::boxed(fmt, 7).0;
        let op = |code, a| Op { code, a, b: B, c: B, aux, imm: 0 };
        let mut region = region(&[op(Opcode::FSub, A), op(Opcode::FAdd, C), op(Opcode::FSub, D), load]);
        let bound = |op, offset| Boundary { op, offset, len: 4, raw: 0 };
        region.blocks[0].bounds = [bound(0, 0), bound(3, 4)].into();
        region.blocks[0].insns = 2;
        let code = Loaded::new(&rig.tier2.compile(&region).expect("code"));
        regs[B as usize] = infinity;
        let cpu = &mut rig.cpu;
        cpu.regs = regs;
        (cpu.budget, cpu.pc) = (9, 0x8000_0000);
        cpu.core.guest_fcr = host::fcr(0);
        // SAFETY: a live hart, and an entry that a compiler made, in memory that `code` keeps.
        let exit = unsafe { host::enter(&mut cpu.core, code.entry()) };
        // Nothing is at the address that the load wants.
        assert_eq!((exit.kind(), cpu.budget, cpu.pc), (Exit::POLL, 8, 0x8000_0004));
        let words = [A, B, C, D].map(|w| cpu.regs[w as usize]);
        assert_eq!(words, [nan, infinity, infinity, nan], "{fmt:?}");
    }
}

/// Loops of many ops on few words, results nobody reads among them.
#[test]
fn loops() {
    let (mut rig, mut random) = (Rig::new(), Random::new(9));
    for _ in 0..60 {
        let ops: Vec<_> = (0..1 + random.below(20)).map(|_| random_op(&mut random)).filter(lowers).collect();
        let code = rig.compile(&ops);
        for rm in (0..4).cycle().take(40) {
            let mut regs = [0; 256];
            for word in WORDS {
                let fmt = random.of(&[Fmt::S, Fmt::D]);
                regs[word as usize] = if word < 32 { random.integer() } else { random.float(fmt) };
            }
            let times = 1 + random.below(4) as i64;
            rig.check(&code, times, &ops, rm, &regs);
        }
    }
}
