//! Two equal harts: one runs a block by the interpreter, the other compiled.

use super::*;
use crate::cache::code::Code;
use crate::cache::jump::ENTRIES;
use crate::exec::core::JumpEntry;
use crate::exec::cpu::Cpu;
use crate::guest::Guest;
use crate::guest::riscv::model::Model;
use crate::guest::riscv::testing::RAM_LEN;
use crate::guest::riscv::{Riscv, TEMPS};
use crate::interp::Leave;
use crate::jit::block::{BlockInput, Failed, Profile};
use crate::jit::emitted::Emitted;
use crate::jit::single::Single;
use crate::jit::testing::compare::rest_of;

/// Bytes at the start of RAM that blocks work on and that are compared.
pub const DATA: usize = 4 * 4096;

/// The page before the end of RAM, which is compared too.
const LAST_PAGE: u64 = RAM + RAM_LEN - 4096;

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// By a direct exit.
    Exit(usize),
    /// Indirectly, or directly where the jump cache must be asked.
    Lookup,
    Flow,
    Poll,
    Hot,
}

/// All that must be equal afterwards.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub left: Left,
    pub pc: u64,
    pub budget: i64,
    pub retired: u64,
    pub regs: Vec<u64>,
    pub flags: u8,
    pub reservation: Option<crate::exec::cpu::Reservation>,
    pub ext: <Riscv as Guest>::Ext,
    pub memory: Vec<u8>,
}

/// How a block is placed and run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub pc: u64,
    pub budget: i64,
    pub one_page: bool,
    pub alone: bool,
    pub profile: Profile,
    pub traps_misaligned: bool,
    pub rm: u8,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            pc: 0x1_2340_0800,
            budget: 1000,
            one_page: true,
            alone: false,
            profile: Profile::Nothing,
            traps_misaligned: false,
            rm: 0,
        }
    }
}

pub struct Pair {
    pub oracle: Box<Cpu<Riscv>>,
    pub tested: Box<Cpu<Riscv>>,
    pub arena: Arena,
    pub compiler: Tier1,
    /// Compiles in its place.
    pub single: Option<Single>,
    pub jumps: Vec<JumpEntry>,
}

pub fn input<'a>(block: &'a Block, setup: &Setup) -> BlockInput<'a> {
    BlockInput {
        ops: &block.ops,
        bounds: &block.bounds,
        page_offset: (setup.pc & 0xfff) as u16,
        one_page: setup.one_page,
        traps_misaligned: setup.traps_misaligned,
        alone: setup.alone,
        profile: setup.profile,
        zero: Some(0),
        state_moves: Riscv::state_moves(&Model::default()),
        temps: TEMPS,
    }
}

impl Pair {
    pub fn new() -> Pair {
        Pair::of(hart)
    }

    pub fn of(make: impl Fn() -> Box<Cpu<Riscv>>) -> Pair {
        let mut jumps = vec![JumpEntry { pc: 1, tag: 0, record: 0, local: 0 }; ENTRIES];
        let (oracle, mut tested) = (make(), make());
        tested.core.jumps = jumps.as_mut_ptr();
        Pair { oracle, tested, arena: Arena::new(), compiler: Tier1::default(), single: None, jumps }
    }

    /// Both harts with these registers, this memory, nothing else left over.
    pub fn reset(&mut self, regs: &[u64; 64], memory: &[u8], setup: &Setup) {
        let fresh = <Riscv as Guest>::reset(&self.oracle.shared.model, 0);
        for cpu in [&mut self.oracle, &mut self.tested] {
            assert!(cpu.shared.memory.load(RAM, memory));
            assert!(cpu.shared.memory.load(LAST_PAGE, &memory[..memory.len().min(4096)]));
            cpu.regs[..64].copy_from_slice(regs);
            cpu.set_reservation(None);
            cpu.fenv = crate::exec::cpu::FloatEnv { flags: 0, rm: setup.rm };
            (cpu.pc, cpu.budget, cpu.retired_base) = (setup.pc, setup.budget, 0);
            (cpu.slice, cpu.insn_pc, cpu.unretired) = (setup.budget, 0, 0);
            let _ = &fresh;
        }
    }

    fn outcome(cpu: &Cpu<Riscv>, left: Left) -> Outcome {
        let mut memory = vec![0; DATA + 4096];
        assert!(cpu.shared.memory.read_bytes(RAM, &mut memory[..DATA]));
        assert!(cpu.shared.memory.read_bytes(LAST_PAGE, &mut memory[DATA..]));
        Outcome {
            left,
            pc: cpu.pc,
            budget: cpu.budget,
            retired: cpu.instret(),
            regs: cpu.regs[..TEMPS as usize].to_vec(),
            flags: cpu.fenv.flags,
            reservation: cpu.reservation(),
            ext: cpu.ext.clone(),
            memory,
        }
    }

    /// Runs the block by the interpreter: again and again while it jumps to itself.
    pub fn interpret(&mut self, block: &Block, setup: &Setup) -> Outcome {
        let (loops, cpu) = (self.single.is_some(), &mut *self.oracle);
        let code = Code::new(block.clone(), RAM, None, 0);
        loop {
            if cpu.budget < i64::from(code.insns) {
                return Self::outcome(cpu, Left::Poll);
            }
            cpu.budget -= i64::from(code.insns);
            let left = interp::run(cpu, &code, setup.pc);
            if let Some(left) = Self::left(cpu, left, setup, loops) {
                return Self::outcome(cpu, left);
            }
        }
    }

