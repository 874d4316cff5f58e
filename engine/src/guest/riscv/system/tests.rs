use super::*;
use crate::guest::riscv::state::Mode;
use crate::guest::riscv::testing::{RAM, hart, machine, set_mode};
use crate::ir::Opcode;

fn run(cpu: &mut Cpu<Riscv>, h: Helper, bits: u32) -> Result<Flow, Exception> {
    let op = Op {
        aux: CallSite::new(h as u16, 0).0,
        imm: bits as i64,
        a: (bits >> 7 & 31) as u8,
        b: (bits >> 15 & 31) as u8,
        c: (bits >> 20 & 31) as u8,
        ..Op::new(Opcode::CallEnd)
    };
    cpu.insn_pc = RAM;
    cpu.pc = RAM + 4;
    helper(cpu, &op)
}

const WFI: u32 = 0x1050_0073;
const SFENCE: u32 = 0x1200_0073;

#[test]
fn calls_and_breakpoints_name_their_mode() {
    let cpu = &mut hart();
    for (mode, cause) in [(Mode::User, 8), (Mode::Supervisor, 9), (Mode::Machine, 11)] {
        set_mode(cpu, mode);
        assert_eq!(run(cpu, Helper::Ecall, 0x73), Err(Exception { cause, tval: 0 }));
    }
    assert_eq!(run(cpu, Helper::Ebreak, 0x10_0073), Err(Exception { cause: 3, tval: RAM }));
    assert_eq!(run(cpu, Helper::Illegal, 0xffff_ffff), Err(Exception { cause: 2, tval: 0xffff_ffff }));
}

#[test]
fn tw_and_tvm_trap_supervisor_mode() {
    let cpu = &mut hart();
    assert_eq!(run(cpu, Helper::Wfi, WFI), Ok(Flow::Wait));
    set_mode(cpu, Mode::Supervisor);
    assert_eq!(run(cpu, Helper::Wfi, WFI), Ok(Flow::Wait));
    assert_eq!(run(cpu, Helper::SfenceVma, SFENCE), Ok(Flow::Continue));
    assert!(cpu.context_changed);
    cpu.ext.mstatus |= MSTATUS_TW | MSTATUS_TVM;
    assert!(run(cpu, Helper::Wfi, WFI).is_err() && run(cpu, Helper::SfenceVma, SFENCE).is_err());
    assert!(run(cpu, Helper::WrsNto, 0x00d0_0073).is_err());
    assert_eq!(run(cpu, Helper::WrsSto, 0x01d0_0073), Ok(Flow::Continue));
    assert!(run(cpu, Helper::SfenceOrder, 0x1800_0073).is_ok(), "TVM is not for the ordering halves");
    cpu.ext.mstatus &= !(MSTATUS_TW | MSTATUS_TVM);
    set_mode(cpu, Mode::User);
    for (h, bits) in [(Helper::Wfi, WFI), (Helper::SfenceVma, SFENCE), (Helper::SfenceOrder, 0x1800_0073)] {
        assert!(run(cpu, h, bits).is_err());
    }
}

#[test]
fn wrs_waits_while_the_reservation_holds() {
    let cpu = &mut hart();
    cpu.store(RAM, MemFlags::plain(3), 7).expect("store");
    cpu.set_reservation(Some(crate::exec::cpu::Reservation { va: RAM, size_log2: 2, value: 7 }));
    assert_eq!(run(cpu, Helper::WrsSto, 0x01d0_0073), Ok(Flow::WaitBounded(WRS_NS)));
    cpu.store(RAM, MemFlags::plain(3), 8).expect("store");
    assert_eq!(run(cpu, Helper::WrsSto, 0x01d0_0073), Ok(Flow::Continue));
}

#[test]
fn csr_helper_leaves_x0_alone() {
    let cpu = &mut hart();
    cpu.regs[6] = 5;
    run(cpu, Helper::Csr, 0x340 << 20 | 6 << 15 | 1 << 12 | 0x73).expect("write");
    run(cpu, Helper::Csr, 0x340 << 20 | 2 << 12 | 7 << 7 | 0x73).expect("read");
    assert_eq!((cpu.regs[0], cpu.regs[7]), (0, 5));
}

