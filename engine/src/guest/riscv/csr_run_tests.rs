//! CSR writes in running code: what they change holds from the next instruction on, in each tier, and costs no instruction.

use super::csr::bits::*;
use super::state::Mode as Privilege;
use super::testing::{RAM, machine, set_mode};
use super::{F0, Riscv};
use crate::cache::code::CodeMap;
use crate::exec::mode::{Mode, Settings, Tuning};
use crate::exec::vcpu::Vcpu;
use std::sync::Arc;

const HANDLER: u64 = RAM + 0x1000;
const MSTATUS: u32 = 0x300 << 20 | 0x73;
const FS: u64 = MSTATUS_FS;
/// Rounds until all is compiled.
const MANY: i64 = 300;

/// A hart in M-mode at `code`, with `handler` behind traps.
fn hart(mode: Mode, code: &[u32], handler: &[u32]) -> Vcpu<Riscv> {
    let m = machine(Default::default(), 1);
    let shared = m.cpus[0].shared.clone();
    for (at, code) in [(RAM, code), (HANDLER, handler)] {
        let bytes: Vec<u8> = code.iter().flat_map(|i| i.to_le_bytes()).collect();
        assert!(shared.memory.load(at, &bytes));
    }
    let settings = Arc::new(Settings::default());
    settings.set_mode(mode);
    settings.set_tuning(Tuning { workers: 0, ..settings.tuning() });
    let map = CodeMap::new(shared.memory.clone());
    let mut v = Vcpu::with(shared, map, settings, Arc::default(), 0);
    v.cpu.ext.pmp.open();
    v.cpu.ext.m.tvec = HANDLER;
    v.cpu.pc = RAM;
    v
}

fn run(v: &mut Vcpu<Riscv>, budget: i64) {
    v.begin_slice(budget);
    v.run(true);
    v.end_slice();
}

#[test]
fn an_interrupt_is_taken_behind_the_write_that_lets_it_through() {
    let csrci = MSTATUS | 8 << 15 | 7 << 12;
    let csrsi = MSTATUS | 8 << 15 | 6 << 12;
    const ADD: u32 = 0x0015_0513; // addi a0, a0, 1
    for mode in Mode::ALL {
        let v = &mut hart(mode, &[csrci, ADD, csrsi, ADD, 0xff1f_f06f], &[0x0000_006f]);
        v.cpu.ext.mie = MSIP;
        run(v, 5 * MANY);
        assert_eq!((v.cpu.pc, v.cpu.regs[10], v.cpu.instret()), (RAM, 2 * MANY as u64, 5 * MANY as u64));
        v.cpu.hart.lines.set(3, true);
        run(v, 4);
        let m = v.cpu.ext.m;
        assert_eq!((v.cpu.pc, m.cause, m.epc), (HANDLER, CAUSE_INTERRUPT | 3, RAM + 12), "{mode:?}");
        assert_eq!((v.cpu.regs[10], v.cpu.instret()), (2 * MANY as u64 + 1, 5 * MANY as u64 + 4), "{mode:?}");
    }
}

#[test]
fn float_instructions_follow_the_float_state_at_once() {
    let set = MSTATUS | 5 << 15 | 2 << 12; // csrs mstatus, t0
    let clear = MSTATUS | 5 << 15 | 3 << 12;
    const MOVE: u32 = 0xf005_00d3; // fmv.w.x f1, a0
    for mode in Mode::ALL {
        let v = &mut hart(mode, &[set, MOVE, clear, 0xff5f_f06f], &[0x0000_006f]);
        (v.cpu.regs[5], v.cpu.regs[10]) = (FS, 7);
        run(v, 4 * MANY);
        assert_eq!((v.cpu.pc, v.cpu.instret(), v.cpu.ext.m.cause), (RAM, 4 * MANY as u64, 0), "{mode:?}");
        assert_eq!(v.cpu.regs[F0 as usize + 1] as u32, 7);
    }
    // addi a1, a1, 1; csrr t2, mepc; addi t2, t2, 4; csrw mepc, t2; mret
    let handler = [0x0015_8593, 0x3410_23f3, 0x0043_8393, 0x3413_9073, 0x3020_0073];
    for mode in Mode::ALL {
        let v = &mut hart(mode, &[set, clear, MOVE, 0xff5f_f06f], &handler);
        (v.cpu.regs[5], v.cpu.ext.mstatus) = (FS, v.cpu.ext.mstatus | MSTATUS_MPP);
        // The instruction that faults uses budget and does not retire.
        run(v, 9 * MANY);
        assert_eq!((v.cpu.pc, v.cpu.instret()), (RAM, 8 * MANY as u64), "{mode:?}");
        assert_eq!((v.cpu.regs[11], v.cpu.ext.m.cause), (MANY as u64, CAUSE_ILLEGAL), "{mode:?}");
    }
}

/// Every form of Zicsr instruction on the registers that compilers move inline and on their neighbours, in each privilege mode.
#[test]
fn moves_of_csrs_do_what_the_helper_does() {
    let mut code = Vec::new();
    for csr in [0x100, 0x104, 0x140, 0x141, 0x142, 0x143, 0x340, 0x341, 0x342, 0x343, 0xc00, 0xc02u32] {
        for f3 in [1, 2, 3, 5, 6, 7] {
            for rd in [0, 10, 12u32] {
                for rs1 in [0, 10, 13, 31] {
                    let writes = rs1 != 0 || f3 & 3 == 1;
                    if csr >> 10 == 3 && writes {
                        continue;
                    }
                    code.push(csr << 20 | rs1 << 15 | f3 << 12 | rd << 7 | 0x73);
                }
            }
        }
    }
    // slli a3, a3, 1; xori a3, a3, 0x555; and back to the start.
    code.extend([0x0016_9693, 0x5556_c693]);
    let back = (4 * code.len() as u32).wrapping_neg();
    code.push(
        (back >> 20 & 1) << 31 | (back >> 1 & 0x3ff) << 21 | (back >> 11 & 1) << 20 | back & 0xf_f000 | 0x6f,
    );
    assert!(4 * code.len() as u64 <= HANDLER - RAM);
    // addi a1, a1, 1; csrr t2, mepc; addi t2, t2, 4; csrw mepc, t2; mret
    let handler = [0x0015_8593, 0x3410_23f3, 0x0043_8393, 0x3413_9073, 0x3020_0073];
    for privilege in [Privilege::User, Privilege::Supervisor, Privilege::Machine] {
        let start = |mode| {
            let mut v = hart(mode, &code, &handler);
            (v.cpu.regs[10], v.cpu.regs[13], v.cpu.regs[31]) = (!0, 0x8000_0000_1234_5677, 0x6002);
            (v.cpu.ext.mcounteren, v.cpu.ext.scounteren) = (5, 4);
            set_mode(&mut v.cpu, privilege);
            v
        };
        let mut harts = Mode::ALL.map(start);
        for slice in 0..60 {
            let seen = harts.each_mut().map(|v| {
                run(v, 997);
                (v.cpu.pc, v.cpu.instret(), v.cpu.regs[..32].to_vec(), v.cpu.ext.clone())
            });
            for (mode, now) in Mode::ALL.iter().zip(&seen) {
                assert_eq!(now, &seen[0], "{mode:?} in {privilege:?}, slice {slice}");
            }
        }
        let trapped = harts[0].cpu.regs[11] != 0;
        assert_eq!(trapped, privilege != Privilege::Machine);
        assert!(harts[1].cpu.hart.insns[1].load(std::sync::atomic::Ordering::Relaxed) > 1000);
    }
}
