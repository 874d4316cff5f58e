//! Runs compiled code and the interpreter from equal states and compares all that the guest can see.

use super::exec::Loaded;
use super::random::{CODE, DATA, POINTERS, Program, Random};
use crate::cache::code::Code;
use crate::exec::core::JumpEntry;
use crate::exec::cpu::Cpu;
use crate::guest::Guest;
use crate::guest::riscv::model::Model;
use crate::guest::riscv::testing::{RAM, RAM_LEN, hart_of};
use crate::guest::riscv::{F0, Riscv, TEMPS};
use crate::host;
use crate::interp::{self, Leave};
use crate::ir::op::{Effects, Shape};
use crate::ir::{Block, Boundary, CallSite, Op, Opcode};
use crate::jit::abi::Exit;
use crate::jit::across::{PageMap, page_address};
use crate::jit::region::{ANYWHERE, Context, GuestRules, Region, RegionBlock, is_call};
use crate::jit::ways::{Counts, Guess};
use crate::mem::{PAGE_MASK, PAGE_SIZE};
use std::collections::HashMap;

/// Two harts of one model, each with a memory of its own.
pub struct Pair {
    /// Runs compiled code.
    pub fast: Box<Cpu<Riscv>>,
    /// Is interpreted.
    pub slow: Box<Cpu<Riscv>>,
    jumps: Box<[JumpEntry]>,
}

/// A program for both sides.
pub struct Subject {
    /// For the compiler.
    pub region: Region,
    codes: HashMap<u64, Code>,
    entry: u64,
}

impl Subject {
    /// Wraps a program.
    pub fn new(program: &Program, model: &Model) -> Subject {
        let head = program.blocks[0].0;
        let blocks = program.blocks.iter().map(|(at, block)| RegionBlock {
            context: ANYWHERE,
            guess: Default::default(),
            offset: *at as i32 - head as i32,
            ops: block.ops.clone().into(),
            bounds: block.bounds.clone().into(),
            insns: block.insns(),
        });
        let rules = GuestRules::of::<Riscv>(model);
        let region = Region {
            blocks: blocks.collect(),
            contexts: Vec::new(),
            counts: Default::default(),
            page_offset: head % PAGE_SIZE as u16,
            pages: Default::default(),
            rules,
        };
        let codes = program.blocks.iter().map(|(at, block)| {
            let pa = CODE + *at as u64;
            (pa, Code::new(block.clone(), pa, None, 0))
        });
        let mut subject = Subject { region, codes: codes.collect(), entry: CODE + u64::from(head) };
        let used = subject.region.page_numbers();
        let mut pages = PageMap::of_entry(subject.page());
        for &n in &used {
            pages.get_or(n, || Some(page_address(subject.page(), n)));
        }
        subject.region.pages = pages.only(&used);
        subject
    }

    /// Copies random blocks for random calls. Which does not change what they do.
    pub fn copy_functions(&mut self, r: &mut Random) {
        let mut next = 0;
        while next < self.region.blocks.len() && self.region.blocks.len() < 64 {
            let from = self.region.blocks[next].clone();
            next += 1;
            let Some(op) = from.ops.last().filter(|op| is_call(op) && !r.one_in(3)) else { continue };
            let [callee, back] = [op.imm, op.aux.into()].map(|by: i64| from.offset + by as i32);
            self.region.contexts.push(Context { parent: from.context, callee, back });
            let context = self.region.contexts.len() as u16;
            let all = self.region.blocks.iter().filter(|b| b.context == ANYWHERE);
            let some = all.filter(|b| b.offset == callee || r.one_in(3));
            let copies: Vec<_> = some.map(|b| RegionBlock { context, ..b.clone() }).collect();
            self.region.blocks.extend(copies);
        }
    }

    /// Says of random blocks that indirect jumps lead there. Which does not change what they do.
    pub fn guess(&mut self, r: &mut Random) {
        let offsets: Vec<i32> = self.region.blocks.iter().map(|b| b.offset).collect();
        for block in &mut self.region.blocks {
            let some = (0..r.below(7)).map(|_| i64::from(r.pick(&offsets) - block.offset)).collect();
            block.guess = match r.below(3) {
                0 => Guess::Shape,
                1 => Guess::Also(some),
                _ => Guess::Only(some),
            };
        }
        self.region.rules.alone = r.below(2) == 0;
        self.region.counts = r.pick(&[Counts::Exits, Counts::Jumps, Counts::Failures]);
    }

