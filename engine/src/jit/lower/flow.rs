//! The control flow of a region: edges, loop headers, the order of blocks, and how the instruction budget is counted.
//!
//! Budget. Checks stand at the entry and at loop headers only. A check makes sure that the budget is enough for the longest
//! way to the next check, so nothing between has to look. The variable that holds the budget is kept lower than the true
//! budget by a distance that is known for each block: that of a header is the longest way behind it, so that its check is one
//! comparison; a block on the way inherits what is left of it. Edges adjust the variable where the distances
//! do not fit, which for a simple loop is one subtraction an iteration.

use crate::ir::op::Shape;
use crate::ir::{JumpHint, Op, Opcode, SINK};
use crate::jit::region::{Region, RegionBlock};
use crate::jit::targets;
use rustc_hash::FxHashMap;

/// Targets of a jump by a table lie at most this far from it.
const REACH: i64 = 2048;

/// A region with more indirect jumps than this does not find their targets, lest their tables fill the code memory.
const MOST_TABLES: usize = 8;

/// Where an exit of a block leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// To a block of the region.
    Block(usize),
    /// Elsewhere in the guest page, relative to the region's entry.
    Page(i64),
    /// To another page, relative to the region's entry.
    Far(i64),
}

/// The control flow of a region.
pub struct Flow {
    /// Blocks that can be reached, each before its successors but for back edges.
    pub order: Vec<usize>,
    /// By block: the budget is checked there.
    pub header: Vec<bool>,
    /// By block: how much lower than the true budget the variable is at its start.
    pub lower_by: Vec<i64>,
    /// By block: edges into it from blocks in `order`.
    pub edges_in: Vec<u32>,
    /// Edges back to a header, as (from, header).
    pub back_edges: Vec<(usize, usize)>,
    /// Blocks behind calls inside the region, where indirect returns may lead.
    pub returns: Vec<usize>,
    /// Blocks to which no block of the region leads but by an indirect jump.
    pub unnamed: Vec<usize>,
    by_offset: FxHashMap<i64, usize>,
}

fn last(block: &RegionBlock) -> Option<&Op> {
    block.ops.last()
}

impl Flow {
    /// Looks at `region`.
    pub fn new(region: &Region) -> Flow {
        let n = region.blocks.len();
        let by_offset = region.blocks.iter().enumerate().map(|(i, b)| (b.offset.into(), i)).collect();
        let mut flow = Flow {
            order: Vec::with_capacity(n),
            header: vec![false; n],
            lower_by: vec![0; n],
            edges_in: vec![0; n],
            back_edges: Vec::new(),
            returns: Vec::new(),
            unnamed: Vec::new(),
            by_offset,
        };
        flow.find_returns(region);
        flow.find_unnamed(region);
        flow.walk(region);
        flow.count(region);
        flow
    }

    /// Where `pc + offset` of `block` is.
    pub fn target(&self, region: &Region, block: usize, offset: i64) -> Target {
        let at = offset.saturating_add(region.blocks[block].offset.into());
        match self.by_offset.get(&at) {
            Some(&i) => Target::Block(i),
            None if region.in_page(at) => Target::Page(at),
            None => Target::Far(at),
        }
    }

    fn find_returns(&mut self, region: &Region) {
        for block in &region.blocks {
            if let Some(op) = last(block)
                && op.code == Opcode::Jump
                && op.a != SINK
                && let Some(&to) = self.by_offset.get(&(op.aux as i64 + block.offset as i64))
                && !self.returns.contains(&to)
            {
                self.returns.push(to);
            }
        }
    }

    fn find_unnamed(&mut self, region: &Region) {
        let mut named = vec![false; region.blocks.len()];
        for block in &region.blocks {
            for to in targets::direct(&block.ops, block.bytes()) {
                if let Some(&i) = self.by_offset.get(&(to + block.offset as i64)) {
                    named[i] = true;
                }
            }
        }
        self.unnamed = (0..named.len()).filter(|&i| !named[i]).collect();
        self.unnamed.sort_by_key(|&i| region.blocks[i].offset);
        let jumps = region.blocks.iter().filter(|b| last(b).is_some_and(targets::is_plain_jump)).count();
        if jumps > MOST_TABLES {
            self.unnamed.clear();
        }
    }

    /// The blocks that an indirect jump at the end of `block` is compared with, by offset where there may be many.
    pub fn indirect(&self, region: &Region, block: usize, op: &Op) -> Vec<usize> {
        // More comparisons than this cost more than the look-up.
        const MOST: usize = 4;
        if targets::is_plain_jump(op) {
            // The entry alone is where the region was called, rather than a target.
            let some = self.unnamed.iter().any(|&i| i != 0);
            let here = region.blocks[block].offset;
            let near = |i: &usize| (region.blocks[*i].offset as i64 - here as i64).abs() <= REACH;
            return if some { self.unnamed.iter().copied().filter(near).collect() } else { Vec::new() };
        }
        let returns = matches!(JumpHint::from_bits(op.c), Some(JumpHint::Return | JumpHint::ReturnCall));
        if returns && self.returns.len() <= MOST { self.returns.clone() } else { Vec::new() }
    }

    /// Successors of `block` inside the region, one for each edge.
    pub fn successors(&self, region: &Region, block: usize) -> Vec<usize> {
        let Some(op) = last(&region.blocks[block]) else { return Vec::new() };
        let direct = |offset: i64| match self.target(region, block, offset) {
            Target::Block(i) => Some(i),
            _ => None,
        };
        match op.code {
            Opcode::Jump | Opcode::Exit => direct(op.imm).into_iter().collect(),
            Opcode::JumpReg => self.indirect(region, block, op),
            code if code.shape() == Shape::Branch => {
                direct(op.imm).into_iter().chain(direct(op.aux.into())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Depth first: order and headers.
    fn walk(&mut self, region: &Region) {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut state = vec![State::New; region.blocks.len()];
        let mut stack = vec![(0, self.successors(region, 0))];
        state[0] = State::Open;
        self.header[0] = true;
        while let Some((block, rest)) = stack.last_mut() {
            let block = *block;
            let Some(next) = rest.pop() else {
                state[block] = State::Done;
                self.order.push(block);
                stack.pop();
                continue;
            };
            self.edges_in[next] += 1;
            match state[next] {
                State::New => {
                    state[next] = State::Open;
                    let successors = self.successors(region, next);
                    stack.push((next, successors));
                }
                State::Open => {
                    self.header[next] = true;
                    self.back_edges.push((block, next));
                }
                State::Done => {}
            }
        }
        self.order.reverse();
    }

    /// Distances of the budget variable.
    fn count(&mut self, region: &Region) {
        // Longest ways to the next check, back to front.
        let mut longest = vec![0i64; region.blocks.len()];
        for &block in self.order.iter().rev() {
            let behind = self.successors(region, block).into_iter().filter(|&s| !self.header[s]);
            longest[block] =
                region.blocks[block].insns as i64 + behind.map(|s| longest[s]).max().unwrap_or(0);
        }
        let mut set = self.header.clone();
        for &block in &self.order {
            if self.header[block] {
                self.lower_by[block] = longest[block];
            }
        }
        for i in 0..self.order.len() {
            let block = self.order[i];
            let after = self.lower_by[block] - region.blocks[block].insns as i64;
            for s in self.successors(region, block) {
                if !set[s] {
                    set[s] = true;
                    self.lower_by[s] = after;
                }
            }
        }
    }
}
