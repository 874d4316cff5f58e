//! Float instructions: one op each. The file's words are 64 bits wide and narrow values in them are NaN-boxed.

use super::{Lifter, dest};
use crate::guest::riscv::KEY_FRM_RMM;
use crate::guest::riscv::decode::Insn;
use crate::ir::op::{Effects, Fmt, FpFlags, RM_DYNAMIC};
use crate::ir::{Op, Opcode};

/// Round to nearest, ties to max magnitude.
const RMM: u8 = 4;

/// A format number of the encoding.
const fn format(bits: u32) -> Fmt {
    match bits & 3 {
        0 => Fmt::S,
        1 => Fmt::D,
        _ => Fmt::H,
    }
}

impl Lifter {
    pub(super) fn float(&mut self, op: Opcode, i: &Insn) {
        let rm = match i.rm() {
            _ if !i.row.form.has_rm() => 0,
            RM_DYNAMIC if self.key & KEY_FRM_RMM != 0 => RMM,
            rm => rm,
        };
        let flags = FpFlags::boxed(format(i.raw >> 25), rm);
        let flags = match op {
            Opcode::FMadd | Opcode::FMsub | Opcode::FNmsub | Opcode::FNmadd => flags.d(i.rs3()),
            Opcode::FCvt => flags.from(format(i.raw >> 20)),
            _ => flags,
        };
        // A comparison or conversion to x0 still raises its flags; what raises none is nothing.
        if i.rd == 0 && op.effects() == Effects::PURE {
            return;
        }
        self.emit(Op { code: op, a: dest(i.rd), b: i.rs1, c: i.rs2, aux: flags.0, imm: 0 });
    }

    /// FLI: the boxed constant.
    pub(super) fn float_const(&mut self, i: &Insn) {
        let number = i.imm as usize & 31;
        let bits = match format(i.raw >> 25) {
            Fmt::S => CONSTANTS[number].0 as u64 | 0xffff_ffff_0000_0000,
            Fmt::D => widen(number),
            Fmt::H => CONSTANTS[number].1 as u64 | 0xffff_ffff_ffff_0000,
        };
        self.emit(Op { a: i.rd, imm: bits as i64, ..Op::new(Opcode::Li) });
    }
}

/// The number that FLI.S loads for constant `number` (modulo 32).
pub fn fli_constant(number: usize) -> f32 {
    f32::from_bits(CONSTANTS[number & 31].0)
}

/// Single and half precision constants by number (Zfa, "Load-Immediate Instructions").
const CONSTANTS: [(u32, u16); 32] = [
    (0xbf80_0000, 0xbc00), // -1
    (0x0080_0000, 0x0400), // smallest normal
    (0x3780_0000, 0x0100), // 2^-16
    (0x3800_0000, 0x0200), // 2^-15
    (0x3b80_0000, 0x1c00), // 2^-8
    (0x3c00_0000, 0x2000), // 2^-7
    (0x3d80_0000, 0x2c00), // 2^-4
    (0x3e00_0000, 0x3000), // 2^-3
    (0x3e80_0000, 0x3400), // 0.25
    (0x3ea0_0000, 0x3500), // 0.3125
    (0x3ec0_0000, 0x3600), // 0.375
    (0x3ee0_0000, 0x3700), // 0.4375
    (0x3f00_0000, 0x3800), // 0.5
    (0x3f20_0000, 0x3900), // 0.625
    (0x3f40_0000, 0x3a00), // 0.75
    (0x3f60_0000, 0x3b00), // 0.875
    (0x3f80_0000, 0x3c00), // 1
    (0x3fa0_0000, 0x3d00), // 1.25
    (0x3fc0_0000, 0x3e00), // 1.5
    (0x3fe0_0000, 0x3f00), // 1.75
    (0x4000_0000, 0x4000), // 2
    (0x4020_0000, 0x4100), // 2.5
    (0x4040_0000, 0x4200), // 3
    (0x4080_0000, 0x4400), // 4
    (0x4100_0000, 0x4800), // 8
    (0x4180_0000, 0x4c00), // 16
    (0x4300_0000, 0x5800), // 128
    (0x4380_0000, 0x5c00), // 256
    (0x4700_0000, 0x7800), // 2^15
    (0x4780_0000, 0x7c00), // 2^16: infinity in half precision
    (0x7f80_0000, 0x7c00), // infinity
    (0x7fc0_0000, 0x7e00), // canonical NaN
];

/// The double precision constant: that of single precision, but for the smallest normal number and the NaN.
const fn widen(number: usize) -> u64 {
    match number {
        1 => 0x0010_0000_0000_0000,
        31 => 0x7ff8_0000_0000_0000,
        _ => (f32::from_bits(CONSTANTS[number].0) as f64).to_bits(),
    }
}
