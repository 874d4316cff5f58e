//! The control flow of a region: edges, loop headers, the order of blocks, and how the instruction budget is counted.
//!
//! Budget. Checks stand at the entry and at loop headers only. A check makes sure that the budget is enough for the longest
//! way to the next check, so nothing between has to look. The variable that holds the budget is kept lower than the true
//! budget by a distance that is known for each block: that of a header is the longest way behind it, so that its check is one
//! comparison; a block on the way inherits what is left of it. Edges adjust the variable where the distances
//! do not fit, which for a simple loop is one subtraction an iteration.

use crate::ir::op::Shape;
use crate::ir::{JumpHint, Op, Opcode, SINK};
use crate::jit::region::{ANYWHERE, Context, Region, RegionBlock, is_call};
use crate::jit::targets;
use crate::jit::ways::Guess;
use rustc_hash::FxHashMap;

/// An indirect jump is compared with its targets one by one if there are no more than this.
pub const COMPARED: usize = 4;

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
    /// By block: its successors inside the region, one for each edge. Of blocks in `order`.
    next: Vec<Vec<usize>>,
    /// By block: from where the edges into it come.
    before: Vec<Vec<usize>>,
    /// Edges back to a header, as (from, header).
    pub back_edges: Vec<(usize, usize)>,
    /// Blocks behind calls inside the region, where indirect returns may lead.
    pub returns: Vec<usize>,
    /// Blocks to which no block of the region leads but by an indirect jump.
    pub unnamed: Vec<usize>,
    /// By context and offset.
    by_place: FxHashMap<(u16, i64), usize>,
}

fn last(block: &RegionBlock) -> Option<&Op> {
    block.ops.last()
}

impl Flow {
    /// Looks at `region`.
    pub fn new(region: &Region) -> Flow {
        let n = region.blocks.len();
        let place = |b: &RegionBlock| (b.context, i64::from(b.offset));
        let by_place = region.blocks.iter().enumerate().map(|(i, b)| (place(b), i)).collect();
        let mut flow = Flow {
            order: Vec::with_capacity(n),
            header: vec![false; n],
            lower_by: vec![0; n],
            next: vec![Vec::new(); n],
            before: vec![Vec::new(); n],
            back_edges: Vec::new(),
            returns: Vec::new(),
            unnamed: Vec::new(),
            by_place,
        };
        flow.find_returns(region);
        flow.find_unnamed(region);
        flow.walk(region);
        flow.count(region);
        flow
    }

    /// Where `pc + offset` of `block` is.
    pub fn target(&self, region: &Region, block: usize, offset: i64) -> Target {
        let (context, start) = (region.blocks[block].context, region.blocks[block].offset);
        let at = offset.saturating_add(start.into());
        match self.block_at(context, at) {
            Some(i) => Target::Block(i),
            None if region.in_page(at) => Target::Page(at),
            None => Target::Far(at),
        }
    }

    /// Where the function is that `op` calls at the end of `block`.
    pub fn callee(&self, region: &Region, block: usize, op: &Op) -> Target {
        self.callee_at(region, block, op, op.imm)
    }

    /// The same, where the function lies `by` from the start of the block.
    fn callee_at(&self, region: &Region, block: usize, op: &Op, by: i64) -> Target {
        let from = &region.blocks[block];
        let [callee, back] = [by, op.aux.into()].map(|by: i64| by.saturating_add(from.offset.into()));
        let call = Context { parent: from.context, callee: callee as i32, back: back as i32 };
        match region.called(&call).and_then(|own| self.by_place.get(&(own, callee))) {
            Some(&i) => Target::Block(i),
            None => match self.by_place.get(&(ANYWHERE, callee)) {
                Some(&i) => Target::Block(i),
                None if region.in_page(callee) => Target::Page(callee),
                None => Target::Far(callee),
            },
        }
    }

    /// The block at an offset from the entry: the copy for this context, or that for all.
    fn block_at(&self, context: u16, at: i64) -> Option<usize> {
        let own = self.by_place.get(&(context, at));
        own.or_else(|| self.by_place.get(&(ANYWHERE, at))).copied()
    }

    /// Functions in the region that `op` is known to call at the end of `block`.
    fn callees(&self, region: &Region, block: usize, op: &Op) -> Vec<usize> {
        let seen = region.blocks[block].guess.seen();
        let calls: Vec<i64> = match op.code {
            Opcode::Jump if is_call(op) => vec![op.imm],
            Opcode::JumpReg if op.a != SINK => seen.to_vec(),
            _ => Vec::new(),
        };
        let at = |by: i64| match self.callee_at(region, block, op, by) {
            Target::Block(to) => Some(to),
            _ => None,
        };
        calls.into_iter().filter_map(at).collect()
    }

