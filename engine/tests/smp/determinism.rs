//! One result, however the run is cut: slices of any length, blocks or single instructions, passes on or off.

use super::asm::*;
use super::machine::*;
use engine::cache::code::{Code, CodeMap};
use engine::exec::engine::Engine;
use engine::exec::mode::{Mode, Settings};
use engine::exec::time::TimeSource;
use engine::exec::vcpu::{Stop, Vcpu};
use engine::guest::riscv::Riscv;
use engine::guest::{Guest, LiftInput};
use engine::interp::{self, Leave};
use std::sync::Arc;

/// Steps of the run: instructions, and one for each exception.
const STEPS: u64 = 30_000;
const HANDLER: u64 = CODE + 0x3000;
const LOW: i32 = -2048;

/// Arithmetic, memory, traps in mid-block, counters read in mid-block, code that changes itself, misaligned accesses over
/// pages, an instruction over two pages.
fn program() -> Asm {
    let mut a = Asm::at(CODE + 0xfbe);
    a.li(T0, HANDLER).op(&[csrrw(ZERO, 0x105, T0)]).li(S0, DATA + 0x1000);
    a.op(&[addi(S1, ZERO, 1), addi(S3, ZERO, 0), addi(S4, ZERO, 0)]);
    let again = a.here();
    a.op(&[addi(S1, S1, 1), mul(T2, S1, S1), sd(T2, S0, -4), ld(A2, S0, -3), xor(S4, S4, A2)]);
    // A load from nowhere, with work before and after it in the block.
    a.op(&[addi(A3, S1, 5), ld(A4, ZERO, 8), add(A5, A3, S1), csrrs(T3, 0xc02, ZERO), add(S4, S4, T3)]);
    a.op(&[csrrs(T3, 0xc01, ZERO), add(S4, S4, T3), slli(A3, A3, 3), sub(A5, A5, A3), amoadd_d(A4, A5, S0)]);
    // Illegal, and a store to the block that is about to run.
    a.op(&[0]);
    let patched = a.label();
    a.jal(RA, patched);
    a.bind(patched);
    a.op(&[
        andi(T0, S1, 0x7f),
        slli(T0, T0, 20),
        addi(T1, ZERO, 0x693),
        add(T0, T0, T1),
        sw(T0, RA, 24),
        FENCE_I,
    ]);
    a.op(&[addi(A3, ZERO, LOW), xor(S4, S4, A3), lw(A2, S0, -6), add(S4, S4, A2)]);
    a.jal(ZERO, again);
    a
}

/// Skips the instruction that trapped, and counts.
fn handler() -> Asm {
    let mut a = Asm::at(HANDLER);
    a.op(&[csrrs(T0, 0x141, ZERO), addi(T0, T0, 4), csrrw(ZERO, 0x141, T0), addi(S3, S3, 1)]);
    a.op(&[csrrs(T1, 0xc02, ZERO), xor(S4, S4, T1), SRET]);
    a
}

fn hart() -> Vcpu<Riscv> {
    let shared = shared(TimeSource::Instructions, 1);
    let p = program();
    let pc = p.base;
    assert!(shared.memory.load(pc, &p.finish()) && shared.memory.load(HANDLER, &handler().finish()));
    let settings = Arc::<Settings>::default();
    settle(&settings, 0);
    let code = CodeMap::new(shared.memory.clone());
    let mut v = Vcpu::with(shared.clone(), code, settings, Arc::default(), 0);
    Riscv::start(&mut v.cpu, pc, [0, 0]);
    v
}

#[derive(PartialEq, Debug)]
struct Seen {
    pc: u64,
    regs: Vec<u64>,
    retired: u64,
    causes: (u64, u64, u64),
}

fn seen(v: &Vcpu<Riscv>) -> Seen {
    let s = v.cpu.ext.s;
    let regs = v.cpu.regs[..64].to_vec();
    Seen { pc: v.cpu.pc, regs, retired: v.cpu.instret(), causes: (s.cause, s.epc, s.tval) }
}

