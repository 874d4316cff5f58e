use super::*;
use crate::exec::cpu::MachineEvent;
use crate::guest::Guest;
use crate::guest::riscv::csr::bits::*;
use crate::guest::riscv::model::Model;
use crate::guest::riscv::state::Mode;
use crate::guest::riscv::testing::{Machine, RAM, RAM_LEN, machine, set_time};
use crate::ir::op::MemFlags;

const TIME: u64 = 0x5449_4d45;
const IPI: u64 = 0x0073_5049;
const RFENCE: u64 = 0x5246_4e43;
const HSM: u64 = 0x0048_534d;
const SRST: u64 = 0x5352_5354;
const DBCN: u64 = 0x4442_434e;
const PMU: u64 = 0x0050_4d55;

fn with_sbi() -> Model {
    let mut model = Model::default();
    model.builtin_sbi = true;
    model
}

/// A machine with the built-in SBI whose first hart is in its kernel.
fn booted(harts: u32) -> Machine {
    let mut m = machine(with_sbi(), harts);
    Riscv::start(&mut m.cpus[0], RAM, [0, 0x1234]);
    m
}

/// Error and value, and what the hart does.
fn sbi(cpu: &mut Cpu<Riscv>, extension: u64, function: u64, args: &[u64]) -> (i64, u64, Flow) {
    cpu.regs[A0..A0 + 6].fill(0);
    cpu.regs[A0..A0 + args.len()].copy_from_slice(args);
    cpu.regs[A0 + 6] = function;
    cpu.regs[A0 + 7] = extension;
    let flow = call(cpu).expect("no exception");
    (cpu.regs[A0] as i64, cpu.regs[A0 + 1], flow)
}

fn ok(v: u64) -> (i64, u64, Flow) {
    (0, v, Flow::Continue)
}

fn err(e: Error) -> (i64, u64, Flow) {
    (e as i64, 0, Flow::Continue)
}

#[test]
fn the_kernel_starts_as_from_firmware() {
    let m = booted(1);
    let cpu = &m.cpus[0];
    assert_eq!((cpu.pc, cpu.regs[10], cpu.regs[11]), (RAM, 0, 0x1234));
    assert_eq!((cpu.ext.mode, cpu.ext.satp), (Mode::Supervisor, 0));
    assert_eq!((cpu.ext.mideleg, cpu.ext.medeleg), (S_INTERRUPTS, DELEGABLE));
    assert_eq!(cpu.ext.menvcfg & (ENVCFG_STCE | ENVCFG_ADUE), ENVCFG_STCE | ENVCFG_ADUE);
    assert_eq!(cpu.ext.mstatus & MSTATUS_SIE, 0);
    assert!(cpu.hart.is_started());
}

#[test]
fn without_it_harts_start_in_machine_mode() {
    let mut m = machine(Model::default(), 1);
    let cpu = &mut m.cpus[0];
    Riscv::start(cpu, 0x1000, [0, 9]);
    assert_eq!((cpu.ext.mode, cpu.pc, cpu.regs[11]), (Mode::Machine, 0x1000, 9));
}

#[test]
fn base_answers_and_probes() {
    let cpu = &mut booted(1).cpus[0];
    assert_eq!(sbi(cpu, 0x10, 0, &[]), ok(0x0200_0000));
    assert_eq!(sbi(cpu, 0x10, 1, &[]), ok(base::IMPLEMENTATION));
    for (id, there) in [(TIME, 1), (PMU, 1), (2, 1), (9, 0), (0x5355_5350, 0), (0x53_5345, 0), (u64::MAX, 0)]
    {
        assert_eq!(sbi(cpu, 0x10, 3, &[id]), ok(there), "{id:#x}");
    }
    assert_eq!(sbi(cpu, 0x10, 7, &[]), err(Error::NotSupported));
    assert_eq!(sbi(cpu, 0x1234_5678, 0, &[]), err(Error::NotSupported));
}

#[test]
fn the_timer_raises_stip_with_and_without_sstc() {
    for sstc in [true, false] {
        let mut model = with_sbi();
        model.set(crate::guest::riscv::model::Ext::Sstc, sstc);
        let mut m = machine(model, 1);
        let cpu = &mut m.cpus[0];
        Riscv::start(cpu, RAM, [0, 0]);
        cpu.ext.mie = STIP;
        assert_eq!(sbi(cpu, TIME, 0, &[50]), ok(0));
        assert_eq!((Riscv::deadline(cpu), Riscv::wakes(cpu)), (Some(5_000), false));
        set_time(cpu, 5_000);
        assert!(Riscv::wakes(cpu));
        assert_eq!(sbi(cpu, TIME, 0, &[u64::MAX]), ok(0));
        assert!(!Riscv::wakes(cpu));
        assert_eq!(sbi(cpu, TIME, 1, &[0]), err(Error::NotSupported));
    }
}

