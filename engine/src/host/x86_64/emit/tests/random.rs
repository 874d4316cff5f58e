//! Random blocks on random state: integer ops, floats, accesses that hit, miss, cross pages and fault, atomics, fences,
//! helper calls, every way out.

use super::*;
use crate::exec::cpu::Cpu;
use crate::guest::Guest;
use crate::guest::riscv::helpers::Helper;
use crate::guest::riscv::mmu;
use crate::guest::riscv::state::Mode;
use crate::guest::riscv::testing::{RAM_LEN, hart_of, set_mode};
use crate::guest::riscv::{Riscv, TEMPS, model::Model};
use crate::ir::fields::Aux;
use crate::ir::op::{Align, Effects, Shape};
use crate::ir::{Boundary, CallSite, Fmt, FpFlags, MemFlags, Op, Opcode, Reg, SINK};
use crate::jit::block::Profile;
use machine::{DATA, Setup};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Words that hold addresses, and only ever move a little.
const POINTERS: std::ops::Range<Reg> = 20..26;
/// Integer words: more than there are host registers.
const INTEGERS: std::ops::Range<Reg> = 5..18;
const FLOATS: std::ops::Range<Reg> = 32..36;

type Dice = (u64, u64, u64);

/// Which ops a block is made of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Mix {
    #[default]
    Ordinary,
    /// Mostly atomics, on few words with small values, so that SC and CAS succeed.
    Atomic,
}

/// Makes a block from dice, one op from each.
#[derive(Default)]
struct Maker {
    mix: Mix,
    /// One op an instruction, and no temporaries: a block may be left before any access and begun again there.
    plain: bool,
    block: Block,
    temps: Vec<Reg>,
}

fn pick<T: Copy>(from: &[T], dice: u64) -> T {
    from[dice as usize % from.len()]
}

fn word(range: std::ops::Range<Reg>, dice: u64) -> Reg {
    range.start + (dice % range.len() as u64) as u8
}

impl Maker {
    fn source(&self, dice: u64) -> Reg {
        match dice % 16 {
            0 => 0,
            1 => word(POINTERS, dice >> 4),
            2..5 if !self.temps.is_empty() && !self.plain => pick(&self.temps, dice >> 4),
            _ => word(INTEGERS, dice >> 4),
        }
    }

    fn dest(&mut self, dice: u64) -> Reg {
        match dice % 16 {
            0 => SINK,
            1..5 => {
                let temp = TEMPS + (dice >> 4) as u8 % 6;
                self.temps.push(temp);
                temp
            }
            _ => word(INTEGERS, dice >> 4),
        }
    }

    fn insn(&mut self, dice: u64) {
        let len = if dice & 1 == 0 { 2 } else { 4 };
        let offset = self.block.bytes as u16;
        self.block.bounds.push(Boundary { op: self.block.ops.len() as u16, offset, len, raw: 0 });
        self.block.bytes += u32::from(len);
    }

    fn kind(mix: Mix, dice: u64) -> Shape {
        if mix == Mix::Atomic && dice & 0x400 != 0 {
            let kinds = [Shape::Amo, Shape::LoadReserved, Shape::StoreCond, Shape::CompareSwap];
            return pick(&kinds, dice >> 11);
        }
        match dice % 64 {
            0..24 => Shape::Rrr,
            24..34 => Shape::Rri,
            34..40 => Shape::Rr,
            40..42 => Shape::Ri,
            42 => Shape::Rrrr,
            43..51 => Shape::Load,
            51..57 => Shape::Store,
            57 => Shape::Amo,
            58 => pick(&[Shape::LoadReserved, Shape::StoreCond, Shape::CompareSwap], dice >> 8),
            59 => Shape::Fence,
            60..63 => Shape::Float,
            _ => Shape::Call,
        }
    }

