//! The helpers: privileged instructions, cache-block operations, fences, 128-bit compare-and-swap.

use super::csr::bits::*;
use super::helpers::Helper;
use super::state::Mode;
use super::trap::illegal;
use super::{Riscv, csr, mmu, sbi, trap};
use crate::exec::cpu::Cpu;
use crate::guest::{Access, Exception, FaultKind, Flow, Guest};
use crate::ir::Op;
use crate::ir::op::{CallSite, MMU_CURRENT, MemFlags};
use crate::mem::PAGE_SIZE;

/// What one hart asks of another.
#[derive(Clone, Debug)]
pub enum Remote {
    /// FENCE.I.
    FenceI,
    /// SFENCE.VMA of the addresses `first..=last`, in one address space or all.
    Sfence {
        /// First address.
        first: u64,
        /// Last address.
        last: u64,
        /// Only this address space.
        asid: Option<u16>,
    },
}

/// Pages above which a remote fence drops everything rather than page after page.
const FENCE_PAGES: u64 = 64;
/// Bytes of a cache block.
const BLOCK: u64 = 64;
/// How long WRS waits at most, in ns: the store that it waits for cannot wake it.
const WRS_NS: u64 = 20_000;

/// Runs the helper that `op` calls.
pub fn helper(cpu: &mut Cpu<Riscv>, op: &Op) -> Result<Flow, Exception> {
    let bits = op.imm as u32;
    let b = cpu.regs[op.b as usize];
    let c = cpu.regs[op.c as usize];
    let Some(helper) = Helper::from_id(CallSite(op.aux).id()) else { return Err(illegal(bits)) };
    match helper {
        Helper::Illegal => return Err(illegal(bits)),
        Helper::Ecall => return ecall(cpu),
        Helper::Ebreak => return Err(Exception { cause: CAUSE_BREAKPOINT, tval: cpu.insn_pc }),
        Helper::Mret => trap::mret(cpu, bits)?,
        Helper::Sret => trap::sret(cpu, bits)?,
        Helper::Wfi => return wfi(cpu, bits),
        Helper::WrsNto => return wrs(cpu, Some(bits)),
        Helper::WrsSto => return wrs(cpu, None),
        Helper::SfenceVma => sfence_vma(cpu, bits, b, c)?,
        Helper::SfenceOrder => sfence_order(cpu, bits)?,
        Helper::FenceI => cpu.context_changed = true,
        Helper::Csr => {
            let key = Riscv::block_key(cpu);
            let old = csr::execute(cpu, bits, b)?;
            if bits >> 7 & 31 != 0 {
                cpu.regs[op.a as usize] = old;
            }
            let unmasks = csr::may_unmask(bits);
            if Riscv::block_key(cpu) != key || unmasks && trap::is_due(cpu) {
                return Ok(Flow::Leave);
            }
        }
        Helper::CboZero => cbo_zero(cpu, bits, b)?,
        Helper::CboManage => cbo_manage(cpu, bits, b)?,
        Helper::AmocasQ => amocas_q(cpu, bits, b)?,
        Helper::FloatDirty => {
            cpu.ext.mstatus |= MSTATUS_FS;
            cpu.context_changed = true;
        }
    }
    Ok(Flow::Continue)
}

fn ecall(cpu: &mut Cpu<Riscv>) -> Result<Flow, Exception> {
    let cause = match cpu.ext.mode {
        Mode::User => CAUSE_ECALL_U,
        Mode::Supervisor if cpu.shared.model.builtin_sbi => return sbi::call(cpu),
        Mode::Supervisor => CAUSE_ECALL_S,
        Mode::Machine => CAUSE_ECALL_M,
    };
    Err(Exception { cause, tval: 0 })
}

fn wfi(cpu: &mut Cpu<Riscv>, bits: u32) -> Result<Flow, Exception> {
    let trapped = cpu.ext.mode == Mode::Supervisor && cpu.ext.mstatus & MSTATUS_TW != 0;
    if cpu.ext.mode == Mode::User || trapped {
        return Err(illegal(bits));
    }
    Ok(Flow::Wait)
}

/// WRS waits only while the reservation holds; `nto` are the bits of the form that TW traps.
fn wrs(cpu: &mut Cpu<Riscv>, nto: Option<u32>) -> Result<Flow, Exception> {
    if let Some(bits) = nto
        && cpu.ext.mode < Mode::Machine
        && cpu.ext.mstatus & MSTATUS_TW != 0
    {
        return Err(illegal(bits));
    }
    let Some(r) = cpu.reservation() else { return Ok(Flow::Continue) };
    let now = cpu.load(r.va, MemFlags::plain(r.size_log2 as u32 & 3));
    let mask = if r.size_log2 >= 3 { u64::MAX } else { (1 << (8 << r.size_log2)) - 1 };
    Ok(match now {
        Ok(v) if (v ^ r.value) & mask == 0 => Flow::WaitBounded(WRS_NS),
        _ => Flow::Continue,
    })
}

/// Fences of address translation are illegal in U-mode, and in S-mode under `mstatus.TVM`.
fn sfence_vma(cpu: &mut Cpu<Riscv>, bits: u32, va: u64, asid: u64) -> Result<(), Exception> {
    let trapped = cpu.ext.mode == Mode::Supervisor && cpu.ext.mstatus & MSTATUS_TVM != 0;
    if cpu.ext.mode == Mode::User || trapped {
        return Err(illegal(bits));
    }
    let va = (bits >> 15 & 31 != 0).then_some(va);
    let asid = (bits >> 20 & 31 != 0).then_some(asid as u16);
    flush(cpu, va, asid);
    cpu.context_changed = true;
    Ok(())
}