#[test]
fn ipis_raise_ssip_on_the_harts_named() {
    let mut m = booted(3);
    m.cpus[2].hart.set_started(true);
    let harts = m.cpus[0].shared.harts.clone();
    let cpu = &mut m.cpus[0];
    let pending = || harts.iter().map(|h| h.lines.levels() & SSIP != 0).collect::<Vec<_>>();
    assert_eq!(sbi(cpu, IPI, 0, &[0b110, 0]), ok(0));
    assert_eq!(pending(), [false, false, true], "hart 1 is not started");
    assert_eq!(sbi(cpu, IPI, 0, &[0, u64::MAX]), ok(0));
    assert_eq!(pending(), [true, false, true]);
    for (mask, base) in [(1, 3), (0b1000, 0), (1, u64::MAX - 1), (u64::MAX, 0)] {
        assert_eq!(sbi(cpu, IPI, 0, &[mask, base]), err(Error::InvalidParam));
    }
    assert_eq!(sbi(cpu, IPI, 0, &[0, 77]), ok(0), "an empty mask names nobody");
}

#[test]
fn remote_fences_run_here_and_are_posted_there() {
    let mut m = booted(2);
    m.cpus[1].hart.set_started(true);
    let cpu = &mut m.cpus[0];
    cpu.context_changed = false;
    assert_eq!(sbi(cpu, RFENCE, 0, &[0b11, 0]), ok(0));
    assert!(cpu.context_changed);
    assert_eq!(sbi(cpu, RFENCE, 2, &[0b10, 0, 0x1000, 0x2000, 7]), ok(0));
    assert_eq!(sbi(cpu, RFENCE, 1, &[0b10, 0, 0x1000, u64::MAX - 1]), err(Error::InvalidAddress));
    assert_eq!(sbi(cpu, RFENCE, 1, &[0b100, 0, 0, 0]), err(Error::InvalidParam));
    assert_eq!(sbi(cpu, RFENCE, 3, &[0b10, 0, 0, 0]), err(Error::NotSupported));
    let other = &mut m.cpus[1];
    let before = other.tlb.counts().flushes[3];
    other.run_requests();
    assert_eq!(other.tlb.counts().flushes[3] - before, 2);
}

#[test]
fn harts_start_stop_and_tell_their_state() {
    let mut m = booted(2);
    let cpu = &mut m.cpus[0];
    assert_eq!(sbi(cpu, HSM, 2, &[0]), ok(0));
    assert_eq!(sbi(cpu, HSM, 2, &[1]), ok(1));
    assert_eq!(sbi(cpu, HSM, 2, &[2]), err(Error::InvalidParam));
    assert_eq!(sbi(cpu, HSM, 0, &[1 << 40, RAM, 0]), err(Error::InvalidParam));
    assert_eq!(sbi(cpu, HSM, 0, &[0, RAM, 0]), err(Error::AlreadyAvailable));
    assert_eq!(sbi(cpu, HSM, 0, &[1, 0x10, 0]), err(Error::InvalidAddress));
    assert_eq!(sbi(cpu, HSM, 0, &[1, RAM + 0x100, 42]), ok(0));
    assert_eq!(sbi(cpu, HSM, 2, &[1]), ok(2));
    assert_eq!(sbi(cpu, HSM, 0, &[1, RAM, 0]), err(Error::AlreadyAvailable));
    let other = &mut m.cpus[1];
    other.run_requests();
    assert_eq!((other.pc, other.regs[10], other.regs[11]), (RAM + 0x100, 1, 42));
    assert_eq!(other.ext.mode, Mode::Supervisor);
    assert_eq!(sbi(&mut m.cpus[0], HSM, 2, &[1]), ok(0));
    assert_eq!(sbi(&mut m.cpus[1], HSM, 1, &[]), (0, 0, Flow::Park));
    assert_eq!(sbi(&mut m.cpus[0], HSM, 2, &[1]), ok(1));
}

