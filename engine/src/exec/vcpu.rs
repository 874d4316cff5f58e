//! The run loop of one hart: find code, run it, poll.
//!
//! Polls happen at block heads when the budget underflows or another thread has asked for attention; interrupts, requests
//! of other harts, pausing and the end of a slice are all looked at there and nowhere else.

use super::compiled::{After, Compiled};
use super::cpu::{Cpu, Shared};
use super::hart::Request;
use super::mode::Settings;
use crate::cache::code::{Code, CodeMap, Prepared};
use crate::cache::jump::NO_TAG;
use crate::cache::local::{Locals, NO_LINK};
use crate::guest::{Exception, Flow, Guest, LiftInput};
use crate::interp::{self, Leave};
use crate::ir::opt::{Optimiser, Rules};
use crate::jit::queue::Queue;
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use crate::watch::Stage;
use std::sync::Arc;

/// Longest block in guest instructions.
pub(super) const MAX_BLOCK: u32 = 64;

/// Why [`Vcpu::run`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The budget is used up.
    Slice,
    /// Another thread asked for attention.
    Attention,
    /// The guest asked to wait, or to stop.
    Flow(Flow),
}

/// One hart with its view of the code.
pub struct Vcpu<G: Guest> {
    /// Its state.
    pub cpu: Box<Cpu<G>>,
    pub(super) locals: Locals,
    pub(super) code: Arc<CodeMap>,
    optimiser: Optimiser,
    pub(super) compiled: Compiled,
    /// What the guest last asked to do and has not finished: waiting survives save and restore.
    pub waiting: Option<Flow>,
}

/// A block and where in its table the hart has it.
pub(super) enum Found {
    Local(u32),
    /// To be run once: cut short by the budget, or in memory that no cache may keep.
    Once(Box<Code>),
}

impl<G: Guest> Vcpu<G> {
    /// Hart `id` of the machine.
    pub fn new(shared: Arc<Shared<G>>, code: Arc<CodeMap>, id: u32) -> Vcpu<G> {
        Vcpu::with(shared, code, Arc::default(), Arc::default(), id)
    }

    /// Hart `id` of a machine that has compilers.
    pub fn with(
        shared: Arc<Shared<G>>,
        code: Arc<CodeMap>,
        settings: Arc<Settings>,
        queue: Arc<Queue>,
        id: u32,
    ) -> Vcpu<G> {
        Vcpu {
            cpu: Cpu::new(shared, id),
            locals: Locals::default(),
            code,
            optimiser: Optimiser::default(),
            compiled: Compiled::new(settings, queue),
            waiting: None,
        }
    }

    /// The machine's blocks.
    pub fn code(&self) -> &Arc<CodeMap> {
        &self.code
    }

    /// The hart's blocks.
    pub fn locals(&self) -> &Locals {
        &self.locals
    }

    /// Forgets all code (after a restore).
    pub fn forget_code(&mut self) {
        self.locals.reset();
        self.cpu.jumps.reset();
        self.cpu.context_changed = true;
    }

    /// Starts a slice of `insns` instructions.
    pub fn begin_slice(&mut self, insns: i64) {
        self.end_slice();
        self.cpu.slice = insns;
        self.cpu.budget = insns;
        self.begin_compiled();
    }

    /// Settles the instruction count.
    pub fn end_slice(&mut self) {
        let cpu = &mut self.cpu;
        cpu.retired_base = cpu.instret();
        cpu.slice = 0;
        cpu.budget = 0;
        cpu.hart.retired.store(cpu.retired_base, std::sync::atomic::Ordering::Relaxed);
        self.end_compiled();
        self.answer_samples();
    }

