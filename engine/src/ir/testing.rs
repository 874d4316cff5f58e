//! Random valid blocks, names for tests, and a reference evaluator that records all a guest could observe.
//!
//! The guest of these tests has RISC-V's register file: words 0..32 `x0`.., 32..64 `f0`.., temporaries from 64, and
//! word 0 always zero.

use super::block::{Block, Boundary};
use super::fields::Aux;
use super::op::{CallSite, FpFlags, MemFlags, Op, Opcode, Reg, SINK, Shape};
use super::print::Names;
use crate::guest::HelperDesc;
use proptest::prelude::*;

pub mod machine;

pub use machine::Machine;

/// First temporary.
pub const TEMPS: Reg = 64;

/// Helpers that read and write in every way that a declaration can say.
pub const HELPERS: &[HelperDesc] = &[
    HelperDesc { name: "csr", reads: &[], writes: &[], faults: true, changes_key: false },
    HelperDesc { name: "float.dirty", reads: &[], writes: &[], faults: false, changes_key: true },
    HelperDesc { name: "pair", reads: &[(10, 2)], writes: &[(12, 2)], faults: false, changes_key: false },
    HelperDesc { name: "all", reads: &[(0, 32)], writes: &[(1, 31)], faults: true, changes_key: false },
];

/// The declaration of a helper.
pub fn helper(id: u16) -> Option<&'static HelperDesc> {
    HELPERS.get(usize::from(id))
}

const INT: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
const FLOAT: [&str; 4] = ["ft0", "ft1", "ft2", "ft3"];

fn reg_name(reg: Reg) -> Option<&'static str> {
    match reg {
        0..32 => INT.get(usize::from(reg)).copied(),
        32..64 => FLOAT.get(usize::from(reg) - 32).copied(),
        _ => None,
    }
}

/// The names of the guest of these tests.
pub fn names() -> Names<'static> {
    Names { reg: &reg_name, helper: &|id| helper(id).map(|d| d.name), asm: &|_| None }
}

/// Checks a block of the guest of these tests.
pub fn verify(block: &Block) -> Result<(), super::verify::VerifyError> {
    super::verify::verify(block, TEMPS, &|id| helper(id).is_some())
}

/// The dice for one op.
type Dice = (u64, u64, u64);

/// Random valid blocks of up to `max` ops, which shrink op by op.
pub fn blocks(max: usize) -> impl Strategy<Value = Block> {
    (prop::collection::vec(any::<Dice>(), 0..max), any::<Dice>()).prop_map(|(body, end)| {
        let mut maker = Maker::default();
        body.into_iter().for_each(|dice| maker.op(dice, false));
        maker.op(end, true);
        maker.finish()
    })
}

/// Constants around which passes decide.
const IMMEDIATES: [i64; 20] = [
    0,
    1,
    -1,
    2,
    3,
    5,
    8,
    9,
    31,
    32,
    48,
    56,
    63,
    64,
    0xff,
    0xffff,
    0xffff_ffff,
    i64::MIN,
    i64::MAX,
    -0x8000_0000,
];

#[derive(Default)]
struct Maker {
    block: Block,
    temps: Vec<Reg>,
}

impl Maker {
    /// Few words, so that ops meet; a temporary only once it is written.
    fn source(&self, dice: u64) -> Reg {
        match dice % 8 {
            0 => 0,
            n @ 1..6 => 9 + n as u8,
            n => *self.temps.get((dice / 8) as usize % self.temps.len().max(1)).unwrap_or(&(9 + n as u8)),
        }
    }

    fn dest(&mut self, dice: u64) -> Reg {
        match dice % 8 {
            0 => SINK,
            n @ 1..6 => 9 + n as u8,
            _ => {
                let temp = TEMPS + (dice / 8 % 4) as u8;
                self.temps.push(temp);
                temp
            }
        }
    }

