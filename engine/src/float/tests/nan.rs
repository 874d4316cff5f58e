//! NaN results under the three policies: which operand wins, what is quieted, when invalid is raised.

use super::super::{Env, F32, F64, NanPolicy, Round, flag, soft};

const QUIET_1: u64 = 0x7fc0_0001;
const QUIET_2: u64 = 0xffc0_0002;
const SIGNALLING: u64 = 0xffa0_0003;
const SIGNALLING_QUIETED: u64 = 0xffe0_0003;
const ONE: u64 = 0x3f80_0000;
const INFINITY: u64 = 0x7f80_0000;
const CANONICAL: u64 = 0x7fc0_0000;
const NEGATIVE_DEFAULT: u64 = 0xffc0_0000;

fn run(policy: NanPolicy, op: impl Fn(&mut Env) -> u64) -> (u64, u8) {
    let mut env = Env { nan: policy, ..Env::riscv(Round::NearestEven, 0) };
    (op(&mut env), env.flags)
}

fn for_each_policy(op: impl Fn(&mut Env) -> u64, want: [(u64, u8); 3]) {
    let policies = [NanPolicy::Canonical, NanPolicy::SignallingFirst, NanPolicy::OperandOrder];
    for (policy, want) in policies.into_iter().zip(want) {
        assert_eq!(run(policy, &op), want, "{policy:?}");
    }
}

#[test]
fn binary_operations_choose_a_nan() {
    let nv = flag::NV;
    for_each_policy(
        |env| soft::add::<F32>(QUIET_1, SIGNALLING, env),
        [(CANONICAL, nv), (SIGNALLING_QUIETED, nv), (QUIET_1, nv)],
    );
    for_each_policy(|env| soft::mul::<F32>(ONE, QUIET_2, env), [(CANONICAL, 0), (QUIET_2, 0), (QUIET_2, 0)]);
    // Subtraction does not flip a NaN's sign.
    for_each_policy(|env| soft::sub::<F32>(ONE, QUIET_2, env), [(CANONICAL, 0), (QUIET_2, 0), (QUIET_2, 0)]);
    for_each_policy(
        |env| soft::div::<F32>(0, 0, env),
        [(CANONICAL, nv), (CANONICAL, nv), (NEGATIVE_DEFAULT, nv)],
    );
}

#[test]
fn fused_operations_choose_a_nan() {
    let nv = flag::NV;
    // The addend first, but for x86.
    for_each_policy(
        |env| soft::fused_multiply_add::<F32>(QUIET_1, ONE, QUIET_2, env),
        [(CANONICAL, 0), (QUIET_2, 0), (QUIET_1, 0)],
    );
    for_each_policy(
        |env| soft::fused_multiply_add::<F32>(INFINITY, 0, QUIET_2, env),
        [(CANONICAL, nv), (CANONICAL, nv), (QUIET_2, 0)],
    );
    for_each_policy(
        |env| soft::fused_multiply_add::<F32>(INFINITY, 0, SIGNALLING, env),
        [(CANONICAL, nv), (SIGNALLING_QUIETED, nv), (SIGNALLING_QUIETED, nv)],
    );
    for_each_policy(
        |env| soft::fused_multiply_add::<F32>(INFINITY, 0, ONE, env),
        [(CANONICAL, nv), (CANONICAL, nv), (NEGATIVE_DEFAULT, nv)],
    );
}

#[test]
fn conversions_keep_the_leading_payload() {
    let wide = 0xfff4_0000_6000_0000;
    for_each_policy(
        |env| soft::convert::<F32, F64>(SIGNALLING, env),
        [
            (0x7ff8_0000_0000_0000, flag::NV),
            (0xfffc_0000_6000_0000, flag::NV),
            (0xfffc_0000_6000_0000, flag::NV),
        ],
    );
    for_each_policy(
        |env| soft::convert::<F64, F32>(wide, env),
        [(CANONICAL, flag::NV), (SIGNALLING_QUIETED, flag::NV), (SIGNALLING_QUIETED, flag::NV)],
    );
}