    /// Runs until the slice is over or something else is to be done. `exact`: runs the last instructions of a slice one
    /// by one if need be, so that slices end on the instruction, and leaves attention to the slice's end.
    pub fn run(&mut self, exact: bool) -> Stop {
        let hart = self.cpu.hart.clone();
        let lines = hart.lines.clone();
        // Set when compiled code did not want to begin a block: it is interpreted.
        let mut interpret = false;
        'dispatch: loop {
            if self.cpu.budget <= 0 {
                return Stop::Slice;
            }
            if !exact && lines.has_attention() {
                return Stop::Attention;
            }
            let mut index = match self.find() {
                Ok(Found::Local(i)) => i,
                Ok(Found::Once(_)) if !exact && lines.has_attention() => return Stop::Attention,
                Ok(Found::Once(code)) => {
                    if let Some(stop) = self.run_once(&code, exact) {
                        return stop;
                    }
                    continue;
                }
                Err(e) => {
                    self.cpu.insn_pc = self.cpu.pc;
                    self.cpu.raise(e);
                    continue;
                }
            };
            loop {
                let pc = self.cpu.pc;
                let local = self.locals.get(index);
                let code = &*local.code;
                let left = self.cpu.budget - code.insns as i64;
                if left < 0 || code.is_dead() || (lines.has_attention() && !exact) {
                    if left < 0 && self.cpu.budget > 0 && !code.is_dead() {
                        self.sample(index);
                        if !exact {
                            // What is left is less than a block: the next slice has room for it.
                            return Stop::Slice;
                        }
                        if let Some(stop) = self.run_rest(pc, exact) {
                            return stop;
                        }
                    }
                    continue 'dispatch;
                }
                local.runs += 1;
                if !std::mem::take(&mut interpret)
                    && self.compiled.is_on()
                    && let Some(after) = self.run_compiled(index, exact)
                {
                    match after {
                        After::Next(next) => index = next,
                        After::Dispatch => continue 'dispatch,
                        After::Interpret => {
                            interpret = true;
                            continue 'dispatch;
                        }
                        After::Stop(stop) => return stop,
                    }
                    continue;
                }
                self.cpu.budget = left;
                self.compiled.ran = Stage::Interpreter;
                let code = &*self.locals.get(index).code;
                match interp::run(&mut self.cpu, code, pc) {
                    Leave::Exit(side) => {
                        let next = self.locals.get(index).links[side];
                        if next != NO_LINK {
                            index = next;
                            continue;
                        }
                        match self.link(index, side, pc) {
                            Some(next) => index = next,
                            None => continue 'dispatch,
                        }
                    }
                    Leave::Indirect => match self.lookup_fast() {
                        Some(next) => index = next,
                        None => continue 'dispatch,
                    },
                    Leave::Dispatch => {
                        G::poll_after_change(&mut self.cpu);
                        continue 'dispatch;
                    }
                    Leave::Flow(flow) => return Stop::Flow(flow),
                }
            }
        }
    }

    #[inline]
    pub(super) fn lookup_fast(&mut self) -> Option<u32> {
        let (pc, tags) = (self.cpu.pc, self.cpu.tags());
        self.cpu.jumps.get(pc, tags)
    }

    /// The successor of block `index` by exit `side`; links it if it lies in the same guest page.
    fn link(&mut self, index: u32, side: usize, from: u64) -> Option<u32> {
        let pc = self.cpu.pc;
        if pc & PAGE_MASK != from & PAGE_MASK {
            return self.lookup_fast();
        }
        let epoch = self.cpu.jumps.counts.resets;
        let Ok(Found::Local(next)) = self.find() else { return None };
        // The block that we come from may have been forgotten meanwhile.
        if self.cpu.jumps.counts.resets == epoch && self.in_one_page(index, next) {
            self.locals.get(index).links[side] = next;
        }
        Some(next)
    }

    /// Whether two blocks lie in one physical page. The same virtual page is not enough: its mapping may have changed while
    /// the first block ran, and the block may be entered again under the mapping from before.
    fn in_one_page(&mut self, a: u32, b: u32) -> bool {
        let page = |code: &Code| code.second_page.is_none().then_some(code.pa & PAGE_MASK);
        let first = page(&self.locals.get(a).code);
        first.is_some() && first == page(&self.locals.get(b).code)
    }

    /// The block at `cpu.pc`. The hart may have run its mail meanwhile (when others were asked to let go of a new page): look
    /// at the attention flag before running what comes back, which may have been found under a translation that is gone.
    pub(super) fn find(&mut self) -> Result<Found, Exception> {
        let (pc, tags) = (self.cpu.pc, self.cpu.tags());
        if let Some(i) = self.cpu.jumps.get(pc, tags)
            && !self.locals.get(i).code.is_dead()
        {
            return Ok(Found::Local(i));
        }
        let pa = self.cpu.fetch_address(pc)?;
        let key = G::block_key(&self.cpu);
        if self.cpu.tlb.fetch(pc).is_none() {
            return Ok(Found::Once(self.lift_guarded(pc, pa, key)?));
        }
        // Filling the TLB may have moved its generation; if mail that is run below does, the answer is void.
        let tag = self.cpu.answer_tag(pc);
        let near = self.cpu.jumps.block_at(pa, key).filter(|&i| !self.locals.get(i).code.is_dead());
        if let Some(i) = near.or_else(|| self.locals.by_pa(pa, key))
            && self.still_spans(i, pc)?
        {
            if self.locals.get(i).code.second_page.is_some() {
                self.remember_over_two(pc, i);
            } else {
                self.remember(pc, tag, i);
            }
            return Ok(Found::Local(i));
        }
        self.cpu.jumps.counts.map_lookups += 1;
        let code = match self.code.find(pa, key) {
            Some(code) if self.span_matches(&code, pc)? => code,
            _ => match self.lift_shared(pc, pa, key)? {
                Ok(code) => code,
                Err(once) => return Ok(Found::Once(once)),
            },
        };
        if self.locals.is_full() {
            self.locals.reset();
            self.cpu.jumps.reset();
        }
        let i = self.locals.add(code);
        self.remember(pc, tag, i);
        Ok(Found::Local(i))
    }

    /// One instruction of a page that the TLB does not keep, because its protection is finer than a page: each
    /// instruction is checked for itself, both halves of a long one.
    fn lift_guarded(&mut self, pc: u64, pa: u64, key: u32) -> Result<Box<Code>, Exception> {
        let code = self.lift(pc, pa, key, 1)?;
        let bytes = code.bounds.first().map_or(0, |b| b.len as u64);
        for offset in (2..bytes).step_by(2) {
            self.cpu.fetch_address(pc.wrapping_add(offset))?;
        }
        Ok(Box::new(code))
    }

    /// Remembers that block `i`, of one page, was found at `pc`.
    fn remember(&mut self, pc: u64, tag: u64, i: u32) {
        let code = &self.locals.get(i).code;
        if code.second_page.is_some() {
            return;
        }
        let (pa, key, record) = (code.pa, code.key, code.record());
        let jumps = &mut self.cpu.jumps;
        jumps.put(pc, tag, i);
        if record != 0 {
            jumps.put_record(pc, [tag, NO_TAG], record);
        }
        jumps.put_physical(pa, key, record, i);
    }

    /// Remembers that block `i`, over two pages, was found at `pc`, whose translations have just been looked at. Not by its
    /// physical address: the second page may be another by then.
    fn remember_over_two(&mut self, pc: u64, i: u32) {
        let Some(tag) = self.cpu.answer_tag_of_two(pc) else { return };
        let record = self.locals.get(i).code.record();
        self.cpu.jumps.put(pc, tag, i);
        if record != 0 {
            self.cpu.jumps.put_record(pc, [tag, NO_TAG], record);
        }
    }

    /// Lets compiled code find block `i`, at the pc, if it has been compiled.
    pub(super) fn remember_record(&mut self, i: u32) {
        let code = &self.locals.get(i).code;
        let (record, pa, key, in_one) = (code.record(), code.pa, code.key, code.second_page.is_none());
        if record != 0 {
            let (pc, tags) = (self.cpu.pc, self.cpu.tags());
            self.cpu.jumps.put_record(pc, tags, record);
            if in_one {
                self.cpu.jumps.put_physical(pa, key, record, i);
            }
        }
    }

    fn still_spans(&mut self, i: u32, pc: u64) -> Result<bool, Exception> {
        let second = self.locals.get(i).code.second_page;
        self.second_matches(second, pc)
    }

    fn span_matches(&mut self, code: &Code, pc: u64) -> Result<bool, Exception> {
        self.second_matches(code.second_page, pc)
    }

    /// Whether the page after the pc's is the one that a block over two pages goes on in.
    fn second_matches(&mut self, second: Option<u64>, pc: u64) -> Result<bool, Exception> {
        let Some(second) = second else { return Ok(true) };
        let next = (pc & PAGE_MASK).wrapping_add(PAGE_SIZE);
        Ok(self.cpu.fetch_address(next)? & PAGE_MASK == second)
    }

    /// Lifts the block at `pc` and publishes it; `Err` is a block that may run once but not be kept.
    fn lift_shared(&mut self, pc: u64, pa: u64, key: u32) -> Result<Result<Arc<Code>, Box<Code>>, Exception> {
        for _ in 0..3 {
            let first = self.protect(pa);
            let code = self.lift(pc, pa, key, MAX_BLOCK)?;
            let second = code.second_page.map(|page| self.protect(page));
            if second.is_some() {
                // The bytes of the second page were read before its bit was set.
                let again = self.lift(pc, pa, key, MAX_BLOCK)?;
                if again.bounds != code.bounds || again.second_page != code.second_page {
                    continue;
                }
            }
            if let Some(code) = self.code.publish(code, &first, second.as_ref()) {
                return Ok(Ok(code));
            }
        }
        // Somebody writes here all the time: do not keep it.
        Ok(Err(Box::new(self.lift(pc, pa, key, MAX_BLOCK)?)))
    }

    /// Makes sure that all writes to the page of `pa` from now on are seen.
    fn protect(&mut self, pa: u64) -> Prepared {
        let prepared = self.code.prepare(pa);
        if prepared.unguarded {
            self.cpu.tlb.protect(pa);
            self.cpu.ask_others(|_| true, &Request::Protect(pa));
            self.code.confirm(&prepared);
        }
        prepared
    }

    pub(super) fn lift(&mut self, pc: u64, pa: u64, key: u32, max_insns: u32) -> Result<Code, Exception> {
        let mut bytes = [0u8; PAGE_SIZE as usize];
        let left = (PAGE_SIZE - pa % PAGE_SIZE) as usize;
        // A block of the longest instructions needs no more.
        let want = left.min(max_insns as usize * G::MAX_INSN_BYTES + G::MAX_INSN_BYTES);
        let shared = self.cpu.shared.clone();
        if !shared.memory.read_bytes(pa, &mut bytes[..want]) {
            return Err(G::memory_fault(crate::guest::FaultKind::Bus, crate::guest::Access::Fetch, pc));
        }
        let input = LiftInput { code: &bytes[..want], key, max_insns };
        let mut block = G::lift(&shared.model, input);
        let mut second_page = None;
        if block.bounds.is_empty() {
            let next = (pc & PAGE_MASK).wrapping_add(PAGE_SIZE);
            let next_pa = self.cpu.fetch_address(next)?;
            let n = G::MAX_INSN_BYTES - left.min(G::MAX_INSN_BYTES);
            if !shared.memory.read_bytes(next_pa, &mut bytes[left..left + n]) {
                return Err(G::memory_fault(crate::guest::FaultKind::Bus, crate::guest::Access::Fetch, next));
            }
            let input = LiftInput { code: &bytes[..left + n], key, max_insns: 1 };
            block = G::lift(&shared.model, input);
            second_page = Some(next_pa & PAGE_MASK);
        }
        self.optimiser.run(&mut block, &Rules::of::<G>(G::ZERO));
        Ok(Code::new(block, pa, second_page, key))
    }

    /// Runs what is left of the budget as one block that is not kept.
    fn run_rest(&mut self, pc: u64, exact: bool) -> Option<Stop> {
        let made = self.cpu.fetch_address(pc).and_then(|pa| {
            let key = G::block_key(&self.cpu);
            self.lift(pc, pa, key, self.cpu.budget.max(1) as u32)
        });
        match made {
            Ok(code) => self.run_once(&code, exact),
            Err(e) => {
                self.cpu.insn_pc = pc;
                self.cpu.raise(e);
                None
            }
        }
    }

    fn run_once(&mut self, code: &Code, exact: bool) -> Option<Stop> {
        if exact && self.cpu.budget > 0 && code.insns as i64 > self.cpu.budget {
            return self.run_rest(self.cpu.pc, exact);
        }
        self.cpu.budget -= code.insns as i64;
        let pc = self.cpu.pc;
        match interp::run_cold(&mut self.cpu, code, pc) {
            Leave::Flow(flow) => Some(Stop::Flow(flow)),
            Leave::Dispatch => {
                G::poll_after_change(&mut self.cpu);
                None
            }
            _ => None,
        }
    }
}
