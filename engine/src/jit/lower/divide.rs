//! Division. Nothing traps: a zero divisor and the one overflow have results (unprivileged spec, chapter "M"). The host's
//! instruction does trap, so it gets a divisor of 1 in those cases and its result is replaced.

use super::Lower;
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};

/// Whether the op is a quotient or a remainder.
pub fn is_division(code: Opcode) -> bool {
    use Opcode::*;
    matches!(code, Div | Divu | Rem | Remu | DivW | DivuW | RemW | RemuW)
}

impl Lower<'_> {
    /// A quotient or a remainder.
    pub fn division(&mut self, op: &Op) -> Value {
        use Opcode::*;
        let (b, c) = (self.peek(op.b), self.peek(op.c));
        let remainder = matches!(op.code, Rem | Remu | RemW | RemuW);
        let signed = matches!(op.code, Div | Rem | DivW | RemW);
        let word = matches!(op.code, DivW | DivuW | RemW | RemuW);
        if !word {
            self.reads_all(b);
            self.reads_all(c);
        }
        let (b, c, ty) = if word { (self.low(b), self.low(c), types::I32) } else { (b, c, types::I64) };
        let result = if signed {
            self.signed_division(b, c, ty, remainder)
        } else {
            self.unsigned_division(b, c, ty, remainder)
        };
        if word { self.signed(result) } else { result }
    }

    fn constant(&mut self, ty: Type, n: i64) -> Value {
        self.b.ins().iconst(ty, if ty == types::I32 { n as u32 as i64 } else { n })
    }

    fn unsigned_division(&mut self, b: Value, c: Value, ty: Type, remainder: bool) -> Value {
        let zero = self.b.ins().icmp_imm_s(IntCC::Equal, c, 0);
        let one = self.constant(ty, 1);
        let safe = self.b.ins().select(zero, one, c);
        if remainder {
            let result = self.b.ins().urem(b, safe);
            return self.b.ins().select(zero, b, result);
        }
        let result = self.b.ins().udiv(b, safe);
        let ones = self.constant(ty, -1);
        self.b.ins().select(zero, ones, result)
    }

    /// Divisors 0 and -1 are the special ones: by -1 the quotient is the negated dividend, wrapping, and the remainder 0.
    fn signed_division(&mut self, b: Value, c: Value, ty: Type, remainder: bool) -> Value {
        let next = self.b.ins().iadd_imm_s(c, 1);
        let special = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, next, 2);
        let zero = self.b.ins().icmp_imm_s(IntCC::Equal, c, 0);
        let one = self.constant(ty, 1);
        let safe = self.b.ins().select(special, one, c);
        let (result, by_zero, by_minus_one) = if remainder {
            (self.b.ins().srem(b, safe), b, self.constant(ty, 0))
        } else {
            (self.b.ins().sdiv(b, safe), self.constant(ty, -1), self.b.ins().ineg(b))
        };
        let replaced = self.b.ins().select(zero, by_zero, by_minus_one);
        self.b.ins().select(special, replaced, result)
    }
}
