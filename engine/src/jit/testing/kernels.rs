//! Small kernels as GCC made them (`-O2 -march=rv64gc`), and a run loop that compiles what is hot.
//!
//! The loop is the least that can adapt: blocks are interpreted and counted, a block that has run often enough becomes the
//! head of a region, and regions are entered wherever control comes to their heads.

use super::exec::Loaded;
use super::random::CODE;
use crate::cache::code::Code;
use crate::cache::jump::ENTRIES;
use crate::exec::core::JumpEntry;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::model::Model;
use crate::guest::riscv::testing::{RAM, hart_of};
use crate::guest::riscv::{KEY_FS_OFF, Riscv};
use crate::guest::{Guest, LiftInput};
use crate::host;
use crate::interp::{self, Leave};
use crate::ir::opt::{Optimiser, Rules};
use crate::jit::abi::Exit;
use crate::jit::across::Place;
use crate::jit::region::{BlockProfile, GuestRules, Limits, form};
use crate::jit::targets;
use crate::jit::tier2::Tier2;
use std::collections::HashMap;
use std::sync::Arc;

include!("kernels/words.rs");

/// Where kernels return to.
const BACK: u64 = 0x10;
const DATA: u64 = RAM + 0x4_0000;

struct Seen {
    code: Arc<Code>,
    runs: u64,
    taken: u64,
    /// The index of the region that it heads.
    region: Option<usize>,
}

/// A hart, its blocks and its regions.
pub struct Runner {
    /// The hart.
    pub cpu: Box<Cpu<Riscv>>,
    tier2: Option<Tier2>,
    blocks: HashMap<u64, Seen>,
    regions: Vec<Loaded>,
    _jumps: Box<[JumpEntry]>,
    optimiser: Optimiser,
    /// Compiled code has left the next block to the interpreter.
    interpret: bool,
    /// Guest instructions in regions.
    pub compiled: u64,
}

impl Runner {
    /// A hart with the kernels in memory. `compiles`: hot blocks become regions.
    pub fn new(compiles: bool) -> Runner {
        let mut cpu = hart_of(Model::default());
        let bytes: Vec<u8> = WORDS.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(cpu.shared.memory.load(CODE, &bytes));
        cpu.core.guest_fcr = host::fcr(0);
        let mut jumps = vec![JumpEntry { pc: 0, tag: 0, record: 0, local: 0 }; ENTRIES].into_boxed_slice();
        cpu.core.jumps = jumps.as_mut_ptr();
        Runner {
            _jumps: jumps,
            tier2: compiles.then(|| Tier2::new().expect("compiler")),
            cpu,
            blocks: HashMap::new(),
            regions: Vec::new(),
            optimiser: Optimiser::new(),
            interpret: false,
            compiled: 0,
        }
    }

    fn lift(&mut self, pc: u64) -> Arc<Code> {
        let at = (pc - CODE) as usize;
        let bytes: Vec<u8> = WORDS.iter().flat_map(|w| w.to_le_bytes()).collect();
        let input = LiftInput { code: &bytes[at..], key: KEY_FS_OFF, max_insns: 64 };
        let mut block = Riscv::lift(&self.cpu.shared.model, input);
        self.optimiser.run(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
        Arc::new(Code::new(block, pc, None, KEY_FS_OFF))
    }

    fn compile(&mut self, pc: u64) {
        let Some(tier2) = &mut self.tier2 else { return };
        let limits = Limits::new(GuestRules::of::<Riscv>(&self.cpu.shared.model));
        let blocks = &self.blocks;
        let mut find = |at: Place| {
            let seen = blocks.get(&(CODE + at as u64))?;
            let (runs, taken) = (seen.runs, seen.taken);
            let mut targets = Vec::new();
            if targets::jumps_by_table(&seen.code.ops) {
                let mut code_at = |to: Place| Some(blocks.get(&(CODE + to as u64))?.code.clone());
                targets = targets::guess(at, &mut code_at);
            }
            let code = seen.code.clone();
            let guesses = Default::default();
            Some(BlockProfile { code, runs, taken, counted: runs, keeps_key: true, targets, guesses })
        };
        let region = form((pc - CODE) as u16, &mut find, &limits).expect("region");
        let emitted = tier2.compile(&region).expect("compiled");
        self.compiled += region.insns() as u64;
        self.regions.push(Loaded::new(&emitted));
        let number = self.regions.len() - 1;
        self.blocks.get_mut(&pc).expect("seen").region = Some(number);
    }

    /// Calls kernel `offset` with `rounds`. Returns its result and instructions.
    pub fn call(&mut self, offset: u64, rounds: u64) -> (u64, u64) {
        let cpu = &mut self.cpu;
        cpu.pc = CODE + offset;
        cpu.regs[1] = BACK;
        cpu.regs[2] = RAM + 0x18_0000;
        (cpu.regs[10], cpu.regs[11]) = (DATA, rounds);
        (cpu.slice, cpu.budget) = (i64::MAX / 2, i64::MAX / 2);
        while self.cpu.pc != BACK {
            self.step();
        }
        let insns = (self.cpu.slice - self.cpu.budget) as u64;
        (self.cpu.regs[10], insns)
    }

    fn step(&mut self) {
        let pc = self.cpu.pc;
        if !self.blocks.contains_key(&pc) {
            let code = self.lift(pc);
            self.blocks.insert(pc, Seen { code, runs: 0, taken: 0, region: None });
        }
        let seen = self.blocks.get_mut(&pc).expect("lifted");
        if let Some(region) = seen.region
            && !std::mem::take(&mut self.interpret)
        {
            self.cpu.refresh_tag();
            // SAFETY: a live hart, and an entry that the compiler made, in memory that `regions` keeps.
            let exit = unsafe { host::enter(&mut self.cpu.core, self.regions[region].entry()) };
            self.interpret = exit.kind() == Exit::POLL;
            return;
        }
        seen.runs += 1;
        let code = seen.code.clone();
        self.interpret = false;
        if seen.runs == 64 && self.tier2.is_some() {
            return self.compile(pc);
        }
        self.cpu.budget -= code.insns as i64;
        match interp::run(&mut self.cpu, &code, pc) {
            Leave::Exit(side) => {
                self.blocks.get_mut(&pc).expect("seen").taken += side as u64;
            }
            Leave::Indirect => {}
            left => panic!("{left:?} at {pc:#x}"),
        }
    }
}