#[test]
fn suspend_returns_or_resumes_elsewhere() {
    let mut m = booted(2);
    let cpu = &mut m.cpus[0];
    cpu.pc = RAM + 4;
    assert_eq!(sbi(cpu, HSM, 3, &[0]), (0, 0, Flow::Wait));
    assert_eq!(cpu.pc, RAM + 4);
    Riscv::poll(cpu);
    assert_eq!(sbi(cpu, HSM, 2, &[0]), ok(0));
    cpu.ext.satp = 8 << 60;
    assert_eq!(sbi(cpu, HSM, 3, &[0x8000_0000, RAM + 0x40, 99]), (0, 99, Flow::Wait));
    assert_eq!((cpu.pc, cpu.ext.satp), (RAM + 0x40, 0));
    assert_eq!(sbi(cpu, HSM, 3, &[0x8000_0000, 0x10, 0]), err(Error::InvalidAddress));
    assert_eq!(sbi(cpu, HSM, 3, &[1]), err(Error::InvalidParam));
    assert_eq!(sbi(cpu, HSM, 3, &[0x1000_0000]), err(Error::NotSupported));
    assert_eq!(sbi(cpu, HSM, 3, &[1 << 32]), err(Error::InvalidParam));
}

#[test]
fn reset_tells_the_board() {
    let mut m = booted(1);
    let cpu = &mut m.cpus[0];
    assert_eq!(sbi(cpu, SRST, 0, &[0, 0]).2, Flow::Park);
    assert_eq!(sbi(cpu, SRST, 0, &[0, 1]).2, Flow::Park);
    assert_eq!(sbi(cpu, SRST, 0, &[2, 0]).2, Flow::Park);
    assert_eq!(sbi(cpu, SRST, 0, &[3, 0]), err(Error::InvalidParam));
    assert_eq!(sbi(cpu, SRST, 0, &[0, 2]), err(Error::InvalidParam));
    assert_eq!(sbi(cpu, SRST, 0, &[0xf000_0000, 0]), err(Error::NotSupported));
    let want = [MachineEvent::PowerOff(0), MachineEvent::PowerOff(1), MachineEvent::Reboot];
    assert_eq!(*m.platform.events.lock(), want);
}

#[test]
fn console_moves_bytes_of_ram_only() {
    let mut m = booted(1);
    let cpu = &mut m.cpus[0];
    assert!(cpu.shared.memory.load(RAM + 0x100, b"hello"));
    assert_eq!(sbi(cpu, DBCN, 0, &[5, RAM + 0x100, 0]), ok(5));
    assert_eq!(sbi(cpu, DBCN, 2, &[b'!' as u64 | 0xff00]), ok(0));
    assert_eq!(*m.platform.written.lock(), b"hello!");
    m.platform.typed.lock().extend_from_slice(b"abc");
    assert_eq!(sbi(cpu, DBCN, 1, &[2, RAM + 0x200, 0]), ok(2));
    assert_eq!(cpu.shared.memory.read(RAM + 0x200, 1), Ok(0x6261));
    assert_eq!(sbi(cpu, DBCN, 0, &[0, RAM, 0]), ok(0));
    assert_eq!(sbi(cpu, DBCN, 0, &[RAM_LEN, RAM, 0]), ok(4096), "the caller comes again for the rest");
    for bad in [[1, 0x10, 0], [2, RAM + RAM_LEN - 1, 0], [u64::MAX, RAM, 0], [1, RAM, 1], [1, u64::MAX, 0]] {
        assert_eq!(sbi(cpu, DBCN, 0, &bad), err(Error::InvalidParam));
        assert_eq!(sbi(cpu, DBCN, 1, &bad), err(Error::InvalidParam));
    }
}

