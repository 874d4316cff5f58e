//! A hart in compiled code: entering it, what to do when it comes out, and having blocks compiled.

use super::core::NO_LIMIT;
use super::hart::publish;
use super::mode::{BlockCompilers, Mode, Settings, Tuning};
use super::sampling::Sampling;
use super::vcpu::{Found, Stop, Vcpu};
use crate::cache::code::Code;
use crate::cache::jump::JumpCounts;
use crate::cache::local::Local;
use crate::guest::{Flow, Guest, HelperDesc};
use crate::host::{self, Tier1};
use crate::jit::abi::Exit;
use crate::jit::across::{PageMap, page_address};
use crate::jit::block::{BlockCompiler, BlockInput};
use crate::jit::emitted::Emitted;
use crate::jit::find::Finder;
use crate::jit::queue::Queue;
use crate::jit::region::{GuestRules, form_round};
use crate::jit::single::Single;
use crate::jit::translations::{Tier, Translations};
use crate::jit::wanted::{Flavour, Wanted};
use crate::jit::ways::Settled;
use crate::jit::worker::Worker;
use crate::mem::PAGE_MASK;
use crate::tier::events::What;
use crate::tier::pins::Level;
use crate::tier::policy::{Adaptive, Again, Ask, Cost, Eager, Policy, Verdict};
use crate::watch::Stage;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// More instructions than a region asks for at a poll. With less left of a slice it is over.
const LONGEST_REGION: i64 = 2048;
/// How often the threshold of tier 1 is doubled for code that was dropped for room.
const DOUBLINGS: u32 = 2;

/// What the run loop does after compiled code was left.
pub(super) enum After {
    /// Runs this block.
    Next(u32),
    /// Looks for the block at the pc.
    Dispatch,
    /// As `Dispatch`, but interprets that block: compiled code did not want to begin it.
    Interpret,
    /// Comes back.
    Stop(Stop),
}

/// A hart's dealings with the compilers.
pub(super) struct Compiled {
    settings: Arc<Settings>,
    pub(super) queue: Arc<Queue>,
    tier1: Tier1,
    /// What tier 1 made last: its memory is used again.
    emitted: Emitted,
    /// Compiles for tier 1 in its place, if it is to.
    single: Option<Box<Single>>,
    /// Compiles for tier 2 on the hart's own thread, where there are no workers.
    own_worker: Option<Box<Worker>>,
    pub(super) mode: Mode,
    pub(super) policy: Box<dyn Policy>,
    pub(super) sampling: Sampling,
    /// [`Policy::tier1_runs`], asked once a slice.
    tier1_runs: u64,
    code_bytes: u64,
    tuning: Tuning,
    /// What is wanted, and its version.
    pub(super) wanted: Arc<Wanted>,
    wants: u64,
    /// Something is pinned.
    pinned: bool,
    /// Epoch of the translations that the jump cache was last cleared for.
    epoch: u64,
    misses: u64,
    /// Instructions retired by tier 1.
    insns: u64,
    /// What the hart was in last, as far as it goes; see [`crate::watch`].
    pub(super) ran: Stage,
    /// By how much the instruction count moved when saved states were put in place: those were not retired here.
    pub(super) moved: u64,
}

impl Compiled {
    pub(super) fn new(settings: Arc<Settings>, queue: Arc<Queue>) -> Compiled {
        Compiled {
            settings,
            queue,
            tier1: Tier1::default(),
            emitted: Emitted::default(),
            single: None,
            own_worker: None,
            mode: Mode::Interpreter,
            policy: Box::new(Eager { tier2_runs: 0 }),
            sampling: Sampling::default(),
            tier1_runs: 0,
            code_bytes: 0,
            tuning: Tuning::default(),
            wanted: Arc::default(),
            wants: 0,
            pinned: false,
            epoch: 0,
            misses: 0,
            insns: 0,
            ran: Stage::Interpreter,
            moved: 0,
        }
    }

    /// Runs after which a block is compiled: more if its code had to make room for other code before.
    #[inline]
    fn runs_before_tier1(&self, local: &Local) -> u64 {
        self.tier1_runs << local.forgotten.min(DOUBLINGS)
    }

