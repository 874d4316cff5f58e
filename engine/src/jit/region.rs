//! Regions: the hot blocks that tier 2 compiles as one function.
//!
//! The problem: a compiler that sees one block at a time loads and stores the guest's registers at each end of it. Loops and
//! hot paths are several blocks, so a region is grown from a hot block along the edges that were taken most, calls
//! and their returns included, until it is large enough. At first all its blocks lie in one guest page: a translation of
//! that page that was good at the entry is good all the way, because what could change it leaves the region. Where it is left to other
//! pages often, it is formed again across them, see [`super::across`].
//!
//! A small function gets a copy of its blocks for each place that calls it: such blocks have a [`Context`], by which their returns
//! know where they lead. A context is a guess about the return address and nothing else. Blocks of one address are the same code in
//! each context, and a return compares before it goes where its context says.

use super::across::{PageMap, Place, page_of, place};
use super::ways::{Counts, Guess};
use crate::cache::code::Code;
use crate::guest::{Guest, HelperDesc, StateMoves};
use crate::ir::op::Shape;
use crate::ir::{Boundary, Op, Opcode, Reg, SINK};
use crate::mem::PAGE_SIZE;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;

/// From where a copy of a function was called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Context {
    /// The context of the call.
    pub parent: u16,
    /// Offset of the function, relative to the region's entry,
    pub callee: i32,
    /// and of where it returns to.
    pub back: i32,
}

/// The context of blocks that may have been called from anywhere.
pub const ANYWHERE: u16 = 0;

/// A block of a region.
#[derive(Clone, Debug)]
pub struct RegionBlock {
    /// Its context: [`ANYWHERE`], or one more than an index into [`Region::contexts`].
    pub context: u16,
    /// Guest address relative to the region's entry.
    pub offset: i32,
    /// What an indirect jump at its end is compared with.
    pub guess: Guess,
    /// Its ops; the last is a terminator.
    pub ops: Box<[Op]>,
    /// Guest instruction boundaries.
    pub bounds: Box<[Boundary]>,
    /// Guest instructions.
    pub insns: u32,
}

impl RegionBlock {
    /// The number of the guest instruction that op `index` belongs to.
    pub fn insn_of(&self, index: usize) -> usize {
        self.bounds.partition_point(|b| b.op as usize <= index).saturating_sub(1)
    }

    /// Its length in guest memory.
    pub fn bytes(&self) -> u32 {
        self.bounds.last().map_or(0, |b| u32::from(b.offset) + u32::from(b.len))
    }

    /// Where guest instruction `n` lies relative to the region's entry, and its length.
    pub fn insn(&self, n: usize) -> (i64, u8) {
        self.bounds.get(n).map_or((self.offset.into(), 0), |b| (self.offset as i64 + b.offset as i64, b.len))
    }
}

/// What a region's compiler must know of the guest ISA and of the CPU model.
#[derive(Clone, Copy, Debug)]
pub struct GuestRules {
    /// Plain misaligned accesses raise an exception.
    pub traps_misaligned: bool,
    /// See [`BlockInput::alone`](super::block::BlockInput::alone).
    pub alone: bool,
    /// A word that always reads as zero.
    pub zero: Option<Reg>,
    /// First word that is a block temporary.
    pub temps: Reg,
    /// The helper table.
    pub helper: fn(u16) -> Option<&'static HelperDesc>,
    /// [`Guest::state_moves`].
    pub state_moves: StateMoves,
}

impl GuestRules {
    /// The rules of an ISA and a model of it.
    pub fn of<G: Guest>(model: &G::Model) -> GuestRules {
        GuestRules {
            traps_misaligned: G::traps_misaligned(model),
            alone: false,
            zero: G::ZERO,
            temps: G::TEMPS,
            helper: G::helper_desc,
            state_moves: G::state_moves(model),
        }
    }

    /// The same where the machine has one hart only, or more.
    pub fn alone(self, alone: bool) -> GuestRules {
        GuestRules { alone, ..self }
    }
}

