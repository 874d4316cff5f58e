//! Float ops: unboxes operands, sets the rounding mode, calls [`crate::float`], boxes the result.

use crate::exec::cpu::FloatEnv;
use crate::float::{self, Env, F16, F32, F64, Format, Round};
use crate::ir::op::{Fmt, FpFlags, Op, Opcode, RM_DYNAMIC};

/// The operands of one op in one format.
struct Args {
    b: u64,
    c: u64,
    d: u64,
}

fn mask<F: Format>() -> u64 {
    F::SIGN | (F::SIGN - 1)
}

/// A value of format `F` out of a 64-bit register: a narrow value that is not boxed is the canonical NaN
/// (unprivileged spec, chapter "D", NaN boxing of narrower values).
fn unbox<F: Format>(v: u64, boxed: bool) -> u64 {
    if boxed && v | mask::<F>() != !0 { F::CANONICAL_NAN } else { v & mask::<F>() }
}

fn rebox<F: Format>(v: u64, boxed: bool) -> u64 {
    if boxed { v | !mask::<F>() } else { v & mask::<F>() }
}

/// Runs a float op on the register file.
#[inline(never)]
pub fn run(regs: &mut [u64; 256], fenv: &mut FloatEnv, op: &Op) {
    let flags = FpFlags(op.aux);
    let v = match flags.fmt() {
        Fmt::D => run_in::<F64>(regs, fenv, op, flags),
        Fmt::S => run_in::<F32>(regs, fenv, op, flags),
        Fmt::H => run_in::<F16>(regs, fenv, op, flags),
    };
    regs[op.a as usize] = v;
}

#[inline(always)]
fn run_in<F: Format>(regs: &[u64; 256], fenv: &mut FloatEnv, op: &Op, flags: FpFlags) -> u64 {
    let rm = if flags.rm() == RM_DYNAMIC { fenv.rm } else { flags.rm() };
    // Invalid modes do not get here: the lifter makes them illegal instructions.
    let mut env = Env::riscv(Round::from_rm(rm).unwrap_or(Round::NearestEven), fenv.flags);
    let v = compute::<F>(regs, op, flags, &mut env);
    fenv.flags = env.flags;
    v
}

#[inline(always)]
fn compute<F: Format>(regs: &[u64; 256], op: &Op, flags: FpFlags, env: &mut Env) -> u64 {
    use Opcode::*;
    let boxed = flags.is_boxed();
    let raw = regs[op.b as usize];
    let r = |v| rebox::<F>(v, boxed);
    let sext = |v: u64| {
        let unused = 64 - F::WIDTH;
        ((v << unused) as i64 >> unused) as u64
    };
    // Operands that are not floats of format F.
    match op.code {
        FFromI32 => return r(float::from_i64::<F>(raw as i32 as i64, env)),
        FFromU32 => return r(float::from_u64::<F>(raw as u32 as u64, env)),
        FFromI64 => return r(float::from_i64::<F>(raw as i64, env)),
        FFromU64 => return r(float::from_u64::<F>(raw, env)),
        FMoveX => return sext(raw & mask::<F>()),
        FMoveF => return r(raw & mask::<F>()),
        FCvt => {
            return r(match flags.source() {
                Fmt::D => float::convert::<F64, F>(raw, env),
                Fmt::S => float::convert::<F32, F>(unbox::<F32>(raw, boxed), env),
                Fmt::H => float::convert::<F16, F>(unbox::<F16>(raw, boxed), env),
            });
        }
        _ => {}
    }
    let get = |reg: u8| unbox::<F>(regs[reg as usize], boxed);
    let a = Args { b: get(op.b), c: get(op.c), d: get(flags.reg_d()) };
    let neg = |v: u64| v ^ F::SIGN;
    let fma = float::fused_multiply_add::<F>;
    match op.code {
        FAdd => r(float::add::<F>(a.b, a.c, env)),
        FSub => r(float::sub::<F>(a.b, a.c, env)),
        FMul => r(float::mul::<F>(a.b, a.c, env)),
        FDiv => r(float::div::<F>(a.b, a.c, env)),
        FSqrt => r(float::sqrt::<F>(a.b, env)),
        FMadd => r(fma(a.b, a.c, a.d, env)),
        FMsub => r(fma(a.b, a.c, neg(a.d), env)),
        FNmsub => r(fma(neg(a.b), a.c, a.d, env)),
        FNmadd => r(fma(neg(a.b), a.c, neg(a.d), env)),
        FSgnj => r(a.b & !F::SIGN | a.c & F::SIGN),
        FSgnjn => r(a.b & !F::SIGN | !a.c & F::SIGN),
        FSgnjx => r(a.b ^ a.c & F::SIGN),
        FMin => r(float::minimum_number::<F>(a.b, a.c, env)),
        FMax => r(float::maximum_number::<F>(a.b, a.c, env)),
        FMinM => r(float::minimum::<F>(a.b, a.c, env)),
        FMaxM => r(float::maximum::<F>(a.b, a.c, env)),
        FEq => float::eq::<F>(a.b, a.c, env) as u64,
        FLt => float::lt::<F>(a.b, a.c, env) as u64,
        FLe => float::le::<F>(a.b, a.c, env) as u64,
        FLtq => float::lt_quiet::<F>(a.b, a.c, env) as u64,
        FLeq => float::le_quiet::<F>(a.b, a.c, env) as u64,
        FClass => float::classify::<F>(a.b),
        FToI32 => float::to_i32::<F>(a.b, env) as u64,
        FToU32 => float::to_u32::<F>(a.b, env) as i32 as u64,
        FToI64 => float::to_i64::<F>(a.b, env) as u64,
        FToU64 => float::to_u64::<F>(a.b, env),
        FRound => r(float::round_to_integral::<F>(a.b, env)),
        FRoundNx => r(float::round_to_integral_exact::<F>(a.b, env)),
        FCvtMod => float::to_i32_modular::<F>(a.b, env) as u64,
        _ => 0,
    }
}
