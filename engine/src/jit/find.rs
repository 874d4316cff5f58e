//! Blocks for regions, by place: what forming a region looks at.

use super::across::{Place, page_of};
use super::region::{BlockProfile, GuestRules};
use super::targets;
use super::translations::Translations;
use super::wanted::Wanted;
use super::ways::Settled;
use crate::cache::code::{Code, CodeMap};
use crate::ir::Opcode;
use crate::ir::op::{CallSite, Shape};
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use std::sync::Arc;

/// Looks blocks up and says how they ran.
pub struct Finder<'a> {
    /// The blocks.
    pub code: &'a CodeMap,
    /// Which may be part of a region.
    pub wanted: &'a Wanted,
    /// The guest.
    pub rules: &'a GuestRules,
    /// What is known of the region.
    pub known: &'a Settled,
    /// The block key of all of them.
    pub key: u32,
}

impl Finder<'_> {
    /// The block at a place. `page`: the physical page with a number.
    pub fn block(&self, at: Place, page: &mut dyn FnMut(i32) -> Option<u64>) -> Option<Arc<Code>> {
        let pa = page(page_of(at))? | at as u64 & !PAGE_MASK;
        let code = self.code.find(pa, self.key).filter(|c| self.wanted.in_regions(c))?;
        let fits = |second| page(page_of(at) + 1) == Some(second);
        code.second_page.is_none_or(fits).then_some(code)
    }

    /// The same, with how it ran.
    pub fn profile(&self, at: Place, page: &mut dyn FnMut(i32) -> Option<u64>) -> Option<BlockProfile> {
        let code = self.block(at, page)?;
        let mut profile = profile(self.code.translations(), code, self.rules);
        if targets::jumps_by_table(&profile.code.ops) {
            profile.targets = targets::guess(at, &mut |to| self.block(to, page));
        }
        profile.guesses = [false, true].map(|copy| self.known.guess(at, copy));
        let seen = profile.guesses.iter().flat_map(|g| g.seen());
        profile.targets.extend(seen);
        Some(profile)
    }
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