    /// Whether compiled code may run in this slice.
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.mode != Mode::Interpreter
    }

    /// What tier 2 has cost so far.
    pub(super) fn tier2_cost(&self, translations: &Translations) -> Cost {
        let load = |n: &[AtomicU64; 2]| n[1].load(Ordering::Relaxed);
        Cost { ns: load(&translations.counts.compile_ns), insns: load(&translations.counts.insns) }
    }

    /// Who compiles tier 1's blocks now.
    fn block_compiler(&mut self, helper: fn(u16) -> Option<&'static HelperDesc>) -> &mut dyn BlockCompiler {
        if self.tuning.tier1_compiler == BlockCompilers::Direct {
            return &mut self.tier1;
        }
        if self.single.is_none() {
            let made = Single::new(helper).map_err(|e| tracing::error!("tier 1 is emitted directly: {e}"));
            self.single = made.ok().map(Box::new);
        }
        match &mut self.single {
            Some(single) => &mut **single,
            None => &mut self.tier1,
        }
    }

    /// Takes over the settings. Whether another mode, or other code, is wanted.
    fn follow_settings(&mut self) -> bool {
        let mode = if host::COMPILES { self.settings.mode() } else { Mode::Interpreter };
        let t = self.settings.tuning();
        self.code_bytes = t.code_bytes;
        let before = self.tuning;
        if mode != self.mode || t != self.tuning {
            self.policy = match mode {
                Mode::Adaptive => Box::new(Adaptive { tier1_runs: t.tier1_runs, tier2_runs: t.tier2_runs }),
                _ => Box::new(Eager { tier2_runs: t.tier2_eager_runs }),
            };
            self.tier1_runs = self.policy.tier1_runs(1).into();
            self.queue.set_count(self.policy.region_runs());
            self.tuning = t;
        }
        let changed = mode != self.mode || t.counters != before.counters;
        self.mode = mode;
        changed
    }
}

impl<G: Guest> Vcpu<G> {
    /// At the start of a slice: no code is running on this hart.
    pub(super) fn begin_compiled(&mut self) {
        if self.compiled.follow_settings() && self.compiled.is_on() {
            // Tier 1's counters are compiled in only where tier 2 may follow, and links lead to tier 2 where it did.
            self.code.translations().set_flavour(Flavour::of(
                self.compiled.mode,
                self.compiled.tuning.counters,
                self.is_fair(),
            ));
        }
        if self.compiled.wants != self.code.translations().wants() {
            self.follow_wanted();
        }
        self.sync_translations();
    }

    /// Takes over what is wanted.
    fn follow_wanted(&mut self) {
        let compiled = &mut self.compiled;
        (compiled.wanted, compiled.wants) = self.code.translations().wanted();
        compiled.pinned = !compiled.wanted.pins.is_empty();
    }

    /// Lets go of translations that are gone.
    fn sync_translations(&mut self) {
        let translations = self.code.translations();
        let epoch = translations.enter(self.cpu.hart.id as usize);
        if epoch != self.compiled.epoch {
            self.compiled.epoch = epoch;
            self.cpu.jumps.forget_records();
            translations.reclaim();
        }
    }

    /// At the end of a slice.
    pub(super) fn end_compiled(&mut self) {
        self.code.translations().rest(self.cpu.hart.id as usize);
        let hart = &self.cpu.hart;
        let here = self.cpu.retired_base.wrapping_sub(self.compiled.moved);
        let (one, two) = (self.compiled.insns, self.cpu.core.tier2_insns);
        publish(&hart.insns, &[here.saturating_sub(one + two), one, two]);
        publish(&hart.lookups, &[self.cpu.core.jump_hits, self.compiled.misses]);
        let JumpCounts { hits, misses, map_lookups, .. } = self.cpu.jumps.counts;
        publish(&hart.dispatched, &[hits, misses.saturating_sub(map_lookups), map_lookups]);
        let tlb = self.cpu.tlb.counts();
        publish(&hart.tlb_misses, &tlb.misses);
        publish(&hart.tlb_held, &tlb.held);
        publish(&hart.idioms, &self.cpu.core.idioms);
        publish(&hart.traps, self.cpu.traps.all());
    }

