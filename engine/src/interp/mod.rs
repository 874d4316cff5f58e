//! Tier 0: runs a block of IR as it stands.
//!
//! The problem: a dispatch costs more than most guest instructions. So there is one `match` in one loop, operands are
//! bytes into a file of 256 words (no bounds checks), and boundaries of guest instructions are a side table that is looked
//! at only when something faults. The semantics of pure ops live in [`crate::ir::eval`], of float ops in [`float`], of memory
//! in [`crate::exec::access`]; all tiers must give what this file gives.

pub mod float;

use crate::cache::code::Code;
use crate::exec::cpu::{Cpu, Reservation};
use crate::guest::{Exception, Flow, Guest};
use crate::ir::eval;
use crate::ir::op::{CallSite, MemFlags, Op, Opcode};
use std::sync::atomic::{Ordering, fence};

/// How a block was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// By exit 0 (fall-through) or 1 (taken) to `cpu.pc`.
    Exit(usize),
    /// Indirectly, to `cpu.pc`.
    Indirect,
    /// To the dispatcher at `cpu.pc`: state that look-ups depend on may have changed.
    Dispatch,
    /// As [`Leave::Dispatch`], after doing what the flow says.
    Flow(Flow),
}

/// Runs `code` at guest address `pc`. The caller has charged `code.insns` to the budget; on an early exit the rest is
/// given back.
#[inline(always)]
pub fn run<G: Guest>(cpu: &mut Cpu<G>, code: &Code, pc: u64) -> Leave {
    let mut rest = code.ops.iter();
    while let Some(op) = rest.next() {
        macro_rules! b {
            () => {
                cpu.regs[op.b as usize]
            };
        }
        macro_rules! c {
            () => {
                cpu.regs[op.c as usize]
            };
        }
        macro_rules! set {
            ($v:expr) => {{
                let v: u64 = $v;
                cpu.regs[op.a as usize] = v;
            }};
        }
        // With a constant code `eval::pure` is the op alone.
        macro_rules! pure {
            ($code:ident) => {{
                let d = cpu.regs[op.aux as u8 as usize];
                set!(eval::pure(Opcode::$code, b!(), c!(), op.imm, pc, d).unwrap_or_default())
            }};
        }
        macro_rules! may {
            ($e:expr) => {
                match $e {
                    Ok(v) => v,
                    Err(e) => return fault(cpu, code, pc, rest.len(), e),
                }
            };
        }
        macro_rules! load {
            ($size:literal, $f:expr) => {{
                let va = b!().wrapping_add(op.imm as u64);
                let v = may!(cpu.load_sized::<$size>(va, MemFlags(op.aux)));
                let f = $f;
                set!(f(v))
            }};
        }
        macro_rules! store {
            ($size:literal) => {{
                let va = b!().wrapping_add(op.imm as u64);
                let v = c!();
                may!(cpu.store_sized::<$size>(va, MemFlags(op.aux), v));
            }};
        }
        macro_rules! branch {
            ($code:ident) => {{
                let taken = eval::taken(Opcode::$code, b!(), c!()).unwrap_or_default();
                cpu.pc = pc.wrapping_add(if taken { op.imm as u64 } else { op.aux as u64 });
                return Leave::Exit(taken as usize);
            }};
        }
        macro_rules! amo {
            ($f:expr) => {{
                let v = may!(amo(cpu, op, $f));
                set!(v)
            }};
        }
        use Opcode::*;
        match op.code {
            Mov => pure!(Mov),
            Li => pure!(Li),
            AddPc => pure!(AddPc),
            Add => pure!(Add),
            Sub => pure!(Sub),
            And => pure!(And),
            Or => pure!(Or),
            Xor => pure!(Xor),
            AndNot => pure!(AndNot),
            OrNot => pure!(OrNot),
            XorNot => pure!(XorNot),
            Sll => pure!(Sll),
            Srl => pure!(Srl),
            Sra => pure!(Sra),
            Rol => pure!(Rol),
            Ror => pure!(Ror),
            Slt => pure!(Slt),
            Sltu => pure!(Sltu),
            Seq => pure!(Seq),
            Min => pure!(Min),
            Minu => pure!(Minu),
            Max => pure!(Max),
            Maxu => pure!(Maxu),
            AddW => pure!(AddW),
            SubW => pure!(SubW),
            SllW => pure!(SllW),
            SrlW => pure!(SrlW),
            SraW => pure!(SraW),
            RolW => pure!(RolW),
            RorW => pure!(RorW),
            Mul => pure!(Mul),
            MulH => pure!(MulH),
            MulHu => pure!(MulHu),
            MulHsu => pure!(MulHsu),
            MulW => pure!(MulW),
            Div => pure!(Div),
            Divu => pure!(Divu),
            Rem => pure!(Rem),
            Remu => pure!(Remu),
            DivW => pure!(DivW),
            DivuW => pure!(DivuW),
            RemW => pure!(RemW),
            RemuW => pure!(RemuW),
            Sh1Add => pure!(Sh1Add),
            Sh2Add => pure!(Sh2Add),
            Sh3Add => pure!(Sh3Add),
            AddUw => pure!(AddUw),
            Sh1AddUw => pure!(Sh1AddUw),
            Sh2AddUw => pure!(Sh2AddUw),
            Sh3AddUw => pure!(Sh3AddUw),
            Clmul => pure!(Clmul),
            ClmulH => pure!(ClmulH),
            ClmulR => pure!(ClmulR),
            BitClear => pure!(BitClear),
            BitExtract => pure!(BitExtract),
            BitInvert => pure!(BitInvert),
            BitSet => pure!(BitSet),
            ZeroIfZero => pure!(ZeroIfZero),
            ZeroIfNot => pure!(ZeroIfNot),
            Select => pure!(Select),
            CarryAdd => pure!(CarryAdd),
            CarryAddW => pure!(CarryAddW),
            OverflowAdd => pure!(OverflowAdd),
            OverflowAddW => pure!(OverflowAddW),
            OverflowSub => pure!(OverflowSub),
            OverflowSubW => pure!(OverflowSubW),
            AddI => pure!(AddI),
            AndI => pure!(AndI),
            OrI => pure!(OrI),
            XorI => pure!(XorI),
            SllI => pure!(SllI),
            SrlI => pure!(SrlI),
            SraI => pure!(SraI),
            RorI => pure!(RorI),
            SltI => pure!(SltI),
            SltuI => pure!(SltuI),
            SeqI => pure!(SeqI),
            AddIW => pure!(AddIW),
            SllIW => pure!(SllIW),
            SrlIW => pure!(SrlIW),
            SraIW => pure!(SraIW),
            RorIW => pure!(RorIW),
            SllIUw => pure!(SllIUw),
            BitClearI => pure!(BitClearI),
            BitExtractI => pure!(BitExtractI),
            BitInvertI => pure!(BitInvertI),
            BitSetI => pure!(BitSetI),
            Clz => pure!(Clz),
            Ctz => pure!(Ctz),
            Cpop => pure!(Cpop),
            ClzW => pure!(ClzW),
            CtzW => pure!(CtzW),
            CpopW => pure!(CpopW),
            SextB => pure!(SextB),
            SextH => pure!(SextH),
            SextW => pure!(SextW),
            ZextB => pure!(ZextB),
            ZextH => pure!(ZextH),
            ZextW => pure!(ZextW),
            Rev8 => pure!(Rev8),
            OrcB => pure!(OrcB),

            LoadS8 => load!(0, |v| v as i8 as u64),
            LoadS16 => load!(1, |v| v as i16 as u64),
            LoadS32 => load!(2, |v| v as i32 as u64),
            LoadU8 => load!(0, |v| v),
            LoadU16 => load!(1, |v| v),
            LoadU32 => load!(2, |v| v),
            Load64 => load!(3, |v| v),
            LoadBox16 => load!(1, |v| v | !0xffff),
            LoadBox32 => load!(2, |v| v | !0xffff_ffff),
            Store8 => store!(0),
            Store16 => store!(1),
            Store32 => store!(2),
            Store64 => store!(3),

            AmoSwap => amo!(|_, new, _| new),
            AmoAdd => amo!(|old, by, _| old.wrapping_add(by)),
            AmoXor => amo!(|old, by, _| old ^ by),
            AmoAnd => amo!(|old, by, _| old & by),
            AmoOr => amo!(|old, by, _| old | by),
            AmoMin => amo!(|old, by, size| if sext(old, size) <= sext(by, size) { old } else { by }),
            AmoMax => amo!(|old, by, size| if sext(old, size) >= sext(by, size) { old } else { by }),
            AmoMinu => amo!(|old, by, size| if zext(old, size) <= zext(by, size) { old } else { by }),
            AmoMaxu => amo!(|old, by, size| if zext(old, size) >= zext(by, size) { old } else { by }),
            LoadReserved => {
                let v = may!(load_reserved(cpu, op));
                set!(v)
            }
            StoreCond => {
                let v = may!(store_cond(cpu, op));
                set!(v)
            }
            CompareSwap => {
                let v = may!(compare_swap(cpu, op));
                set!(v)
            }
            Fence => fence(Ordering::SeqCst),

            FAdd | FSub | FMul | FDiv | FSqrt | FMadd | FMsub | FNmsub | FNmadd | FSgnj | FSgnjn | FSgnjx
            | FMin | FMax | FMinM | FMaxM | FEq | FLt | FLe | FLtq | FLeq | FClass | FToI32 | FToU32
            | FToI64 | FToU64 | FFromI32 | FFromU32 | FFromI64 | FFromU64 | FCvt | FRound | FRoundNx
            | FCvtMod | FMoveX | FMoveF => {
                let core = &mut cpu.core;
                float::run(&mut core.regs, &mut core.fenv, op);
            }

            BrEq => branch!(BrEq),
            BrNe => branch!(BrNe),
            BrLt => branch!(BrLt),
            BrGe => branch!(BrGe),
            BrLtu => branch!(BrLtu),
            BrGeu => branch!(BrGeu),
            Jump => {
                set!(pc.wrapping_add(op.aux as u64));
                cpu.pc = pc.wrapping_add(op.imm as u64);
                return Leave::Exit(1);
            }
            JumpReg => {
                cpu.pc = b!().wrapping_add(op.imm as u64) & !1;
                set!(pc.wrapping_add(op.aux as u64));
                return Leave::Indirect;
            }
            Exit => {
                cpu.pc = pc.wrapping_add(op.imm as u64);
                return Leave::Exit(0);
            }
            Call => {
                // Flows other than these two make no sense in mid-block.
                if may!(call(cpu, code, pc, op)) == Flow::Leave {
                    return leave(cpu, code, op);
                }
            }
            CallEnd => {
                return match may!(call(cpu, code, pc, op)) {
                    Flow::Continue | Flow::Leave => Leave::Dispatch,
                    flow => Leave::Flow(flow),
                };
            }
        }
    }
    // The verifier refuses blocks without a terminator.
    cpu.pc = pc.wrapping_add(code.bytes as u64);
    Leave::Dispatch
}

