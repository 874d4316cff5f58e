use super::*;
use crate::guest::Guest;
use crate::guest::riscv::model::{Model, VmMode};
use crate::guest::riscv::testing::{RAM, hart, hart_of, set_mode};
use crate::ir::op::MemFlags;

const ROOT: u64 = RAM + 0x1000;
const LEAF: u64 = V | R | W | X | A | D;

/// Writes a page-table entry.
fn put(cpu: &Cpu<Riscv>, at: u64, pte: u64) {
    cpu.shared.memory.write(at, 3, pte).expect("page table in RAM");
}

fn pte(pa: u64, bits: u64) -> u64 {
    pa >> PAGE_SHIFT << PPN_SHIFT | bits
}

/// Maps `va` by a leaf at `level` with these bits; tables lie one page each after [`ROOT`].
fn map(cpu: &Cpu<Riscv>, levels: u32, va: u64, level: u32, leaf: u64) -> u64 {
    let mut table = ROOT;
    for l in (level + 1..levels).rev() {
        let next = ROOT + 0x1000 * (levels - l) as u64;
        put(cpu, table + (va >> (12 + 9 * l) & 511) * 8, pte(next, V));
        table = next;
    }
    let at = table + (va >> (12 + 9 * level) & 511) * 8;
    put(cpu, at, leaf);
    at
}

fn supervisor(mode: u64) -> Box<Cpu<Riscv>> {
    enter(hart(), mode)
}

fn enter(mut cpu: Box<Cpu<Riscv>>, mode: u64) -> Box<Cpu<Riscv>> {
    cpu.ext.satp = mode << SATP_MODE_SHIFT | ROOT >> PAGE_SHIFT;
    set_mode(&mut cpu, Mode::Supervisor);
    cpu
}

fn go(cpu: &mut Cpu<Riscv>, va: u64, access: Access) -> Result<Translation, u64> {
    let index = if access == Access::Fetch { fetch_index(cpu) } else { data_index(cpu) };
    translate(cpu, va, 4, access, index).map_err(|e| {
        assert_eq!(e.tval, va);
        e.cause
    })
}

#[test]
fn all_three_modes_walk_pages_and_superpages() {
    for (mode, levels) in [(SATP_SV39, 3), (SATP_SV48, 4), (SATP_SV57, 5)] {
        for level in 0..levels {
            let cpu = &mut supervisor(mode);
            let size = 12 + 9 * level;
            let va = 3 << (12 + 9 * (levels - 1)) | 5 << 12 | 0x123;
            map(cpu, levels, va, level, pte(1 << size.max(13), LEAF));
            let t = go(cpu, va, Access::Store).expect("mapped");
            assert_eq!(t.pa, 1 << size.max(13) | va & ((1 << size) - 1));
            assert_eq!((t.size_log2 as u32, t.write, t.exec, t.cacheable), (size, true, true, true));
            if level > 0 {
                map(cpu, levels, va, level, pte(1 << (size - 1), LEAF));
                assert_eq!(go(cpu, va, Access::Load), Err(CAUSE_LOAD_PAGE), "misaligned superpage");
            }
        }
    }
}

#[test]
fn addresses_must_be_canonical() {
    for (mode, bits) in [(SATP_SV39, 39), (SATP_SV48, 48), (SATP_SV57, 57)] {
        let cpu = &mut supervisor(mode);
        let levels = levels(cpu.ext.satp);
        let high = u64::MAX << (bits - 1);
        map(cpu, levels, high, levels - 1, pte(0, LEAF));
        assert!(go(cpu, high, Access::Load).is_ok());
        assert_eq!(go(cpu, high ^ 1 << 63, Access::Load), Err(CAUSE_LOAD_PAGE));
        assert_eq!(go(cpu, 1 << (bits - 1), Access::Fetch), Err(CAUSE_FETCH_PAGE));
    }
}

