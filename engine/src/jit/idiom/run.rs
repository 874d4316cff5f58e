//! Many iterations of an idiom at once.
//!
//! Pieces of whole iterations that lie in one page on each side are done by the host's vector moves; an iteration over the end of a
//! page is done element by element. Pages are brought into the TLB when the loop would do so, in the order of its
//! accesses, because a walk may set accessed and dirty bits; a page that compiled code cannot use ends it all, before
//! that iteration. The limit word is looked at before each piece, as a poll does.
//!
//! Other harts see each element stored once, whole, and in the order of addresses; RVWMO (RISC-V unprivileged ISA, chapter
//! "RVWMO Memory Consistency Model") orders plain accesses to different addresses no further, and elements are accessed in no smaller units
//! than the guest does, see `mem/bulk.rs`.

use super::{Idiom, MOST_ELEMENTS, STORES};
use crate::exec::cpu::Cpu;
use crate::guest::{Access, Guest};
use crate::ir::MemFlags;
use crate::mem::host::HostRef;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use std::sync::atomic::Ordering;

/// Pieces of overlapping copies smaller than this are not worth it.
const LEAST_PIECE: u64 = 64;

/// Does iterations of the idiom from its head on, with the registers in the state and the budget of polls in [`value`]; there come
/// back the instructions that were run, all of whole iterations and not the last.
///
/// [`value`]: crate::exec::core::Core::value
///
/// # Safety
/// `cpu` points at the hart that entered the code, and nothing else refers to it meanwhile; `idiom` is in the code's constants.
pub unsafe extern "sysv64" fn run<G: Guest>(cpu: *mut Cpu<G>, idiom: *const Idiom) -> u64 {
    // SAFETY: by the contract of this function.
    let (cpu, idiom) = unsafe { (&mut *cpu, &*idiom) };
    let budget = cpu.value as i64;
    let done = iterations(cpu, idiom, budget);
    if done > 0 {
        leave_words(cpu, idiom, done);
        cpu.core.idioms[0] += 1;
        cpu.core.idioms[1] += done * idiom.insns;
    }
    cpu.value = done * idiom.insns;
    cpu.note_kills();
    0
}

/// Whether the loop's poll would stop with this budget.
fn stops<G: Guest>(cpu: &Cpu<G>, budget: i64) -> bool {
    // SAFETY: points at a word that lives as long as the hart, see `Core::limit`.
    budget < unsafe { &*cpu.core.limit }.load(Ordering::Relaxed)
}

fn iterations<G: Guest>(cpu: &mut Cpu<G>, idiom: &Idiom, budget: i64) -> u64 {
    let [from, to] = [&idiom.load, &idiom.store].map(|at| at.value(&cpu.regs));
    let size = 1u64 << idiom.width;
    if budget < 0 || (from | to) & (size - 1) != 0 {
        return 0;
    }
    let Some(back) = idiom.trips.back(&cpu.regs) else { return 0 };
    // The budget is enough for another iteration as long as it is not negative.
    let most = back.min(budget as u64 / idiom.insns + 1);
    let mut done = 0;
    while done < most && !stops(cpu, budget - (done * idiom.insns) as i64) {
        let moved = done.wrapping_mul(idiom.stride);
        let at = [from.wrapping_add(moved), to.wrapping_add(moved)];
        match piece(cpu, idiom, at, most - done, budget - (done * idiom.insns) as i64) {
            Some(n) if n > 0 => done += n,
            _ => break,
        }
    }
    done
}

/// Whole iterations between `va` and the end of its page.
fn room(idiom: &Idiom, va: u64) -> u64 {
    (PAGE_SIZE - (va & !PAGE_MASK)) / idiom.stride
}

/// Does some of the `left` iterations at these addresses. How many; `None`: the loop must do the next one.
fn piece<G: Guest>(cpu: &mut Cpu<G>, idiom: &Idiom, at: [u64; 2], left: u64, budget: i64) -> Option<u64> {
    let [from, to] = at;
    let mut n = left.min(room(idiom, to));
    if idiom.copies {
        n = n.min(room(idiom, from));
    }
    if n == 0 {
        return over_pages(cpu, idiom, at, budget);
    }
    let flags = MemFlags::plain(idiom.width.into());
    if idiom.copies {
        cpu.page_addend(from, flags, Access::Load)?;
    }
    cpu.page_addend(to, flags, Access::Store)?;
    // The walk may have changed code.
    cpu.note_kills();
    if stops(cpu, budget) {
        return None;
    }
    let bytes = |n: u64| (n * idiom.stride) as usize;
    let target = cpu.tlb.store_run(to)?;
    if !idiom.copies {
        target.fill(bytes(n), idiom.width.into(), idiom.value.value(&cpu.regs));
        return Some(n);
    }
    let source = cpu.tlb.load_run(from)?;
    n = n.min(apart(idiom, source, target, n)?);
    source.copy_to(target, bytes(n - 1), idiom.width.into());
    // What the last iteration loads is left in registers; it must be what is stored.
    let mut words = [0; MOST_ELEMENTS];
    let elements = words.get_mut(..(idiom.stride >> idiom.width) as usize)?;
    let [source, target] = [source, target].map(|at| at.after(bytes(n - 1)));
    source.move_to(target, elements, idiom.width.into());
    leave_loaded(cpu, idiom, &words);
    Some(n)
}