/// [`run`] out of line, for blocks that run once.
#[inline(never)]
pub fn run_cold<G: Guest>(cpu: &mut Cpu<G>, code: &Code, pc: u64) -> Leave {
    run(cpu, code, pc)
}

/// Runs one op that neither ends a block nor calls a helper nor needs the block's pc: what compiled code falls back on.
pub fn step<G: Guest>(cpu: &mut Cpu<G>, op: &Op) -> Result<(), Exception> {
    use Opcode::*;
    let (b, c) = (cpu.regs[op.b as usize], cpu.regs[op.c as usize]);
    let flags = MemFlags(op.aux);
    let va = b.wrapping_add(op.imm as u64);
    let v = match op.code {
        LoadS8 | LoadS16 | LoadS32 => sext(cpu.load(va, flags)?, flags.size()) as u64,
        LoadU8 | LoadU16 | LoadU32 | Load64 => cpu.load(va, flags)?,
        LoadBox16 => cpu.load(va, flags)? | !0xffff,
        LoadBox32 => cpu.load(va, flags)? | !0xffff_ffff,
        Store8 | Store16 | Store32 | Store64 => return cpu.store(va, flags, c),
        LoadReserved => load_reserved(cpu, op)?,
        StoreCond => store_cond(cpu, op)?,
        CompareSwap => compare_swap(cpu, op)?,
        AmoSwap => amo(cpu, op, |_, new, _| new)?,
        AmoAdd => amo(cpu, op, |old, by, _| old.wrapping_add(by))?,
        AmoXor => amo(cpu, op, |old, by, _| old ^ by)?,
        AmoAnd => amo(cpu, op, |old, by, _| old & by)?,
        AmoOr => amo(cpu, op, |old, by, _| old | by)?,
        AmoMin => amo(cpu, op, |old, by, size| if sext(old, size) <= sext(by, size) { old } else { by })?,
        AmoMax => amo(cpu, op, |old, by, size| if sext(old, size) >= sext(by, size) { old } else { by })?,
        AmoMinu => amo(cpu, op, |old, by, size| if zext(old, size) <= zext(by, size) { old } else { by })?,
        AmoMaxu => amo(cpu, op, |old, by, size| if zext(old, size) >= zext(by, size) { old } else { by })?,
        Fence => {
            fence(Ordering::SeqCst);
            return Ok(());
        }
        code => match eval::pure(code, b, c, op.imm, 0, cpu.regs[op.aux as u8 as usize]) {
            Some(v) => v,
            None => {
                let core = &mut cpu.core;
                float::run(&mut core.regs, &mut core.fenv, op);
                return Ok(());
            }
        },
    };
    cpu.regs[op.a as usize] = v;
    Ok(())
}