    fn find_returns(&mut self, region: &Region) {
        for (i, block) in region.blocks.iter().enumerate() {
            let Some(op) = last(block) else { continue };
            let callees = self.callees(region, i, op);
            let knows = !callees.is_empty() && callees.iter().all(|&c| region.blocks[c].context != ANYWHERE);
            if (is_call(op) || !callees.is_empty())
                && !knows
                && let Some(to) = self.block_at(block.context, op.aux as i64 + block.offset as i64)
                && !self.returns.iter().any(|&r| region.blocks[r].offset == region.blocks[to].offset)
            {
                self.returns.push(to);
            }
        }
    }

    fn find_unnamed(&mut self, region: &Region) {
        let mut named = vec![false; region.blocks.len()];
        for (i, block) in region.blocks.iter().enumerate() {
            let Some(op) = last(block) else { continue };
            for callee in self.callees(region, i, op) {
                named[callee] = true;
            }
            for to in targets::direct(&block.ops, block.bytes()) {
                let is_callee = is_call(op) && op.imm == to;
                if let Some(to) =
                    self.block_at(block.context, to + block.offset as i64).filter(|_| !is_callee)
                {
                    named[to] = true;
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

    /// The blocks that an indirect jump at the end of `block` is compared with, by offset where there may be many. No two have the
    /// same offset.
    pub fn indirect(&self, region: &Region, block: usize, op: &Op) -> Vec<usize> {
        let guess = &region.blocks[block].guess;
        let mut all = match guess {
            Guess::Only(_) => Vec::new(),
            _ => self.by_shape(region, block, op),
        };
        for &by in guess.seen() {
            let call = op.a != SINK;
            let at =
                if call { self.callee_at(region, block, op, by) } else { self.target(region, block, by) };
            if let Target::Block(to) = at
                && !all.iter().any(|&i| region.blocks[i].offset == region.blocks[to].offset)
            {
                all.push(to);
            }
        }
        if all.len() > COMPARED {
            let offset = |i: &usize| region.blocks[*i].offset;
            let here = region.blocks[block].offset;
            all.retain(|i| (i64::from(offset(i)) - i64::from(here)).abs() <= REACH);
            all.sort_by_key(offset);
        }
        all
    }

    /// The same, by where calls return to and where jumps by tables may lead.
    fn by_shape(&self, region: &Region, block: usize, op: &Op) -> Vec<usize> {
        let (context, here) = (region.blocks[block].context, region.blocks[block].offset);
        if targets::is_plain_jump(op) {
            let own = self.unnamed.iter().copied().filter(|&i| region.blocks[i].context == context);
            // The entry alone is where the region was called, rather than a target.
            let some = own.clone().any(|i| i != 0);
            let near = |i: &usize| (region.blocks[*i].offset as i64 - here as i64).abs() <= REACH;
            return if some { own.filter(near).collect() } else { Vec::new() };
        }
        if !matches!(JumpHint::from_bits(op.c), Some(JumpHint::Return | JumpHint::ReturnCall)) {
            return Vec::new();
        }
        match region.context(context) {
            Some(call) => self.block_at(call.parent, call.back.into()).into_iter().collect(),
            // More comparisons than this cost more than the look-up.
            None if self.returns.len() <= COMPARED => self.returns.clone(),
            None => Vec::new(),
        }
    }

    /// Successors of `block` inside the region, one for each edge; none where the block cannot be reached.
    pub fn successors(&self, block: usize) -> &[usize] {
        &self.next[block]
    }

    /// From where the edges into `block` come, which can be reached.
    pub fn before(&self, block: usize) -> &[usize] {
        &self.before[block]
    }

    fn find_successors(&self, region: &Region, block: usize) -> Vec<usize> {
        let Some(op) = last(&region.blocks[block]) else { return Vec::new() };
        let direct = |offset: i64| match self.target(region, block, offset) {
            Target::Block(i) => Some(i),
            _ => None,
        };
        match op.code {
            Opcode::Jump if op.a != SINK => match self.callee(region, block, op) {
                Target::Block(i) => vec![i],
                _ => Vec::new(),
            },
            Opcode::Jump | Opcode::Exit => direct(op.imm).into_iter().collect(),
            Opcode::JumpReg => self.indirect(region, block, op),
            code if code.shape() == Shape::Branch => {
                direct(op.imm).into_iter().chain(direct(op.aux.into())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Finds the successors of a block that can be reached.
    fn open(&mut self, region: &Region, block: usize) -> Vec<usize> {
        let successors = self.find_successors(region, block);
        for &next in &successors {
            self.before[next].push(block);
        }
        self.next[block].clone_from(&successors);
        successors
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
        let mut stack = vec![(0, self.open(region, 0))];
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
            match state[next] {
                State::New => {
                    state[next] = State::Open;
                    let successors = self.open(region, next);
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
            let behind = self.next[block].iter().filter(|&&s| !self.header[s]);
            longest[block] =
                region.blocks[block].insns as i64 + behind.map(|&s| longest[s]).max().unwrap_or(0);
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
            for &s in &self.next[block] {
                if !set[s] {
                    set[s] = true;
                    self.lower_by[s] = after;
                }
            }
        }
    }
}