    fn body(&mut self, (x, y, z): Dice) {
        if x >> 60 < 10 || self.block.bounds.is_empty() || self.plain {
            self.insn(z);
        }
        if x >> 40 & 15 == 0 {
            let pointer = word(POINTERS, y);
            let step = pick(&[8, -8, 1, 16, 24, -40, 2040], z >> 8);
            return self.block.ops.push(Op::rri(Opcode::AddI, pointer, pointer, step));
        }
        let shape = Self::kind(self.mix, x);
        let fits = |c: &Opcode| c.shape() == shape && !c.effects().has(Effects::END);
        let codes: Vec<Opcode> = Opcode::ALL.iter().copied().filter(fits).collect();
        let code = pick(&codes, x >> 16);
        let op = match shape {
            Shape::Float => float(code, y, z),
            Shape::Call => {
                let insn = self.block.bounds.len() as u16 - 1;
                // CSRRW of a scratch register, which may be the other mode's; or CSRRS of the instruction count.
                let (csr, write) = pick(&[(0x140, 1), (0x340, 1), (0xc02, 2)], z);
                let b = if write == 1 { word(INTEGERS, y) } else { 0 };
                let imm = csr << 20 | i64::from(b) << 15 | write << 12 | 1 << 7 | 0x73;
                let aux = CallSite::new(Helper::Csr as u16, insn).0;
                Op { code, a: self.dest(y >> 8), b, c: 0, aux, imm }
            }
            _ => self.operands(code, y, z),
        };
        self.block.ops.push(op);
    }

    fn operands(&mut self, code: Opcode, y: u64, z: u64) -> Op {
        let fields = code.fields();
        let mut op = Op::new(code);
        let memory = fields.faults;
        if fields.b {
            let pointers =
                if self.mix == Mix::Atomic { POINTERS.start..POINTERS.start + 2 } else { POINTERS };
            op.b = if memory && y & 7 != 0 { word(pointers, y >> 4) } else { self.source(y) };
        }
        if fields.c {
            op.c = self.source(y >> 16);
        }
        if fields.d {
            op.aux = self.source(y >> 32).into();
        }
        if fields.imm {
            op.imm = match code.shape() {
                Shape::Load | Shape::Store if z & 15 == 0 => pick(&[1 << 32, -1 << 40, 0x7fff_f000], z >> 4),
                Shape::Load | Shape::Store => (z >> 8 & 31) as i64 - 16,
                _ => {
                    pick(&[0, 1, -1, 8, 31, 32, 63, 255, 2047, -2048, i64::MAX, 0xffff_ffff, 0x7fff_ffff], z)
                }
            };
        }
        match fields.aux {
            Aux::Mem(width) => {
                let align = pick(&[Align::Policy, Align::Policy, Align::Trap, Align::Any], z >> 16);
                let flags =
                    MemFlags::plain(width.into()).align(align).order(z >> 20 & 1 != 0, z >> 21 & 1 != 0);
                op.aux = if z >> 22 & 15 == 0 { flags.mmu(mmu::INDEX_S).0 } else { flags.0 };
            }
            Aux::MemAny => {
                let flags = MemFlags::plain(2 + (z >> 16 & 1) as u32).align(Align::Trap);
                op.aux = flags.order(z >> 17 & 1 != 0, z >> 18 & 1 != 0).0;
            }
            Aux::Sets => op.aux = z as u32 & 0xff,
            _ => {}
        }
        if fields.reads_a {
            op.a = word(INTEGERS, y >> 48);
        } else if fields.writes_a {
            let float = code.shape() == Shape::Load && y >> 44 & 3 == 0;
            op.a = if float { word(FLOATS, y >> 48) } else { self.dest(y >> 48) };
        }
        if code.shape() == Shape::Store && y >> 44 & 3 == 0 {
            op.c = word(FLOATS, y >> 48);
        }
        op
    }