fn sext(v: u64, size_log2: u32) -> i64 {
    let unused = 64 - (8u32 << size_log2);
    (v << unused) as i64 >> unused
}

fn zext(v: u64, size_log2: u32) -> u64 {
    let unused = 64 - (8u32 << size_log2);
    v << unused >> unused
}

/// Takes an exception of the op that has `rest` ops after it: finds its guest instruction and gives the uncharged rest back.
#[cold]
#[inline(never)]
fn fault<G: Guest>(cpu: &mut Cpu<G>, code: &Code, pc: u64, rest: usize, e: Exception) -> Leave {
    let insn = code.insn_of(code.ops.len() - rest - 1);
    let offset = code.bounds.get(insn).map_or(0, |b| b.offset);
    cpu.unretired = 0;
    cpu.budget += code.insns as i64 - insn as i64;
    cpu.insn_pc = pc.wrapping_add(offset as u64);
    cpu.raise(e);
    Leave::Dispatch
}

#[inline(never)]
fn call<G: Guest>(cpu: &mut Cpu<G>, code: &Code, pc: u64, op: &Op) -> Result<Flow, Exception> {
    let insn = CallSite(op.aux).insn() as usize;
    if let Some(b) = code.bounds.get(insn) {
        cpu.insn_pc = pc.wrapping_add(b.offset as u64);
        cpu.pc = cpu.insn_pc.wrapping_add(b.len as u64);
    }
    cpu.unretired = code.insns as i64 - insn as i64;
    let flow = G::helper(cpu, op)?;
    cpu.unretired = 0;
    Ok(flow)
}