    /// Runs the block as compiled code, which goes on to others; `None` if there is none and it is not time for any.
    #[inline]
    pub(super) fn run_compiled(&mut self, index: u32, exact: bool) -> Option<After> {
        let local = self.locals.get(index);
        let entry = match self.code.translations().entry(&local.code) {
            Some(entry) => entry,
            None if local.runs < self.compiled.runs_before_tier1(local) && !self.compiled.pinned => {
                return None;
            }
            None if local.forgotten != local.code.forgotten() => {
                // It was compiled and had to go: it shows anew that it is worth the room.
                (local.runs, local.forgotten) = (0, local.code.forgotten());
                return None;
            }
            None => {
                let (code, runs) = (local.code.clone(), local.runs);
                if self.compiled.pinned && !self.is_ripe(&code, runs) {
                    return None;
                }
                let entry = self.compile(&code, runs)?;
                self.remember_record(index);
                entry
            }
        };
        Some(self.enter(entry, exact))
    }

    /// Whether it is time to compile a block, where some are pinned.
    #[cold]
    fn is_ripe(&self, code: &Code, runs: u64) -> bool {
        let enough = self.compiled.tier1_runs.max(1);
        match self.compiled.wanted.pins.level(code.pa) {
            None => runs >= enough,
            Some(Level::Interpreter) => {
                if runs == enough {
                    self.code.translations().events.push(code.pa, What::Pinned { tier: 0 }, 0, 0);
                }
                false
            }
            Some(_) => true,
        }
    }

    fn enter(&mut self, entry: u64, exact: bool) -> After {
        let mut exit = self.enter_once(entry, exact);
        // Each time around some code below the region has used budget, or the region is entered.
        while exit.kind() == Exit::PAGES {
            match self.look_at_pages(exit.address()) {
                Some(entry) => exit = self.enter_once(entry, exact),
                None => return After::Interpret,
            }
        }
        self.after(exit, exact)
    }

    fn enter_once(&mut self, entry: u64, exact: bool) -> Exit {
        self.cpu.refresh_tag();
        let cpu = &mut *self.cpu;
        cpu.kills = cpu.shared.memory.kills();
        cpu.core.limit = if exact { &NO_LIMIT } else { cpu.hart.lines.limit() };
        cpu.core.guest_fcr = host::fcr(cpu.core.fenv.rm);
        let before = (cpu.instret(), cpu.core.tier2_insns);
        // SAFETY: `core` is the first field of the hart, to which nothing else refers here. The entry is that of a translation
        // found in this slice; its memory is not reused before this hart has begun the next (see `jit::translations`).
        let exit = unsafe { host::enter(std::ptr::from_mut(cpu).cast(), entry) };
        cpu.merge_float_flags();
        let (all, two) = (cpu.instret().wrapping_sub(before.0), cpu.core.tier2_insns.wrapping_sub(before.1));
        self.compiled.insns += all.saturating_sub(two);
        let in_region = if exit.kind() == Exit::POLL { exit.address() != 0 } else { two > 0 };
        self.compiled.ran = if in_region { Stage::Tier2 } else { Stage::Tier1 };
        exit
    }

    fn after(&mut self, exit: Exit, exact: bool) -> After {
        match exit.kind() {
            Exit::LINK => self.follow_link(exit.address()),
            Exit::LOOKUP => {
                self.compiled.misses += 1;
                self.look_up()
            }
            Exit::POLL if exit.address() == 0 && self.cpu.budget <= 0 => {
                // Not one instruction is left: the run loop would not look for the block.
                if let Some(i) = self.lookup_fast() {
                    self.sample(i);
                }
                After::Stop(Stop::Slice)
            }
            Exit::POLL => {
                if exit.address() != 0 && !exact && self.cpu.budget < LONGEST_REGION {
                    // Or its blocks would be interpreted one by one until the slice is over.
                    return After::Stop(Stop::Slice);
                }
                After::Interpret
            }
            Exit::HOT => {
                self.ask_for_tier2(exit.address());
                After::Dispatch
            }
            Exit::FLOW => After::Stop(Stop::Flow(std::mem::replace(&mut self.cpu.flow, Flow::Continue))),
            _ => {
                G::poll_after_change(&mut self.cpu);
                After::Dispatch
            }
        }
    }

    /// The block at the pc, which compiled code did not find in the jump cache.
    fn look_up(&mut self) -> After {
        let Ok(Found::Local(i)) = self.find() else { return After::Dispatch };
        self.remember_record(i);
        After::Next(i)
    }