    fn end(&mut self, (x, y, z): Dice) {
        if self.block.bounds.is_empty() || x & 1 == 0 || self.plain {
            self.insn(z);
        }
        let code = pick(
            &[
                Opcode::BrEq,
                Opcode::BrNe,
                Opcode::BrLt,
                Opcode::BrGe,
                Opcode::BrLtu,
                Opcode::BrGeu,
                Opcode::BrNe,
                Opcode::BrLt,
                Opcode::Jump,
                Opcode::JumpReg,
                Opcode::Exit,
                Opcode::CallEnd,
            ],
            x >> 8,
        );
        let mut op = Op::new(code);
        let fields = code.fields();
        if fields.b {
            op.b = self.source(y);
        }
        if fields.c && code != Opcode::JumpReg {
            op.c = self.source(y >> 16);
        }
        if fields.writes_a {
            op.a = if y >> 32 & 3 == 0 { SINK } else { word(INTEGERS, y >> 34) };
        }
        op.imm = match z % 8 {
            0..3 => 0,
            3 => 0x1000,
            4 => -0x800_0000,
            5 => 1 << 32,
            _ => (z >> 8 & 0x3ff) as i64 * 2 - 0x400,
        };
        if fields.aux == Aux::Pc {
            op.aux = self.block.bytes;
        }
        if code == Opcode::CallEnd {
            let helper = pick(&[Helper::Illegal, Helper::Ebreak, Helper::FenceI], z >> 8);
            op.aux = CallSite::new(helper as u16, self.block.bounds.len() as u16 - 1).0;
            op.a = SINK;
        }
        self.block.ops.push(op);
    }
}

fn float(code: Opcode, y: u64, z: u64) -> Op {
    let fields = code.fields();
    let fmt = pick(&[Fmt::S, Fmt::D], z);
    let rm = if fields.rounds { pick(&[0, 1, 2, 3, 4, 7, 7, 7], z >> 8) } else { 0 };
    let mut flags = FpFlags::boxed(fmt, rm);
    if fields.from {
        flags = flags.from(pick(&[Fmt::S, Fmt::D], z >> 16));
    }
    let from_integer = matches!(
        code,
        Opcode::FFromI32 | Opcode::FFromU32 | Opcode::FFromI64 | Opcode::FFromU64 | Opcode::FMoveF
    );
    let to_integer = {
        use Opcode::*;
        matches!(
            code,
            FEq | FLt | FLe | FLtq | FLeq | FClass | FToI32 | FToU32 | FToI64 | FToU64 | FCvtMod | FMoveX
        )
    };
    let mut op = Op::new(code);
    op.a = word(if to_integer { INTEGERS } else { FLOATS }, y);
    op.b = word(if from_integer { INTEGERS } else { FLOATS }, y >> 8);
    if fields.c {
        op.c = word(FLOATS, y >> 16);
    }
    if fields.d {
        flags = flags.d(word(FLOATS, y >> 24));
    }
    op.aux = flags.0;
    op
}