/// Leaves behind the instruction that called a helper, which has set the pc; gives the uncharged rest back.
#[cold]
fn leave<G: Guest>(cpu: &mut Cpu<G>, code: &Code, op: &Op) -> Leave {
    let insn = CallSite(op.aux).insn() as i64;
    cpu.budget += code.insns as i64 - insn - 1;
    Leave::Dispatch
}

#[inline(never)]
fn amo<G: Guest>(cpu: &mut Cpu<G>, op: &Op, f: impl Fn(u64, u64, u32) -> u64) -> Result<u64, Exception> {
    let flags = MemFlags(op.aux);
    let (va, by) = (cpu.regs[op.b as usize], cpu.regs[op.c as usize]);
    let old = cpu.rmw(va, flags, |old| Some(f(old, by, flags.size())))?;
    Ok(sext(old, flags.size()) as u64)
}

#[inline(never)]
fn load_reserved<G: Guest>(cpu: &mut Cpu<G>, op: &Op) -> Result<u64, Exception> {
    let flags = MemFlags(op.aux);
    let va = cpu.regs[op.b as usize];
    cpu.set_reservation(None);
    if flags.release() {
        // LR.RL: stores before it are seen before it reads.
        fence(Ordering::SeqCst);
    }
    let value = cpu.load(va, flags)?;
    fence(Ordering::SeqCst);
    cpu.set_reservation(Some(Reservation { va, size_log2: flags.size() as u8, value }));
    Ok(sext(value, flags.size()) as u64)
}

#[inline(never)]
fn store_cond<G: Guest>(cpu: &mut Cpu<G>, op: &Op) -> Result<u64, Exception> {
    let flags = MemFlags(op.aux);
    let (va, new) = (cpu.regs[op.b as usize], cpu.regs[op.c as usize]);
    let held = cpu.reservation().filter(|r| r.va == va && r.size_log2 as u32 == flags.size());
    cpu.set_reservation(None);
    let Some(r) = held else {
        // A failing SC may still fault, and must where the address could not be stored to at all.
        cpu.rmw(va, flags, |_| None)?;
        return Ok(1);
    };
    let old = cpu.rmw(va, flags, |old| (old == r.value).then_some(new))?;
    Ok((old != r.value) as u64)
}

#[inline(never)]
fn compare_swap<G: Guest>(cpu: &mut Cpu<G>, op: &Op) -> Result<u64, Exception> {
    let flags = MemFlags(op.aux);
    let (va, new) = (cpu.regs[op.b as usize], cpu.regs[op.c as usize]);
    let expect = zext(cpu.regs[op.a as usize], flags.size());
    let old = cpu.rmw(va, flags, |old| (old == expect).then_some(new))?;
    Ok(sext(old, flags.size()) as u64)
}
