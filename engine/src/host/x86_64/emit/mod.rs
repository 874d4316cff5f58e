//! Tier 1: emits x86-64 for one block of IR, straight through.
//!
//! The problem: a block must pay for its own compilation after some tens of runs, so there is one pass backward (when is
//! each operand read next) and one forward (emit), and nothing is allocated but what is handed over. Guest words stay in host
//! registers inside the block ([`cache`]); they are written back where the block is left, before helpers, and in the cold
//! path of an access that the TLB does not answer. [`crate::jit::abi`] has the contract with everything around.
//!
//! Registers: r15 state, rdi the block's pc, rsi budget; rax, rcx, rdx and xmm0 to xmm3 are scratch inside an op; the others
//! hold guest words, the vector registers those that [`super::fp`] works on.

#![allow(clippy::useless_conversion, reason = "dynasm converts register numbers, which are bytes already")]

use super::asm::{Alu, Cond, Host, RAX, RCX, RDI, RDX, RSI};
use super::buffer::{Buffer, Unfinished};
use super::features::Features;
use super::fp::Floats;
use crate::disp;
use crate::guest::StateMoves;
use crate::ir::op::{Effects, Shape};
use crate::ir::{Boundary, Op, Opcode, Reg, SINK};
use crate::jit::abi::meta;
use crate::jit::block::{BlockCompiler, BlockInput, Failed, Profile};
use crate::jit::emitted::{Emitted, RecordRef, name};
use crate::watch::apart::Mark;
use cache::{Cache, Taken, bits};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};
use uses::{NEVER, Next, OpUses, Uses};

mod atomic;
mod bitops;
mod cache;
mod call;
mod exit;
mod integer;
mod looping;
mod memory;
mod muldiv;
mod shift;
mod uses;

/// Assembles into the emitter's buffer.
macro_rules! x64 {
    ($emitter:expr; $($code:tt)*) => { dynasmrt::dynasm!($emitter.buf ; .arch x64 ; $($code)*) };
}
use x64;

/// The tier 1 compiler. Make one per thread and keep it: it reuses its memory.
#[derive(Default)]
pub struct Tier1 {
    buf: Buffer,
    cache: Cache,
    uses: Uses,
    floats: Floats,
    features: Features,
    /// References to the record: position of the displacement, offset of the word.
    refs: Vec<(u32, i32)>,
    /// Ops that the interpreter runs: position of the displacement that names each.
    constants: Vec<(u32, Op)>,
    /// Look-ups in the TLB that cold code calls, by width and table.
    look_ups: [Option<DynamicLabel>; 8],
    /// Cold stubs of link slots.
    stubs: [Option<DynamicLabel>; 2],
    /// An operand found no register: a mistake, for which the code must not be used.
    stuck: bool,
    block: Frame,
    now: Site,
    /// What the code is from which position on, if that is to be noted.
    marks: Option<Vec<(u32, Mark)>>,
}

/// What the emitter keeps of its input.
#[derive(Clone, Copy, Default)]
struct Frame {
    insns: u32,
    page_offset: u16,
    one_page: bool,
    traps_misaligned: bool,
    alone: bool,
    profile: Profile,
    zero: Option<Reg>,
    temps: Reg,
    state_moves: Option<StateMoves>,
    /// Where a jump to the block's own start goes, with pinned words in their registers.
    again: Option<DynamicLabel>,
}

/// Where the emitter is.
#[derive(Clone, Copy)]
struct Site {
    /// When the operands of the current op are read next.
    next: OpUses,
    /// Number of the op.
    op: usize,
    /// The word that the op writes.
    dest: Option<Reg>,
    /// Number of the guest instruction.
    insn: u32,
    /// Its offset and length.
    offset: u16,
    len: u8,
}

impl Default for Site {
    fn default() -> Site {
        let next = OpUses { a: NEVER, b: NEVER, c: NEVER, d: NEVER };
        Site { next, op: 0, dest: None, insn: 0, offset: 0, len: 0 }
    }
}

/// Where an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Src {
    /// In a host register.
    Host(Host),
    /// In the state only, and not read again.
    Word(Reg),
    /// It is zero.
    Zero,
}