#[test]
fn cache_block_operations_obey_the_enables() {
    let cpu = &mut hart();
    cpu.regs[6] = RAM + 0x147;
    let zero = 4 << 20 | 6 << 15 | 2 << 12 | 0xf;
    let clean = 1 << 20 | 6 << 15 | 2 << 12 | 0xf;
    let inval = 6 << 15 | 2 << 12 | 0xf;
    cpu.store(RAM + 0x138, MemFlags::plain(3), 1).expect("store");
    cpu.store(RAM + 0x140, MemFlags::plain(3), u64::MAX).expect("store");
    cpu.store(RAM + 0x178, MemFlags::plain(3), u64::MAX).expect("store");
    run(cpu, Helper::CboZero, zero).expect("zero");
    let at = |cpu: &mut Cpu<Riscv>, a: u64| cpu.load(a, MemFlags::plain(3)).expect("load");
    assert_eq!((at(cpu, RAM + 0x138), at(cpu, RAM + 0x140), at(cpu, RAM + 0x178)), (1, 0, 0));
    set_mode(cpu, Mode::User);
    for (h, bits, enable) in [
        (Helper::CboZero, zero, ENVCFG_CBZE),
        (Helper::CboManage, clean, ENVCFG_CBCFE),
        (Helper::CboManage, inval, 1 << ENVCFG_CBIE_SHIFT),
    ] {
        (cpu.ext.menvcfg, cpu.ext.senvcfg) = (enable, 0);
        assert_eq!(run(cpu, h, bits), Err(illegal(bits)));
        cpu.ext.senvcfg = enable;
        assert!(run(cpu, h, bits).is_ok());
    }
    // Neither readable nor writable: a store's fault.
    cpu.ext.pmp.set_cfg(0, 0x18);
    cpu.tlb.flush_all();
    let e = run(cpu, Helper::CboManage, inval).expect_err("no access");
    assert_eq!((e.cause, e.tval), (CAUSE_STORE_ACCESS, RAM + 0x140));
}

#[test]
fn amocas_q_swaps_pairs() {
    let cpu = &mut hart();
    let bits = |rd: u32, rs2: u32| rs2 << 20 | 6 << 15 | 4 << 12 | rd << 7 | 0x2f;
    cpu.regs[6] = RAM + 0x20;
    (cpu.regs[8], cpu.regs[9]) = (1, 2);
    (cpu.regs[10], cpu.regs[11]) = (3, 4);
    run(cpu, Helper::AmocasQ, bits(8, 10)).expect("mismatch is no fault");
    assert_eq!((cpu.regs[8], cpu.regs[9]), (0, 0));
    run(cpu, Helper::AmocasQ, bits(8, 10)).expect("swap");
    assert_eq!(cpu.load(RAM + 0x28, MemFlags::plain(3)), Ok(4));
    run(cpu, Helper::AmocasQ, bits(0, 10)).expect("x0 pair");
    assert_eq!((cpu.regs[0], cpu.load(RAM + 0x20, MemFlags::plain(3))), (0, Ok(3)));
    (cpu.regs[8], cpu.regs[9]) = (3, 4);
    run(cpu, Helper::AmocasQ, bits(8, 0)).expect("store zeroes");
    assert_eq!(cpu.load(RAM + 0x20, MemFlags::plain(3)), Ok(0));
    cpu.regs[6] = RAM + 0x28;
    let e = run(cpu, Helper::AmocasQ, bits(8, 10)).expect_err("misaligned");
    assert_eq!((e.cause, e.tval), (CAUSE_STORE_MISALIGNED, RAM + 0x28));
}