fn in_slices(mut length: impl FnMut() -> u64) -> Seen {
    let mut v = hart();
    let mut left = STEPS;
    let mut now = 0;
    while left > 0 {
        let n = length().min(left);
        v.cpu.slice_ns = now;
        v.begin_slice(n as i64);
        assert_eq!(v.run(true), Stop::Slice);
        assert_eq!(v.cpu.budget, 0);
        v.end_slice();
        left -= n;
        now += n;
    }
    seen(&v)
}

/// Instruction by instruction, without caches and passes.
fn in_single_steps() -> Seen {
    let mut v = hart();
    let cpu = &mut v.cpu;
    (cpu.slice, cpu.budget) = (STEPS as i64, STEPS as i64);
    while cpu.budget > 0 {
        let pc = cpu.pc;
        let mut bytes = [0; 4];
        let pa = cpu.fetch_address(pc).expect("code");
        assert!(cpu.shared.memory.read_bytes(pa, &mut bytes));
        let input = LiftInput { code: &bytes, key: Riscv::block_key(cpu), max_insns: 1 };
        let code = Code::new(Riscv::lift(&cpu.shared.model, input), pa, None, input.key);
        assert_eq!(code.insns, 1);
        cpu.budget -= 1;
        match interp::run_cold(cpu, &code, pc) {
            Leave::Flow(f) => panic!("{f:?}"),
            Leave::Dispatch => Riscv::poll_after_change(cpu),
            _ => {}
        }
    }
    seen(&v)
}

#[test]
fn slices_of_any_length_give_the_same_run() {
    let interpreted = in_slices(|| STEPS);
    in_each_mode(|| {
        assert_eq!(in_slices(|| STEPS), interpreted);
        slices_of_any_length();
    });
}

fn slices_of_any_length() {
    let whole = in_slices(|| STEPS);
    let s = &whole.regs;
    assert!(s[S1 as usize] > 100 && s[S3 as usize] > 200 && whole.retired < STEPS, "{whole:x?}");
    for length in [1, 2, 3, 7, 63, 64, 65, 1000, 9999] {
        assert_eq!(in_slices(|| length), whole, "slices of {length}");
    }
    let mut x = 1u64;
    let random = in_slices(|| {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 33) % 50 + 1
    });
    assert_eq!(random, whole);
    assert_eq!(in_single_steps(), whole);
}

/// Two harts that race for a lock, in rounds: the same at the same count, however often the machine was paused.
#[test]
fn rounds_are_the_same_however_often_they_are_interrupted() {
    let interpreted = interrupted();
    assert_eq!(mode(), Mode::Interpreter);
    in_each_mode(|| assert!(interrupted() == interpreted, "in {:?}", mode()));
}

/// What such a run leaves: the harts' state, and the two counters.
fn interrupted() -> (Vec<u8>, u64, u64) {
    let run = |stops: &[u64]| {
        let m = Machine::new(TimeSource::Instructions, 3);
        let mut a = Asm::at(CODE);
        a.li(S0, DATA).op(&[addi(S1, S0, 8), addi(T3, ZERO, 1)]);
        let again = a.here();
        a.op(&[lr_d(T0, S0), addi(T1, T0, 1), sc_d(T2, T1, S0)]);
        a.bne(T2, ZERO, again);
        a.op(&[amoadd_d(A2, T3, S1), xor(S2, S2, A2), csrrs(A3, 0xc01, ZERO), add(S2, S2, A3)]);
        a.jal(ZERO, again);
        m.load(a);
        (0..3).for_each(|h| m.start(h, CODE, 0));
        for &s in stops {
            m.harts.pause_at(s);
            m.harts.resume();
            m.wait_for("the round", || m.harts.is_paused());
        }
        (m.harts.save().expect("saved"), m.word(DATA), m.word(DATA + 8))
    };
    let whole = run(&[900_000]);
    assert!(whole.1 > 1000);
    assert_eq!(run(&[1, 40_000, 300_000, 900_000]), whole);
    whole
}