impl Src {
    fn is(self, h: Host) -> bool {
        self == Src::Host(h)
    }
}

impl BlockCompiler for Tier1 {
    fn compile_into(&mut self, input: &BlockInput<'_>, out: &mut Emitted) -> Result<(), Failed> {
        let insns = u32::try_from(input.bounds.len()).unwrap_or(u32::MAX);
        if insns > 255 || input.ops.len() >= usize::from(NEVER) {
            return Err(Failed::TooLong);
        }
        let Some((last, body)) = input.ops.split_last() else { return Err(Failed::Malformed) };
        if !last.ends() || insns == 0 || body.iter().any(Op::ends) {
            return Err(Failed::Malformed);
        }
        self.start(input, insns);
        self.head();
        if self.returns_to_itself(last) {
            self.enter_loop(input);
        }
        let mut bounds = Boundaries { rest: input.bounds, now: Site::default() };
        for (i, op) in input.ops.iter().enumerate() {
            self.now = Site { next: self.uses.of(i), op: i, dest: op.dest(), ..bounds.at(i) };
            self.note(Mark::Insn(name(0, self.now.insn as usize)));
            if op.code.shape() != Shape::Float {
                self.floats.note(op);
            }
            self.op(op);
            self.cache.unlock_all();
        }
        self.note(Mark::Stub);
        self.shared_look_ups();
        self.link_stubs();
        self.finish(out)
    }
}

impl Tier1 {
    /// From now on notes which code belongs to which instruction.
    pub fn mark(&mut self) {
        self.marks = Some(Vec::new());
    }

    /// What is emitted from here on, to either part.
    fn note(&mut self, mark: Mark) {
        if let Some(marks) = &mut self.marks {
            marks.extend(self.buf.positions().map(|at| (at, mark)));
        }
    }

    fn finish_marks(&mut self, data: u32, out: &mut Vec<(u32, Mark)>) {
        out.clear();
        let Some(marks) = &self.marks else { return };
        out.extend(marks.iter().map(|&(at, mark)| (self.buf.resolve(at), mark)));
        out.push((data, Mark::Data));
        // Of several at one place the last holds: the others emitted nothing there.
        out.sort_by_key(|(at, _)| *at);
        out.reverse();
        out.dedup_by_key(|(at, _)| *at);
        out.reverse();
    }

    fn start(&mut self, input: &BlockInput<'_>, insns: u32) {
        self.buf.clear();
        self.refs.clear();
        self.constants.clear();
        self.stuck = false;
        self.stubs = [None; 2];
        self.look_ups = [None; 8];
        self.marks.iter_mut().for_each(Vec::clear);
        self.note(Mark::Head);
        self.uses.analyse(input.ops);
        self.cache.start(input.temps);
        self.floats.reset();
        self.block = Frame {
            insns,
            page_offset: input.page_offset,
            one_page: input.one_page,
            traps_misaligned: input.traps_misaligned,
            alone: input.alone,
            profile: input.profile,
            zero: input.zero,
            temps: input.temps,
            state_moves: Some(input.state_moves),
            again: None,
        };
    }

    fn finish(&mut self, out: &mut Emitted) -> Result<(), Failed> {
        if self.stuck {
            return Err(Failed::Internal);
        }
        if !self.constants.is_empty() {
            // Both parts are placed at multiples of 16, one behind the other or not, so that ops are aligned.
            self.buf.hot();
            self.buf.align(align_of::<Op>(), 0xcc);
        }
        let code = &mut out.code;
        let hot = self.buf.finish_into(code, &mut out.joins).map_err(|e| match e {
            Unfinished::TooLong => Failed::TooLong,
            Unfinished::Label => Failed::Internal,
        })?;
        out.cold = Some(hot);
        self.finish_marks(code.len() as u32, &mut out.marks);
        if !self.constants.is_empty() {
            code.resize(code.len().next_multiple_of(align_of::<Op>()), 0xcc);
        }
        for (position, op) in &self.constants {
            let at = self.buf.resolve(*position) as usize;
            let distance = code.len() as i32 - (at as i32 + 4);
            let field = code.get_mut(at..at + 4).ok_or(Failed::Internal)?;
            field.copy_from_slice(&distance.to_le_bytes());
            if at < hot as usize {
                out.joins.push(at as u32);
            }
            code.extend_from_slice(&bytes_of(op));
        }
        let refs =
            self.refs.iter().map(|&(position, offset)| RecordRef { at: self.buf.resolve(position), offset });
        out.refs.clear();
        out.refs.extend(refs);
        // A slot that no exit uses holds what the other one does.
        let links = self.stubs.iter().rposition(Option::is_some).map_or(0, |n| n + 1);
        let any = self.stubs[1].or(self.stubs[0]);
        let stubs = self.stubs[..links].iter().filter_map(|&s| Some(self.buf.offset_of(s.or(any)?)));
        out.stubs.clear();
        out.stubs.extend(stubs);
        Ok(())
    }