/// Blocks lifted for one block key, to be compiled as one function.
#[derive(Clone, Debug)]
pub struct Region {
    /// The blocks; the first is the entry. No two with the same offset and context.
    pub blocks: Vec<RegionBlock>,
    /// Contexts of copied functions.
    pub contexts: Vec<Context>,
    /// What it counts.
    pub counts: Counts,
    /// Offset of the entry in its page.
    pub page_offset: u16,
    /// The pages of its blocks, if there are others than that of the entry: what is checked where it is entered.
    pub pages: PageMap,
    /// The guest.
    pub rules: GuestRules,
}

impl Region {
    /// Guest instructions of all blocks.
    pub fn insns(&self) -> u32 {
        self.blocks.iter().map(|b| b.insns).sum()
    }

    /// The numbers of the pages in which its blocks lie, some of them more than once.
    pub fn page_numbers(&self) -> Vec<i32> {
        let ends = |b: &RegionBlock| [0, b.bytes().max(1) as Place - 1].map(|by| b.offset + by);
        let at = |offset| page_of(Place::from(self.page_offset) + offset);
        self.blocks.iter().flat_map(ends).map(at).collect()
    }

    /// The context with this number.
    pub fn context(&self, number: u16) -> Option<&Context> {
        self.contexts.get(usize::from(number).checked_sub(1)?)
    }

    /// The number of the context for a call, if the function has been copied for it.
    pub fn called(&self, call: &Context) -> Option<u16> {
        self.contexts.iter().position(|c| c == call).map(|i| i as u16 + 1)
    }

    /// Whether a guest address relative to the entry lies in the entry's page.
    pub fn in_page(&self, offset: i64) -> bool {
        (0..PAGE_SIZE as i64).contains(&offset.saturating_add(self.page_offset.into()))
    }
}

/// A block as [`form`] gets it.
pub struct BlockProfile {
    /// The block. If it spans two pages, the second is where the next page is.
    pub code: Arc<Code>,
    /// How often it ran.
    pub runs: u64,
    /// How often it was left by exit 1 (taken); of the runs that were counted for this, see `counted`.
    pub taken: u64,
    /// Runs during which `taken` was counted.
    pub counted: u64,
    /// The block key after the block is the one it was lifted for. Where it is not, the region ends.
    pub keeps_key: bool,
    /// Where an indirect jump at its end is thought to lead, relative to its start.
    pub targets: Vec<i64>,
    /// What such a jump is compared with, in the block and in copies of it.
    pub guesses: [Guess; 2],
}

/// How far regions grow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Guest instructions at most.
    pub insns: u32,
    /// Blocks at most.
    pub blocks: usize,
    /// A block that is entered less often than this for each run of the head is left out.
    pub least: f64,
    /// The guest.
    pub rules: GuestRules,
}

impl Limits {
    /// What was measured to be good: compile time grows faster than size beyond 500 instructions.
    pub fn new(rules: GuestRules) -> Limits {
        Limits { insns: 500, blocks: 96, least: 1.0 / 64.0, rules }
    }

    /// For code that has been hot for long.
    pub fn settled(rules: GuestRules) -> Limits {
        Limits { insns: 800, blocks: 160, ..Limits::new(rules) }
    }
}

/// A block that could be added next.
struct Candidate {
    /// How often it is expected to be entered for each run of the head.
    weight: f64,
    at: Place,
    context: u16,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Candidate) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        let place = |c: &Candidate| (c.context, c.at);
        self.weight.total_cmp(&other.weight).then(place(other).cmp(&place(self)))
    }
}

/// Grows a region from the block at page offset `head` along the likely edges. `find` looks blocks up.
pub fn form(
    head: u16,
    find: &mut dyn FnMut(Place) -> Option<BlockProfile>,
    limits: &Limits,
) -> Option<Region> {
    form_round(head, &[], find, limits)
}

/// What a block is at least expected to be entered for each run of the head if it is known to be hot.
const HOT: f64 = 0.5;
/// Functions of at most so many guest instructions are copied for each call,
const SMALL: u32 = 48;
/// as long as no more calls than this lie within each other.
const DEEPEST: usize = 3;

