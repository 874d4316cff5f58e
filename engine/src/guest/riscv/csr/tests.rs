//! WARL fields, access rules, names.

use super::bits::*;
use super::*;
use crate::guest::Guest;
use crate::guest::riscv::model::{Ext, VmMode};
use crate::guest::riscv::testing::{hart, hart_of, set_mode, set_time};

const RW: u32 = 1;
const RS: u32 = 2;
const RC: u32 = 3;

fn encode(op: u32, number: u16, rd: u32, rs1: u32) -> u32 {
    (number as u32) << 20 | rs1 << 15 | op << 12 | rd << 7 | 0x73
}

fn write(cpu: &mut Cpu<Riscv>, number: u16, value: u64) -> Result<u64, Exception> {
    execute(cpu, encode(RW, number, 5, 6), value)
}

fn read(cpu: &mut Cpu<Riscv>, number: u16) -> Result<u64, Exception> {
    execute(cpu, encode(RS, number, 5, 0), 0)
}

/// What `number` reads after all ones and after zero were written.
fn ones_and_zero(cpu: &mut Cpu<Riscv>, number: u16) -> [u64; 2] {
    [u64::MAX, 0].map(|v| {
        write(cpu, number, v).expect("write");
        read(cpu, number).expect("read")
    })
}

#[test]
fn table_is_sorted_and_without_overlap() {
    for w in TABLE.windows(2) {
        assert!(w[0].number + w[0].count <= w[1].number, "{} and {}", w[0].name, w[1].name);
    }
    assert_eq!(name(0xb1f).as_deref(), Some("mhpmcounter31"));
    assert_eq!(name(0x3b0).as_deref(), Some("pmpaddr0"));
    assert_eq!(name(0x747), None);
}

#[test]
fn warl_fields_keep_what_is_legal() {
    let cpu = &mut hart();
    let fixed = MSTATUS_UXL_64 | MSTATUS_SXL_64;
    assert_eq!(ones_and_zero(cpu, 0x300), [MSTATUS_SD | fixed | MSTATUS_WRITE, fixed]);
    assert_eq!(ones_and_zero(cpu, 0x302), [DELEGABLE, 0]);
    assert_eq!(ones_and_zero(cpu, 0x303), [S_INTERRUPTS, 0]);
    assert_eq!(ones_and_zero(cpu, 0x304), [INTERRUPTS, 0]);
    assert_eq!(ones_and_zero(cpu, 0x341), [!1, 0]);
    assert_eq!(ones_and_zero(cpu, 0x306), [0xffff_ffff, 0]);
    assert_eq!(ones_and_zero(cpu, 0x320), [0xffff_fffd, 0]);
    assert_eq!(ones_and_zero(cpu, 0x3b3), [(1 << 54) - 1, 0]);
    assert_eq!(ones_and_zero(cpu, 0x301), [status::MISA, status::MISA]);
    assert_eq!(ones_and_zero(cpu, 0x7a0), [0, 0]);
    let env = ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE;
    assert_eq!(ones_and_zero(cpu, 0x10a), [env, 0]);
    assert_eq!(ones_and_zero(cpu, 0x30a), [env | ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_ADUE, 0]);
}

#[test]
fn reserved_values_are_not_taken() {
    let cpu = &mut hart();
    write(cpu, 0x300, MSTATUS_MPP).expect("write");
    write(cpu, 0x300, 2 << MSTATUS_MPP_SHIFT).expect("write");
    assert_eq!(cpu.ext.mstatus & MSTATUS_MPP, MSTATUS_MPP);
    write(cpu, 0x305, 0x8000_0101).expect("write");
    write(cpu, 0x305, 0x8000_0203).expect("write");
    assert_eq!(read(cpu, 0x305), Ok(0x8000_0101));
    write(cpu, 0x30a, 1 << ENVCFG_CBIE_SHIFT).expect("write");
    write(cpu, 0x30a, 2 << ENVCFG_CBIE_SHIFT).expect("write");
    assert_eq!(read(cpu, 0x30a), Ok(1 << ENVCFG_CBIE_SHIFT));
}

#[test]
fn satp_takes_only_modes_of_the_model() {
    let mut model = Model::default();
    model.vm = VmMode::Sv48;
    let cpu = &mut hart_of(model);
    for (value, kept) in
        [(8u64 << 60 | 5 << 44 | 7, true), (9 << 60 | 1, true), (10 << 60, false), (1 << 60, false)]
    {
        let before = read(cpu, 0x180).expect("read");
        write(cpu, 0x180, value).expect("write");
        assert_eq!(read(cpu, 0x180), Ok(if kept { value } else { before }));
    }
    assert_eq!(write(cpu, 0x180, 0), Ok(9 << 60 | 1));
}

