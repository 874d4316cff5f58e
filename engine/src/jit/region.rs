//! Regions: the hot blocks of one guest page that tier 2 compiles as one function.
//!
//! The problem: a compiler that sees one block at a time loads and stores the guest's registers at each end of it. Loops and
//! hot paths are several blocks, so a region is grown from a hot block along the edges that were taken most, calls into the
//! same page and their returns included, until it is large enough. All its blocks lie in one guest page: a translation of
//! that page that was good at the entry is good all the way, because what could change it leaves the region.

use crate::cache::code::Code;
use crate::guest::{Guest, HelperDesc, StateMoves};
use crate::ir::op::Shape;
use crate::ir::{Boundary, Op, Opcode, Reg, SINK};
use crate::mem::PAGE_SIZE;
use rustc_hash::FxHashMap;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// A block of a region.
#[derive(Clone, Debug)]
pub struct RegionBlock {
    /// Guest address relative to the region's entry.
    pub offset: i32,
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
            zero: G::ZERO,
            temps: G::TEMPS,
            helper: G::helper_desc,
            state_moves: G::state_moves(model),
        }
    }
}

/// Blocks of one guest page, lifted for one block key, to be compiled as one function.
#[derive(Clone, Debug)]
pub struct Region {
    /// The blocks; the first is the entry.
    pub blocks: Vec<RegionBlock>,
    /// Offset of the entry in its page.
    pub page_offset: u16,
    /// The guest.
    pub rules: GuestRules,
}

impl Region {
    /// Guest instructions of all blocks.
    pub fn insns(&self) -> u32 {
        self.blocks.iter().map(|b| b.insns).sum()
    }

    /// Whether a guest address relative to the entry lies in the region's page.
    pub fn in_page(&self, offset: i64) -> bool {
        (0..PAGE_SIZE as i64).contains(&offset.saturating_add(self.page_offset.into()))
    }
}

/// A block as [`form`] gets it.
pub struct BlockProfile {
    /// The block; it must not span two pages.
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
}

/// A block that could be added next, and how often it is expected to be entered for each run of the head.
#[derive(PartialEq)]
struct Candidate(f64, u16);

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Candidate) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Candidate) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

/// Grows a region from the block at page offset `head` along the likely edges. `find` looks blocks up by page offset.
pub fn form(head: u16, find: &mut dyn FnMut(u16) -> Option<BlockProfile>, limits: &Limits) -> Option<Region> {
    form_round(head, &[], find, limits)
}

/// What a block is at least expected to be entered for each run of the head if it is known to be hot.
const HOT: f64 = 0.5;

/// As [`form`]; `hot` are page offsets that are known to be hot, whatever the edges on the way to them say.
pub fn form_round(
    head: u16,
    hot: &[u16],
    find: &mut dyn FnMut(u16) -> Option<BlockProfile>,
    limits: &Limits,
) -> Option<Region> {
    let mut region = Region { blocks: Vec::new(), page_offset: head, rules: limits.rules };
    // False: looked at and left out.
    let mut seen: FxHashMap<u16, bool> = FxHashMap::default();
    let mut heap = BinaryHeap::from([Candidate(1.0, head)]);
    let mut insns = 0;
    while let Some(Candidate(weight, at)) = heap.pop() {
        if region.blocks.len() >= limits.blocks || seen.contains_key(&at) {
            continue;
        }
        let block = find(at).filter(|p| p.code.second_page.is_none() && !p.code.ops.is_empty());
        let block = block.filter(|p| at == head || insns + p.code.insns <= limits.insns);
        seen.insert(at, block.is_some());
        let Some(profile) = block else { continue };
        let code = &profile.code;
        insns += code.insns;
        let offset = at as i32 - head as i32;
        if profile.keeps_key {
            for (part, to) in successors(&profile) {
                let page = to + at as i64;
                let weight = (weight * part).min(1.0);
                let is_hot = u16::try_from(page).is_ok_and(|p| hot.contains(&p));
                let weight = if is_hot { weight.max(HOT) } else { weight };
                if weight >= limits.least && (0..PAGE_SIZE as i64).contains(&page) {
                    heap.push(Candidate(weight, page as u16));
                }
            }
        }
        region.blocks.push(RegionBlock {
            offset,
            ops: code.ops.clone(),
            bounds: code.bounds.clone(),
            insns: code.insns,
        });
    }
    (!region.blocks.is_empty()).then_some(region)
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
        Opcode::JumpReg => profile.targets.iter().map(|&to| (0.5, to)).collect(),
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
    fn block(at: u16, op: Op, runs: u64, taken: u64) -> (u16, BlockProfile) {
        let bounds = vec![Boundary { op: 0, offset: 0, len: 4, raw: 0 }];
        let block = Block { ops: vec![op], bounds, bytes: 4 };
        let code = Arc::new(Code::new(block, 0x8000_0000 + u64::from(at), None, 0));
        (at, BlockProfile { code, runs, taken, counted: runs, keeps_key: true, targets: Vec::new() })
    }

    fn branch(taken: i64) -> Op {
        Op { imm: taken, aux: 4, ..Op::new(Opcode::BrEq) }
    }

    fn offsets(head: u16, blocks: Vec<(u16, BlockProfile)>, change: impl Fn(&mut Limits)) -> Vec<i32> {
        let mut limits = Limits::new(GuestRules::of::<Riscv>(&Model::default()));
        change(&mut limits);
        let mut blocks: FxHashMap<u16, BlockProfile> = blocks.into_iter().collect();
        let region = form(head, &mut |at| blocks.remove(&at), &limits);
        let mut offsets: Vec<i32> =
            region.map_or(Vec::new(), |r| r.blocks.iter().map(|b| b.offset).collect());
        // The head stays first.
        offsets.get_mut(1..).unwrap_or_default().sort_unstable();
        offsets
    }

    /// 0x100 loops by 0x104 nearly always; 0x108 is where it ends; 0x200 is seldom gone to.
    fn a_loop() -> Vec<(u16, BlockProfile)> {
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

    #[test]
    fn regions_hold_calls_and_where_they_return() {
        let call = Op { a: 1, imm: 0x100, aux: 4, ..Op::new(Opcode::Jump) };
        let ret = Op { a: SINK, b: 1, c: 2, aux: 4, ..Op::new(Opcode::JumpReg) };
        let far = Op { a: SINK, imm: 0x1000, aux: 4, ..Op::new(Opcode::Jump) };
        let blocks = vec![block(0, call, 9, 9), block(4, far, 9, 9), block(0x100, ret, 9, 9)];
        assert_eq!(offsets(0, blocks, |_| {}), [0, 4, 0x100]);
    }

    #[test]
    fn regions_end_where_the_key_may_change() {
        let mut blocks = a_loop();
        blocks[0].1.keeps_key = false;
        assert_eq!(offsets(0x100, blocks, |_| {}), [0]);
    }
}
