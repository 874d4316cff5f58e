//! Tier 2's workers: take the hottest block, form a region round it, compile it, publish it.
//!
//! A worker never holds a lock while it compiles. What it reads of blocks and their counters may be old by the time it publishes;
//! [`Translations::install`] refuses a region of which a block has died.

use super::across::{PageMap, Place};
use super::find::Finder;
use super::queue::Job;
use super::region::{GuestRules, Region, form_round};
use super::seed;
use super::shape::Shape;
use super::tier2::Tier2;
use super::translations::Translations;
use super::wanted::Wanted;
use super::ways::Settled;
use crate::cache::code::{Code, CodeMap};
use crate::mem::PAGE_MASK;
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
        let (key, rules) = (head.key, self.rules);
        let finder = Finder { code: &self.code, wanted: &wanted, rules: &rules, known: &known, key };
        let pages =
            if known.pages.is_empty() { PageMap::of_entry(head.pa & PAGE_MASK) } else { known.pages.clone() };
        let mut page = |number| pages.get(number);
        let begin = Instant::now();
        let limits = known.limits(rules);
        let hot: Vec<Place> = job.hot.iter().map(|&at| at.into()).chain(known.hot.iter().copied()).collect();
        let offset = (head.pa & !PAGE_MASK) as u16;
        let Some(mut region) = form_round(offset, &hot, &mut |at| finder.profile(at, &mut page), &limits)
        else {
            return;
        };
        region.counts = known.counts();
        region.pages = pages.only(&region.page_numbers());
        let parts: Option<Vec<_>> =
            region.blocks.iter().map(|b| finder.block(Place::from(offset) + b.offset, &mut page)).collect();
        let made = tier2.compile(&region);
        let counts = &translations.counts;
        let ns = begin.elapsed().as_nanos() as u64;
        counts.compile_ns[1].fetch_add(ns, Ordering::Relaxed);
        match (made, parts) {
            // The blocks must be those that were compiled: a page may have been written and lifted anew meanwhile.
            (Ok(mut emitted), Some(parts))
                if region.blocks.iter().zip(&parts).all(|(b, p)| b.ops == p.ops) =>
            {
                emitted.compile_ns = ns;
                let what = installed(&region, &known);
                let distinct = distinct(parts.clone());
                let shape = Shape::of(&region, &parts, &distinct);
                if translations.install_region(distinct, &emitted, job.count, known, shape) {
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
    if known.settled {
        What::Settled { insns, pages: region.pages.iter().count().max(1) as u32 }
    } else {
        What::Tier2 { insns }
    }
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
