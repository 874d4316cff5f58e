//! Random regions of RISC-V IR: every op, loops, calls, faults, helpers that look at the instruction count.

use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::testing::RAM;
use crate::ir::fields::Aux;
use crate::ir::op::{Align, Fmt};
use crate::ir::{Block, Boundary, CallSite, FpFlags, JumpHint, MemFlags, Op, Opcode, Reg, SINK};

/// xorshift64*; reproducible.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    /// Values at the edges as often as any others.
    pub fn value(&mut self) -> u64 {
        match self.below(8) {
            0 => self.below(70),
            1 => 0u64.wrapping_sub(self.below(70)),
            2 => 1 << self.below(64),
            3 => self.next() as i32 as u64,
            4 => self.next() as u32 as u64,
            5 => self.pick(&[
                i64::MIN as u64,
                i64::MAX as u64,
                0x8000_0000,
                0xffff_ffff_8000_0000,
                0x7fff_ffff,
            ]),
            6 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
    /// A register for floats: numbers of each format, boxed or not, and edges.
    pub fn float(&mut self) -> u64 {
        match self.below(6) {
            0 => 0xffff_ffff_0000_0000 | (self.next() as u32 >> self.below(3)) as u64,
            1 => 0xffff_ffff_ffff_0000 | self.next() as u16 as u64,
            2 => (self.below(2000) as f64 - 1000.0).to_bits(),
            3 => 0xffff_ffff_0000_0000 | (self.below(2000) as f32 - 1000.0).to_bits() as u64,
            4 => self.pick(&[
                0,
                1 << 63,
                0x7ff0 << 48,
                0xfff0 << 48,
                0x7ff8 << 48,
                0x7ff4 << 48,
                1,
                0x000f << 48,
            ]),
            _ => self.next(),
        }
    }
}

/// First temporary of RISC-V's register file.
const TEMP: Reg = crate::guest::riscv::TEMPS;
/// Registers that hold addresses in RAM and are moved a little only.
pub const POINTERS: [Reg; 4] = [20, 21, 22, 23];
/// Bytes of RAM round the pointers that programs use.
pub const DATA: std::ops::Range<u64> = RAM + 0x10000..RAM + 0x20000;
/// Where the page with the code is.
pub const CODE: u64 = RAM + 0x4000;
/// Blocks by distance from [`CODE`]; the first is the entry.
pub struct Program {
    /// The blocks.
    pub blocks: Vec<(u16, Block)>,
}

/// What may be in a program.
#[derive(Clone, Copy)]
pub struct Mix {
    /// Blocks.
    pub blocks: u64,
    /// Ops of a block.
    pub ops: u64,
    /// Float ops too.
    pub floats: bool,
    /// Addresses that nothing answers at.
    pub wild: bool,
    /// Most blocks call or return.
    pub calls: bool,
    /// Pages over which they may lie.
    pub pages: u16,
}

/// Where an exit goes, until the blocks have their places.
#[derive(Clone, Copy)]
enum To {
    /// To a block.
    Block(usize),
    /// To an offset in the page, or behind it.
    Page(i64),
}

struct Maker<'r> {
    r: &'r mut Random,
    mix: Mix,
    blocks: usize,
    block: Block,
    temps: Vec<Reg>,
    to: Option<To>,
    /// Ops that make the address of a block.
    addresses: Vec<(usize, usize)>,
}

/// A random program. Most blocks follow each other, so that falling through leads from one to the next.
pub fn program(r: &mut Random, mix: Mix) -> Program {
    let n = 1 + r.below(mix.blocks) as usize;
    let mut blocks = Vec::new();
    let mut at = r.below(0x200) as u16 * 2;
    for _ in 0..n {
        let maker =
            Maker { r, mix, blocks: n, block: Block::default(), temps: vec![], to: None, addresses: vec![] };
        let (block, to, addresses) = maker.block();
        let bytes = block.bytes as u16;
        blocks.push((at, block, to, addresses));
        at += bytes + if r.one_in(4) { r.below(32) as u16 * 2 } else { 0 };
        if at >> 12 < mix.pages - 1 && r.one_in(3) {
            at += 0x1000;
        }
    }
    assert!(at < 0x1000 * mix.pages);
    let starts: Vec<i64> = blocks.iter().map(|b| b.0.into()).collect();
    for (at, block, to, addresses) in &mut blocks {
        for &(op, i) in addresses.iter() {
            block.ops[op].imm = starts[i] - *at as i64;
        }
        if let (Some(op), Some(to)) = (block.ops.last_mut(), *to) {
            op.imm = match to {
                To::Block(i) => starts[i],
                To::Page(offset) => offset,
            } - *at as i64;
        }
    }
    let head = r.below(n as u64) as usize;
    blocks.swap(0, head);
    Program { blocks: blocks.into_iter().map(|(at, block, ..)| (at, block)).collect() }
}