    /// Whether an instruction at `offset` from the entry accesses memory.
    pub fn accesses_at(&self, offset: i64) -> bool {
        let moves = |op: &Op| (self.region.rules.state_moves)(op).is_some();
        let touches =
            |op: &Op| op.code.effects().has(Effects::FAULT) && (op.code.shape() != Shape::Call || moves(op));
        self.region.blocks.iter().any(|b| {
            let ops = b.ops.iter().enumerate().filter(|(_, op)| touches(op));
            ops.map(|(i, _)| b.insn(b.insn_of(i)).0).any(|at| at == offset)
        })
    }

    /// Whether a helper that ends its block may go on at the entry: it looks in what the hart knows, which here is nothing, rather than
    /// in the jump cache of compiled code.
    pub fn calls_before_entry(&self) -> bool {
        let call = |ops: &[Op]| ops.last().is_some_and(|op| op.code == Opcode::CallEnd);
        self.region.blocks.iter().any(|b| i64::from(b.offset) + i64::from(b.bytes()) == 0 && call(&b.ops))
    }

    /// Guest address of the entry.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Its page.
    pub fn page(&self) -> u64 {
        self.entry & PAGE_MASK
    }
}

impl Pair {
    /// Two harts of `model`.
    pub fn new(model: Model) -> Pair {
        let mut fast = hart_of(model.clone());
        let mut jumps = vec![JumpEntry { pc: 0, tag: 0, record: 0, local: 0 }; crate::cache::jump::ENTRIES]
            .into_boxed_slice();
        fast.core.jumps = jumps.as_mut_ptr();
        Pair { fast, slow: hart_of(model), jumps }
    }

    /// Sets both to one random state at `pc`.
    pub fn reset(&mut self, r: &mut Random, pc: u64, budget: i64) {
        let mut data = vec![0u8; (DATA.end - DATA.start) as usize];
        data.chunks_mut(8).for_each(|c| c.copy_from_slice(&r.value().to_le_bytes()));
        let mut regs = [0u64; 256];
        for (i, reg) in regs.iter_mut().enumerate().take(TEMPS.into()).skip(1) {
            *reg = if i < F0.into() { r.value() } else { r.float() };
        }
        for p in POINTERS {
            let room = DATA.end - DATA.start - 0x4000;
            regs[p as usize] =
                DATA.start + 0x1000 + r.below(room) / 8 * 8 + if r.one_in(12) { r.below(8) } else { 0 };
        }
        if r.one_in(8) {
            // Over the end of memory.
            regs[POINTERS[0] as usize] = RAM + RAM_LEN - 8 - r.below(0x100);
        }
        regs[1] = pc;
        // Dynamic rounding to max magnitude is lifted as a static mode.
        let rm = r.below(4) as u8;
        let flush = r.one_in(3);
        let attention = r.one_in(10);
        let (enabled, stopped) = (if r.one_in(4) { r.value() as u32 } else { 7 }, r.below(8) as u32);
        let stopped = if r.one_in(4) { stopped & !2 } else { 0 };
        for cpu in [&mut self.fast, &mut self.slow] {
            assert!(cpu.shared.memory.load(DATA.start, &data));
            assert!(cpu.shared.memory.load(RAM + RAM_LEN - 0x1000, &data[..0x1000]));
            cpu.regs = regs;
            let ext = Riscv::reset(&cpu.shared.model, 0);
            cpu.ext = ext;
            cpu.ext.pmp.open();
            cpu.ext.mstatus |= 3 << 13;
            (cpu.ext.mcounteren, cpu.ext.scounteren, cpu.ext.mcountinhibit) = (enabled, 7, stopped);
            cpu.ext.m.tvec = RAM + 0x100;
            if flush {
                cpu.tlb.flush_all();
            }
            cpu.select_address_space();
            cpu.pc = pc;
            (cpu.slice, cpu.budget, cpu.retired_base, cpu.unretired) = (budget, budget, 0, 0);
            cpu.set_reservation(None);
            cpu.fenv = Default::default();
            cpu.fenv.rm = rm;
            cpu.refresh_tag();
            cpu.tier2_insns = 0;
            let fcr = host::fcr(rm);
            cpu.core.guest_fcr = fcr;
            if attention {
                cpu.hart.lines.kick();
            } else {
                cpu.hart.lines.take_attention();
            }
        }
    }