/// Drops translations of all addresses or one, in all address spaces or one. Fences of one address space do not order
/// global mappings (privileged specification, 10.2.1).
fn flush(cpu: &mut Cpu<Riscv>, va: Option<u64>, asid: Option<u16>) {
    let hit = move |context, _| context != mmu::BARE && asid.is_none_or(|asid| mmu::asid_of(context) == asid);
    let globals = asid.is_none();
    match va {
        Some(va) => cpu.tlb.flush_page(va, globals, hit),
        None => cpu.tlb.flush_where(globals, hit),
    }
}

/// SFENCE.W.INVAL and SFENCE.INVAL.IR order what SINVAL.VMA, which acts at once here, has done already.
fn sfence_order(cpu: &mut Cpu<Riscv>, bits: u32) -> Result<(), Exception> {
    if cpu.ext.mode == Mode::User {
        return Err(illegal(bits));
    }
    cpu.context_changed = true;
    Ok(())
}

/// Runs a request of another hart, or this hart's part of its own.
pub fn remote(cpu: &mut Cpu<Riscv>, request: Remote) {
    use sbi::pmu::{Event, count};
    cpu.context_changed = true;
    match request {
        Remote::FenceI => count(cpu, Event::FenceIReceived),
        Remote::Sfence { first, last, asid } => {
            let event = if asid.is_some() { Event::SfenceAsidReceived } else { Event::SfenceReceived };
            count(cpu, event);
            if last / PAGE_SIZE - first / PAGE_SIZE >= FENCE_PAGES {
                return flush(cpu, None, asid);
            }
            for page in first / PAGE_SIZE..=last / PAGE_SIZE {
                flush(cpu, Some(page * PAGE_SIZE), asid);
            }
        }
    }
}

/// Whether `menvcfg` and, for U-mode, `senvcfg` have one of `bits` set.
fn env_allows(cpu: &Cpu<Riscv>, bits: u64) -> bool {
    let s = &cpu.ext;
    match s.mode {
        Mode::Machine => true,
        Mode::Supervisor => s.menvcfg & bits != 0,
        Mode::User => s.menvcfg & bits != 0 && s.senvcfg & bits != 0,
    }
}

fn cbo_zero(cpu: &mut Cpu<Riscv>, bits: u32, va: u64) -> Result<(), Exception> {
    if !env_allows(cpu, ENVCFG_CBZE) {
        return Err(illegal(bits));
    }
    let at = va & !(BLOCK - 1);
    for i in 0..BLOCK / 8 {
        // The block lies in one page, so only its first store can fault before anything has changed.
        cpu.store(at + 8 * i, MemFlags::plain(3), 0)?;
    }
    Ok(())
}

/// CBO.INVAL, CBO.CLEAN, CBO.FLUSH: memory is coherent, so nothing is left but the checks. An operation is allowed where a
/// load or a store is.
fn cbo_manage(cpu: &mut Cpu<Riscv>, bits: u32, va: u64) -> Result<(), Exception> {
    let enable = if bits >> 20 == 0 { ENVCFG_CBIE } else { ENVCFG_CBCFE };
    if !env_allows(cpu, enable) {
        return Err(illegal(bits));
    }
    let at = va & !(BLOCK - 1);
    let index = mmu::data_index(cpu);
    if mmu::translate(cpu, at, BLOCK as u32, Access::Load, index).is_err() {
        mmu::translate(cpu, at, BLOCK as u32, Access::Store, index)?;
    }
    Ok(())
}

fn pair(cpu: &Cpu<Riscv>, reg: u32) -> u128 {
    match reg as usize & 30 {
        0 => 0,
        r => cpu.regs[r] as u128 | (cpu.regs[r + 1] as u128) << 64,
    }
}

/// AMOCAS.Q: `rd` pair = memory; memory = `rs2` pair if it equalled the old `rd` pair.
fn amocas_q(cpu: &mut Cpu<Riscv>, bits: u32, va: u64) -> Result<(), Exception> {
    let fault = |kind| Riscv::memory_fault(kind, Access::Store, va);
    if va & 15 != 0 {
        return Err(fault(FaultKind::Misaligned));
    }
    let rd = bits >> 7 & 31;
    let (expected, new) = (pair(cpu, rd), pair(cpu, bits >> 20 & 31));
    let old = match cpu.tlb.store_ref(va, 4).and_then(|host| host.compare_swap_128(expected, new)) {
        Some(old) => old,
        None => {
            let pa = cpu.locate(va, 16, Access::Store, MMU_CURRENT)?;
            let Some((host, true)) = cpu.shared.memory.page_at(pa) else {
                return Err(fault(FaultKind::Bus));
            };
            let old = host.compare_swap_128(expected, new).ok_or(fault(FaultKind::Bus))?;
            cpu.shared.memory.written(pa, 16);
            old
        }
    };
    if let r @ 2.. = rd as usize & 30 {
        cpu.regs[r] = old as u64;
        cpu.regs[r + 1] = (old >> 64) as u64;
    }
    Ok(())
}

const _: () = assert!(MMU_CURRENT > mmu::INDEX_MXR + mmu::INDEX_M);

#[cfg(test)]
mod tests;
