//! Lowering: a region of IR to one Cranelift function. `jit/abi.rs` has the contract that the function keeps.
//!
//! The problem: Cranelift is used at `opt_level=none`, because its optimiser does not know which float operations the guest can
//! see and gains nothing where every access has a TLB check. What is worth optimising is done while lowering: guest
//! registers are variables over the whole region, narrow arithmetic stays narrow, and all that is rarely needed (slow paths
//! and the stores before them, polls, exits) lies in cold blocks.
//!
//! A function is `Tail`: (guest pc of the region's entry, budget) in the registers of the contract, and an exit word back.

mod atomic;
mod bits;
mod count;
mod divide;
mod exit;
mod float;
mod flow;
mod idiom;
mod integer;
mod kind;
mod live;
mod loops;
mod memory;
mod moves;
mod names;
mod narrow;
mod out;
mod pages;
mod scan;
mod slow;
mod values;

#[cfg(test)]
mod tests;

use super::block::Profile;
use super::emitted::name;
use super::idiom::Idiom;
use super::region::{Region, RegionBlock};
use super::ways::Site;
use crate::ir::Op;
use crate::ir::regset::RegSet;
use cranelift_codegen::ir::{
    self, AbiParam, FuncRef, InstBuilder, Signature, SourceLoc, StackSlot, StackSlotData, StackSlotKind,
    Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use flow::Flow;
use idiom::Idioms;
use kind::{Kind, kind};
use live::Live;
use memory::PageSlot;
use names::Names;
pub use names::{CERTIFICATES, COUNTS, IDIOM, PAGE, POOL, RECORD};
use out::Ways;
use pages::Pages;
use values::Values;

/// What the function refers to, beside its code.
#[derive(Default)]
pub struct Lowered {
    /// By link slot: the exit's target relative to the region's entry.
    pub links: Vec<i64>,
    /// The stubs for pages that the code calls: flags of accesses, and whether they store.
    pub pages: Vec<(u32, bool)>,
    /// Ops that the code passes to the thunk that runs ops.
    pub pool: Vec<Op>,
    /// Idioms that the code asks for.
    pub idioms: Vec<Idiom>,
    /// Exits that count.
    pub sites: Vec<Site>,
}

/// What the function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A region of tier 2: counts the instructions that it runs.
    Region,
    /// A single block in tier 1's place.
    Block {
        /// What it counts.
        profile: Profile,
    },
}

impl Form {
    /// What it counts as tier 1 does.
    fn profile(self) -> Profile {
        match self {
            Form::Region => Profile::Nothing,
            Form::Block { profile } => profile,
        }
    }
}

/// The signature of translations.
fn signature() -> Signature {
    let mut sig = Signature::new(CallConv::Tail);
    sig.params = vec![AbiParam::new(types::I64); 2];
    sig.returns = vec![AbiParam::new(types::I64)];
    sig
}

/// Lowers `region` into `func`, which is empty.
pub fn lower(
    region: &Region,
    (form, marks): (Form, bool),
    func: &mut ir::Function,
    context: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
) -> Lowered {
    func.signature = signature();
    let flow = Flow::new(region);
    let live = Live::new(region, &flow);
    let mut lower = Lower::new(region, form, flow, live, FunctionBuilder::new(func, context));
    lower.marks = marks;
    lower.region();
    let Lower { b, out, .. } = lower;
    b.finalize(config);
    out
}

/// Where lowering is.
#[derive(Clone, Copy, Default)]
struct Place {
    block: usize,
    op: usize,
    /// Guest instruction of the block.
    insn: usize,
}

struct Lower<'a> {
    b: FunctionBuilder<'a>,
    region: &'a Region,
    form: Form,
    /// Says which instruction each op of Cranelift's comes from.
    marks: bool,
    flow: Flow,
    live: Live,
    pages: Pages,
    idioms: Idioms,
    /// By slot of `pages`.
    slots: Vec<PageSlot>,
    /// By stub of `out.pages`.
    page_stubs: Vec<FuncRef>,
    names: Names,
    /// Where the guest pc of the region's entry is kept: it is needed seldom, and the allocator would give it a register.
    pc: StackSlot,
    budget: Variable,
    /// What it is at the entry.
    entry_budget: Value,
    /// By region block, where its code starts.
    blocks: Vec<ir::Block>,
    /// By region block: edges that are still to come; but those of idioms back to their heads.
    edges: Vec<u32>,
    values: Values,
    dirty: RegSet,
    ways: Ways,
    at: Place,
    out: Lowered,
}