#[test]
fn sstatus_is_a_window_on_mstatus() {
    let cpu = &mut hart();
    write(cpu, 0x100, u64::MAX).expect("write");
    assert_eq!(read(cpu, 0x300), Ok(MSTATUS_SD | MSTATUS_UXL_64 | MSTATUS_SXL_64 | SSTATUS_WRITE));
    assert_eq!(read(cpu, 0x100), Ok(MSTATUS_SD | MSTATUS_UXL_64 | SSTATUS_WRITE));
}

#[test]
fn set_and_clear_touch_only_their_bits() {
    let cpu = &mut hart();
    write(cpu, 0x340, 0b1100).expect("write");
    assert_eq!(execute(cpu, encode(RS, 0x340, 5, 6), 0b0011), Ok(0b1100));
    assert_eq!(execute(cpu, encode(RC, 0x340, 5, 6), 0b0101), Ok(0b1111));
    assert_eq!(execute(cpu, encode(RS | 4, 0x340, 5, 16), 0), Ok(0b1010));
    assert_eq!(execute(cpu, encode(RW | 4, 0x340, 5, 7), 0), Ok(0b11010));
    assert_eq!(read(cpu, 0x340), Ok(7));
}

#[test]
fn privilege_and_read_only_are_checked() {
    let cpu = &mut hart();
    let bad = |r: Result<u64, Exception>| assert_eq!(r.map_err(|e| e.cause), Err(CAUSE_ILLEGAL));
    assert_eq!(read(cpu, 0xf14), Ok(0));
    let bits = encode(RW, 0xf14, 5, 6);
    assert_eq!(execute(cpu, bits, 0), Err(Exception { cause: CAUSE_ILLEGAL, tval: bits as u64 }));
    bad(read(cpu, 0x123));
    bad(read(cpu, 0x3a1));
    bad(read(cpu, 0x747));
    set_mode(cpu, Mode::Supervisor);
    bad(read(cpu, 0x300));
    assert!(read(cpu, 0x100).is_ok());
    set_mode(cpu, Mode::User);
    bad(read(cpu, 0x100));
}

#[test]
fn absent_extensions_have_no_csrs() {
    let mut model = Model::default();
    for e in [Ext::Sstc, Ext::Zicntr, Ext::Zihpm] {
        model.set(e, false);
    }
    model.pmp_regions = 0;
    let cpu = &mut crate::guest::riscv::testing::machine(model, 1).cpus.remove(0);
    for number in [0x14d, 0xc00, 0xc01, 0xc05, 0x3a0, 0x3b0] {
        assert!(read(cpu, number).is_err(), "{number:#x}");
    }
    assert_eq!(ones_and_zero(cpu, 0x30a)[0] & ENVCFG_STCE, 0);
}

#[test]
fn counters_obey_both_enables() {
    let cpu = &mut hart();
    write(cpu, 0x306, 0b101).expect("write");
    write(cpu, 0x106, 0b001).expect("write");
    set_mode(cpu, Mode::Supervisor);
    assert!(read(cpu, 0xc00).is_ok() && read(cpu, 0xc01).is_err() && read(cpu, 0xc02).is_ok());
    set_mode(cpu, Mode::User);
    assert!(read(cpu, 0xc00).is_ok() && read(cpu, 0xc02).is_err() && read(cpu, 0xc03).is_err());
}

#[test]
fn fixed_counters_count_stop_and_can_be_set() {
    let cpu = &mut hart();
    cpu.retired_base = 1000;
    assert_eq!(read(cpu, 0xb02), Ok(1000));
    write(cpu, 0xb02, 50).expect("write");
    cpu.retired_base = 1001;
    assert_eq!(read(cpu, 0xb02), Ok(50), "the next instruction reads what was written");
    write(cpu, 0x320, COUNTER_IR as u64).expect("write");
    cpu.retired_base = 2000;
    assert_eq!(read(cpu, 0xb02), Ok(50));
    assert_eq!(read(cpu, 0xb00), Ok(2000));
    write(cpu, 0x320, 0).expect("write");
    cpu.retired_base = 2011;
    assert_eq!(read(cpu, 0xb02), Ok(60));
    set_time(cpu, 12_345);
    assert_eq!(read(cpu, 0xc01), Ok(123));
}