    /// The block at the pc, to which the link slot may lead from now on.
    fn follow_link(&mut self, slot: u64) -> After {
        let Ok(Found::Local(i)) = self.find() else { return After::Dispatch };
        let to = &self.locals.get(i).code;
        if to.record() != 0 {
            let page = |code: &Code| code.pa & PAGE_MASK;
            if to.second_page.is_some() {
                // Which block that is depends on where the second page is mapped.
                self.code.translations().link_to_probe(slot, self.cpu.core.thunks.probe);
            } else {
                let target = page(to);
                let near = |from: &Code| from.second_page.is_none() && page(from) == target;
                self.code.translations().link(slot, to, near);
            }
        }
        After::Next(i)
    }

    /// Compiles a block by tier 1. Its entry, or `None` if it stays in the interpreter.
    #[cold]
    fn compile(&mut self, code: &Arc<Code>, runs: u64) -> Option<u64> {
        if code.is_refused() {
            return None;
        }
        let begin = Instant::now();
        let profile = self.compiled.wanted.profile(code);
        let input = BlockInput {
            ops: &code.ops,
            bounds: &code.bounds,
            page_offset: (code.pa & !PAGE_MASK) as u16,
            one_page: code.second_page.is_none(),
            traps_misaligned: G::traps_misaligned(&self.cpu.shared.model),
            alone: self.cpu.is_alone(),
            profile,
            zero: G::ZERO,
            state_moves: G::state_moves(&self.cpu.shared.model),
            temps: G::TEMPS,
        };
        let mut emitted = std::mem::take(&mut self.compiled.emitted);
        let made = self.compiled.block_compiler(G::helper_desc).compile_into(&input, &mut emitted);
        let translations = self.code.translations().clone();
        let counts = &translations.counts;
        let ns = begin.elapsed().as_nanos() as u64;
        counts.compile_ns[0].fetch_add(ns, Ordering::Relaxed);
        emitted.compile_ns = ns;
        if let Err(e) = made {
            tracing::debug!("block at {:#x} is interpreted: {e}", code.pa);
            counts.failed[0].fetch_add(1, Ordering::Relaxed);
            translations.events.push(code.pa, What::Failed { tier: 1 }, 0, ns);
            code.refuse();
            return None;
        }
        if translations.make_room(self.compiled.code_bytes) {
            self.sync_translations();
        }
        let level = self.compiled.wanted.pins.level(code.pa);
        let runs_there = match level {
            Some(Level::Tier2) => {
                // Tier 2 may have been asked before, and have left it alone.
                code.ask_again();
                self.compiled.tuning.tier2_eager_runs
            }
            _ => self.compiled.policy.tier2_runs(code.insns),
        };
        let counter = (profile, runs_there.clamp(1, i32::MAX as u32 / 2) as i32);
        let installed = translations.install(Tier::One, [code.clone()], &emitted, counter);
        self.compiled.emitted = emitted;
        if !installed {
            // Something else is wanted by now; or there is no memory.
            self.follow_wanted();
            return None;
        }
        if level.is_some() && runs < self.compiled.tier1_runs {
            translations.events.push(code.pa, What::Pinned { tier: 1 }, 0, 0);
        }
        translations.events.push(code.pa, What::Tier1 { runs }, 0, ns);
        translations.entry(code)
    }

    /// The block of this record is hot: tier 2 may have it.
    pub(super) fn ask_for_tier2(&mut self, record: u64) {
        let translations = self.code.translations();
        let Some((code, tier, heat)) = translations.hot(record) else { return };
        if tier == Tier::Two {
            return self.form_again(record, &code, heat);
        }
        let level = self.compiled.wanted.pins.level(code.pa);
        if level == Some(Level::Tier1) {
            translations.events.push(code.pa, What::Pinned { tier: 1 }, 0, 0);
            return translations.set_heat(record, i32::MAX);
        }
        let queue = &self.compiled.queue;
        let cost = self.compiled.tier2_cost(translations);
        let ask = Ask { insns: code.insns, heat, queued: queue.len(), cost };
        let runs = match self.compiled.policy.decide(&ask) {
            _ if level == Some(Level::Tier2) => {
                if queue.push(&code, u64::MAX) {
                    translations.events.push(code.pa, What::Pinned { tier: 2 }, ask.queued, 0);
                }
                1 << 16
            }
            Verdict::Promote { saving_ns } => {
                if queue.push(&code, heat as u64) {
                    translations.events.push(code.pa, What::Asked { heat, saving_ns }, ask.queued, 0);
                }
                // Not again at each run; after a while, because the queue may be full now.
                self.compiled.policy.tier2_runs(code.insns).saturating_mul(8).max(1 << 16)
            }
            Verdict::Wait { runs } => {
                translations.events.push(code.pa, What::Waits { heat }, ask.queued, 0);
                runs
            }
        };
        translations.set_heat(record, runs.min(i32::MAX as u32) as i32);
        self.compile_own();
    }

