//! The helper table: what lifted code calls for everything that is not plain computation.
//!
//! The lifter emits [`crate::ir::Opcode::Call`] (the block goes on) or `CallEnd` (the block ends, the helper may have changed
//! pc, mode or translation) with these numbers; `Guest::helper` runs them.

use crate::guest::HelperDesc;

macro_rules! helpers {
    ($( $(#[$doc:meta])* $name:ident $text:literal reads $reads:expr, writes $writes:expr, faults $faults:literal; )*) => {
        /// A helper; its number is its discriminant.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum Helper { $( $(#[$doc])* $name, )* }

        impl Helper {
            /// All helpers by number.
            pub const ALL: &'static [Helper] = &[ $( Helper::$name, )* ];
            /// The declarations by number.
            pub const DESC: &'static [HelperDesc] = &[ $( HelperDesc {
                name: $text, reads: $reads, writes: $writes, faults: $faults,
                // A CSR write that changes it leaves the block.
                changes_key: matches!(Helper::$name, Helper::FloatDirty),
            }, )* ];

            /// The helper with this number.
            pub fn from_id(id: u16) -> Option<Helper> {
                Helper::ALL.get(id as usize).copied()
            }
        }
    };
}

helpers! {
    /// CallEnd. Illegal instruction; `imm` = the instruction's bits (trap value).
    Illegal "illegal" reads &[], writes &[], faults true;
    /// CallEnd. May run the built-in SBI, which reads and writes a0 to a7.
    Ecall "ecall" reads &[(10, 8)], writes &[(10, 2)], faults true;
    /// CallEnd. Breakpoint; trap value = pc.
    Ebreak "ebreak" reads &[], writes &[], faults true;
    /// CallEnd. `imm` = bits, for the illegal-instruction case.
    Mret "mret" reads &[], writes &[], faults true;
    /// CallEnd. `imm` = bits.
    Sret "sret" reads &[], writes &[], faults true;
    /// CallEnd. `imm` = bits.
    Wfi "wfi" reads &[], writes &[], faults true;
    /// CallEnd. WRS.NTO (`imm` = bits) and WRS.STO.
    WrsNto "wrs.nto" reads &[], writes &[], faults true;
    /// CallEnd.
    WrsSto "wrs.sto" reads &[], writes &[], faults true;
    /// CallEnd. Invalidate by address `b` and ASID `c`; `imm` = bits (rs1, rs2 = x0 are told from there).
    SfenceVma "sfence.vma" reads &[], writes &[], faults true;
    /// CallEnd. SFENCE.W.INVAL and SFENCE.INVAL.IR; `imm` = bits.
    SfenceOrder "sfence.order" reads &[], writes &[], faults true;
    /// CallEnd.
    FenceI "fence.i" reads &[], writes &[], faults false;
    /// `a` = old CSR value; `b` = register operand (register forms), `imm` = the instruction's bits, from which CSR number,
    /// operation and immediate are told. Call for reads and for writes behind which a block mostly goes on; it leaves the block where
    /// an interrupt is due or the key has changed. CallEnd for writes that may change the translation of code or the
    /// rounding mode.
    Csr "csr" reads &[], writes &[], faults true;
    /// `b` = address; clears its cache block. Faults as a store.
    CboZero "cbo.zero" reads &[], writes &[], faults true;
    /// `b` = address; `imm` = the instruction's bits (inval 0, clean 1, flush 2 in the immediate field).
    CboManage "cbo.manage" reads &[], writes &[], faults true;
    /// AMOCAS.Q: `b` = address; register pairs are told from the bits in `imm`.
    AmocasQ "amocas.q" reads &[(0, 32)], writes &[(0, 32)], faults true;
    /// Call. Marks the float state dirty; emitted before the first float write of a block lifted with a clean state.
    FloatDirty "float.dirty" reads &[], writes &[], faults false;
}
