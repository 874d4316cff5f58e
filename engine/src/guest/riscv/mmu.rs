//! Address translation: Sv39, Sv48, Sv57 and bare, with Svnapot, Svpbmt, Svade and Svadu (privileged specification,
//! 10.3 to 10.6 and the chapters on those extensions).
//!
//! An MMU index is a mode with the rights that `mstatus` gives it, so that SUM, MXR and MPRV changes select other TLB sets
//! and flush nothing. A context is `satp`, or [`BARE`] where nothing is translated.

use super::Riscv;
use super::csr::bits::*;
use super::model::Ext;
use super::state::Mode;
use crate::exec::cpu::Cpu;
use crate::guest::{Access, Exception, Translation};
use crate::mem::tlb::UNTRANSLATED;
use crate::mem::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};

/// MMU index of user mode.
pub const INDEX_U: u8 = 0;
/// MMU index of supervisor mode without SUM.
pub const INDEX_S: u8 = 1;
/// MMU index of supervisor mode with SUM.
pub const INDEX_S_SUM: u8 = 2;
/// MMU index of machine mode: no translation.
pub const INDEX_M: u8 = 3;
/// Added to the index of U and S modes while MXR is set.
pub const INDEX_MXR: u8 = 4;

/// Context of an address space without translation. No `satp` that translates has this value.
pub const BARE: u64 = UNTRANSLATED;

/// `satp.MODE`: no translation.
pub const SATP_BARE: u64 = 0;
/// `satp.MODE`: three levels.
pub const SATP_SV39: u64 = 8;
/// `satp.MODE`: four levels.
pub const SATP_SV48: u64 = 9;
/// `satp.MODE`: five levels.
pub const SATP_SV57: u64 = 10;

const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const G: u64 = 1 << 5;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
const PPN_SHIFT: u32 = 10;
const PPN: u64 = (1 << 44) - 1;
const RESERVED: u64 = 0x7f << 54;
const PBMT_SHIFT: u32 = 61;
const PBMT: u64 = 3 << PBMT_SHIFT;
const N: u64 = 1 << 63;

/// log2 of the size of a Svnapot range, the only one defined.
const NAPOT_LOG2: u8 = 16;

/// How one access is checked.
#[derive(Clone, Copy)]
struct Rights {
    mode: Mode,
    sum: bool,
    mxr: bool,
}

impl Rights {
    fn of(index: u8) -> Rights {
        let mode = match index & 3 {
            INDEX_U => Mode::User,
            INDEX_M => Mode::Machine,
            _ => Mode::Supervisor,
        };
        Rights { mode, sum: index & 3 == INDEX_S_SUM, mxr: index & INDEX_MXR != 0 }
    }

    fn readable(self, pte: u64) -> bool {
        pte & R != 0 || self.mxr && pte & X != 0
    }

    fn allows(self, pte: u64, access: Access) -> bool {
        let user = pte & U != 0;
        let page_of_mode = match (self.mode, access) {
            (Mode::User, _) => user,
            (_, Access::Fetch) => !user,
            _ => !user || self.sum,
        };
        page_of_mode
            && match access {
                Access::Load => self.readable(pte),
                Access::Store => pte & W != 0,
                Access::Fetch => pte & X != 0,
            }
    }
}

/// MMU index of fetches now.
pub fn fetch_index(cpu: &Cpu<Riscv>) -> u8 {
    match cpu.ext.mode {
        Mode::User => INDEX_U,
        Mode::Supervisor => INDEX_S,
        Mode::Machine => INDEX_M,
    }
}

/// MMU index of plain loads and stores now. Without translation SUM and MXR mean nothing and make no index.
pub fn data_index(cpu: &Cpu<Riscv>) -> u8 {
    let s = &cpu.ext;
    let translates = s.satp >> SATP_MODE_SHIFT != SATP_BARE;
    let base = match s.data_mode() {
        Mode::Machine => return INDEX_M,
        Mode::User => INDEX_U,
        Mode::Supervisor if translates && s.mstatus & MSTATUS_SUM != 0 => INDEX_S_SUM,
        Mode::Supervisor => INDEX_S,
    };
    if translates && s.mstatus & MSTATUS_MXR != 0 { base | INDEX_MXR } else { base }
}

/// The address space of `index` now.
pub fn context(cpu: &Cpu<Riscv>, index: u8) -> u64 {
    let bare = Rights::of(index).mode == Mode::Machine || cpu.ext.satp >> SATP_MODE_SHIFT == SATP_BARE;
    if bare { BARE } else { cpu.ext.satp }
}