impl Maker<'_> {
    fn block(mut self) -> (Block, Option<To>, Vec<(usize, usize)>) {
        for _ in 0..self.r.below(self.mix.ops) {
            self.body();
        }
        self.insn();
        self.end();
        let helper = |id| Helper::from_id(id).is_some();
        if let Err(e) = crate::ir::verify::verify(&self.block, TEMP, &helper) {
            panic!("{e}: {:?}", self.block);
        }
        (self.block, self.to, self.addresses)
    }

    fn push(&mut self, op: Op) {
        self.block.ops.push(op);
    }

    fn insn(&mut self) {
        // Between instructions all is in guest registers.
        self.temps.clear();
        let len = self.r.pick(&[2, 4]);
        self.block.bounds.push(Boundary {
            op: self.block.ops.len() as u16,
            offset: self.block.bytes as u16,
            len,
            raw: 0,
        });
        self.block.bytes += len as u32;
    }

    fn source(&mut self) -> Reg {
        match self.r.below(10) {
            0 => 0,
            1..7 => 8 + self.r.below(6) as Reg,
            7 => self.r.pick(&POINTERS),
            _ if self.temps.is_empty() => 9,
            _ => self.temps[self.r.below(self.temps.len() as u64) as usize],
        }
    }

    fn dest(&mut self) -> Reg {
        match self.r.below(12) {
            0 => SINK,
            1..9 => 8 + self.r.below(6) as Reg,
            _ => {
                let temp = TEMP + self.r.below(4) as Reg;
                self.temps.push(temp);
                temp
            }
        }
    }

    fn float_reg(&mut self) -> Reg {
        crate::guest::riscv::F0 + self.r.below(5) as Reg
    }

    fn body(&mut self) {
        let what = self.r.below(20);
        // What may raise an exception comes before all that its instruction writes: the instruction can be begun again.
        if self.block.bounds.is_empty() || matches!(what, 9..=17) || !self.r.one_in(4) {
            self.insn();
        }
        match what {
            0..8 => self.pure(),
            8 => self.shifts(),
            9..16 => self.memory(),
            16 => {
                let p = self.r.pick(&POINTERS);
                let step = self.r.below(64) as i64 - 32;
                self.push(Op::rri(Opcode::AddI, p, p, step));
            }
            17 => self.helper(),
            18 if self.mix.floats => self.float(),
            _ => self.pure(),
        }
    }

    fn pure(&mut self) {
        let code = loop {
            let code = self.r.pick(Opcode::ALL);
            if crate::ir::eval::pure(code, 0, 0, 0, 0, 0).is_some() {
                break code;
            }
        };
        let fields = code.fields();
        let mut op = Op::new(code);
        op.b = if fields.b { self.source() } else { 0 };
        op.c = if fields.c { self.source() } else { 0 };
        if fields.d {
            // A carry is 0 or 1.
            let d = self.source();
            self.push(Op::rri(Opcode::AndI, TEMP + 6, d, 1));
            op.aux = if code == Opcode::Select { d } else { TEMP + 6 }.into();
        }
        op.imm = if fields.imm { self.r.value() as i64 } else { 0 };
        op.a = self.dest();
        self.push(op);
    }

    /// A base register whose address is good, and an offset.
    fn base(&mut self) -> (Reg, i64) {
        if self.mix.wild && self.r.one_in(40) {
            return (self.source(), 0);
        }
        let p = self.r.pick(&POINTERS);
        if self.r.one_in(3) {
            let (index, at) = (self.source(), TEMP + 5);
            self.push(Op::rri(Opcode::AndI, at, index, 0x1ff8));
            self.push(Op::rrr(Opcode::Add, at, at, p));
            return (at, 0);
        }
        let odd = if self.r.one_in(8) { self.r.below(8) as i64 } else { 0 };
        (p, (self.r.below(0x400) as i64 - 0x200) * 8 + odd)
    }

    fn memory(&mut self) {
        let code = loop {
            let code = self.r.pick(Opcode::ALL);
            if matches!(code.fields().aux, Aux::Mem(_) | Aux::MemAny) {
                break code;
            }
        };
        let fields = code.fields();
        let atomic = fields.aux == Aux::MemAny;
        let (b, imm) = self.base();
        let size = match fields.aux {
            Aux::Mem(width) => width.into(),
            // Zabha's widths too, which the lifter does not make yet.
            _ => self.r.below(4) as u32,
        };
        let rule =
            if atomic { Align::Trap } else { self.r.pick(&[Align::Policy, Align::Policy, Align::Any]) };
        let mut flags = MemFlags::plain(size).align(rule);
        if self.r.one_in(30) {
            // Explicitly as now: the same translation by another way.
            flags = flags.mmu(3);
        }
        let mut op = Op { code, a: 0, b, c: 0, aux: flags.0, imm: if atomic { 0 } else { imm } };
        op.c = if fields.c { self.source() } else { 0 };
        if fields.reads_a {
            op.a = 8 + self.r.below(6) as Reg;
        } else if fields.writes_a {
            op.a = if self.r.one_in(6) { self.float_reg() } else { self.dest() };
        }
        let reserved = code == Opcode::LoadReserved && op.a != b && b < TEMP;
        self.push(op);
        if reserved && !self.r.one_in(3) {
            self.store_conditionally(op);
        }
    }

    /// An SC to where LR has been, nearly always.
    fn store_conditionally(&mut self, lr: Op) {
        if self.r.one_in(3) {
            self.insn();
            self.pure();
        }
        self.insn();
        let (c, a) = (self.source(), self.dest());
        let size = if self.r.one_in(10) { 2 } else { MemFlags(lr.aux).size() };
        let aux = MemFlags::plain(size).align(Align::Trap).0;
        self.push(Op { code: Opcode::StoreCond, a, c, aux, ..lr });
    }

    /// Shifts both ways, most of which make a rotation together.
    fn shifts(&mut self) {
        let (left, right, width) = self.r.pick(&[
            (Opcode::SllI, Opcode::SrlI, 64),
            (Opcode::SllIW, Opcode::SrlIW, 32),
            (Opcode::SllIW, Opcode::SraIW, 32),
        ]);
        let (word, other) = (self.source(), self.source());
        let by = if self.r.one_in(4) { width as i64 / 2 } else { self.r.below(width) as i64 };
        let rest = if self.r.one_in(6) { by } else { width as i64 - by };
        self.push(Op::rri(left, TEMP + 4, word, by));
        if self.r.one_in(4) {
            // An extension.
            let (a, right) = (self.dest(), self.r.pick(&[Opcode::SrlI, Opcode::SraI]));
            let by = if self.r.one_in(2) { 32 } else { self.r.below(64) as i64 };
            return self.push(Op::rri(right, a, TEMP + 4, by));
        }
        let word = if self.r.one_in(6) { other } else { word };
        self.push(Op::rri(right, TEMP + 5, word, rest & (width as i64 - 1)));
        let with = self.r.pick(&[Opcode::Or, Opcode::Xor, Opcode::Add, Opcode::AddW, Opcode::And]);
        let a = self.dest();
        self.push(Op::rrr(with, a, TEMP + 5, TEMP + 4));
    }

    fn call(&mut self, code: Opcode, helper: Helper, a: Reg, b: Reg, imm: i64) {
        let insn = self.block.bounds.len() as u16 - 1;
        let aux = CallSite::new(helper as u16, insn).0;
        self.push(Op { code, a, b, c: 0, aux, imm });
    }

    fn helper(&mut self) {
        let csr = |number: i64, f3: i64| number << 20 | 1 << 15 | f3 << 12 | 5 << 7 | 0x73;
        match self.r.below(7) {
            // minstret read, which a helper does; instret, cycle and mscratch read, mscratch written.
            6 => {
                let a = self.dest();
                let number = self.r.pick(&[0xc00, 0xc02]);
                self.call(Opcode::Call, Helper::Csr, a, 0, csr(number, 2) & !(31 << 15));
            }
            0 | 1 => {
                let a = self.dest();
                let raw = csr(0xb02, 2) & !(31 << 15);
                self.call(Opcode::Call, Helper::Csr, a, 0, raw);
            }
            2 => {
                let (b, a) = (self.source(), self.dest());
                self.call(Opcode::Call, Helper::Csr, a, b, csr(0x340, 1));
            }
            3 => {
                // AMOCAS.Q x8, x10, (pointer): writes a pair of registers that no operand names.
                let p = self.r.pick(&POINTERS);
                let raw = 0x05 << 27 | 10 << 20 | (p as i64) << 15 | 4 << 12 | 8 << 7 | 0x2f;
                self.call(Opcode::Call, Helper::AmocasQ, SINK, p, raw);
            }
            4 => {
                let p = self.r.pick(&POINTERS);
                self.call(Opcode::Call, Helper::CboZero, SINK, p, (p as i64) << 15 | 4 << 20 | 2 << 12 | 0xf);
            }
            _ => self.call(Opcode::Call, Helper::FloatDirty, SINK, 0, 0),
        }
    }

    fn float(&mut self) {
        let code = loop {
            let code = self.r.pick(Opcode::ALL);
            if code.fields().aux == Aux::Fp {
                break code;
            }
        };
        use Opcode::*;
        let fields = code.fields();
        let fmt = self.r.pick(&[Fmt::S, Fmt::D, Fmt::D, Fmt::H]);
        let rm = if fields.rounds { self.r.pick(&[0, 1, 2, 3, 4, 7, 7]) } else { 0 };
        let mut flags = FpFlags::boxed(fmt, rm);
        if fields.from {
            flags = flags.from(self.r.pick(&[Fmt::S, Fmt::D, Fmt::H]));
        }
        if fields.d {
            flags = flags.d(self.float_reg());
        }
        let from_int = matches!(code, FFromI32 | FFromU32 | FFromI64 | FFromU64 | FMoveF);
        let to_int = matches!(
            code,
            FToI32 | FToU32 | FToI64 | FToU64 | FMoveX | FClass | FEq | FLt | FLe | FLtq | FLeq | FCvtMod
        );
        let b = if from_int { self.source() } else { self.float_reg() };
        let c = if fields.c { self.float_reg() } else { 0 };
        let a = if to_int { self.dest() } else { self.float_reg() };
        self.push(Op { code, a, b, c, aux: flags.0, imm: 0 });
    }

    /// Where to go: mostly to a block.
    fn target(&mut self) -> To {
        match self.r.below(16) {
            0 => To::Page(0x1000 + self.r.below(64) as i64 * 2),
            1 => To::Page(self.r.below(2048) as i64 * 2),
            _ => To::Block(self.r.below(self.blocks as u64) as usize),
        }
    }

    /// Calls a block, nearly always by the usual register; or jumps to one whose address it has.
    fn call_block(&mut self) {
        let a = if self.r.one_in(12) { 9 } else { 1 };
        if self.r.one_in(3) {
            self.addresses.push((self.block.ops.len(), self.r.below(self.blocks as u64) as usize));
            self.push(Op::rri(Opcode::AddPc, 9, 0, 0));
            self.insn();
            let (a, c) = self.r.pick(&[(a, JumpHint::Call), (a, JumpHint::Call), (SINK, JumpHint::None)]);
            let aux = self.block.bytes;
            return self.push(Op { code: Opcode::JumpReg, a, b: 9, c: c as u8, aux, imm: 0 });
        }
        self.push(Op { a, aux: self.block.bytes, ..Op::new(Opcode::Jump) });
        self.to = Some(self.target());
    }

    /// Goes to where the last call came from, nearly always.
    fn return_block(&mut self) {
        let a = if self.r.one_in(12) { 1 } else { SINK };
        let c = if self.r.one_in(12) { JumpHint::ReturnCall } else { JumpHint::Return } as u8;
        let imm = if self.r.one_in(16) { self.r.pick(&[1, 2, -2]) } else { 0 };
        let aux = self.block.bytes;
        self.push(Op { code: Opcode::JumpReg, a, b: 1, c, aux, imm });
    }

    fn end(&mut self) {
        use Opcode::*;
        let aux = self.block.bytes;
        if self.mix.calls && !self.r.one_in(3) {
            return if self.r.one_in(2) { self.call_block() } else { self.return_block() };
        }
        match self.r.below(16) {
            0..9 => {
                let code = self.r.pick(&[BrEq, BrNe, BrLt, BrGe, BrLtu, BrGeu]);
                let (b, c) = (self.source(), self.source());
                self.push(Op { code, a: 0, b, c, aux, imm: 0 });
                self.to = Some(self.target());
            }
            9..11 => {
                let a = if self.r.one_in(2) { SINK } else { 1 };
                self.push(Op { code: Jump, a, b: 0, c: 0, aux, imm: 0 });
                self.to = Some(self.target());
            }
            11..13 => {
                self.push(Op::new(Exit));
                self.to = Some(self.target());
            }
            13 | 14 => {
                let b = if self.r.one_in(4) { self.source() } else { 1 };
                let hint = self.r.below(4) as u8;
                let a = self.r.pick(&[SINK, 1, 9]);
                let imm = self.r.pick(&[0, 0, 0, 1, 2, -2]);
                self.push(Op { code: JumpReg, a, b, c: hint, aux, imm });
            }
            _ => {
                let helper = self.r.pick(&[Helper::Ebreak, Helper::Illegal, Helper::Ecall, Helper::FenceI]);
                self.call(CallEnd, helper, SINK, 0, 0x1000_0073);
            }
        }
    }
}