/// How many of `n` iterations can be done in any order: none stores what a later one, or itself, loads after that. By host
/// addresses, because a page may be mapped twice. `None`: too few.
fn apart(idiom: &Idiom, from: HostRef<'_>, to: HostRef<'_>, n: u64) -> Option<u64> {
    let (from, to) = (from.addr() as u64, to.addr() as u64);
    if to <= from {
        let near = from - to < idiom.stride && from != to;
        return if near { None } else { Some(n) };
    }
    let n = n.min((to - from) / idiom.stride);
    (n * idiom.stride >= LEAST_PIECE).then_some(n)
}

/// One iteration in the order of its accesses; `find` leads to an element's memory by its offset. What was loaded.
fn one<'m>(
    idiom: &Idiom,
    find: impl Fn(bool, u64) -> Option<HostRef<'m>>,
    value: u64,
) -> Option<[u64; MOST_ELEMENTS]> {
    let mut words = [value; MOST_ELEMENTS];
    for &access in &idiom.order[..usize::from(idiom.accesses)] {
        let (store, element) = (access & STORES != 0, access & !STORES);
        let at = find(store, u64::from(element) << idiom.width)?;
        let word = &mut words[usize::from(element) % MOST_ELEMENTS];
        match store {
            true => at.store(idiom.width.into(), *word),
            false => *word = at.load(idiom.width.into()),
        }
    }
    Some(words)
}

/// One iteration of which an access lies in another page than the others of its side.
fn over_pages<G: Guest>(cpu: &mut Cpu<G>, idiom: &Idiom, at: [u64; 2], budget: i64) -> Option<u64> {
    let flags = MemFlags::plain(idiom.width.into());
    let address = |store: bool, offset| at[usize::from(store)].wrapping_add(offset);
    let mut last = [None; 2];
    for &access in &idiom.order[..usize::from(idiom.accesses)] {
        let store = access & STORES != 0;
        let va = address(store, u64::from(access & !STORES) << idiom.width);
        if last[usize::from(store)].replace(va & PAGE_MASK) != Some(va & PAGE_MASK) {
            cpu.page_addend(va, flags, if store { Access::Store } else { Access::Load })?;
        }
    }
    cpu.note_kills();
    if stops(cpu, budget) {
        return None;
    }
    let value = idiom.value.value(&cpu.regs);
    let tlb = &cpu.tlb;
    let find = |store, offset| {
        let va = address(store, offset);
        if store { tlb.store_run(va) } else { tlb.load_run(va) }
    };
    // All are there before the first is used.
    for &access in &idiom.order[..usize::from(idiom.accesses)] {
        find(access & STORES != 0, u64::from(access & !STORES) << idiom.width)?;
    }
    let words = one(idiom, find, value)?;
    leave_loaded(cpu, idiom, &words);
    Some(1)
}

/// Leaves in the registers what an iteration has loaded.
fn leave_loaded<G: Guest>(cpu: &mut Cpu<G>, idiom: &Idiom, words: &[u64; MOST_ELEMENTS]) {
    for loaded in &idiom.loaded[..usize::from(idiom.loads)] {
        let word = words[usize::from(loaded.element) % MOST_ELEMENTS];
        let unused = 64 - (8u32 << idiom.width);
        let signed = ((word << unused) as i64 >> unused) as u64;
        cpu.regs[usize::from(loaded.word)] = if loaded.signed { signed } else { word };
    }
}

/// Leaves in the registers what `done` iterations have computed.
fn leave_words<G: Guest>(cpu: &mut Cpu<G>, idiom: &Idiom, done: u64) {
    let computed = &idiom.computed[..usize::from(idiom.computes)];
    let regs = &mut cpu.core.regs;
    let mut by = |times: u64| {
        for c in computed.iter().filter(|c| c.moves) {
            let word = &mut regs[usize::from(c.word)];
            *word = word.wrapping_add((c.step as u64).wrapping_mul(times));
        }
    };
    // To the head of the last one, by whose words the others are computed.
    by(done - 1);
    let others: [u64; 8] = std::array::from_fn(|i| idiom.computed[i].value.value(&cpu.core.regs));
    for (c, value) in computed.iter().zip(others) {
        cpu.core.regs[usize::from(c.word)] = value;
    }
}
