//! Tier 2's workers: take the hottest block, form a region round it, compile it, publish it.
//!
//! A worker never holds a lock while it compiles. What it reads of blocks and their counters may be old by the time it publishes;
//! [`Translations::install`] refuses a region of which a block has died.

use super::queue::Job;
use super::region::{BlockProfile, GuestRules, Limits, Region, form_round};
use super::seed;
use super::targets;
use super::tier2::Tier2;
use super::translations::Translations;
use super::wanted::Wanted;
use super::ways::Settled;
use crate::cache::code::{Code, CodeMap};
use crate::ir::Opcode;
use crate::ir::op::{CallSite, Shape};
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use crate::tier::events::What;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A compiler for tier 2 with what it needs of the machine.
pub struct Worker {
    tier2: Option<Tier2>,
    code: Arc<CodeMap>,
    rules: GuestRules,
}

impl Worker {
    /// A worker on the blocks of `code`.
    pub fn new(code: Arc<CodeMap>, rules: GuestRules) -> Worker {
        let made = Tier2::new();
        let tier2 = made.map_err(|e| tracing::error!("nothing is compiled by tier 2: {e}")).ok();
        Worker { tier2, code, rules }
    }

    /// Compiles and publishes a region that begins with the job's block.
    /// `waiting`: how many others wait.
    pub fn compile(&mut self, job: &Job, waiting: usize) {
        if job.code.is_dead() || job.code.second_page.is_some() {
            return;
        }
        let Some(tier2) = &mut self.tier2 else { return };
        let translations = self.code.translations();
        let (wanted, _) = translations.wanted();
        if !wanted.in_regions(&job.code) {
            // Pinned, or another mode, since it asked.
            return job.code.ask_again();
        }
        let known = job.settled.clone().unwrap_or_default();
        let head = &head_of(translations, job, &wanted);
        let (page, key) = (head.pa & PAGE_MASK, head.key);
        let (code, rules) = (&self.code, self.rules);
        let block_at = |offset: u16| code.find(page | offset as u64, key).filter(|c| wanted.in_regions(c));
        let mut find = |offset: u16| {
            let code = block_at(offset)?;
            let mut profile = profile(translations, code, &rules);
            if targets::jumps_by_table(&profile.code.ops) {
                profile.targets = targets::guess(offset, &mut |to| block_at(to));
            }
            profile.guesses = [false, true].map(|copy| known.guess(offset, copy));
            let seen = profile.guesses.iter().flat_map(|g| g.seen());
            profile.targets.extend(seen);
            Some(profile)
        };
        let begin = Instant::now();
        let limits = if known.settled { Limits::settled(rules) } else { Limits::new(rules) };
        // Branches inside of a loop are often not counted, so each way is as likely: go four deep.
        let limits = Limits { least: 1.0 / 16.0, ..limits };
        let hot: Vec<u16> = job.hot.iter().chain(&known.hot).copied().collect();
        let Some(mut region) = form_round((head.pa & !PAGE_MASK) as u16, &hot, &mut find, &limits) else {
            return;
        };
        region.counts = known.counts();
        let at = |offset: i32| (region.page_offset as i32 + offset) as u64 & (PAGE_SIZE - 1);
        let parts: Option<Vec<_>> =
            region.blocks.iter().map(|b| self.code.find(page | at(b.offset), key)).collect();
        let made = tier2.compile(&region);
        let counts = &translations.counts;
        let ns = begin.elapsed().as_nanos() as u64;
        counts.compile_ns[1].fetch_add(ns, Ordering::Relaxed);
        match (made, parts) {
            // The blocks must be those that were compiled: a page may have been written and lifted anew meanwhile.
            (Ok(emitted), Some(parts)) if region.blocks.iter().zip(&parts).all(|(b, p)| b.ops == p.ops) => {
                let what = installed(&region, &known);
                if translations.install_region(distinct(parts), &emitted, job.count, known) {
                    translations.events.push(head.pa, what, waiting, ns);
                } else if job.settled.is_none() {
                    job.code.ask_again();
                }
            }
            (Ok(_), _) if job.settled.is_some() => {}
            (Ok(_), _) => job.code.ask_again(),
            (Err(e), _) => {
                tracing::debug!("the region at {:#x} stays in tier 1: {e}", head.pa);
                counts.failed[1].fetch_add(1, Ordering::Relaxed);
                translations.events.push(head.pa, What::Failed { tier: 2 }, waiting, ns);
            }
        }
    }
}

/// What to say of a region.
fn installed(region: &Region, known: &Settled) -> What {
    let insns = region.insns();
    if known.settled { What::Settled { insns } } else { What::Tier2 { insns } }
}

/// Each of the blocks once; the first stays first.
fn distinct(mut parts: Vec<Arc<Code>>) -> Vec<Arc<Code>> {
    let mut seen = FxHashSet::default();
    parts.retain(|code| seen.insert(Arc::as_ptr(code)));
    parts
}

/// The head of the region for a job: the block that asked, or where the code is entered that samples found.
fn head_of(translations: &Translations, job: &Job, wanted: &Wanted) -> Arc<Code> {
    if job.hot.is_empty() {
        return job.code.clone();
    }
    let head = seed::head_of(translations, &job.code);
    let taken = head.is_dead() || head.second_page.is_some() || !wanted.in_regions(&head);
    // A region from there that does not reach the block stands already, or does reach it: then it is entered elsewhere.
    if taken || translations.is_head(&head) { job.code.clone() } else { head }
}

/// What is known of a block's runs.
fn profile(translations: &Translations, code: Arc<Code>, rules: &GuestRules) -> BlockProfile {
    let (runs, taken) = translations.profile(&code).unwrap_or_default();
    let changes = |id: u16| (rules.helper)(id).is_none_or(|h| h.changes_key);
    let calls = code.ops.iter().filter(|op| op.code == Opcode::Call);
    let keeps_key = !calls.map(|op| CallSite(op.aux).id()).any(changes);
    let (taken, counted) = if runs == 0 { by_links(translations, &code) } else { (taken, runs) };
    let (targets, guesses) = (Vec::new(), Default::default());
    BlockProfile { code, runs, taken, counted, keeps_key, targets, guesses }
}

/// Of how many runs a branch was taken, for a block that does not count: an exit that was never linked was never taken.
fn by_links(translations: &Translations, code: &Arc<Code>) -> (u64, u64) {
    const MANY: u64 = 64;
    let Some(op) = code.ops.last().filter(|op| op.code.shape() == Shape::Branch) else { return (0, 0) };
    let stays = |by: i64| (0..PAGE_SIZE as i64).contains(&((code.pa & !PAGE_MASK) as i64).saturating_add(by));
    // Exits to other pages have no links.
    if !stays(op.imm) || !stays(op.aux.into()) {
        return (0, 0);
    }
    match translations.linked_exits(code) {
        Some([true, false]) if op.imm != 0 => (0, MANY),
        Some([false, true]) => (MANY, MANY),
        _ => (0, 0),
    }
}