    /// How compiled code would have left it; `None` if it would have begun again. `loops`: by any exit, not only the taken one.
    fn left(cpu: &mut Cpu<Riscv>, left: Leave, setup: &Setup, loops: bool) -> Option<Left> {
        let in_page = setup.one_page && cpu.pc & !0xfff == setup.pc & !0xfff;
        Some(match left {
            Leave::Exit(n) if in_page && cpu.pc == setup.pc && (n == 1 || loops) => return None,
            Leave::Exit(n) if in_page => Left::Exit(n),
            Leave::Exit(_) | Leave::Indirect => Left::Lookup,
            Leave::Dispatch => {
                Riscv::poll_after_change(cpu);
                Left::Lookup
            }
            Leave::Flow(_) => Left::Flow,
        })
    }

    /// A pair whose blocks tier 2's compiler compiles.
    pub fn second() -> Pair {
        let single = Single::new(Riscv::helper_desc).expect("a compiler");
        Pair { single: Some(single), ..Pair::new() }
    }

    /// Compiles a block.
    pub fn compile(&mut self, block: &Block, setup: &Setup) -> Result<Emitted, Failed> {
        match &mut self.single {
            Some(single) => single.compile(&input(block, setup)),
            None => self.compiler.compile(&input(block, setup)),
        }
    }

    /// Runs it compiled.
    pub fn run(&mut self, block: &Block, setup: &Setup) -> Outcome {
        if self.single.is_some() {
            return self.run_single(block, setup);
        }
        let emitted = self.compile(block, setup).expect("compiled");
        let entry = self.arena.load(&emitted, i32::MAX);
        self.enter(entry)
    }

    /// Runs it compiled by the other compiler, and interprets the rest of the block where that leaves before an access.
    fn run_single(&mut self, block: &Block, setup: &Setup) -> Outcome {
        let emitted = self.compile(block, setup).expect("compiled");
        let entry = self.arena.load(&emitted, i32::MAX);
        let code = Code::new(block.clone(), RAM, None, 0);
        let loops = true;
        loop {
            let outcome = self.enter(entry);
            let cpu = &mut *self.tested;
            let offset = cpu.pc.wrapping_sub(setup.pc);
            if outcome.left != Left::Poll || offset == 0 && cpu.budget < i64::from(code.insns) {
                return outcome;
            }
            let rest = rest_of(&code, offset as u16).expect("an instruction of the block");
            assert!(rest.ops.iter().any(|op| op.code.fields().faults), "it left before no access");
            let pc = cpu.pc;
            cpu.budget -= i64::from(rest.insns);
            let left = interp::run(cpu, &rest, pc);
            if let Some(left) = Self::left(cpu, left, setup, loops) {
                return Self::outcome(cpu, left);
            }
        }
    }

    pub fn enter(&mut self, entry: u64) -> Outcome {
        let cpu = &mut *self.tested;
        cpu.refresh_tag();
        cpu.guest_fcr = host::fcr(cpu.fenv.rm);
        // SAFETY: the hart is ours, the code was made by the contract and stays in the arena.
        let exit = unsafe { host::enter(&raw mut cpu.core, entry) };
        cpu.merge_float_flags();
        let left = match exit.kind() {
            Exit::LINK => Left::Exit(self.arena.slot_at(exit.address())),
            Exit::FLOW => Left::Flow,
            Exit::POLL => Left::Poll,
            Exit::HOT => Left::Hot,
            Exit::LOOKUP => Left::Lookup,
            _ => panic!("exit {exit:?}"),
        };
        if left == Left::Hot {
            assert_eq!(exit.address(), self.arena.record() as *const _ as u64);
        }
        Self::outcome(cpu, left)
    }

    /// Both ways from the same start; the same end.
    pub fn compare(
        &mut self,
        block: &Block,
        regs: &[u64; 64],
        memory: &[u8],
        setup: &Setup,
    ) -> Result<(), String> {
        self.reset(regs, memory, setup);
        let (mut tested, mut oracle) = (self.run(block, setup), self.interpret(block, setup));
        if self.single.is_some() {
            // It numbers its slots in its own order; the pc says which exit it was.
            for left in [&mut tested.left, &mut oracle.left] {
                if let Left::Exit(n) = left {
                    *n = 0;
                }
            }
        }
        if tested == oracle {
            return Ok(());
        }
        Err(difference(&tested, &oracle))
    }
}

fn difference(tested: &Outcome, oracle: &Outcome) -> String {
    let mut text = String::new();
    let mut note = |what: &str, t: String, o: String| {
        if t != o {
            text += &format!("{what}: compiled {t}, interpreted {o}\n");
        }
    };
    note("left", format!("{:?}", tested.left), format!("{:?}", oracle.left));
    note("pc", format!("{:#x}", tested.pc), format!("{:#x}", oracle.pc));
    note("budget", tested.budget.to_string(), oracle.budget.to_string());
    note("retired", tested.retired.to_string(), oracle.retired.to_string());
    note("flags", tested.flags.to_string(), oracle.flags.to_string());
    note("reservation", format!("{:?}", tested.reservation), format!("{:?}", oracle.reservation));
    for (i, (t, o)) in tested.regs.iter().zip(&oracle.regs).enumerate() {
        note(&format!("word {i}"), format!("{t:#x}"), format!("{o:#x}"));
    }
    note("ext", format!("{:?}", tested.ext), format!("{:?}", oracle.ext));
    for (i, (t, o)) in tested.memory.iter().zip(&oracle.memory).enumerate() {
        note(&format!("byte {i:#x}"), format!("{t:#x}"), format!("{o:#x}"));
    }
    text
}