#[test]
fn fences_drop_what_they_name() {
    const TABLE: u64 = RAM + 0x1000;
    let cpu = &mut hart();
    let map = |cpu: &Cpu<Riscv>, to: u64| {
        // One gigapage at address 0, in all three pages of rights.
        cpu.shared.memory.write(TABLE, 3, to >> 12 << 10 | 0xcf).expect("write");
    };
    let load = |cpu: &mut Cpu<Riscv>| cpu.load(0x8, MemFlags::plain(3)).map_err(|e| e.cause);
    map(cpu, 0x8000_0000);
    cpu.store(RAM + 8, MemFlags::plain(3), 11).expect("store");
    cpu.ext.satp = 8 << 60 | 5 << 44 | TABLE >> 12;
    set_mode(cpu, Mode::Supervisor);
    assert_eq!(load(cpu), Ok(11));
    cpu.shared.memory.write(TABLE, 3, 0).expect("unmap");
    assert_eq!(load(cpu), Ok(11), "still in the TLB");
    cpu.regs[7] = 6;
    run(cpu, Helper::SfenceVma, SFENCE | 7 << 20).expect("another ASID");
    assert_eq!(load(cpu), Ok(11));
    cpu.regs[7] = 5;
    run(cpu, Helper::SfenceVma, SFENCE | 7 << 20).expect("this ASID");
    assert_eq!(load(cpu), Err(CAUSE_LOAD_PAGE));
    map(cpu, 0x8000_0000);
    assert_eq!(load(cpu), Ok(11));
    cpu.shared.memory.write(TABLE, 3, 0).expect("unmap");
    cpu.regs[6] = 0x2000_0000;
    run(cpu, Helper::SfenceVma, SFENCE | 6 << 15).expect("an address of the same superpage");
    assert_eq!(load(cpu), Err(CAUSE_LOAD_PAGE));
}

#[test]
fn fences_of_an_address_space_keep_global_pages() {
    const ROOT: u64 = RAM + 0x1000;
    const GLOBAL: u64 = 1 << 5;
    let cpu = &mut hart();
    // Gigapages 0 (global) and 1, the same memory.
    let put = |cpu: &Cpu<Riscv>, pages: [u64; 2]| {
        for (i, bits) in pages.into_iter().enumerate() {
            cpu.shared.memory.write(ROOT + 8 * i as u64, 3, RAM >> 12 << 10 | bits).expect("write");
        }
    };
    let asid = |n: u64| 8 << 60 | n << 44 | ROOT >> 12;
    let loads = |cpu: &mut Cpu<Riscv>| [0, 1 << 30].map(|va| cpu.load(va, MemFlags::plain(3)).is_ok());
    put(cpu, [0xcf | GLOBAL, 0xcf]);
    cpu.ext.satp = asid(5);
    set_mode(cpu, Mode::Supervisor);
    assert_eq!(loads(cpu), [true, true]);
    put(cpu, [0, 0]);
    cpu.regs[6] = 0x1000;
    cpu.regs[7] = 5;
    run(cpu, Helper::SfenceVma, SFENCE | 7 << 20 | 6 << 15).expect("a global address in this address space");
    run(cpu, Helper::SfenceVma, SFENCE | 7 << 20).expect("this address space");
    assert_eq!(loads(cpu), [true, false]);
    cpu.ext.satp = asid(6);
    cpu.select_address_space();
    assert_eq!(loads(cpu), [true, false], "global in another address space");
    run(cpu, Helper::SfenceVma, SFENCE | 6 << 15).expect("the address in all");
    assert_eq!(loads(cpu), [false, false]);
    put(cpu, [0xcf | GLOBAL, 0xcf]);
    assert_eq!(loads(cpu), [true, true]);
    put(cpu, [0, 0]);
    run(cpu, Helper::SfenceVma, SFENCE).expect("all");
    assert_eq!(loads(cpu), [false, false]);
}

#[test]
fn remote_fences_of_large_ranges_drop_everything() {
    let cpu = &mut machine(Default::default(), 1).cpus.remove(0);
    let before = cpu.tlb.counts().flushes;
    remote(cpu, Remote::Sfence { first: 0x1000, last: 0x3fff, asid: None });
    assert_eq!(cpu.tlb.counts().flushes[2] - before[2], 3);
    remote(cpu, Remote::Sfence { first: 0, last: u64::MAX, asid: Some(1) });
    assert_eq!(cpu.tlb.counts().flushes[1] - before[1], 1);
    remote(cpu, Remote::Sfence { first: u64::MAX - 1, last: u64::MAX, asid: None });
    assert_eq!(cpu.tlb.counts().flushes[2] - before[2], 4);
}
