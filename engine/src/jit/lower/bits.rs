//! Ops with one operand: widths, counts of bits, order of bytes.

use super::Lower;
use crate::ir::Opcode;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};

/// Whether the op has one register operand and nothing else.
pub fn is_unary(code: Opcode) -> bool {
    use Opcode::*;
    matches!(
        code,
        Mov | Clz
            | Ctz
            | Cpop
            | ClzW
            | CtzW
            | CpopW
            | SextB
            | SextH
            | SextW
            | ZextB
            | ZextH
            | ZextW
            | Rev8
            | OrcB
    )
}

impl Lower<'_> {
    /// The result of an op for which [`is_unary`].
    pub fn unary(&mut self, code: Opcode, b: Value) -> Value {
        use Opcode::*;
        if matches!(code, Clz | Ctz | Cpop | Rev8 | OrcB) {
            self.reads_all(b);
        }
        match code {
            Clz => self.b.ins().clz(b),
            Ctz => self.b.ins().ctz(b),
            Cpop => self.b.ins().popcnt(b),
            ClzW | CtzW | CpopW => {
                let low = self.low(b);
                let count = match code {
                    ClzW => self.b.ins().clz(low),
                    CtzW => self.b.ins().ctz(low),
                    _ => self.b.ins().popcnt(low),
                };
                let value = self.unsigned(count);
                self.is_signed(value);
                value
            }
            SextW if self.known_signed(b) => b,
            SextW => {
                let low = self.low(b);
                self.signed(low)
            }
            ZextW => {
                let low = self.low(b);
                self.unsigned(low)
            }
            SextB => self.extended(b, types::I8, true),
            SextH => self.extended(b, types::I16, true),
            ZextB => self.extended(b, types::I8, false),
            ZextH => self.extended(b, types::I16, false),
            Rev8 => self.b.ins().bswap(b),
            OrcB => self.or_combined(b),
            _ => b,
        }
    }

    fn extended(&mut self, b: Value, ty: Type, signed: bool) -> Value {
        // Of the low word: its extension may not be needed then.
        let low = self.low(b);
        let narrow = self.b.ins().ireduce(ty, low);
        let value = if signed {
            self.b.ins().sextend(types::I64, narrow)
        } else {
            self.b.ins().uextend(types::I64, narrow)
        };
        self.is_signed(value);
        value
    }

    /// All ones for each byte that is not zero: as in `ir/eval.rs`.
    fn or_combined(&mut self, b: Value) -> Value {
        const LOW: i64 = 0x7f7f_7f7f_7f7f_7f7f;
        let low = self.number(LOW);
        let without_top = self.b.ins().band(b, low);
        let carried = self.b.ins().iadd(without_top, low);
        let any = self.b.ins().bor(carried, b);
        let top = self.number(!LOW);
        let bits = self.b.ins().band(any, top);
        let ones = self.b.ins().ushr_imm_s(bits, 7);
        // 0x01 becomes 0xff in each byte, without a borrow from the next.
        let all = self.b.ins().ishl_imm_s(ones, 8);
        self.b.ins().isub(all, ones)
    }
}
