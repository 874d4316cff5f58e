//! RISC-V behind the engine's [`Guest`] trait.

use super::csr::bits::*;
use super::helpers::Helper;
use super::model::Model;
use super::state::{Mode, State};
use super::system::Remote;
use super::{KEY_FRM_INVALID, TEMPS, frames, mmu, sbi, system, tally, trap};
use crate::exec::cpu::{Cpu, FloatEnv};
use crate::guest::{
    Access, Exception, FaultKind, Flow, Guest, HelperDesc, LiftInput, StateMoves, Translation,
};
use crate::ir::{Block, Op};
use crate::tier::monitor::{Counter, HartStatus};
use crate::watch::samples::Privilege;

/// RISC-V 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Riscv;

impl Guest for Riscv {
    const NAME: &'static str = "riscv64";
    const TEMPS: u8 = TEMPS;
    const ZERO: Option<u8> = Some(0);
    const MAX_INSN_BYTES: usize = 4;
    const COUNTERS: &'static [Counter<HartStatus>] = tally::COUNTERS;
    type Model = Model;
    type Ext = State;
    type Remote = Remote;

    fn traps_misaligned(model: &Model) -> bool {
        model.trap_misaligned
    }

    fn reset(model: &Model, id: u32) -> State {
        State::reset(model, id)
    }

    fn reg_name(reg: u8) -> Option<&'static str> {
        super::disasm::reg_name(reg)
    }

    fn helper_desc(id: u16) -> Option<&'static HelperDesc> {
        Helper::DESC.get(id as usize)
    }

    fn state_moves(model: &Model) -> StateMoves {
        super::csr::state_moves(model)
    }

    #[inline]
    fn block_key(cpu: &Cpu<Riscv>) -> u32 {
        // Off, initial and clean, dirty: the states of KEY_FS.
        let fs = match cpu.ext.float_state() {
            0 => return super::KEY_FS_OFF,
            3 => super::KEY_FS_DIRTY,
            _ => super::KEY_FS_CLEAN,
        };
        fs | match cpu.fenv.rm {
            0..4 => 0,
            4 => super::KEY_FRM_RMM,
            _ => KEY_FRM_INVALID,
        }
    }

    fn lift(model: &Model, input: LiftInput<'_>) -> Block {
        super::lift::lift(model, input)
    }

    fn disassemble(code: &[u8], pc: u64) -> (String, usize) {
        super::disasm::disassemble(code, pc)
    }

    fn fetch_index(cpu: &Cpu<Riscv>) -> u8 {
        mmu::fetch_index(cpu)
    }

    fn data_index(cpu: &Cpu<Riscv>) -> u8 {
        mmu::data_index(cpu)
    }

    fn context(cpu: &Cpu<Riscv>, index: u8) -> u64 {
        mmu::context(cpu, index)
    }

    fn translate(
        cpu: &mut Cpu<Riscv>,
        va: u64,
        size: u32,
        access: Access,
        index: u8,
    ) -> Result<Translation, Exception> {
        mmu::translate(cpu, va, size, access, index)
    }

    fn peek_fetch(cpu: &Cpu<Riscv>, va: u64) -> Option<Translation> {
        mmu::peek_fetch(cpu, va)
    }

    fn peek_load(cpu: &Cpu<Riscv>, va: u64, size: u32) -> Option<Translation> {
        mmu::peek_load(cpu, va, size)
    }

    fn privilege(cpu: &Cpu<Riscv>) -> Privilege {
        match cpu.ext.mode {
            Mode::User => Privilege::User,
            Mode::Supervisor => Privilege::Kernel,
            Mode::Machine => Privilege::Machine,
        }
    }

    fn callers(cpu: &Cpu<Riscv>, read: impl FnMut(u64) -> Option<u64>, out: &mut Vec<u64>) -> bool {
        frames::callers(&cpu.regs, read, out)
    }

    fn memory_fault(kind: FaultKind, access: Access, va: u64) -> Exception {
        let cause = match (kind, access) {
            (FaultKind::Misaligned, Access::Load) => CAUSE_LOAD_MISALIGNED,
            (FaultKind::Misaligned, Access::Store) => CAUSE_STORE_MISALIGNED,
            (FaultKind::Misaligned, Access::Fetch) => CAUSE_FETCH_MISALIGNED,
            (FaultKind::Bus, Access::Load) => CAUSE_LOAD_ACCESS,
            (FaultKind::Bus, Access::Store) => CAUSE_STORE_ACCESS,
            (FaultKind::Bus, Access::Fetch) => CAUSE_FETCH_ACCESS,
        };
        Exception { cause, tval: va }
    }

    fn helper(cpu: &mut Cpu<Riscv>, op: &Op) -> Result<Flow, Exception> {
        system::helper(cpu, op)
    }

    fn raise(cpu: &mut Cpu<Riscv>, e: Exception) {
        trap::raise(cpu, e);
    }

    fn poll(cpu: &mut Cpu<Riscv>) -> bool {
        sbi::woken(cpu);
        trap::poll(cpu)
    }

    fn poll_after_change(cpu: &mut Cpu<Riscv>) {
        trap::poll_after_change(cpu);
    }

    fn wakes(cpu: &mut Cpu<Riscv>) -> bool {
        trap::wakes(cpu)
    }

    fn deadline(cpu: &Cpu<Riscv>) -> Option<u64> {
        trap::deadline(cpu)
    }

    fn remote(cpu: &mut Cpu<Riscv>, request: Remote) {
        system::remote(cpu, request);
    }

    fn sanitise(cpu: &mut Cpu<Riscv>) {
        cpu.fenv.flags &= 0x1f;
        cpu.fenv.rm &= 7;
        cpu.pc &= !1;
        super::state::sanitise(cpu);
        sbi::restored(cpu);
    }

    fn start(cpu: &mut Cpu<Riscv>, pc: u64, args: [u64; 2]) {
        cpu.fenv = FloatEnv::default();
        if cpu.shared.model.builtin_sbi {
            sbi::hand_over(cpu, pc, args);
        } else {
            cpu.ext = State::reset(&cpu.shared.model, cpu.hart.id);
            cpu.ext.mode = Mode::Machine;
            cpu.pc = pc & !1;
            (cpu.regs[10], cpu.regs[11]) = (args[0], args[1]);
            cpu.set_reservation(None);
            cpu.tlb.flush_all();
            cpu.select_address_space();
        }
        sbi::started(cpu);
    }
}