    /// Puts the translation at `pc` into the jump cache, and nothing else.
    pub fn remember(&mut self, pc: u64, record: u64) {
        self.jumps.fill(JumpEntry { pc: 0, tag: 0, record: 0, local: 0 });
        let slot = ((pc >> 1) ^ (pc >> 13)) as usize & (self.jumps.len() - 1);
        self.jumps[slot] = JumpEntry { pc, tag: self.fast.tag, record, local: 0 };
    }

    /// Runs the compiled side once.
    pub fn enter(&mut self, code: &Loaded) -> Exit {
        // SAFETY: a live hart, and an entry that a compiler made, in memory that `code` keeps.
        let exit = unsafe { host::enter(&mut self.fast.core, code.entry()) };
        self.fast.merge_float_flags();
        exit
    }

    /// Where compiled code left an access to the interpreter: runs the rest of the block on the compiled side.
    pub fn run_rest(&mut self, subject: &Subject) {
        let pc = self.fast.pc;
        let starts = |e: &(&u64, &Code)| *e.0 <= pc && pc < e.0 + e.1.bytes as u64;
        let Some((&at, code)) = subject.codes.iter().find(starts) else { return };
        let Some(rest) = rest_of(code, (pc - at) as u16) else { return };
        self.fast.budget -= rest.insns as i64;
        interp::run(&mut self.fast, &rest, pc);
    }

    /// Runs the interpreted side until as much budget is used as on the other.
    pub fn catch_up(&mut self, subject: &Subject) {
        while self.slow.budget > self.fast.budget {
            let pc = self.slow.pc;
            let Some(code) = subject.codes.get(&pc) else { return };
            self.slow.budget -= code.insns as i64;
            match interp::run(&mut self.slow, code, pc) {
                Leave::Exit(_) | Leave::Indirect => {}
                Leave::Dispatch | Leave::Flow(_) => return,
            }
        }
    }

    /// Panics unless the guest sees the same on both sides.
    pub fn check(&self) {
        let (a, b) = (&self.fast, &self.slow);
        assert_eq!((a.pc, a.budget, a.unretired), (b.pc, b.budget, b.unretired), "pc, budget, unretired");
        for i in 0..TEMPS as usize {
            assert_eq!(a.regs[i], b.regs[i], "word {i}");
        }
        assert_eq!(a.ext, b.ext);
        assert_eq!(a.reservation(), b.reservation());
        assert_eq!((a.retired_base, a.instret()), (b.retired_base, b.instret()));
        assert_eq!(a.fenv, b.fenv);
        let read = |cpu: &Cpu<Riscv>, at, len| {
            let mut bytes = vec![0u8; len];
            assert!(cpu.shared.memory.read_bytes(at, &mut bytes));
            bytes
        };
        let len = (DATA.end - DATA.start) as usize;
        assert!(read(a, DATA.start, len) == read(b, DATA.start, len), "memory");
        let last = RAM + RAM_LEN - 0x1000;
        assert!(read(a, last, 0x1000) == read(b, last, 0x1000), "last page");
    }
}

/// The block that begins with the instruction at `offset` of `code`.
pub fn rest_of(code: &Code, offset: u16) -> Option<Code> {
    let first = code.bounds.iter().position(|b| b.offset == offset)?;
    let op = code.bounds[first].op;
    let mut ops = code.ops[op.into()..].to_vec();
    for op in &mut ops {
        match op.code.shape() {
            Shape::Branch | Shape::Jump => {
                op.imm -= i64::from(offset);
                op.aux -= u32::from(offset);
            }
            Shape::JumpReg => op.aux -= u32::from(offset),
            Shape::Exit => op.imm -= i64::from(offset),
            Shape::Call => {
                let site = CallSite(op.aux);
                op.aux = CallSite::new(site.id(), site.insn() - first as u16).0;
            }
            Shape::Ri if op.code == Opcode::AddPc => op.imm -= i64::from(offset),
            _ => {}
        }
    }
    let moved = |b: &Boundary| Boundary { op: b.op - op, offset: b.offset - offset, ..*b };
    let bounds = code.bounds[first..].iter().map(moved).collect();
    let block = Block { ops, bounds, bytes: code.bytes - u32::from(offset) };
    Some(Code::new(block, code.pa + u64::from(offset), None, code.key))
}