/// The ASID in a context of [`context`].
pub fn asid_of(context: u64) -> u16 {
    (context >> SATP_ASID_SHIFT) as u16
}

fn access_fault(access: Access, va: u64) -> Exception {
    let cause = match access {
        Access::Load => CAUSE_LOAD_ACCESS,
        Access::Store => CAUSE_STORE_ACCESS,
        Access::Fetch => CAUSE_FETCH_ACCESS,
    };
    Exception { cause, tval: va }
}

fn page_fault(access: Access, va: u64) -> Exception {
    let cause = match access {
        Access::Load => CAUSE_LOAD_PAGE,
        Access::Store => CAUSE_STORE_PAGE,
        Access::Fetch => CAUSE_FETCH_PAGE,
    };
    Exception { cause, tval: va }
}

/// Why a walk ended without a translation.
enum Fault {
    Page,
    Access,
    /// The entry changed under an update of its A and D bits: walk again.
    Again,
}

/// What a walk found.
struct Leaf {
    pte: u64,
    size_log2: u8,
    global: bool,
}

/// Translates one access of `size` bytes inside a page, and checks page rights and PMP.
pub fn translate(
    cpu: &mut Cpu<Riscv>,
    va: u64,
    size: u32,
    access: Access,
    index: u8,
) -> Result<Translation, Exception> {
    translate_as(cpu, va, size, access, index, true)
}

/// The translation of a fetch at `va` if it needs nothing: no exception, no accessed bit to set. Changes nothing.
pub fn peek_fetch(cpu: &Cpu<Riscv>, va: u64) -> Option<Translation> {
    translate_as(cpu, va, 2, Access::Fetch, fetch_index(cpu), false).ok()
}

/// See [`crate::guest::Guest::peek_load`].
pub fn peek_load(cpu: &Cpu<Riscv>, va: u64, size: u32) -> Option<Translation> {
    translate_as(cpu, va, size, Access::Load, data_index(cpu), false).ok()
}

/// See [`translate`]. Without `updates`, the lack of an accessed or dirty bit is a page fault.
fn translate_as(
    cpu: &Cpu<Riscv>,
    va: u64,
    size: u32,
    access: Access,
    index: u8,
    updates: bool,
) -> Result<Translation, Exception> {
    let rights = Rights::of(index);
    let bare = context(cpu, index) == BARE;
    let mut t = if bare { identity(va) } else { walk(cpu, va, access, rights, updates)? };
    let pmp = &cpu.ext.pmp;
    if !pmp.allows(t.pa, size as u64, access, rights.mode) {
        return Err(access_fault(access, va));
    }
    let page = t.pa & PAGE_MASK;
    t.cacheable = pmp.is_uniform(page, page | (PAGE_SIZE - 1));
    t.read &= pmp.allows(t.pa, size as u64, Access::Load, rights.mode);
    t.write &= pmp.allows(t.pa, size as u64, Access::Store, rights.mode);
    Ok(t)
}

fn identity(va: u64) -> Translation {
    let size_log2 = PAGE_SHIFT as u8;
    Translation { pa: va, read: true, write: true, exec: true, size_log2, global: false, cacheable: true }
}

fn walk(
    cpu: &Cpu<Riscv>,
    va: u64,
    access: Access,
    rights: Rights,
    updates: bool,
) -> Result<Translation, Exception> {
    loop {
        match walk_once(cpu, va, access, rights, updates) {
            Ok(leaf) => {
                let offset = (1u64 << leaf.size_log2) - 1;
                let frame = (leaf.pte >> PPN_SHIFT & PPN) << PAGE_SHIFT;
                return Ok(Translation {
                    pa: frame & !offset | va & offset,
                    read: rights.readable(leaf.pte),
                    write: leaf.pte & (W | D) == W | D,
                    exec: leaf.pte & X != 0,
                    size_log2: leaf.size_log2,
                    global: leaf.global,
                    cacheable: true,
                });
            }
            Err(Fault::Page) => return Err(page_fault(access, va)),
            Err(Fault::Access) => return Err(access_fault(access, va)),
            Err(Fault::Again) => {}
        }
    }
}

/// Levels of the tables that `satp` names.
fn levels(satp: u64) -> u32 {
    match satp >> SATP_MODE_SHIFT {
        SATP_SV39 => 3,
        SATP_SV48 => 4,
        _ => 5,
    }
}

