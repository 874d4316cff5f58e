//! Which guest registers are kept in variables where, and which of those the state does not hold yet.
//!
//! Two walks over the region. Forward: a word is *dirty* from where the region may have written its variable but not the
//! state; before whatever looks at the state (slow paths, helpers, exits) the dirty words are stored. Backward: a word is
//! *live* where its variable may still be read, by an op or by such a store. What is live at the entry is loaded there.
//!
//! Most words that a block writes are read by nothing behind it. To carry them on for the sake of ways out costs a register or a spill each, in
//! loops a parameter too. So where there are more words than registers those are stored at the end of the block, and then they are
//! *done*: the state has them.

use super::flow::Flow;
use super::kind::{Kind, is_call_end, kind};
use crate::guest::HelperDesc;
use crate::ir::op::Shape;
use crate::ir::regset::RegSet;
use crate::ir::{CallSite, Op, Opcode, SINK};
use crate::jit::region::Region;

/// Results of the analysis.
pub struct Live {
    /// By block: dirty words at its start.
    pub dirty: Vec<RegSet>,
    /// By block: live words at its start. Those of the entry are loaded there.
    pub start: Vec<RegSet>,
    /// By block: after which ops which words are to be read from the state again.
    pub reload: Vec<Vec<(u32, RegSet)>>,
    /// Guest words.
    pub guest: RegSet,
    /// By block: words that are read behind it, if the others are stored at its end.
    keeps: Vec<Option<RegSet>>,
}

/// More words than this crowd the host's registers, beside the budget and what an access needs. To store at every block's end makes code that
/// is compiled sooner yet, but small loops then store what the next iteration writes again (3 to 7%).
const ROOM: usize = 8;

/// What an op does to the sets.
pub struct Step {
    /// Words that are stored to the state before the op, of the dirty ones. `None`: all.
    pub flush: Option<RegSet>,
    /// The stores are on the way (else only in a cold path, or nowhere).
    pub hot: bool,
    /// A cold path of the op, or the op itself, needs all dirty words in the state.
    pub precise: bool,
    /// Words whose variable the op writes.
    pub writes: RegSet,
    /// Words that the op leaves in the state, newer than any variable.
    pub leaves: RegSet,
}

fn one(reg: Option<u8>) -> RegSet {
    let mut set = RegSet::default();
    reg.into_iter().for_each(|r| set.insert(r));
    set
}

fn written_by(desc: Option<&HelperDesc>, guest: &RegSet) -> RegSet {
    let Some(desc) = desc else { return *guest };
    let mut set = RegSet::default();
    desc.writes.iter().for_each(|&(first, count)| set.insert_range(first, count));
    set.common(guest)
}

/// What `op` does.
pub fn step(region: &Region, guest: &RegSet, op: &Op) -> Step {
    let dest = one(op.dest()).common(guest);
    let nothing = RegSet::default();
    let quiet = Step { flush: Some(nothing), hot: false, precise: false, writes: dest, leaves: nothing };
    match kind(&region.rules, op) {
        Kind::Nothing | Kind::Value | Kind::Fence => quiet,
        Kind::Load | Kind::Store | Kind::Atomic | Kind::Move => Step { precise: true, ..quiet },
        Kind::Step => {
            let mut sources = nothing;
            op.for_sources(|r| sources.insert(r));
            let sources = sources.common(guest);
            Step { flush: Some(sources), hot: true, writes: nothing, leaves: dest, ..quiet }
        }
        Kind::FaultingStep => Step { flush: None, hot: true, precise: true, writes: nothing, leaves: dest },
        Kind::Call => {
            let mut leaves = written_by((region.rules.helper)(CallSite(op.aux).id()), guest);
            leaves.extend(&dest);
            Step { flush: None, hot: true, precise: true, writes: nothing, leaves }
        }
        Kind::End if is_call_end(op) => {
            Step { flush: None, hot: true, precise: true, writes: nothing, leaves: nothing }
        }
        Kind::End => quiet,
    }
}

impl Step {
    /// Brings the dirty set past the op.
    pub fn pass(&self, dirty: &mut RegSet) {
        match &self.flush {
            None if self.hot => *dirty = RegSet::default(),
            Some(some) if self.hot => *dirty = dirty.minus(some),
            _ => {}
        }
        *dirty = dirty.minus(&self.leaves);
        dirty.extend(&self.writes);
    }
}

/// Whether the block has an exit that leaves the region, at which everything dirty is stored.
fn leaves_region(flow: &Flow, block: usize, op: &Op) -> bool {
    let edges = flow.successors(block).len();
    match op.code {
        Opcode::JumpReg => true,
        code if code.shape() == Shape::Branch => edges < 2,
        _ => edges < 1,
    }
}

