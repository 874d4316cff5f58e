//! Fields of CSRs, by the names of the privileged specification.

#![allow(missing_docs)]

pub const MSTATUS_SIE: u64 = 1 << 1;
pub const MSTATUS_MIE: u64 = 1 << 3;
pub const MSTATUS_SPIE: u64 = 1 << 5;
pub const MSTATUS_MPIE: u64 = 1 << 7;
pub const MSTATUS_SPP: u64 = 1 << 8;
pub const MSTATUS_MPP_SHIFT: u32 = 11;
pub const MSTATUS_MPP: u64 = 3 << MSTATUS_MPP_SHIFT;
pub const MSTATUS_FS_SHIFT: u32 = 13;
pub const MSTATUS_FS: u64 = 3 << MSTATUS_FS_SHIFT;
pub const MSTATUS_MPRV: u64 = 1 << 17;
pub const MSTATUS_SUM: u64 = 1 << 18;
pub const MSTATUS_MXR: u64 = 1 << 19;
pub const MSTATUS_TVM: u64 = 1 << 20;
pub const MSTATUS_TW: u64 = 1 << 21;
pub const MSTATUS_TSR: u64 = 1 << 22;
pub const MSTATUS_UXL_64: u64 = 2 << 32;
pub const MSTATUS_SXL_64: u64 = 2 << 34;
pub const MSTATUS_SD: u64 = 1 << 63;

/// Writable fields of `sstatus`.
pub const SSTATUS_WRITE: u64 =
    MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR;
/// Writable fields of `mstatus`.
pub const MSTATUS_WRITE: u64 = SSTATUS_WRITE
    | MSTATUS_MIE
    | MSTATUS_MPIE
    | MSTATUS_MPP
    | MSTATUS_MPRV
    | MSTATUS_TVM
    | MSTATUS_TW
    | MSTATUS_TSR;

pub const SSIP: u64 = 1 << 1;
pub const MSIP: u64 = 1 << 3;
pub const STIP: u64 = 1 << 5;
pub const MTIP: u64 = 1 << 7;
pub const SEIP: u64 = 1 << 9;
pub const MEIP: u64 = 1 << 11;
/// Interrupts of S-mode, which `mideleg` may delegate.
pub const S_INTERRUPTS: u64 = SSIP | STIP | SEIP;
/// All interrupts.
pub const INTERRUPTS: u64 = S_INTERRUPTS | MSIP | MTIP | MEIP;
/// Line number of the supervisor software interrupt among a hart's lines.
pub const SSIP_LINE: u32 = 1;

pub const CAUSE_FETCH_MISALIGNED: u64 = 0;
pub const CAUSE_FETCH_ACCESS: u64 = 1;
pub const CAUSE_ILLEGAL: u64 = 2;
pub const CAUSE_BREAKPOINT: u64 = 3;
pub const CAUSE_LOAD_MISALIGNED: u64 = 4;
pub const CAUSE_LOAD_ACCESS: u64 = 5;
pub const CAUSE_STORE_MISALIGNED: u64 = 6;
pub const CAUSE_STORE_ACCESS: u64 = 7;
pub const CAUSE_ECALL_U: u64 = 8;
pub const CAUSE_ECALL_S: u64 = 9;
pub const CAUSE_ECALL_M: u64 = 11;
pub const CAUSE_FETCH_PAGE: u64 = 12;
pub const CAUSE_LOAD_PAGE: u64 = 13;
pub const CAUSE_STORE_PAGE: u64 = 15;
/// Bit of `xcause` that tells interrupts from exceptions.
pub const CAUSE_INTERRUPT: u64 = 1 << 63;

/// Exceptions that `medeleg` may delegate: all that can come from below M-mode.
pub const DELEGABLE: u64 = 1 << CAUSE_FETCH_MISALIGNED
    | 1 << CAUSE_FETCH_ACCESS
    | 1 << CAUSE_ILLEGAL
    | 1 << CAUSE_BREAKPOINT
    | 1 << CAUSE_LOAD_MISALIGNED
    | 1 << CAUSE_LOAD_ACCESS
    | 1 << CAUSE_STORE_MISALIGNED
    | 1 << CAUSE_STORE_ACCESS
    | 1 << CAUSE_ECALL_U
    | 1 << CAUSE_ECALL_S
    | 1 << CAUSE_FETCH_PAGE
    | 1 << CAUSE_LOAD_PAGE
    | 1 << CAUSE_STORE_PAGE;

pub const ENVCFG_FIOM: u64 = 1;
pub const ENVCFG_CBIE_SHIFT: u32 = 4;
pub const ENVCFG_CBIE: u64 = 3 << ENVCFG_CBIE_SHIFT;
pub const ENVCFG_CBCFE: u64 = 1 << 6;
pub const ENVCFG_CBZE: u64 = 1 << 7;
pub const ENVCFG_ADUE: u64 = 1 << 61;
pub const ENVCFG_PBMTE: u64 = 1 << 62;
pub const ENVCFG_STCE: u64 = 1 << 63;

pub const COUNTER_CY: u32 = 1;
pub const COUNTER_TM: u32 = 2;
pub const COUNTER_IR: u32 = 4;

pub const SATP_MODE_SHIFT: u32 = 60;
pub const SATP_ASID_SHIFT: u32 = 44;
pub const SATP_PPN: u64 = (1 << SATP_ASID_SHIFT) - 1;