    /// Mostly the integer ops, where the passes work; and constants often.
    fn code(dice: u64, end: bool) -> Opcode {
        let fits = |code: &Opcode| Op::new(*code).ends() == end;
        let codes: Vec<Opcode> = Opcode::ALL.iter().copied().filter(fits).collect();
        let integer = Opcode::ALL.iter().position(|&c| c == Opcode::LoadS8).unwrap_or(1);
        match dice % 8 {
            _ if end => codes[(dice / 8) as usize % codes.len()],
            0 => Opcode::Li,
            1 => [Opcode::Mov, Opcode::AddPc, Opcode::SllI, Opcode::AddI][(dice / 8) as usize % 4],
            2..7 => Opcode::ALL[(dice / 8) as usize % integer],
            _ => codes[(dice / 8) as usize % codes.len()],
        }
    }

    fn op(&mut self, (x, y, z): Dice, end: bool) {
        if x >> 60 < 6 || self.block.bounds.is_empty() {
            self.insn(z);
        }
        let code = Self::code(x & 0xffff, end);
        let fields = code.fields();
        let mut op = Op::new(code);
        let source = |used: bool, shift: u32| if used { self.source(y >> shift & 0xff) } else { 0 };
        (op.b, op.c) = (source(fields.b, 0), source(fields.c, 8));
        let d = source(fields.d, 16);
        op.imm = if fields.imm { IMMEDIATES[(z >> 32) as usize % IMMEDIATES.len()] } else { 0 };
        op.aux = self.aux(fields.aux, z) | u32::from(d);
        if fields.aux == Aux::Fp {
            op.aux = float_flags(&op, z).d(d).0;
        }
        if fields.writes_a {
            op.a = if fields.reads_a { self.source(y >> 24 & 0xff) } else { self.dest(y >> 24 & 0xff) };
        }
        if end && fields.aux != Aux::Call {
            op.imm = (z >> 40) as i64 - (1 << 23);
        }
        if code.shape() == Shape::JumpReg {
            op.c = (z >> 38 & 3) as u8;
        }
        self.block.ops.push(op);
    }

    fn aux(&self, aux: Aux, z: u64) -> u32 {
        let memory = |size: u32| {
            let align =
                [super::op::Align::Policy, super::op::Align::Trap, super::op::Align::Any][z as usize % 3];
            let flags = MemFlags::plain(size).align(align).order(z & 8 != 0, z & 16 != 0);
            let flags = if z & 0x60 == 0 { flags.mmu((z >> 8) as u8) } else { flags };
            flags.0 | (z >> 13 & 8) as u32
        };
        match aux {
            Aux::None | Aux::Reg | Aux::Fp => 0,
            Aux::Mem(width) => memory(width.into()),
            Aux::MemAny => memory((z >> 20 & 3) as u32),
            Aux::Pc => self.block.bytes,
            Aux::Call => {
                let id = (z % HELPERS.len() as u64) as u16;
                CallSite::new(id, self.block.bounds.len() as u16 - 1).0
            }
            Aux::Sets => z as u32 & 0xff,
        }
    }

    fn insn(&mut self, dice: u64) {
        let len = if dice & 1 == 0 { 2 } else { 4 };
        let raw = (dice >> 1) as u32 & if len == 2 { 0xffff } else { u32::MAX };
        let offset = self.block.bytes as u16;
        self.block.bounds.push(Boundary { op: self.block.ops.len() as u16, offset, len, raw });
        self.block.bytes += u32::from(len);
    }

    fn finish(self) -> Block {
        assert_eq!(verify(&self.block), Ok(()), "{}", super::print::print(&self.block, &names()));
        self.block
    }
}

fn float_flags(op: &Op, z: u64) -> FpFlags {
    use super::op::Fmt::*;
    let fields = op.code.fields();
    let fmt = [S, D, H][z as usize % 3];
    let rm = if fields.rounds { [0, 1, 2, 3, 4, 7][(z >> 2) as usize % 6] } else { 0 };
    let flags = FpFlags::boxed(fmt, rm);
    let flags = if fields.from { flags.from([S, D, H][(z >> 8) as usize % 3]) } else { flags };
    if z & 0x1000 == 0 { FpFlags(flags.0 & !(1 << 15)) } else { flags }
}
