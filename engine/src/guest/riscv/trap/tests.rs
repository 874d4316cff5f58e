use super::*;
use crate::guest::Guest;
use crate::guest::riscv::testing::{hart, set_mode, set_time};

fn armed() -> Box<Cpu<Riscv>> {
    let mut cpu = hart();
    cpu.ext.m.tvec = 0x8000_1001;
    cpu.ext.s.tvec = 0x8000_2001;
    cpu
}

#[test]
fn exceptions_below_machine_mode_can_be_delegated() {
    let e = Exception { cause: CAUSE_LOAD_PAGE, tval: 0x123 };
    for (mode, deleg, to) in [
        (Mode::User, DELEGABLE, Mode::Supervisor),
        (Mode::Supervisor, DELEGABLE, Mode::Supervisor),
        (Mode::Machine, DELEGABLE, Mode::Machine),
        (Mode::User, 0, Mode::Machine),
    ] {
        let cpu = &mut armed();
        set_mode(cpu, mode);
        cpu.ext.medeleg = deleg;
        cpu.ext.mstatus |= MSTATUS_SIE | MSTATUS_MIE;
        cpu.insn_pc = 0x4000;
        raise(cpu, e);
        assert_eq!(cpu.ext.mode, to);
        let (regs, base) = match to {
            Mode::Supervisor => (cpu.ext.s, 0x8000_2000),
            _ => (cpu.ext.m, 0x8000_1000),
        };
        assert_eq!((regs.epc, regs.cause, regs.tval, cpu.pc), (0x4000, CAUSE_LOAD_PAGE, 0x123, base));
        let status = cpu.ext.mstatus;
        if to == Mode::Supervisor {
            assert_eq!(status & (MSTATUS_SIE | MSTATUS_SPIE), MSTATUS_SPIE);
            assert_eq!(status & MSTATUS_SPP != 0, mode == Mode::Supervisor);
        } else {
            assert_eq!(status & (MSTATUS_MIE | MSTATUS_MPIE), MSTATUS_MPIE);
            assert_eq!(status >> MSTATUS_MPP_SHIFT & 3, mode as u64);
        }
    }
}

#[test]
fn interrupts_go_to_their_vector_by_priority() {
    let cpu = &mut armed();
    set_mode(cpu, Mode::Supervisor);
    cpu.ext.mideleg = S_INTERRUPTS;
    cpu.ext.mie = INTERRUPTS;
    cpu.ext.mstatus |= MSTATUS_SIE | MSTATUS_MIE;
    for line in [1, 3, 7, 9, 11] {
        cpu.hart.lines.set(line, true);
    }
    cpu.pc = 0x4002;
    for (line, base) in
        [(11u32, 0x8000_1000u64), (3, 0x8000_1000), (7, 0x8000_1000), (9, 0x8000_2000), (1, 0x8000_2000)]
    {
        assert!(Riscv::poll(cpu));
        assert_eq!(cpu.pc, base + 4 * line as u64);
        let regs = if base == 0x8000_1000 { cpu.ext.m } else { cpu.ext.s };
        assert_eq!(regs.cause, CAUSE_INTERRUPT | line as u64);
        assert_eq!(regs.tval, 0);
        cpu.hart.lines.set(line, false);
        set_mode(cpu, Mode::Supervisor);
        cpu.ext.mstatus |= MSTATUS_SIE;
    }
    assert!(!Riscv::poll(cpu));
}

#[test]
fn global_enables_hold_back_interrupts_but_not_wakeups() {
    let cpu = &mut armed();
    cpu.hart.lines.set(7, true);
    assert!(!Riscv::poll(cpu) && !Riscv::wakes(cpu));
    cpu.ext.mie = MTIP;
    assert!(!Riscv::poll(cpu) && Riscv::wakes(cpu));
    set_mode(cpu, Mode::User);
    assert!(Riscv::poll(cpu), "less privileged modes cannot mask");
    // A delegated interrupt never interrupts M-mode.
    let cpu = &mut armed();
    (cpu.ext.mideleg, cpu.ext.mie) = (SSIP, SSIP);
    cpu.ext.mstatus |= MSTATUS_MIE | MSTATUS_SIE;
    cpu.hart.lines.set(1, true);
    assert!(!Riscv::poll(cpu));
}

#[test]
fn the_supervisor_timer_fires_at_its_deadline() {
    let cpu = &mut armed();
    cpu.ext.menvcfg |= ENVCFG_STCE;
    (cpu.ext.mideleg, cpu.ext.mie) = (STIP, STIP);
    set_mode(cpu, Mode::User);
    csr::set_timer(cpu, 100);
    assert_eq!(Riscv::deadline(cpu), Some(10_000));
    set_time(cpu, 9_999);
    assert!(!Riscv::poll(cpu));
    set_time(cpu, 10_000);
    Riscv::poll_after_change(cpu);
    assert_eq!(cpu.ext.mode, Mode::User, "waits for the next poll");
    assert!(Riscv::poll(cpu));
    assert_eq!(cpu.ext.s.cause, CAUSE_INTERRUPT | 5);
    assert_eq!(Riscv::deadline(cpu), None);
    csr::set_timer(cpu, u64::MAX);
    assert_eq!((csr::pending(cpu), Riscv::deadline(cpu)), (0, None));
    csr::set_timer(cpu, u64::MAX - 1);
    assert_eq!(Riscv::deadline(cpu), None, "beyond the clock's range");
}

#[test]
fn returns_restore_mode_and_enables() {
    let cpu = &mut armed();
    cpu.ext.mstatus |= MSTATUS_MPIE | MSTATUS_MPRV | 1 << MSTATUS_MPP_SHIFT;
    cpu.ext.m.epc = 0x5000;
    mret(cpu, 0x3020_0073).expect("mret");
    assert_eq!((cpu.ext.mode, cpu.pc), (Mode::Supervisor, 0x5000));
    let status = cpu.ext.mstatus;
    assert_eq!(
        status & (MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV),
        MSTATUS_MIE | MSTATUS_MPIE
    );
    assert_eq!(mret(cpu, 0x3020_0073), Err(illegal(0x3020_0073)));
    cpu.ext.s.epc = 0x6000;
    sret(cpu, 0x1020_0073).expect("sret");
    assert_eq!((cpu.ext.mode, cpu.pc), (Mode::User, 0x6000));
    assert_eq!(cpu.ext.mstatus & (MSTATUS_SIE | MSTATUS_SPIE), MSTATUS_SPIE);
    assert!(sret(cpu, 0x1020_0073).is_err());
}

#[test]
fn tsr_traps_sret_in_supervisor_mode_only() {
    let cpu = &mut armed();
    cpu.ext.mstatus |= MSTATUS_TSR | MSTATUS_SPP;
    sret(cpu, 0x1020_0073).expect("machine mode may");
    assert_eq!(cpu.ext.mode, Mode::Supervisor);
    assert!(sret(cpu, 0x1020_0073).is_err());
}

#[test]
fn mret_to_machine_mode_keeps_mprv() {
    let cpu = &mut armed();
    cpu.ext.mstatus |= MSTATUS_MPRV | MSTATUS_MPP;
    mret(cpu, 0).expect("mret");
    assert_eq!(cpu.ext.mstatus & MSTATUS_MPRV, MSTATUS_MPRV);
    assert_eq!(cpu.ext.data_mode(), Mode::User, "MPP is user now");
}