#[test]
fn rights_follow_mode_sum_and_mxr() {
    let cpu = &mut supervisor(SATP_SV39);
    let (user, own, code) = (0x1000, 0x2000, 0x3000);
    map(cpu, 3, user, 0, pte(RAM, LEAF | U));
    map(cpu, 3, own, 0, pte(RAM, LEAF));
    map(cpu, 3, code, 0, pte(RAM, V | X | A));
    assert_eq!(go(cpu, user, Access::Load), Err(CAUSE_LOAD_PAGE));
    assert_eq!(go(cpu, user, Access::Fetch), Err(CAUSE_FETCH_PAGE));
    assert!(go(cpu, own, Access::Fetch).is_ok());
    assert_eq!(go(cpu, code, Access::Load), Err(CAUSE_LOAD_PAGE));
    cpu.ext.mstatus |= MSTATUS_SUM | MSTATUS_MXR;
    assert_eq!(data_index(cpu), INDEX_S_SUM | INDEX_MXR);
    assert!(go(cpu, user, Access::Store).is_ok() && go(cpu, code, Access::Load).is_ok());
    assert_eq!(go(cpu, user, Access::Fetch), Err(CAUSE_FETCH_PAGE), "SUM is not for fetches");
    assert_eq!(go(cpu, code, Access::Store), Err(CAUSE_STORE_PAGE));
    set_mode(cpu, Mode::User);
    assert!(go(cpu, user, Access::Store).is_ok());
    assert_eq!(go(cpu, own, Access::Load), Err(CAUSE_LOAD_PAGE));
    set_mode(cpu, Mode::Machine);
    assert_eq!(go(cpu, own, Access::Load).map(|t| t.pa), Ok(own), "M-mode is not translated");
    cpu.ext.mstatus |= MSTATUS_MPRV | 1 << MSTATUS_MPP_SHIFT;
    assert_eq!(go(cpu, own, Access::Load).map(|t| t.pa), Ok(RAM));
    assert_eq!(go(cpu, own, Access::Fetch).map(|t| t.pa), Ok(own));
}

#[test]
fn reserved_encodings_fault() {
    let cpu = &mut supervisor(SATP_SV39);
    cpu.ext.menvcfg |= ENVCFG_PBMTE;
    for (leaf, ok) in [
        (LEAF, true),
        (0, false),
        (LEAF & !V, false),
        (V | W | A | D, false),
        (V | W | X | A | D, false),
        (LEAF | 1 << 54, false),
        (LEAF | 1 << 60, false),
        (LEAF | 1 << PBMT_SHIFT, true),
        (LEAF | 2 << PBMT_SHIFT, true),
        (LEAF | PBMT, false),
        (LEAF | 1 << 8 | G, true),
        // A pointer at the last level.
        (V, false),
    ] {
        map(cpu, 3, 0x5000, 0, pte(RAM, leaf));
        assert_eq!(go(cpu, 0x5000, Access::Load).is_ok(), ok, "{leaf:#x}");
    }
    for bits in [0, U, A, D, 1 << PBMT_SHIFT, N] {
        map(cpu, 3, 0x5000, 0, pte(RAM, LEAF));
        put(cpu, ROOT, pte(ROOT + 0x1000, V | bits));
        assert_eq!(go(cpu, 0x5000, Access::Load).is_ok(), bits == 0, "pointer with {bits:#x}");
    }
    cpu.ext.menvcfg = 0;
    map(cpu, 3, 0x5000, 0, pte(RAM, LEAF | 1 << PBMT_SHIFT));
    assert_eq!(go(cpu, 0x5000, Access::Load), Err(CAUSE_LOAD_PAGE), "memory types are off");
}

#[test]
fn napot_ranges_are_64_kib() {
    let cpu = &mut supervisor(SATP_SV39);
    let base = RAM + 0x10_0000;
    for page in 0..16 {
        map(cpu, 3, 0x20_0000 + (page << 12), 0, pte(base | 0x8000, LEAF | N));
    }
    let t = go(cpu, 0x20_0000 + 0xb123, Access::Load).expect("mapped");
    assert_eq!((t.pa, t.size_log2), (base + 0xb123, 16));
    map(cpu, 3, 0x20_0000, 0, pte(base | 0x4000, LEAF | N));
    assert_eq!(go(cpu, 0x20_0000, Access::Load), Err(CAUSE_LOAD_PAGE), "other sizes are reserved");
    map(cpu, 3, 0x4000_0000, 1, pte(base | 0x8000, LEAF | N));
    assert_eq!(go(cpu, 0x4000_0000, Access::Load), Err(CAUSE_LOAD_PAGE), "superpages have no N");
    let mut model = Model::default();
    model.set(Ext::Svnapot, false);
    let cpu = &mut enter(hart_of(model), SATP_SV39);
    map(cpu, 3, 0x20_0000, 0, pte(base | 0x8000, LEAF | N));
    assert_eq!(go(cpu, 0x20_0000, Access::Load), Err(CAUSE_LOAD_PAGE));
}