/// As [`form`]; `hot` are places that are known to be hot, whatever the edges on the way to them say.
pub fn form_round(
    head: u16,
    hot: &[Place],
    find: &mut dyn FnMut(Place) -> Option<BlockProfile>,
    limits: &Limits,
) -> Option<Region> {
    let (blocks, contexts) = (Vec::new(), Vec::new());
    let (counts, pages) = (Counts::Exits, PageMap::default());
    let region = Region { blocks, contexts, counts, page_offset: head, pages, rules: limits.rules };
    let (profiles, small) = (FxHashMap::default(), FxHashMap::default());
    let mut former = Former { region, find, profiles, small, hot, limits, heap: BinaryHeap::new() };
    former.heap.push(Candidate { weight: 1.0, at: head.into(), context: ANYWHERE });
    former.grow();
    (!former.region.blocks.is_empty()).then_some(former.region)
}

/// What forming a region keeps.
struct Former<'a> {
    region: Region,
    find: &'a mut dyn FnMut(Place) -> Option<BlockProfile>,
    profiles: FxHashMap<Place, Option<Rc<BlockProfile>>>,
    /// By a function's place, whether it is [`SMALL`].
    small: FxHashMap<Place, bool>,
    hot: &'a [Place],
    limits: &'a Limits,
    heap: BinaryHeap<Candidate>,
}

impl Former<'_> {
    fn profile(&mut self, at: Place) -> Option<Rc<BlockProfile>> {
        let find = &mut self.find;
        let look = || find(at).filter(|p| !p.code.ops.is_empty()).map(Rc::new);
        self.profiles.entry(at).or_insert_with(look).clone()
    }

    fn grow(&mut self) {
        let head = Place::from(self.region.page_offset);
        let (mut seen, mut insns) = (FxHashSet::default(), 0);
        while let Some(Candidate { weight, at, context }) = self.heap.pop() {
            if self.region.blocks.len() >= self.limits.blocks || !seen.insert((at, context)) {
                continue;
            }
            let Some(profile) = self.profile(at) else { continue };
            let code = &profile.code;
            if !self.region.blocks.is_empty() && insns + code.insns > self.limits.insns {
                continue;
            }
            insns += code.insns;
            if profile.keeps_key {
                self.lead_on(&profile, weight, at, context);
            }
            self.region.blocks.push(RegionBlock {
                context,
                guess: profile.guesses[usize::from(context != ANYWHERE)].clone(),
                offset: at - head,
                ops: code.ops.clone(),
                bounds: code.bounds.clone(),
                insns: code.insns,
            });
        }
    }

    /// Adds what comes behind a block to the candidates.
    fn lead_on(&mut self, profile: &BlockProfile, weight: f64, at: Place, context: u16) {
        for (part, by) in successors(profile) {
            let Some(to) = place(at, by) else { continue };
            let mut weight = (weight * part).min(1.0);
            if self.hot.contains(&to) {
                weight = weight.max(HOT);
            }
            if weight < self.limits.least {
                continue;
            }
            let context = match profile.code.ops.last() {
                Some(op) if leads_to_callee(op, by) => self.callee(to, at, op, context),
                _ => context,
            };
            self.heap.push(Candidate { weight, at: to, context });
        }
    }

    /// The context of `function` when the block at `at`, which ends with `op`, calls it.
    fn callee(&mut self, function: Place, at: Place, op: &Op, caller: u16) -> u16 {
        let head = Place::from(self.region.page_offset);
        let back = at - head + op.aux as i32;
        let call = Context { parent: caller, callee: function - head, back };
        if let Some(number) = self.region.called(&call) {
            return number;
        }
        let mut around =
            std::iter::successors(self.region.context(caller), |c| self.region.context(c.parent));
        let nested = around.clone().count();
        if nested >= DEEPEST || around.any(|c| c.callee == call.callee) || !self.is_small(function) {
            return ANYWHERE;
        }
        self.region.contexts.push(call);
        self.region.contexts.len() as u16
    }

    /// Whether few instructions lie between the function's first and its returns, those that it calls not counted.
    fn is_small(&mut self, function: Place) -> bool {
        if let Some(&small) = self.small.get(&function) {
            return small;
        }
        let (mut seen, mut stack, mut insns) = (FxHashSet::default(), vec![function], 0);
        while let Some(at) = stack.pop() {
            if insns > SMALL || !seen.insert(at) {
                continue;
            }
            let Some(profile) = self.profile(at) else { continue };
            insns += profile.code.insns;
            let Some(op) = profile.code.ops.last() else { continue };
            let inside = successors(&profile).into_iter().filter(|&(_, to)| !leads_to_callee(op, to));
            stack.extend(inside.filter_map(|(_, to)| place(at, to)));
        }
        self.small.insert(function, insns <= SMALL);
        insns <= SMALL
    }
}

