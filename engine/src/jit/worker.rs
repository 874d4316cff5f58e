//! Tier 2's workers: take the hottest block, form a region round it, compile it, publish it.
//!
//! A worker never holds a lock while it compiles. What it reads of blocks and their counters may be old by the time it publishes;
//! [`Translations::install`] refuses a region of which a block has died.

use super::queue::Job;
use super::region::{BlockProfile, GuestRules, Limits, form};
use super::tier2::Tier2;
use super::translations::{Tier, Translations};
use crate::cache::code::{Code, CodeMap};
use crate::ir::Opcode;
use crate::ir::op::CallSite;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use crate::tier::events::What;
use crate::tier::pins::Level;
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
        let head = &job.code;
        if head.is_dead() || head.second_page.is_some() {
            return;
        }
        let Some(tier2) = &mut self.tier2 else { return };
        let translations = self.code.translations();
        let (wanted, _) = translations.wanted();
        if !wanted.in_regions(head) {
            // Pinned, or another mode, since it asked.
            return head.ask_again();
        }
        let pinned = |c: &Code| wanted.pins.level(c.pa) == Some(Level::Tier2);
        let may = |c: &Code| pinned(c) || wanted.in_regions(c);
        let (page, key) = (head.pa & PAGE_MASK, head.key);
        let (code, rules) = (&self.code, self.rules);
        let mut find = |offset: u16| {
            let code = code.find(page | offset as u64, key).filter(|c| may(c))?;
            Some(profile(translations, code, &rules))
        };
        let begin = Instant::now();
        // Branches inside of a loop are often not counted, so each way is as likely: go four deep.
        let limits = Limits { least: 1.0 / 16.0, ..Limits::new(rules) };
        let Some(region) = form((head.pa & !PAGE_MASK) as u16, &mut find, &limits) else {
            return;
        };
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
                if translations.install(Tier::Two, parts, &emitted, None) {
                    translations.events.push(head.pa, What::Tier2 { insns: region.insns() }, waiting, ns);
                } else {
                    head.ask_again();
                }
            }
            (Ok(_), _) => head.ask_again(),
            (Err(e), _) => {
                tracing::debug!("the region at {:#x} stays in tier 1: {e}", head.pa);
                counts.failed[1].fetch_add(1, Ordering::Relaxed);
                translations.events.push(head.pa, What::Failed { tier: 2 }, waiting, ns);
            }
        }
    }
}

/// What is known of a block's runs.
fn profile(translations: &Translations, code: Arc<Code>, rules: &GuestRules) -> BlockProfile {
    let (runs, taken) = translations.profile(&code).unwrap_or_default();
    let changes = |id: u16| (rules.helper)(id).is_none_or(|h| h.changes_key);
    let calls = code.ops.iter().filter(|op| op.code == Opcode::Call);
    let keeps_key = !calls.map(|op| CallSite(op.aux).id()).any(changes);
    BlockProfile { code, runs, taken, counted: runs, keeps_key }
}