#[test]
fn float_csrs_need_fs_and_dirty_it() {
    let cpu = &mut hart();
    assert!(read(cpu, 0x003).is_err());
    write(cpu, 0x300, 1 << MSTATUS_FS_SHIFT).expect("write");
    assert_eq!(Riscv::block_key(cpu), crate::guest::riscv::KEY_FS_CLEAN);
    assert_eq!(write(cpu, 0x003, 0x1ff), Ok(0));
    assert_eq!((cpu.fenv.flags, cpu.fenv.rm), (0x1f, 7));
    let key = crate::guest::riscv::KEY_FS_DIRTY | crate::guest::riscv::KEY_FRM_INVALID;
    assert_eq!(Riscv::block_key(cpu), key);
    assert_eq!(read(cpu, 0x300).expect("read") >> 63, 1);
    write(cpu, 0x002, 4).expect("write");
    let key = crate::guest::riscv::KEY_FS_DIRTY | crate::guest::riscv::KEY_FRM_RMM;
    assert_eq!(Riscv::block_key(cpu), key);
    write(cpu, 0x002, 1).expect("write");
    assert_eq!(Riscv::block_key(cpu), crate::guest::riscv::KEY_FS_DIRTY);
    assert_eq!(read(cpu, 0x003), Ok(0x3f));
    write(cpu, 0x001, 2).expect("write");
    assert_eq!(read(cpu, 0x003), Ok(0x22));
}

#[test]
fn pending_bits_keep_lines_and_software_apart() {
    let cpu = &mut hart();
    write(cpu, 0x30a, 0).expect("write");
    cpu.hart.lines.set(9, true);
    assert_eq!(write(cpu, 0x344, u64::MAX), Ok(SEIP));
    assert_eq!(read(cpu, 0x344), Ok(S_INTERRUPTS));
    cpu.hart.lines.set(9, false);
    assert_eq!(read(cpu, 0x344), Ok(S_INTERRUPTS), "the software half stays");
    execute(cpu, encode(RC, 0x344, 5, 6), SEIP).expect("clear");
    assert_eq!(read(cpu, 0x344), Ok(SSIP | STIP));
    cpu.hart.lines.set(7, true);
    write(cpu, 0x344, 0).expect("write");
    assert_eq!(read(cpu, 0x344), Ok(MTIP));
}

#[test]
fn supervisor_sees_delegated_interrupts_only() {
    let cpu = &mut hart();
    write(cpu, 0x344, SSIP | STIP).expect("write");
    write(cpu, 0x304, INTERRUPTS).expect("write");
    assert_eq!((read(cpu, 0x144), read(cpu, 0x104)), (Ok(0), Ok(0)));
    write(cpu, 0x303, SSIP | STIP).expect("write");
    assert_eq!((read(cpu, 0x144), read(cpu, 0x104)), (Ok(SSIP | STIP), Ok(SSIP | STIP)));
    write(cpu, 0x144, 0).expect("write");
    assert_eq!(read(cpu, 0x144), Ok(STIP), "only SSIP can be written there");
    write(cpu, 0x104, 0).expect("write");
    assert_eq!(read(cpu, 0x304), Ok(INTERRUPTS & !(SSIP | STIP)));
}

#[test]
fn stimecmp_needs_its_enables_and_drives_stip() {
    let cpu = &mut hart();
    write(cpu, 0x14d, 10).expect("machine mode may always");
    set_time(cpu, 5_000);
    assert_eq!(read(cpu, 0x344).expect("read") & STIP, 0, "not enabled");
    write(cpu, 0x30a, ENVCFG_STCE).expect("write");
    assert_eq!(read(cpu, 0x344).expect("read") & STIP, STIP);
    write(cpu, 0x344, 0).expect("write");
    assert_eq!(read(cpu, 0x344).expect("read") & STIP, STIP, "not writable then");
    set_mode(cpu, Mode::Supervisor);
    assert!(write(cpu, 0x14d, 60).is_err());
    cpu.ext.mcounteren = COUNTER_TM;
    write(cpu, 0x14d, 60).expect("write");
    assert_eq!(pending(cpu), 0);
    cpu.ext.mie = STIP;
    assert_eq!(Riscv::deadline(cpu), Some(6_000));
}

#[test]
fn tvm_guards_satp() {
    let cpu = &mut hart();
    write(cpu, 0x300, MSTATUS_TVM).expect("write");
    assert!(read(cpu, 0x180).is_ok());
    set_mode(cpu, Mode::Supervisor);
    assert!(read(cpu, 0x180).is_err());
}