    fn op(&mut self, op: &Op) {
        let effects = op.code.effects();
        if effects == Effects::PURE && op.a == SINK {
            return;
        }
        match op.code.shape() {
            Shape::Load => self.load(op),
            Shape::Store => self.store(op),
            Shape::Amo | Shape::LoadReserved | Shape::StoreCond | Shape::CompareSwap => self.atomic(op),
            Shape::Fence => self.fence(op),
            Shape::Float => self.float(op),
            Shape::Call => self.call(op),
            Shape::Branch => self.branch(op),
            Shape::Jump => self.jump(op),
            Shape::JumpReg => self.jump_reg(op),
            Shape::Exit => self.exit(op),
            Shape::Rrr | Shape::Rri | Shape::Rr | Shape::Ri | Shape::Rrrr => {
                if !self.pure(op) {
                    self.by_interpreter(op);
                }
            }
        }
    }

    // ---- operands

    /// An operand, wherever it is cheapest to have.
    #[inline]
    fn source(&mut self, word: Reg, next: Next) -> Src {
        if let Some(h) = self.cache.host_of(word) {
            self.cache.lock(h);
            // The register of a word that is overwritten is where the result goes.
            if self.now.dest != Some(word) {
                self.cache.read(word, next);
            }
            return Src::Host(h);
        }
        if self.block.zero == Some(word) {
            return Src::Zero;
        }
        if next == NEVER {
            return Src::Word(word);
        }
        Src::Host(self.fetch(word, next))
    }

    /// Loads a word that is not cached.
    fn fetch(&mut self, word: Reg, next: Next) -> Host {
        let h = self.take(word);
        self.buf.load_word(h, word);
        self.cache.hold(h, word, next);
        self.cache.read(word, next);
        h
    }

    /// A register for `word`, whatever is in it stored if need be.
    fn take(&mut self, word: Reg) -> Host {
        match self.cache.take(word) {
            Some(Taken::Free(h)) => h,
            Some(Taken::Store(h, old)) => {
                self.buf.store_word(old, h);
                h
            }
            // Pinning and bases leave enough for any op.
            None => {
                self.stuck = true;
                RAX
            }
        }
    }

    /// The operands `b` and `c`.
    #[inline]
    fn sources(&mut self, op: &Op) -> (Src, Src) {
        let b = self.source(op.b, self.now.next.b);
        let c = if op.c == op.b { b } else { self.source(op.c, self.now.next.c) };
        (b, c)
    }

    /// A register for the result. It is the register of `b` if that is not needed any more; it may be that of another
    /// operand only if the op overwrites it.
    #[inline]
    fn target(&mut self, op: &Op, b: Src) -> Host {
        if let Some(h) = self.cache.host_of(op.a) {
            self.cache.lock(h);
            return h;
        }
        match b {
            Src::Host(h) if self.cache.may_take_over(h, op.a) => {
                self.cache.take_over(h);
                h
            }
            _ => self.take(op.a),
        }
    }

    /// The op's result is in `h`.
    #[inline]
    fn result(&mut self, op: &Op, h: Host) {
        self.cache.define(h, op.a, self.now.next.a);
    }

    /// `d = s`; keeps flags unless `s` is zero.
    #[inline]
    fn set(&mut self, d: Host, s: Src) {
        match s {
            Src::Host(h) => self.buf.mov(d, h),
            Src::Word(word) => self.buf.load_word(d, word),
            Src::Zero => self.buf.mov_imm(d, 0),
        }
    }