impl<'a> Lower<'a> {
    fn new(region: &'a Region, form: Form, flow: Flow, live: Live, mut b: FunctionBuilder<'a>) -> Lower<'a> {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        let (pc, budget) = (b.block_params(entry)[0], b.block_params(entry)[1]);
        let variable = b.declare_var(types::I64);
        let slot = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3));
        b.ins().stack_store(types::I64, pc, slot, 0);
        let names = Names::new(&mut b);
        let pages = Pages::new(region, &flow);
        let slots = memory::page_slots(&pages.slots, || b.declare_var(types::I64));
        // Single blocks count each of their rounds.
        let idioms = match form {
            Form::Region => Idioms::new(region, &flow, || b.create_block()),
            Form::Block { .. } => Idioms::default(),
        };
        let to_come = |i: usize| flow.before(i).len() as u32 - u32::from(idioms.has_way_back(i));
        let edges = (0..region.blocks.len()).map(to_come).collect();
        Lower {
            blocks: region.blocks.iter().map(|_| b.create_block()).collect(),
            edges,
            idioms,
            values: Values::new(region.rules.zero, float::Floats::of(region)),
            dirty: RegSet::default(),
            at: Place::default(),
            out: Lowered::default(),
            budget: variable,
            entry_budget: budget,
            b,
            region,
            form,
            marks: false,
            flow,
            live,
            slots,
            page_stubs: Vec::new(),
            pages,
            names,
            pc: slot,
            ways: Ways::default(),
        }
    }

    fn region(&mut self) {
        let (pc, budget) = (self.address(0), self.entry_budget);
        self.check_pages(pc, budget);
        self.count_run(pc, budget);
        self.count_in(budget);
        let lowered = self.b.ins().iadd_imm_s(budget, -self.flow.lower_by[0]);
        self.b.def_var(self.budget, lowered);
        for word in self.live.start[0].iter() {
            self.read_again(word);
        }
        self.empty_slots();
        self.b.ins().jump(self.blocks[0], &[]);
        for i in 0..self.flow.order.len() {
            self.block(self.flow.order[i]);
        }
        self.finish_ways();
    }

    /// The block that is being lowered.
    fn now(&self) -> &'a RegionBlock {
        &self.region.blocks[self.at.block]
    }

    fn block(&mut self, block: usize) {
        let start = self.blocks[block];
        self.b.switch_to_block(start);
        if self.edges[block] == 0 {
            self.b.seal_block(start);
        }
        self.at = Place { block, ..Place::default() };
        self.dirty = self.live.dirty[block];
        self.values.start_block();
        self.ways.start_block();
        self.ask_idiom(block);
        if self.flow.header[block] {
            self.count_heat();
            self.poll();
        }
        for (i, op) in self.now().ops.iter().enumerate() {
            self.at = Place { block, op: i, insn: self.now().insn_of(i) };
            if self.marks {
                self.b.set_srcloc(SourceLoc::new(name(block, self.at.insn)));
            }
            if op.ends() {
                self.settle_all();
                let done = self.live.done(block, &self.dirty);
                self.flush(done);
                self.dirty = self.dirty.minus(&done);
                self.reads_what_stays();
            }
            self.op(op);
        }
        if !self.now().ops.last().is_some_and(Op::ends) {
            // Never, by the rules of blocks; Cranelift insists on a terminator.
            self.b.ins().trap(exit::NEVER);
        }
        self.fill_ways();
    }

    fn op(&mut self, op: &Op) {
        let step = live::step(self.region, &self.live.guest, op);
        match kind(&self.region.rules, op) {
            Kind::Nothing => {}
            Kind::Value => self.value(op),
            Kind::Load => self.load(op),
            Kind::Store => self.store(op),
            Kind::Atomic => self.atomic(op),
            Kind::Fence => self.fence(op),
            Kind::Move => self.state_move(op),
            Kind::Step | Kind::FaultingStep | Kind::Call => self.run_op(op, &step),
            Kind::End => return self.end(op),
        }
        step.pass(&mut self.dirty);
    }

    /// Where an edge from the current block into a region block leads.
    fn start_of(&self, block: usize) -> ir::Block {
        self.idioms.way_back(self.at.block, block).unwrap_or(self.blocks[block])
    }

    /// An edge into a region block has been made.
    fn edge_made(&mut self, block: usize) {
        if let Some(back) = self.idioms.way_back(self.at.block, block) {
            return self.b.seal_block(back);
        }
        self.edges[block] -= 1;
        // A block that is still to come is sealed when it starts. Headers have code at once: their check.
        if self.edges[block] == 0 && self.b.func.layout.is_block_inserted(self.blocks[block]) {
            self.b.seal_block(self.blocks[block]);
        }
    }

    /// Starts a new block with one way in, from the block before, and goes on there.
    fn go_on_in(&mut self, block: ir::Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }
}