/// Random blocks of each test; more if the environment asks for a long run.
fn cases() -> u32 {
    std::env::var("VITRINE_RANDOM_BLOCKS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500)
}

fn blocks(mix: Mix, plain: bool, max: usize, change: fn(Dice) -> Dice) -> impl Strategy<Value = Block> {
    (prop::collection::vec(any::<Dice>(), 0..max), any::<Dice>()).prop_map(move |(body, end)| {
        let mut maker = Maker { mix, plain, ..Maker::default() };
        body.into_iter().for_each(|dice| maker.body(change(dice)));
        maker.end(end);
        maker.block
    })
}

/// Float ops for the most part, with loads, stores, constants and helpers between them.
fn mostly_floats((x, y, z): Dice) -> Dice {
    (x - x % 64 + pick(&[60, 60, 61, 62, 43, 51, 40, 0, 63], x), y, z)
}

/// A stream of numbers from a seed.
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Registers with small and large values; pointers to the edges of pages of memory that starts at `base`.
fn registers(next: &mut impl FnMut() -> u64, base: u64, end: u64) -> [u64; 64] {
    let mut regs = [0; 64];
    for reg in &mut regs[1..] {
        let value = next();
        *reg = match value % 6 {
            0 => value >> 8 & 3,
            1 => value as i8 as u64,
            2 => value as i32 as u64,
            3 => base + (value >> 8) % DATA as u64,
            _ => value,
        };
    }
    for word in FLOATS {
        let value = next();
        regs[word as usize] = match value % 5 {
            0 => (value as f32).to_bits() as u64 | !0 << 32,
            1 => (1.5f64 - (value >> 40) as f64).to_bits(),
            2 => pick(
                &[0, 1 << 63, 0x7ff << 52, 0xfff << 52, 0x7ff8 << 48, 0x7ff0_0000_0000_0001, 1],
                value >> 8,
            ),
            3 => {
                pick(&[0, 1 << 31, 0x7f80_0000, 0x7fc0_0000, 0x7f80_0001, 1, 0x3f80_0000], value >> 8)
                    | !0 << 32
            }
            _ => value,
        };
    }
    for word in POINTERS {
        let value = next();
        let page = (value >> 8) % (DATA as u64 / 4096);
        let edge = pick(&[0, 16, 2048, 4072, 4080, 4088, 4092, 4095], value >> 32);
        regs[word as usize] = match value % 16 {
            0 => end - 8 + (value >> 8 & 15),
            1 => value,
            2 => 8u64.wrapping_neg() + (value >> 8 & 15),
            3..6 => base + page * 4096 + edge,
            _ => base + page * 4096 + (edge & !15),
        };
    }
    regs
}

/// Two harts, and where their memory lies.
struct Bench {
    pair: Pair,
    ext: <Riscv as Guest>::Ext,
    base: u64,
    end: u64,
    traps_misaligned: bool,
    mix: Mix,
}

const PAGED: u64 = 0x40_0000_0000 - DATA as u64;

fn model(trap_misaligned: bool) -> Model {
    let mut model = Model::default();
    model.trap_misaligned = trap_misaligned;
    model
}

/// Supervisor mode; the pages of data in another order, one of them read-only, nothing behind them.
fn paged() -> Box<Cpu<Riscv>> {
    let mut cpu = hart_of(model(false));
    let root = RAM + 0x10000;
    let put = |at: u64, pte: u64| cpu.shared.memory.write(at, 3, pte).expect("page table in RAM");
    let table = |pa: u64| pa >> 12 << 10 | 1;
    put(root + (PAGED >> 30 & 511) * 8, table(root + 0x1000));
    put(root + 0x1000 + (PAGED >> 21 & 511) * 8, table(root + 0x2000));
    for (i, (page, rights)) in [(2, 0xc7), (0, 0xc7), (3, 0xc3), (1, 0xc7)].into_iter().enumerate() {
        put(root + 0x2000 + ((PAGED >> 12 & 511) + i as u64) * 8, (RAM + page * 4096) >> 12 << 10 | rights);
    }
    cpu.ext.satp = 8 << 60 | root >> 12;
    set_mode(&mut cpu, Mode::Supervisor);
    cpu
}

impl Bench {
    fn bare(trap_misaligned: bool) -> Bench {
        let pair = Pair::of(|| hart_of(model(trap_misaligned)));
        let ext = pair.oracle.ext.clone();
        Bench {
            pair,
            ext,
            base: RAM,
            end: RAM + RAM_LEN,
            traps_misaligned: trap_misaligned,
            mix: Mix::Ordinary,
        }
    }

    fn paged() -> Bench {
        let pair = Pair::of(paged);
        let ext = pair.oracle.ext.clone();
        Bench {
            pair,
            ext,
            base: PAGED,
            end: PAGED + DATA as u64,
            traps_misaligned: false,
            mix: Mix::Ordinary,
        }
    }

    fn check(self, max_ops: usize) {
        self.check_changed(max_ops, |dice| dice);
    }

    fn check_changed(self, max_ops: usize, change: fn(Dice) -> Dice) {
        let bench = std::cell::RefCell::new(self);
        let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
        let (mix, plain) = (bench.borrow().mix, bench.borrow().pair.single.is_some());
        let strategy = (blocks(mix, plain, max_ops, change), any::<u64>());
        let result = TestRunner::new(config)
            .run(&strategy, |(block, seed)| bench.borrow_mut().try_block(&block, seed));
        if let Err(e) = result {
            panic!("{e}");
        }
    }

    fn try_block(&mut self, block: &Block, seed: u64) -> Result<(), TestCaseError> {
        let mut next = numbers(seed);
        if next() & 3 == 0 {
            self.pair.oracle.tlb.flush_all();
            self.pair.tested.tlb.flush_all();
        }
        let setup = Setup {
            budget: if next() & 7 == 0 { (next() % 70) as i64 } else { 3000 },
            profile: [Profile::Nothing, Profile::Nothing, Profile::Left, Profile::Runs]
                [(next() & 3) as usize],
            alone: next() & 1 == 0,
            one_page: next() & 7 != 0 || self.pair.single.is_some(),
            // Round to nearest, ties to max magnitude, is never dynamic in compiled blocks: it has a block key of its own.
            rm: (next() % 4) as u8,
            traps_misaligned: self.traps_misaligned,
            ..Setup::default()
        };
        for _ in 0..2 {
            let mut regs = registers(&mut next, self.base, self.end);
            let mut mask = u64::MAX;
            if self.mix == Mix::Atomic {
                mask = 3;
                INTEGERS.for_each(|word| regs[usize::from(word)] &= 3);
            }
            let memory: Vec<u8> = (0..DATA / 8).flat_map(|_| (next() & mask).to_le_bytes()).collect();
            for cpu in [&mut self.pair.oracle, &mut self.pair.tested] {
                cpu.ext = self.ext.clone();
                cpu.select_address_space();
            }
            if let Err(text) = self.pair.compare(block, &regs, &memory, &setup) {
                let names = crate::ir::testing::names();
                let shown = crate::ir::print::print(block, &names);
                return Err(TestCaseError::fail(format!("{shown}\n{setup:?} {regs:x?}\n{text}")));
            }
        }
        Ok(())
    }
}

#[test]
fn short_blocks_do_what_the_interpreter_does() {
    Bench::bare(false).check(6);
}

#[test]
fn long_blocks_do_what_the_interpreter_does() {
    Bench::bare(false).check(60);
}

#[test]
fn float_blocks_do_what_the_interpreter_does() {
    Bench::bare(false).check_changed(30, mostly_floats);
}

#[test]
fn misaligned_accesses_trap_where_the_machine_says_so() {
    Bench::bare(true).check(12);
}

#[test]
fn paged_memory_faults_where_the_interpreter_does() {
    Bench::paged().check(20);
}

#[test]
fn atomics_do_what_the_interpreter_does() {
    for bench in [Bench::bare(false), Bench::paged()] {
        Bench { mix: Mix::Atomic, ..bench }.check(12);
    }
}

#[test]
fn older_hosts_do_so_too() {
    let mut bench = Bench::bare(false);
    bench.pair.compiler.features = crate::host::x86_64::features::Features::NONE;
    bench.check(20);
}

/// The same blocks by tier 2's compiler: both compilers of tier 1 do what the interpreter does.
fn second(mut bench: Bench) -> Bench {
    bench.pair.single = Pair::second().single;
    bench
}

#[test]
fn the_second_compiler_does_what_the_interpreter_does() {
    second(Bench::bare(false)).check(24);
    second(Bench::bare(true)).check(12);
    second(Bench::paged()).check(16);
}

#[test]
fn floats_of_the_second_compiler_do_too() {
    second(Bench::bare(false)).check_changed(16, mostly_floats);
}

#[test]
fn atomics_of_the_second_compiler_do_too() {
    for bench in [Bench::bare(false), Bench::paged()] {
        second(Bench { mix: Mix::Atomic, ..bench }).check(12);
    }
}
