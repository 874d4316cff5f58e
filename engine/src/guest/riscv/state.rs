//! Privileged state of a hart: mode, CSRs, PMP and what the built-in SBI keeps (privileged specification, chapters 2, 3
//! and 10).

use super::Riscv;
use super::csr::{self, bits::*};
use super::model::{Ext, Model};
use super::pmp::Pmp;
use super::sbi::pmu::PmuState;
use crate::exec::cpu::Cpu;
use serde::{Deserialize, Serialize};

/// Privilege modes, numbered as in `mstatus.MPP`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Mode {
    /// User.
    User = 0,
    /// Supervisor.
    Supervisor = 1,
    /// Machine.
    Machine = 3,
}

impl Mode {
    /// The mode with this number; 2 is reserved.
    pub fn from_bits(bits: u64) -> Option<Mode> {
        match bits & 3 {
            0 => Some(Mode::User),
            1 => Some(Mode::Supervisor),
            3 => Some(Mode::Machine),
            _ => None,
        }
    }
}

/// Programmable counters, `mhpmcounter3` to `mhpmcounter31`.
pub const HPM_COUNTERS: usize = 29;

/// Trap handling registers of one mode.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct TrapRegs {
    /// `xtvec`.
    pub tvec: u64,
    /// `xepc`.
    pub epc: u64,
    /// `xcause`.
    pub cause: u64,
    /// `xtval`.
    pub tval: u64,
    /// `xscratch`.
    pub scratch: u64,
}

/// What of a hart is neither register file, pc nor float environment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct State {
    /// Hart number, `mhartid`.
    pub hart_id: u32,
    /// Current privilege mode.
    pub mode: Mode,
    /// `mstatus` without SD, which is computed.
    pub mstatus: u64,
    /// `medeleg`.
    pub medeleg: u64,
    /// `mideleg`.
    pub mideleg: u64,
    /// `mie`.
    pub mie: u64,
    /// Software-written bits of `mip`: STIP (without a supervisor timer) and the software half of SEIP. SSIP is bit 1 of the
    /// hart's interrupt lines, because other harts set it.
    pub mip: u64,
    /// M-mode traps.
    pub m: TrapRegs,
    /// S-mode traps.
    pub s: TrapRegs,
    /// `mcounteren`.
    pub mcounteren: u32,
    /// `scounteren`.
    pub scounteren: u32,
    /// `mcountinhibit`.
    pub mcountinhibit: u32,
    /// `mcycle` and `minstret`: the value while inhibited, else what to add to the retired instructions.
    pub fixed: [u64; 2],
    /// `mhpmcounter3`...
    pub hpm: [u64; HPM_COUNTERS],
    /// `mhpmevent3`...
    pub hpm_event: [u64; HPM_COUNTERS],
    /// `menvcfg`.
    pub menvcfg: u64,
    /// `senvcfg`.
    pub senvcfg: u64,
    /// `satp`.
    pub satp: u64,
    /// `stimecmp`, in timer ticks; also the timer of the built-in SBI.
    pub stimecmp: u64,
    /// A poll has seen the timer expire.
    pub timer_expired: bool,
    /// Physical memory protection.
    pub pmp: Pmp,
    /// Built-in SBI: this hart sleeps in a non-retentive or retentive suspend.
    pub suspended: bool,
    /// Built-in SBI: counters.
    pub pmu: PmuState,
}

impl State {
    /// The state at reset, in M-mode.
    pub fn reset(model: &Model, hart_id: u32) -> State {
        let mut menvcfg = 0;
        if model.has(Ext::Svpbmt) {
            menvcfg |= ENVCFG_PBMTE;
        }
        if model.has(Ext::Svadu) {
            menvcfg |= ENVCFG_ADUE;
        }
        State {
            hart_id,
            mode: Mode::Machine,
            mstatus: MSTATUS_UXL_64 | MSTATUS_SXL_64,
            medeleg: 0,
            mideleg: 0,
            mie: 0,
            mip: 0,
            m: TrapRegs::default(),
            s: TrapRegs::default(),
            mcounteren: 0,
            scounteren: 0,
            mcountinhibit: 0,
            fixed: [0; 2],
            hpm: [0; HPM_COUNTERS],
            hpm_event: [0; HPM_COUNTERS],
            menvcfg,
            senvcfg: 0,
            satp: 0,
            stimecmp: u64::MAX,
            timer_expired: false,
            pmp: Pmp::new(model.pmp_regions),
            suspended: false,
            pmu: PmuState::default(),
        }
    }

    /// `mstatus.FS`: 0 off, 1 initial, 2 clean, 3 dirty.
    #[inline]
    pub fn float_state(&self) -> u64 {
        (self.mstatus & MSTATUS_FS) >> MSTATUS_FS_SHIFT
    }

    /// The mode in which loads and stores are checked (`mstatus.MPRV`).
    pub fn data_mode(&self) -> Mode {
        if self.mstatus & MSTATUS_MPRV != 0 && self.mode == Mode::Machine {
            return Mode::from_bits(self.mstatus >> MSTATUS_MPP_SHIFT).unwrap_or(Mode::User);
        }
        self.mode
    }
}

/// Forces restored state into what the CSRs can hold, by writing each register that has rules through its CSR.
pub fn sanitise(cpu: &mut Cpu<Riscv>) {
    let model = cpu.shared.model.clone();
    let clean = State::reset(&model, cpu.hart.id);
    let old = cpu.ext.clone();
    let regs = |r: TrapRegs| TrapRegs { tvec: 0, epc: r.epc & !1, ..r };
    cpu.ext = State {
        hart_id: clean.hart_id,
        mode: if model.builtin_sbi { old.mode.min(Mode::Supervisor) } else { old.mode },
        mstatus: clean.mstatus,
        mip: old.mip & (STIP | SEIP),
        m: regs(old.m),
        s: regs(old.s),
        mcountinhibit: old.mcountinhibit & !COUNTER_TM,
        menvcfg: 0,
        senvcfg: 0,
        satp: 0,
        pmp: old.pmp.clone().with_count(model.pmp_regions),
        ..old.clone()
    };
    // With the built-in SBI everything is delegated, or a trap would enter the M-mode that is not there.
    let (medeleg, mideleg, mie) = match model.builtin_sbi {
        true => (DELEGABLE, S_INTERRUPTS, old.mie & S_INTERRUPTS),
        false => (old.medeleg, old.mideleg, old.mie),
    };
    let ruled = [
        (0x300, old.mstatus),
        (0x302, medeleg),
        (0x303, mideleg),
        (0x304, mie),
        (0x305, old.m.tvec),
        (0x105, old.s.tvec),
        (0x30a, old.menvcfg),
        (0x10a, old.senvcfg),
        (0x180, old.satp),
    ];
    for (number, value) in ruled {
        csr::poke(cpu, number, value);
    }
}