#[test]
fn accessed_and_dirty_are_set_or_fault() {
    let cpu = &mut supervisor(SATP_SV39);
    let at = map(cpu, 3, 0x1000, 0, pte(RAM, V | R | W));
    let now = |cpu: &Cpu<Riscv>| cpu.shared.memory.read(at, 3).expect("read") & (A | D);
    cpu.ext.menvcfg |= ENVCFG_ADUE;
    let t = go(cpu, 0x1000, Access::Load).expect("load");
    assert_eq!((now(cpu), t.write), (A, false), "a store must walk again");
    assert!(go(cpu, 0x1000, Access::Store).expect("store").write);
    assert_eq!(now(cpu), A | D);
    cpu.ext.menvcfg &= !ENVCFG_ADUE;
    put(cpu, at, pte(RAM, V | R | W | A));
    assert!(go(cpu, 0x1000, Access::Load).is_ok());
    assert_eq!(go(cpu, 0x1000, Access::Store), Err(CAUSE_STORE_PAGE));
    put(cpu, at, pte(RAM, V | R | W));
    assert_eq!(go(cpu, 0x1000, Access::Load), Err(CAUSE_LOAD_PAGE));
    assert_eq!(now(cpu), 0, "a refused access marks nothing");
}

#[test]
fn tables_outside_ram_or_behind_pmp_are_access_faults() {
    let cpu = &mut supervisor(SATP_SV39);
    cpu.ext.satp = SATP_SV39 << SATP_MODE_SHIFT | 0x1000;
    assert_eq!(go(cpu, 0, Access::Load), Err(CAUSE_LOAD_ACCESS));
    assert_eq!(go(cpu, 0, Access::Fetch), Err(CAUSE_FETCH_ACCESS));
    let cpu = &mut supervisor(SATP_SV39);
    let at = map(cpu, 3, 0, 0, pte(RAM, V | R | W | A | D));
    assert!(go(cpu, 0, Access::Store).is_ok());
    // Region 0 moves to the last-level table and gives no rights; region 1 opens the rest.
    cpu.ext.pmp.set_cfg(0, 3 << 3);
    cpu.ext.pmp.set_addr(0, at >> 2 | 0x1ff);
    cpu.ext.pmp.set_addr(1, u64::MAX);
    cpu.ext.pmp.set_cfg(1, 0x1f);
    assert_eq!(go(cpu, 0, Access::Store), Err(CAUSE_STORE_ACCESS));
    // Readable but not writable tables: fine until A or D must be set.
    cpu.ext.pmp.set_cfg(0, 3 << 3 | 1);
    assert!(go(cpu, 0, Access::Store).is_ok());
    put(cpu, at, pte(RAM, V | R | W));
    assert_eq!(go(cpu, 0, Access::Load), Err(CAUSE_LOAD_ACCESS));
}

#[test]
fn pages_with_several_pmp_verdicts_are_not_cached() {
    let cpu = &mut hart();
    cpu.ext.pmp.set_cfg(0, 2 << 3);
    cpu.ext.pmp.set_addr(0, (RAM + 0x100) >> 2);
    cpu.ext.pmp.set_addr(1, u64::MAX);
    cpu.ext.pmp.set_cfg(1, 0x1f);
    set_mode(cpu, Mode::Supervisor);
    assert_eq!(go(cpu, RAM + 0x100, Access::Load), Err(CAUSE_LOAD_ACCESS));
    assert!(!go(cpu, RAM, Access::Load).expect("open part").cacheable);
    assert!(go(cpu, RAM + 0x1000, Access::Load).expect("next page").cacheable);
    let flags = MemFlags::plain(2);
    for _ in 0..2 {
        assert!(cpu.load(RAM, flags).is_ok());
        assert_eq!(cpu.load(RAM + 0x100, flags).map_err(|e| e.cause), Err(CAUSE_LOAD_ACCESS));
    }
}

#[test]
fn contexts_and_indices_keep_address_spaces_apart() {
    let cpu = &mut supervisor(SATP_SV39);
    cpu.ext.satp |= 77 << SATP_ASID_SHIFT;
    let satp = cpu.ext.satp;
    assert_eq!(context(cpu, INDEX_S), satp);
    assert_eq!(context(cpu, INDEX_M), BARE);
    assert_eq!(asid_of(satp), 77);
    cpu.ext.satp = 0;
    cpu.ext.mstatus |= MSTATUS_SUM | MSTATUS_MXR;
    assert_eq!((data_index(cpu), context(cpu, INDEX_S)), (INDEX_S, BARE));
    let mut model = Model::default();
    model.vm = VmMode::Sv39;
    model.set(Ext::Svadu, false);
    let cpu = hart_of(model);
    assert!(updates_in_hardware(&cpu), "neither Svade nor Svadu");
    assert_eq!(Riscv::context(&cpu, INDEX_U), BARE);
}