/// Whether the op calls a function that it names.
pub fn is_call(op: &Op) -> bool {
    op.code == Opcode::Jump && op.a != SINK
}

/// Whether the block that `op` ends calls what lies `to` from its start.
fn leads_to_callee(op: &Op, to: i64) -> bool {
    is_call(op) && op.imm == to || op.code == Opcode::JumpReg && op.a != SINK && to != i64::from(op.aux)
}

/// Where a block goes and how often, relative to its start.
fn successors(profile: &BlockProfile) -> Vec<(f64, i64)> {
    let Some(op) = profile.code.ops.last() else { return Vec::new() };
    match op.code {
        Opcode::Jump => {
            let mut to = vec![(1.0, op.imm)];
            if op.a != SINK {
                // A call, which will come back.
                to.push((0.9, op.aux.into()));
            }
            to
        }
        Opcode::Exit => vec![(1.0, op.imm)],
        code if code.shape() == Shape::Branch => {
            // One of each is added, so that what was seen a few times only is not taken for certain.
            let taken = (profile.taken as f64 + 0.5) / (profile.counted.max(profile.taken) as f64 + 1.0);
            vec![(taken, op.imm), (1.0 - taken, op.aux.into())]
        }
        // Each may be the one that is taken most.
        Opcode::JumpReg => {
            let mut to: Vec<(f64, i64)> = profile.targets.iter().map(|&to| (0.5, to)).collect();
            if op.a != SINK && !to.is_empty() {
                to.push((0.9, op.aux.into()));
            }
            to
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::riscv::Riscv;
    use crate::guest::riscv::model::Model;
    use crate::ir::Block;

    /// A block of one instruction at `at` that ends with `op`, and how it ran.
    fn block(at: u16, op: Op, runs: u64, taken: u64) -> (Place, BlockProfile) {
        let bounds = vec![Boundary { op: 0, offset: 0, len: 4, raw: 0 }];
        let block = Block { ops: vec![op], bounds, bytes: 4 };
        let code = Arc::new(Code::new(block, 0x8000_0000 + u64::from(at), None, 0));
        let (targets, guesses) = (Vec::new(), Default::default());
        let at = Place::from(at);
        (at, BlockProfile { code, runs, taken, counted: runs, keeps_key: true, targets, guesses })
    }

    fn branch(taken: i64) -> Op {
        Op { imm: taken, aux: 4, ..Op::new(Opcode::BrEq) }
    }

    fn offsets(head: u16, blocks: Vec<(Place, BlockProfile)>, change: impl Fn(&mut Limits)) -> Vec<i32> {
        let mut limits = Limits::new(GuestRules::of::<Riscv>(&Model::default()));
        change(&mut limits);
        let mut blocks: FxHashMap<Place, BlockProfile> = blocks.into_iter().collect();
        let region = form(head, &mut |at| blocks.remove(&at), &limits);
        let mut offsets: Vec<i32> =
            region.map_or(Vec::new(), |r| r.blocks.iter().map(|b| b.offset).collect());
        // The head stays first.
        offsets.get_mut(1..).unwrap_or_default().sort_unstable();
        offsets
    }

    /// 0x100 loops by 0x104 nearly always; 0x108 is where it ends; 0x200 is seldom gone to.
    fn a_loop() -> Vec<(Place, BlockProfile)> {
        vec![
            block(0x100, branch(0x100), 1000, 0),
            block(0x104, branch(-4), 1000, 999),
            block(0x108, Op { imm: 4, ..Op::new(Opcode::Exit) }, 1, 0),
            block(0x200, Op { imm: 4, ..Op::new(Opcode::Exit) }, 1, 0),
        ]
    }

    #[test]
    fn regions_grow_along_likely_edges() {
        assert_eq!(offsets(0x100, a_loop(), |_| {}), [0, 4]);
        assert_eq!(offsets(0x104, a_loop(), |_| {}), [0, -4]);
        assert_eq!(offsets(0x100, a_loop(), |l| l.least = 0.0), [0, 4, 8, 0x100]);
    }

    #[test]
    fn regions_stay_in_their_limits() {
        assert_eq!(offsets(0x100, a_loop(), |l| l.insns = 1), [0]);
        assert_eq!(offsets(0x100, a_loop(), |l| l.blocks = 1), [0]);
        assert_eq!(offsets(0x300, a_loop(), |_| {}), [] as [i32; 0]);
    }

    const RETURN: Op = Op { a: SINK, b: 1, c: 2, aux: 4, ..Op::new(Opcode::JumpReg) };

    fn call(by: i64) -> Op {
        Op { a: 1, imm: by, aux: 4, ..Op::new(Opcode::Jump) }
    }

    #[test]
    fn regions_hold_calls_and_where_they_return() {
        let far = Op { a: SINK, imm: 0x1000, aux: 4, ..Op::new(Opcode::Jump) };
        let blocks = vec![block(0, call(0x100), 9, 9), block(4, far, 9, 9), block(0x100, RETURN, 9, 9)];
        assert_eq!(offsets(0, blocks, |_| {}), [0, 4, 0x100]);
    }

    /// Offsets and contexts of the blocks.
    fn places(blocks: Vec<(Place, BlockProfile)>) -> Vec<(i32, u16)> {
        let blocks: FxHashMap<Place, BlockProfile> = blocks.into_iter().collect();
        let copy = |p: &BlockProfile| {
            let (targets, guesses) = (p.targets.clone(), p.guesses.clone());
            BlockProfile { code: p.code.clone(), targets, guesses, ..*p }
        };
        let limits = Limits::new(GuestRules::of::<Riscv>(&Model::default()));
        let region = form(0, &mut |at| blocks.get(&at).map(copy), &limits).expect("a region");
        let mut places: Vec<_> = region.blocks.iter().map(|b| (b.offset, b.context)).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn small_functions_are_copied_for_each_call() {
        // Two calls of one function, which calls another.
        let leave = Op { imm: 0x1000, ..Op::new(Opcode::Exit) };
        let mut blocks = vec![block(0, call(0x100), 9, 9), block(4, call(0xfc), 9, 9), block(8, leave, 9, 9)];
        blocks.extend([block(0x100, call(0x100), 9, 9), block(0x104, RETURN, 9, 9)]);
        blocks.push(block(0x200, RETURN, 9, 9));
        let found = places(blocks);
        let at = |offset| found.iter().filter(move |p| p.0 == offset).map(|p| p.1);
        assert_eq!(
            [0, 4, 8].map(|offset| at(offset).collect::<Vec<_>>()),
            [[ANYWHERE], [ANYWHERE], [ANYWHERE]]
        );
        for offset in [0x100, 0x104, 0x200] {
            assert_eq!(at(offset).count(), 2, "{offset:#x}: {found:?}");
            assert!(at(offset).all(|context| context != ANYWHERE));
        }
    }

    #[test]
    fn functions_that_call_themselves_are_copied_once() {
        let mut blocks = vec![block(0, call(0x100), 9, 9), block(4, Op::new(Opcode::Exit), 9, 9)];
        blocks.extend([block(0x100, call(0), 9, 9), block(0x104, RETURN, 9, 9)]);
        let twice = |at| [(at, ANYWHERE), (at, 1), (at, 2)];
        // From the program's call and from its own, whose own lead to the copy for all.
        assert_eq!(places(blocks), [&[(0, 0), (4, 0)][..], &twice(0x100), &twice(0x104)].concat());
    }

    #[test]
    fn regions_end_where_the_key_may_change() {
        let mut blocks = a_loop();
        blocks[0].1.keeps_key = false;
        assert_eq!(offsets(0x100, blocks, |_| {}), [0]);
    }
}
