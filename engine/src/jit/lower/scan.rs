//! Loops that look for something in memory: many elements at once, inline.
//!
//! The problem: a scan is asked for a few bytes most often, so a call costs more than it saves. But sixteen bytes are loaded and
//! compared by some ten host instructions, and where the first stop is among them is one more. So on the way back to the start of such
//! a loop, where one iteration has been made, the next elements are looked at together, as long as they lie in a page that the
//! TLB has: as many iterations are done as come before the stop, the end of the count, the end of the page and the next poll. The loop itself does
//! the rest: the stop, and everything that needs care. Elements behind a stop are read and not used, which nobody can see: they lie in the
//! same page of memory.

use super::Lower;
use super::flow::{Flow, Target};
use super::idiom::edges;
use super::memory::GUEST;
use super::values::TRUSTED;
use crate::disp;
use crate::ir::Opcode::{self, LoadS8, LoadS16, LoadS32};
use crate::ir::op::Shape;
use crate::jit::idiom::scan::{Scan, Sought, Step, Stop, With, recognise};
use crate::jit::idiom::{Holds, Linear, Made, Test, Trips};
use crate::jit::region::Region;
use crate::mem::PAGE_SIZE;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, ConstantData, Endianness, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Type, Value,
    types,
};

/// Blocks of a loop at most.
const MOST_BLOCKS: usize = 4;
/// Bytes that are looked at together.
const CHUNK: i64 = 16;
/// The next elements are looked at where the pointer or the index has gone on by this many, by its low bits. Most strings are short, and
/// those should not pay for it: they seldom come to such a place behind their first elements.
const EACH: i64 = 4;

/// A scan in a region.
pub struct Found {
    scan: Scan,
    /// The block with which a round begins,
    pub first: usize,
    /// the one from which it goes on there,
    pub last: usize,
    /// and the one with the poll.
    header: usize,
}

/// The scan whose edge back to `header` comes from `last`.
pub fn find(region: &Region, flow: &Flow, last: usize, header: usize) -> Option<Found> {
    let mut path = vec![header];
    walk(region, flow, last, &mut path)
}

/// The same with the blocks of `path`, and more that lie between them and `last`.
fn walk(region: &Region, flow: &Flow, last: usize, path: &mut Vec<usize>) -> Option<Found> {
    let here = *path.last()?;
    if here == last {
        return turned(region, flow, path);
    }
    if path.len() == MOST_BLOCKS {
        return None;
    }
    flow.successors(here).iter().find_map(|&next| {
        if flow.header[next] || path.contains(&next) {
            return None;
        }
        path.push(next);
        let found = walk(region, flow, last, path);
        path.pop();
        found
    })
}

/// The scan that a loop is, begun at the first block from which it is one.
fn turned(region: &Region, flow: &Flow, path: &[usize]) -> Option<Found> {
    let around = |i: usize| path[i % path.len()];
    let steps: Option<Vec<Step>> =
        (0..path.len()).map(|i| step(region, flow, path[i], around(i + 1))).collect();
    let mut steps = steps?;
    (0..path.len()).find_map(|i| {
        let scan = recognise(&steps, &region.rules);
        steps.rotate_left(1);
        Some(Found { scan: scan?, first: path[i], last: around(i + path.len() - 1), header: path[0] })
    })
}

/// How the loop goes on from a block to the next, if by one edge.
fn step<'a>(region: &'a Region, flow: &Flow, at: usize, next: usize) -> Option<Step<'a>> {
    let block = &region.blocks[at];
    let last = block.ops.last()?;
    let leads = |by| flow.target(region, at, by) == Target::Block(next);
    let taken = (last.code.shape() == Shape::Branch).then(|| leads(last.imm));
    (edges(flow, at, next) == 1).then_some(Step { block, taken })
}

/// What elements are compared with.
#[derive(Clone, Copy)]
enum Against {
    Stream(usize),
    Vector(Value),
}

/// What is known before the elements are looked at.
struct Looking<'s> {
    scan: &'s Scan,
    /// By stream: its page, and what to add to addresses in it.
    pages: Vec<[Value; 2]>,
    /// By stop: what elements are compared with.
    against: Vec<Against>,
    /// By how much the budget variable must be above the limit.
    need: i64,
    /// Where to go when no more can be done.
    done: ir::Block,
}

/// Iterations that are done: all of a chunk, or some, of which this is one less.
#[derive(Clone, Copy)]
enum Times {
    All,
    OneMoreThan(Value),
}

impl Scan {
    /// Elements that are looked at together.
    fn lanes(&self) -> i64 {
        CHUNK >> self.width
    }