    /// This hart is at the entry of a region across pages, and has not made sure of them. Where to go on in compiled code.
    #[cold]
    fn look_at_pages(&mut self, record: u64) -> Option<u64> {
        let (hart, cpu) = (self.cpu.hart.id, &mut *self.cpu);
        let entered =
            self.code.translations().look_at_pages(record, hart, |pages| cpu.look_at_pages(pages))?;
        if let Some((head, known)) = entered.give_up
            && self.compiled.queue.push_again(&head, u64::from(u32::MAX), known.in_page())
        {
            let waiting = self.compiled.queue.len();
            self.code.translations().events.push(head.pa, What::InPage, waiting, 0);
            self.compile_own();
        }
        entered.entry
    }

    /// The pages across which a region is to be formed again that begins with `head` at the pc: those to which it leads.
    fn pages_around(&mut self, head: &Code, known: &Settled) -> PageMap {
        let mut pages = PageMap::of_entry(head.pa & PAGE_MASK);
        let rules = GuestRules::of::<G>(&self.cpu.shared.model);
        let (pc, cpu) = (self.cpu.pc, &mut *self.cpu);
        if known.in_page || cpu.peek_fetch(pc) != Some(head.pa) {
            return pages;
        }
        let mut mapped = |n| cpu.peek_fetch(page_address(pc & PAGE_MASK, n)).map(|pa| pa & PAGE_MASK);
        let mut page = |number| pages.get_or(number, || mapped(number));
        let wanted = &self.compiled.wanted;
        let finder = Finder { code: &self.code, wanted, rules: &rules, known, key: head.key };
        let mut find = |at| finder.profile(at, &mut page);
        let region = form_round((pc & !PAGE_MASK) as u16, &known.hot, &mut find, &known.limits(rules));
        region.map_or(pages.clone(), |region| pages.only(&region.page_numbers()))
    }

    /// The counter of a region has run out: it may be formed again by how it was left.
    fn form_again(&mut self, record: u64, code: &Arc<Code>, heat: f64) {
        let translations = self.code.translations().clone();
        let Some(seen) = translations.seen(record) else { return };
        let queue = self.compiled.queue.clone();
        let (settled, rounds) = (seen.known.settled, seen.known.rounds);
        let cost = self.compiled.tier2_cost(&translations);
        let away = seen.away((code.pa & !PAGE_MASK) as u16);
        let again = Again { insns: seen.insns, heat, away, settled, rounds, queued: queue.len(), cost };
        let runs = match self.compiled.policy.decide_again(&again) {
            Verdict::Promote { .. } => {
                let known = if settled {
                    seen.known.recount()
                } else {
                    let known = seen.known.settle((code.pa & !PAGE_MASK) as u16, seen.runs, &seen.left);
                    Settled { pages: self.pages_around(code, &known), ..known }
                };
                if queue.push_again(code, heat as u64, known) {
                    translations.events.push(code.pa, What::Again { heat, failed: settled }, again.queued, 0);
                }
                // Not again at once: the queue may be full now.
                1 << 24
            }
            Verdict::Wait { runs } => runs,
        };
        // At least one: with none left it would be asked again before it ran.
        translations.set_heat(record, runs.clamp(1, i32::MAX as u32 / 2) as i32);
        self.compile_own();
    }

    /// Without workers the hart compiles what was asked for.
    pub(super) fn compile_own(&mut self) {
        if self.compiled.settings.tuning().workers == 0 {
            let rules = GuestRules::of::<G>(&self.cpu.shared.model).alone(self.cpu.is_alone());
            let map = &self.code;
            let worker =
                self.compiled.own_worker.get_or_insert_with(|| Box::new(Worker::new(map.clone(), rules)));
            while let Some(job) = self.compiled.queue.try_pop() {
                worker.compile(&job, 0);
            }
        }
    }
}