impl Live {
    /// Analyses `region`.
    pub fn new(region: &Region, flow: &Flow) -> Live {
        let n = region.blocks.len();
        let mut guest = RegSet::below(region.rules.temps);
        guest.remove(SINK);
        region.rules.zero.into_iter().for_each(|z| guest.remove(z));
        let mut live = Live {
            dirty: vec![RegSet::default(); n],
            start: vec![RegSet::default(); n],
            reload: vec![Vec::new(); n],
            guest,
            keeps: vec![None; n],
        };
        live.find_done(region, flow);
        live.forward(region, flow);
        live.backward(region, flow);
        live
    }

    /// Of the dirty words before the end of a block, those that are stored there.
    pub fn done(&self, block: usize, dirty: &RegSet) -> RegSet {
        self.keeps[block].map_or_else(RegSet::default, |kept| dirty.minus(&kept))
    }

    /// Words whose variables the op reads.
    fn reads(&self, region: &Region, op: &Op) -> RegSet {
        let mut sources = RegSet::default();
        let kind = kind(&region.rules, op);
        if matches!(kind, Kind::Value | Kind::Load | Kind::Store | Kind::Atomic | Kind::Move)
            || kind == Kind::End && !is_call_end(op)
        {
            op.for_sources(|r| sources.insert(r));
        }
        sources.common(&self.guest)
    }

    /// Finds the blocks at whose end words are stored that nothing reads behind it.
    fn find_done(&mut self, region: &Region, flow: &Flow) {
        let (mut read, mut written) = (self.dirty.clone(), self.dirty.clone());
        for &block in &flow.order {
            for op in region.blocks[block].ops.iter().rev() {
                let step = step(region, &self.guest, op);
                read[block] = read[block].minus(&step.writes).minus(&step.leaves);
                read[block].extend(&self.reads(region, op));
                // From their variables, if they are dirty.
                step.flush.iter().for_each(|words| read[block].extend(words));
                written[block].extend(&step.writes);
                written[block].extend(&step.leaves);
            }
        }
        let behind = |read: &[RegSet], block: usize| {
            let mut words = RegSet::default();
            flow.successors(block).iter().for_each(|&s| words.extend(&read[s]));
            words
        };
        loop {
            let mut moved = false;
            for &block in flow.order.iter().rev() {
                let mut now = behind(&read, block).minus(&written[block]);
                now.extend(&read[block]);
                moved |= now != read[block];
                read[block] = now;
            }
            if !moved {
                break;
            }
        }
        for &block in &flow.order {
            let kept = behind(&read, block);
            let mut all = kept;
            all.extend(&written[block]);
            if all.iter().count() > ROOM {
                self.keeps[block] = Some(kept);
            }
        }
    }

    fn forward(&mut self, region: &Region, flow: &Flow) {
        loop {
            let mut moved = false;
            for &block in &flow.order {
                let mut dirty = self.dirty[block];
                for op in &region.blocks[block].ops {
                    if op.ends() {
                        dirty = dirty.minus(&self.done(block, &dirty));
                    }
                    step(region, &self.guest, op).pass(&mut dirty);
                }
                for &s in flow.successors(block) {
                    let before = self.dirty[s];
                    self.dirty[s].extend(&dirty);
                    moved |= self.dirty[s] != before;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn backward(&mut self, region: &Region, flow: &Flow) {
        loop {
            let mut moved = false;
            for &block in flow.order.iter().rev() {
                let mut live = RegSet::default();
                flow.successors(block).iter().for_each(|&s| live.extend(&self.start[s]));
                let now = self.block_backward(region, flow, block, live);
                moved |= now != self.start[block];
                self.start[block] = now;
            }
            if !moved {
                return;
            }
        }
    }

    fn block_backward(&mut self, region: &Region, flow: &Flow, block: usize, mut live: RegSet) -> RegSet {
        let ops = &region.blocks[block].ops;
        let mut dirty_before = Vec::with_capacity(ops.len());
        let mut dirty = self.dirty[block];
        let mut done = RegSet::default();
        for op in ops {
            if op.ends() {
                done = self.done(block, &dirty);
                dirty = dirty.minus(&done);
            }
            dirty_before.push(dirty);
            step(region, &self.guest, op).pass(&mut dirty);
        }
        if let Some(op) = ops.last()
            && leaves_region(flow, block, op)
        {
            live.extend(&dirty);
        }
        self.reload[block].clear();
        for (i, op) in ops.iter().enumerate().rev() {
            let step = step(region, &self.guest, op);
            let again = step.leaves.common(&live);
            if !again.is_empty() {
                self.reload[block].push((i as u32, again));
            }
            live = live.minus(&step.leaves).minus(&step.writes);
            if step.precise {
                live.extend(&dirty_before[i]);
            } else if let Some(some) = &step.flush {
                live.extend(&some.common(&dirty_before[i]));
            }
            live.extend(&self.reads(region, op));
            if op.ends() {
                live.extend(&done);
            }
        }
        if flow.header[block] {
            live.extend(&self.dirty[block]);
        }
        live
    }
}