    /// `op d, s`
    #[inline]
    fn alu(&mut self, alu: Alu, d: Host, s: Src) {
        match s {
            Src::Host(h) => self.buf.alu(alu, d, h),
            Src::Word(word) => self.buf.alu_state(alu, d, word),
            Src::Zero => self.buf.alu_imm(alu, d, 0),
        }
    }

    /// `op d, imm`; `imm` may go through rcx, which must not be `d`.
    #[inline]
    fn alu_imm(&mut self, alu: Alu, d: Host, imm: i64) {
        match i32::try_from(imm) {
            Ok(imm) => self.buf.alu_imm(alu, d, imm),
            Err(_) => {
                self.buf.mov_imm(RCX, imm);
                self.buf.alu(alu, d, RCX);
            }
        }
    }

    /// `d = base + imm`; changes flags if `imm` takes more than 32 bits, and then `d` is not `base`.
    #[inline]
    fn offset(&mut self, d: Host, base: Host, imm: i64) {
        match i32::try_from(imm) {
            Ok(0) => self.buf.mov(d, base),
            Ok(imm) => self.buf.lea(d, base, imm),
            Err(_) => {
                self.buf.mov_imm(d, imm);
                self.buf.alu(Alu::Add, d, base);
            }
        }
    }

    // ---- state

    /// Stores the words that the guest can see and the state does not have; the registers still count as dirty.
    fn store_dirty(&mut self) {
        for h in bits(self.cache.dirty_guest()) {
            let word = self.cache.word_of(h);
            self.buf.store_word(word, h);
        }
    }

    /// As [`Tier1::store_dirty`], for good.
    fn flush(&mut self) {
        for h in bits(self.cache.dirty_guest()) {
            self.flush_host(h);
        }
    }

    fn flush_host(&mut self, h: Host) {
        let word = self.cache.word_of(h);
        self.buf.store_word(word, h);
        self.cache.clean(h);
    }

    /// Brings the state's copy of a word up to date.
    fn flush_word(&mut self, word: Reg) {
        if let Some(h) = self.cache.host_of(word)
            && self.cache.is_dirty(h)
        {
            self.flush_host(h);
        }
    }

    // ---- places

    /// Notes that the displacement that ends here names the word at `offset` of the record.
    fn record(&mut self, offset: i32) {
        self.refs.push((self.buf.position() - 4, offset));
    }

    /// The meta word of a slow path at the current instruction.
    fn meta(&self, flags: u32) -> i32 {
        meta(flags, self.block.insns - self.now.insn, self.now.len) as i32
    }

    /// `rdx` = guest address of the current instruction, `rcx` = meta word.
    fn describe(&mut self, flags: u32) {
        let meta = self.meta(flags);
        self.buf.lea(RDX, RDI, i32::from(self.now.offset));
        x64!(self; mov ecx, DWORD meta);
    }
}

/// Walks the boundary table beside the ops.
struct Boundaries<'a> {
    rest: &'a [Boundary],
    now: Site,
}

impl Boundaries<'_> {
    /// The site of op `i`; ascending.
    #[inline]
    fn at(&mut self, i: usize) -> Site {
        while let Some((next, rest)) = self.rest.split_first()
            && usize::from(next.op) <= i
        {
            let insn = self.now.insn + u32::from(self.now.len != 0);
            self.now = Site { insn, offset: next.offset, len: next.len, ..self.now };
            self.rest = rest;
        }
        self.now
    }
}

/// An op as it lies in memory.
fn bytes_of(op: &Op) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[op.code as u8, op.a, op.b, op.c]);
    bytes[4..8].copy_from_slice(&op.aux.to_le_bytes());
    bytes[8..].copy_from_slice(&op.imm.to_le_bytes());
    bytes
}

const _: () = {
    use std::mem::offset_of;
    assert!(
        offset_of!(Op, code) == 0
            && offset_of!(Op, a) == 1
            && offset_of!(Op, b) == 2
            && offset_of!(Op, c) == 3
    );
    assert!(offset_of!(Op, aux) == 4 && offset_of!(Op, imm) == 8);
};

#[cfg(test)]
mod tests;
