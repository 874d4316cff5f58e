//! Natural loops of a region, and how far a register moves in an iteration.
//!
//! The problem: whether an access is likely to stay in the page of the one before decides how its TLB check is best made.
//! Pointers that a loop does not change, or moves by a small constant, stay in a page for many iterations.

use super::flow::Flow;
use super::kind::{Kind, kind};
use crate::ir::op::Reg;
use crate::ir::{Op, Opcode};
use crate::jit::region::Region;

/// A pointer that moves further than this, as to anywhere in a table, leaves its page too often for a slot.
pub const WIDEST: i64 = 2048;
/// A word is not looked for behind more ways into a block than this.
const MOST_WAYS: usize = 3;

/// A natural loop.
pub struct Loop {
    /// By block: it is in the loop.
    pub body: Vec<bool>,
    size: usize,
    /// The loop calls a helper.
    calls: bool,
}

/// The loops of a region.
pub struct Loops {
    /// All of them.
    pub all: Vec<Loop>,
    /// By block: the smallest loop that it is in.
    pub innermost: Vec<Option<usize>>,
}

impl Loops {
    /// Finds the loops: for each header the blocks from which an edge back to it is reached without passing it.
    pub fn new(region: &Region, flow: &Flow) -> Loops {
        let n = region.blocks.len();
        let mut loops = Loops { all: Vec::new(), innermost: vec![None; n] };
        for &header in flow.order.iter().filter(|&&b| flow.header[b]) {
            let ends = flow.back_edges.iter().filter(|e| e.1 == header).map(|e| e.0);
            let mut stack: Vec<usize> = ends.collect();
            if stack.is_empty() {
                continue;
            }
            let mut body = vec![false; n];
            body[header] = true;
            while let Some(block) = stack.pop() {
                if !body[block] {
                    body[block] = true;
                    stack.extend(flow.before(block));
                }
            }
            let size = body.iter().filter(|&&b| b).count();
            let calls = |op: &Op| kind(&region.rules, op) == Kind::Call;
            let inside = |i: usize| body[i] && region.blocks[i].ops.iter().any(calls);
            let calls = (0..n).any(inside);
            loops.all.push(Loop { body, size, calls });
        }
        for block in 0..n {
            let around = (0..loops.all.len()).filter(|&l| loops.all[l].body[block]);
            loops.innermost[block] = around.min_by_key(|&l| loops.all[l].size);
        }
        loops
    }

    /// By how many bytes at most `word`, as op `at` of `block` reads it, moves in an iteration of the innermost loop round the
    /// block. `None`: not known, or there is no loop that calls no helper.
    pub fn stride(&self, region: &Region, flow: &Flow, at: (usize, usize), word: Reg) -> Option<i64> {
        let inside = &self.all[self.innermost[at.0]?];
        if inside.calls { None } else { Strides { region, flow, inside }.of(at, word, 4, 3) }
    }

    /// The word that moves little in the loop and from which `base`, a sum as op `at` of `block` reads it, is not far off.
    pub fn root(&self, region: &Region, flow: &Flow, (block, at): (usize, usize), base: Reg) -> Option<Reg> {
        let ops = &region.blocks[block].ops;
        let def = ops[..at].iter().rposition(|op| writes(op, base))?;
        let op = &ops[def];
        let steady = |word: Reg| {
            word < region.rules.temps
                && !ops.iter().any(|op| writes(op, word))
                && self.stride(region, flow, (block, def), word).is_some_and(|s| s <= WIDEST)
        };
        let near = |word: Reg| self.stride(region, flow, (block, def), word).is_some_and(|s| s <= WIDEST);
        let ways = [(op.b, op.c), (op.c, op.b)];
        if op.code != Opcode::Add {
            None
        } else {
            ways.into_iter().find(|w| steady(w.0) && near(w.1)).map(|w| w.0)
        }
    }
}

struct Strides<'a> {
    region: &'a Region,
    flow: &'a Flow,
    inside: &'a Loop,
}

fn writes(op: &Op, word: Reg) -> bool {
    op.dest() == Some(word)
}

/// `word += constant`
fn is_step(op: &Op) -> bool {
    matches!(op.code, Opcode::AddI | Opcode::AddIW) && op.a == op.b
}

impl Strides<'_> {
    /// `hops`: how many blocks it may look back.
    fn of(&self, (block, at): (usize, usize), word: Reg, depth: u32, hops: u32) -> Option<i64> {
        if depth == 0 {
            return None;
        }
        let rules = &self.region.rules;
        if Some(word) == rules.zero {
            return Some(0);
        }
        let ops = &self.region.blocks[block].ops[..at];
        // Steps of the word itself are counted below.
        let own = ops.iter().rposition(|op| writes(op, word) && !(is_step(op) && word < rules.temps));
        if let Some(def) = own {
            return self.of_op((block, def), depth - 1, hops);
        }
        if word >= rules.temps {
            return None;
        }
        self.over_loop(word, depth).or_else(|| self.before(block, word, depth, hops.checked_sub(1)?))
    }

    /// Of a word that different blocks of the loop compute: as it comes into this block.
    fn before(&self, block: usize, word: Reg, depth: u32, hops: u32) -> Option<i64> {
        let from = self.flow.before(block);
        if from.is_empty() || from.len() > MOST_WAYS || !from.iter().all(|&b| self.inside.body[b]) {
            return None;
        }
        let end = |b: usize| (b, self.region.blocks[b].ops.len());
        from.iter().try_fold(0, |most, &b| Some(self.of(end(b), word, depth, hops)?.max(most)))
    }

    /// Of a guest word that the block does not compute.
    fn over_loop(&self, word: Reg, depth: u32) -> Option<i64> {
        let (mut moved, mut other) = (0i64, None);
        for (block, code) in self.region.blocks.iter().enumerate().filter(|(i, _)| self.inside.body[*i]) {
            for (at, op) in code.ops.iter().enumerate().filter(|(_, op)| writes(op, word)) {
                if is_step(op) {
                    moved = moved.saturating_add(op.imm.saturating_abs());
                } else if other.replace((block, at)).is_some() {
                    return None;
                }
            }
        }
        let rest = match other {
            Some(at) => self.of_op(at, depth - 1, 0)?,
            None => 0,
        };
        Some(moved.saturating_add(rest))
    }

    fn of_op(&self, (block, at): (usize, usize), depth: u32, hops: u32) -> Option<i64> {
        use Opcode::*;
        let op = &self.region.blocks[block].ops[at];
        let of = |word| self.of((block, at), word, depth, hops);
        let shift = |n: i64| of(op.b).map(|s| s.saturating_mul(1 << n.clamp(0, 16)));
        let sum = |b: Option<i64>| Some(b?.saturating_add(of(op.c)?));
        match op.code {
            Li | AddPc => Some(0),
            // Anywhere in a small range.
            ZextB | LoadU8 => Some(u8::MAX.into()),
            AndI if (0..=u16::MAX.into()).contains(&op.imm) => Some(op.imm),
            Mov | AddI | AddIW | SextW | ZextW => of(op.b),
            Add | AddW | Sub | SubW | AddUw => sum(of(op.b)),
            SllI | SllIUw => shift(op.imm),
            Sh1Add | Sh1AddUw => sum(shift(1)),
            Sh2Add | Sh2AddUw => sum(shift(2)),
            Sh3Add | Sh3AddUw => sum(shift(3)),
            _ => None,
        }
    }
}