#[test]
fn counters_are_found_started_read_and_stopped() {
    const SET_TIMER: u64 = 0xf << 16 | 5;
    let mut m = booted(1);
    let cpu = &mut m.cpus[0];
    assert_eq!(sbi(cpu, PMU, 0, &[]), ok(18));
    assert_eq!(sbi(cpu, PMU, 1, &[1]), ok(0xc02 | 63 << 12));
    assert_eq!(sbi(cpu, PMU, 1, &[17]), ok(1 << 63));
    assert_eq!(sbi(cpu, PMU, 1, &[18]), err(Error::InvalidParam));
    let all = (1 << 18) - 1;
    assert_eq!(sbi(cpu, PMU, 2, &[0, all, 0, 1, 0]), ok(0));
    assert_eq!(sbi(cpu, PMU, 2, &[0, all, 0, 1, 0]), err(Error::NotSupported), "taken");
    assert_eq!(sbi(cpu, PMU, 2, &[0, all, 0, 3, 0]), err(Error::NotSupported), "no such event");
    assert_eq!(sbi(cpu, PMU, 2, &[0, all, 2 | 4, SET_TIMER, 0]), ok(2));
    sbi(cpu, TIME, 0, &[u64::MAX]);
    sbi(cpu, TIME, 0, &[u64::MAX]);
    assert_eq!(sbi(cpu, PMU, 5, &[2]), ok(2));
    assert_eq!(sbi(cpu, PMU, 6, &[2]), ok(0));
    assert_eq!(sbi(cpu, PMU, 3, &[2, 1, 0, 0]), err(Error::AlreadyStarted));
    assert_eq!(sbi(cpu, PMU, 4, &[2, 1, 1]), ok(0));
    assert_eq!(sbi(cpu, PMU, 4, &[2, 1, 0]), err(Error::AlreadyStopped));
    assert_eq!(sbi(cpu, PMU, 5, &[2]), err(Error::InvalidParam));
    cpu.retired_base = 500;
    assert_eq!(sbi(cpu, PMU, 3, &[0, 1, 1, 10]), ok(0));
    cpu.retired_base = 601;
    assert_eq!(csr_value(cpu, 0xc00), 110);
    assert_eq!(sbi(cpu, PMU, 4, &[0, 1, 0]), ok(0));
    cpu.retired_base = 700;
    assert_eq!(csr_value(cpu, 0xc00), 110);
    for (base, mask) in [(0, 0), (18, 1), (u64::MAX, 3), (0, 1 << 18)] {
        assert_eq!(sbi(cpu, PMU, 3, &[base, mask, 0, 0]), err(Error::InvalidParam));
    }
}

fn csr_value(cpu: &Cpu<Riscv>, number: u16) -> u64 {
    crate::guest::riscv::csr::peek(cpu, number).expect("there")
}

#[test]
fn legacy_calls_answer_in_a0_alone() {
    let mut m = booted(2);
    m.cpus[1].hart.set_started(true);
    let cpu = &mut m.cpus[0];
    assert_eq!(sbi(cpu, 1, 0, &[b'x' as u64, 5]), (0, 5, Flow::Continue));
    assert_eq!(sbi(cpu, 2, 0, &[]).0, -1);
    m.platform.typed.lock().push(b'y');
    assert_eq!(sbi(cpu, 2, 0, &[]).0, b'y' as i64);
    cpu.store(RAM + 0x80, MemFlags::plain(3), 0b10).expect("store");
    assert_eq!(sbi(cpu, 4, 0, &[RAM + 0x80]).0, 0);
    assert_eq!(cpu.shared.harts[1].lines.levels() & SSIP, SSIP);
    assert_eq!(sbi(cpu, 7, 0, &[0, 0, 0, 3]).0, 0);
    cpu.regs[A0] = 0x10;
    cpu.regs[A0 + 7] = 5;
    let e = call(cpu).expect_err("no memory there");
    assert_eq!((e.cause, e.tval), (CAUSE_LOAD_ACCESS, 0x10));
    assert_eq!(sbi(cpu, 8, 0, &[]).2, Flow::Park);
    assert_eq!(*m.platform.events.lock(), [MachineEvent::PowerOff(0)]);
}

#[test]
fn restored_state_is_made_legal() {
    let mut m = booted(1);
    let cpu = &mut m.cpus[0];
    let mut s = cpu.ext.clone();
    (s.mode, s.hart_id, s.mstatus, s.satp) = (Mode::Machine, 9, u64::MAX, u64::MAX);
    (s.mie, s.mip, s.s.tvec, s.s.epc) = (u64::MAX, u64::MAX, 3, 1);
    (s.menvcfg, s.mcountinhibit, s.suspended) = (u64::MAX, u32::MAX, true);
    cpu.ext = s;
    cpu.fenv.rm = 200;
    Riscv::sanitise(cpu);
    let s = &cpu.ext;
    assert_eq!((s.mode, s.hart_id, s.satp, s.s.tvec, s.s.epc), (Mode::Supervisor, 0, 0, 0, 0));
    assert_eq!(
        (s.mie, s.mip),
        (SSIP | STIP | SEIP, STIP | SEIP),
        "the built-in firmware never enters M-mode"
    );
    assert_eq!(s.mstatus, MSTATUS_WRITE | MSTATUS_UXL_64 | MSTATUS_SXL_64);
    assert!(cpu.fenv.rm < 8);
    assert_eq!(sbi(&mut m.cpus[0], HSM, 2, &[0]), ok(4));
}