fn walk_once(
    cpu: &Cpu<Riscv>,
    va: u64,
    access: Access,
    rights: Rights,
    updates: bool,
) -> Result<Leaf, Fault> {
    let satp = cpu.ext.satp;
    let levels = levels(satp);
    let unused = 64 - (PAGE_SHIFT + 9 * levels);
    if ((va << unused) as i64 >> unused) as u64 != va {
        return Err(Fault::Page);
    }
    let mut table = (satp & SATP_PPN) << PAGE_SHIFT;
    let mut global = false;
    for level in (0..levels).rev() {
        let at = table + (va >> (PAGE_SHIFT + 9 * level) & 0x1ff) * 8;
        let pte = read_pte(cpu, at)?;
        check_reserved(cpu, pte)?;
        global |= pte & G != 0;
        if pte & (R | W | X) != 0 {
            let size_log2 = leaf_size(pte, level)?;
            if !rights.allows(pte, access) {
                return Err(Fault::Page);
            }
            let pte = update_bits(cpu, at, pte, access, updates)?;
            return Ok(Leaf { pte, size_log2, global });
        }
        if pte & (U | A | D | PBMT | N) != 0 {
            return Err(Fault::Page);
        }
        table = (pte >> PPN_SHIFT & PPN) << PAGE_SHIFT;
    }
    Err(Fault::Page)
}

/// Page-table entries are read from memory only, with S-mode's rights under PMP.
fn read_pte(cpu: &Cpu<Riscv>, at: u64) -> Result<u64, Fault> {
    if !cpu.ext.pmp.allows(at, 8, Access::Load, Mode::Supervisor) {
        return Err(Fault::Access);
    }
    match cpu.shared.memory.page_at(at) {
        Some((host, _)) => Ok(host.load(3)),
        None => Err(Fault::Access),
    }
}

/// Faults on what every level refuses: not valid, W without R, reserved bits, and bits of extensions that are off.
fn check_reserved(cpu: &Cpu<Riscv>, pte: u64) -> Result<(), Fault> {
    let bad = pte & V == 0
        || pte & (R | W) == W
        || pte & RESERVED != 0
        || pte & N != 0 && !cpu.shared.model.has(Ext::Svnapot)
        || pte & PBMT != 0 && cpu.ext.menvcfg & ENVCFG_PBMTE == 0
        || pte & PBMT == PBMT;
    if bad { Err(Fault::Page) } else { Ok(()) }
}

/// log2 of the size of a leaf at `level`; misaligned superpages and undefined Svnapot sizes fault.
fn leaf_size(pte: u64, level: u32) -> Result<u8, Fault> {
    let ppn = pte >> PPN_SHIFT & PPN;
    if pte & N != 0 {
        return if level == 0 && ppn & 0xf == 8 { Ok(NAPOT_LOG2) } else { Err(Fault::Page) };
    }
    if ppn & ((1 << (9 * level)) - 1) != 0 {
        return Err(Fault::Page);
    }
    Ok((PAGE_SHIFT + 9 * level) as u8)
}

/// Sets A, and D for stores, by compare-and-swap where the hart does that and `updates` allows it; else their absence is a page fault.
fn update_bits(cpu: &Cpu<Riscv>, at: u64, pte: u64, access: Access, updates: bool) -> Result<u64, Fault> {
    let want = if access == Access::Store { A | D } else { A };
    if pte & want == want {
        return Ok(pte);
    }
    if !updates || !updates_in_hardware(cpu) {
        return Err(Fault::Page);
    }
    if !cpu.ext.pmp.allows(at, 8, Access::Store, Mode::Supervisor) {
        return Err(Fault::Access);
    }
    let Some((host, true)) = cpu.shared.memory.page_at(at) else { return Err(Fault::Access) };
    let old = host.rmw(3, |now| (now == pte).then_some(pte | want));
    if old != pte {
        return Err(Fault::Again);
    }
    cpu.shared.memory.written(at, 8);
    Ok(pte | want)
}

/// Svadu by `menvcfg.ADUE`; Svade never; a model with neither always.
fn updates_in_hardware(cpu: &Cpu<Riscv>) -> bool {
    let model = &cpu.shared.model;
    if model.has(Ext::Svadu) { cpu.ext.menvcfg & ENVCFG_ADUE != 0 } else { !model.has(Ext::Svade) }
}

#[cfg(test)]
mod tests;