    /// What goes on by an element in each iteration.
    fn pointer(&self) -> Linear {
        let first = self.streams[0].at;
        let mut words = first.words().iter().map(|&word| Linear::word(word));
        words.find(|word| self.step(word) == 1 << self.width).unwrap_or(first)
    }

    fn lane(&self) -> Type {
        [types::I8, types::I16, types::I32, types::I64][self.width as usize & 3]
    }

    fn vector(&self) -> Type {
        [types::I8X16, types::I16X8, types::I32X4, types::I64X2][self.width as usize & 3]
    }
}

impl Lower<'_> {
    /// At the start of a block with which a scan begins. Its loop comes back to `back`, or here. Goes on where the block begins.
    pub fn ask_to_scan(&mut self, found: &Found, back: Option<ir::Block>) {
        let scan = &found.scan;
        let [head, done] = [(); 2].map(|()| self.b.create_block());
        if let Some(back) = back {
            self.b.ins().jump(head, &[]);
            self.b.switch_to_block(back);
        }
        let pointer = self.linear(&scan.pointer());
        let between = self.b.ins().band_imm_s(pointer, (EACH - 1) << scan.width);
        self.go_if(between, head);
        // The polls of all iterations are made by one: they are at the header, where the variable may be lower.
        let lower_by = |block: usize| self.flow.lower_by[block];
        let need = scan.lanes() * i64::from(scan.insns) + lower_by(found.header) - lower_by(self.at.block);
        let before = self.b.use_var(self.budget);
        self.go_if_polled(need, head);
        self.go_if_other(scan, head);
        let against = scan.stops.iter().map(|stop| self.against(scan, stop, head)).collect();
        let pages = self.pages_of(scan, head);
        self.look(&Looking { scan, pages, against, need, done });

        self.go_on_in(done);
        self.count_scan(before);
        self.b.ins().jump(head, &[]);
        self.go_on_in(head);
    }

    /// Goes to `other` where `test` holds, on here where it does not.
    fn go_if(&mut self, test: Value, other: ir::Block) {
        let on = self.b.create_block();
        self.b.ins().brif(test, other, &[], on, &[]);
        self.go_on_in(on);
    }

    /// Goes to `other` if a poll would stop with so much less budget.
    fn go_if_polled(&mut self, need: i64, other: ir::Block) {
        let budget = self.b.use_var(self.budget);
        let limit = self.state_load(types::I64, disp!(limit));
        let limit = self.b.ins().load(types::I64, TRUSTED, limit, 0);
        let least = self.b.ins().iadd_imm_s(budget, -need);
        let less = self.b.ins().icmp(IntCC::SignedLessThan, least, limit);
        self.go_if(less, other);
    }

    /// Goes to `other` if the loop is not what it was thought to be.
    fn go_if_other(&mut self, scan: &Scan, other: ir::Block) {
        for (sum, value) in &scan.if_these {
            let (sum, value) = (self.linear(sum), self.number(*value as i64));
            let differs = self.b.ins().icmp(IntCC::NotEqual, sum, value);
            self.go_if(differs, other);
        }
    }

    /// What a stop compares elements with. To `other` if no element can be the same as it but goes on if it is.
    fn against(&mut self, scan: &Scan, stop: &Stop, other: ir::Block) -> Against {
        let (word, stream, same) = match stop {
            Stop::Byte(Sought { stream, word }) => (word, stream, &false),
            Stop::Compared { with: With::Stream(other), .. } => return Against::Stream(*other),
            Stop::Compared { with: With::Word(word), stream, same } => (word, stream, same),
        };
        if *word == Linear::number(0) {
            return Against::Vector(self.zeroes(scan.vector()));
        }
        let word = self.linear(word);
        let low = if scan.width == 3 { word } else { self.b.ins().ireduce(scan.lane(), word) };
        if *same && scan.width < 3 {
            let signed = matches!(scan.streams[*stream].code, LoadS8 | LoadS16 | LoadS32);
            let i = self.b.ins();
            let element = if signed { i.sextend(types::I64, low) } else { i.uextend(types::I64, low) };
            let wider = self.b.ins().icmp(IntCC::NotEqual, element, word);
            self.go_if(wider, other);
        }
        Against::Vector(self.b.ins().splat(scan.vector(), low))
    }

    fn zeroes(&mut self, ty: Type) -> Value {
        let zero = self.b.func.dfg.constants.insert(ConstantData::from(&[0; CHUNK as usize][..]));
        self.b.ins().vconst(ty, zero)
    }

    /// The pages of the streams; to `other` if the TLB lacks one.
    fn pages_of(&mut self, scan: &Scan, other: ir::Block) -> Vec<[Value; 2]> {
        let mut pages: Vec<[Value; 2]> = Vec::with_capacity(scan.streams.len());
        for (i, stream) in scan.streams.iter().enumerate() {
            if let Some(same) = scan.streams[..i].iter().position(|s| s.at == stream.at) {
                pages.push(pages[same]);
                continue;
            }
            let va = self.linear(&stream.at);
            let [page, addend, missed] = self.look_in_table(va, stream.flags, false);
            self.go_if(missed, other);
            pages.push([page, addend]);
        }
        pages
    }

    /// Looks at elements, chunk by chunk.
    fn look(&mut self, looking: &Looking) {
        let scan = looking.scan;
        let [chunk, some] = [(); 2].map(|()| self.b.create_block());
        self.b.ins().jump(chunk, &[]);
        self.b.switch_to_block(chunk);
        let elements = self.elements(looking);
        let times = self.before_stop(looking, &elements);
        let all = self.b.ins().icmp_imm_s(IntCC::Equal, times, scan.lanes());
        let whole = self.b.create_block();
        self.b.ins().brif(all, whole, &[], some, &[]);

        self.go_on_in(whole);
        self.leave_words(scan, &elements, Times::All);
        let used = self.number(scan.lanes() * i64::from(scan.insns));
        self.use_budget(used);
        self.go_if_polled(looking.need, looking.done);
        self.b.ins().jump(chunk, &[]);
        self.b.seal_block(chunk);

        self.go_on_in(some);
        let any = self.b.create_block();
        self.b.ins().brif(times, any, &[], looking.done, &[]);
        self.go_on_in(any);
        let others = self.b.ins().iadd_imm_s(times, -1);
        self.leave_words(scan, &elements, Times::OneMoreThan(others));
        let used = self.b.ins().imul_imm_s(times, i64::from(scan.insns));
        self.use_budget(used);
        self.b.ins().jump(looking.done, &[]);
    }

    fn use_budget(&mut self, used: Value) {
        let budget = self.b.use_var(self.budget);
        let budget = self.b.ins().isub(budget, used);
        self.b.def_var(self.budget, budget);
    }

    /// By stream: the next elements, if they are in its page.
    fn elements(&mut self, looking: &Looking) -> Vec<Value> {
        let scan = looking.scan;
        let mut hosts = Vec::with_capacity(scan.streams.len());
        for (i, stream) in scan.streams.iter().enumerate() {
            let [page, addend] = looking.pages[i];
            let va = self.linear(&stream.at);
            let offset = self.b.ins().isub(va, page);
            let last = PAGE_SIZE as i64 - CHUNK;
            let behind = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, offset, last);
            self.go_if(behind, looking.done);
            hosts.push((va, addend));
        }
        let load = |(va, addend)| {
            let at = self.b.ins().iadd(va, addend);
            self.b.ins().load(scan.vector(), GUEST, at, 0)
        };
        hosts.into_iter().map(load).collect()
    }

    /// How many iterations come before a stop or the end of the count, a chunk at most.
    fn before_stop(&mut self, looking: &Looking, elements: &[Value]) -> Value {
        let scan = looking.scan;
        let mut stopped = None;
        for (stop, against) in scan.stops.iter().zip(&looking.against) {
            let other = match *against {
                Against::Stream(other) => elements[other],
                Against::Vector(vector) => vector,
            };
            let bytes = self.stopped(stop, elements, other);
            stopped = Some(stopped.map_or(bytes, |all| self.b.ins().bor(all, bytes)));
        }
        let stopped = stopped.unwrap_or_else(|| self.zeroes(types::I8X16));
        let bits = self.b.ins().vhigh_bits(types::I32, stopped);
        let bits = self.b.ins().bor_imm_u(bits, 1 << CHUNK);
        let byte = self.b.ins().ctz(bits);
        let byte = self.b.ins().uextend(types::I64, byte);
        let mut times =
            if scan.width == 0 { byte } else { self.b.ins().ushr_imm_u(byte, i64::from(scan.width)) };
        for trips in &scan.ends {
            let left = self.left(trips);
            times = self.b.ins().umin(times, left);
        }
        times
    }

    /// The bytes at which a stop is.
    fn stopped(&mut self, stop: &Stop, elements: &[Value], other: Value) -> Value {
        let found = match *stop {
            Stop::Byte(Sought { stream, .. }) => {
                let [bytes, sought] = [elements[stream], other].map(|v| self.bytes(v));
                self.b.ins().icmp(IntCC::Equal, bytes, sought)
            }
            Stop::Compared { stream, same, .. } => {
                let equal = self.b.ins().icmp(IntCC::Equal, elements[stream], other);
                if same { self.b.ins().bnot(equal) } else { equal }
            }
        };
        self.bytes(found)
    }

    /// A vector as bytes.
    fn bytes(&mut self, vector: Value) -> Value {
        if self.b.func.dfg.value_type(vector) == types::I8X16 {
            return vector;
        }
        let order = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(types::I8X16, order, vector)
    }

    /// For how many iterations at least the loop goes on by its count.
    fn left(&mut self, trips: &Trips) -> Value {
        let (moving, still) = (self.linear(&trips.moving), self.linear(&trips.still));
        let (from, to) = if trips.step < 0 { (still, moving) } else { (moving, still) };
        let distance = self.b.ins().isub(to, from);
        let step = trips.step.unsigned_abs().trailing_zeros();
        let left = if step == 0 { distance } else { self.b.ins().ushr_imm_u(distance, i64::from(step)) };
        let cond = match (trips.test, trips.signed) {
            (Test::Other, _) => return left,
            (Test::Less, true) => IntCC::SignedLessThan,
            (Test::Less, false) => IntCC::UnsignedLessThan,
            (Test::LessEqual, true) => IntCC::SignedLessThanOrEqual,
            (Test::LessEqual, false) => IntCC::UnsignedLessThanOrEqual,
            (Test::Greater, true) => IntCC::SignedGreaterThan,
            (Test::Greater, false) => IntCC::UnsignedGreaterThan,
            (Test::GreaterEqual, true) => IntCC::SignedGreaterThanOrEqual,
            (Test::GreaterEqual, false) => IntCC::UnsignedGreaterThanOrEqual,
        };
        let goes_on = self.b.ins().icmp(cond, moving, still);
        let none = self.number(0);
        self.b.ins().select(goes_on, left, none)
    }

    /// Gives the words of the loop the values that they have after so many iterations.
    fn leave_words(&mut self, scan: &Scan, elements: &[Value], times: Times) {
        let values: Vec<Value> =
            scan.leaves.iter().map(|(_, holds)| self.held_after(scan, elements, *holds, times)).collect();
        for (&(word, _), value) in scan.leaves.iter().zip(values) {
            let variable = self.variable(word);
            let value = if self.values.floats.is_double(word) { self.as_double(value) } else { value };
            self.b.def_var(variable, value);
        }
    }

    fn held_after(&mut self, scan: &Scan, elements: &[Value], holds: Holds, times: Times) -> Value {
        match holds {
            Holds::Sum(sum) => {
                let (value, step) = (self.linear(&sum), scan.step(&sum));
                match times {
                    _ if step == 0 => value,
                    Times::All => self.b.ins().iadd_imm_s(value, step.wrapping_mul(scan.lanes() - 1)),
                    Times::OneMoreThan(others) => {
                        let moved = if step == 1 { others } else { self.b.ins().imul_imm_s(others, step) };
                        self.b.ins().iadd(value, moved)
                    }
                }
            }
            Holds::Load(stream) => self.last_element(scan, stream, elements[stream], times),
            Holds::Made(made) => {
                let Made { code, of } = scan.made[made];
                let [b, c] = of.map(|holds| self.held_after(scan, elements, holds, times));
                match code {
                    Opcode::Add => self.b.ins().iadd(b, c),
                    Opcode::Xor => self.b.ins().bxor(b, c),
                    Opcode::AndNot => self.b.ins().band_not(b, c),
                    _ => self.b.ins().band(b, c),
                }
            }
        }
    }

    /// What the last iteration read: the elements are not read from memory again, where they may be others by now.
    fn last_element(&mut self, scan: &Scan, stream: usize, elements: Value, times: Times) -> Value {
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, CHUNK as u32, 4);
        let slot = self.b.create_sized_stack_slot(data);
        self.b.ins().stack_store(types::I64, elements, slot, 0);
        let first = self.b.ins().stack_addr(types::I64, slot, 0);
        let code = scan.streams[stream].code;
        match times {
            Times::All => self.read(code, first, (CHUNK - (1 << scan.width)) as i32),
            Times::OneMoreThan(others) => {
                let by = self.b.ins().ishl_imm_u(others, i64::from(scan.width));
                let at = self.b.ins().iadd(first, by);
                self.read(code, at, 0)
            }
        }
    }

    /// Counts what has been done since the budget variable was `before`.
    fn count_scan(&mut self, before: Value) {
        let budget = self.b.use_var(self.budget);
        let insns = self.b.ins().isub(before, budget);
        let any = self.b.ins().icmp_imm_s(IntCC::NotEqual, insns, 0);
        let runs = self.b.ins().uextend(types::I64, any);
        let at = disp!(idioms);
        for (disp, more) in [(at, runs), (at + 8, insns)] {
            let count = self.state_load(types::I64, disp);
            let count = self.b.ins().iadd(count, more);
            self.state_store(count, disp);
        }
    }
}
