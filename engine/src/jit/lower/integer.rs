//! Pure integer ops. `ir/eval.rs` says what each computes; Cranelift's shifts take their counts modulo the width as ours do.

use super::{Lower, bits, divide};
use crate::ir::{Op, Opcode};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

/// Whether [`Lower::integer`] knows the op.
pub fn lowers(code: Opcode) -> bool {
    use Opcode::*;
    // Carry-less products have no instruction in Cranelift.
    crate::ir::eval::pure(code, 0, 1, 0, 0, 0).is_some() && !matches!(code, Clmul | ClmulH | ClmulR)
}

/// What a two-operand op on 64 bits, or its form with an immediate, is without the immediate.
fn plain(code: Opcode) -> Opcode {
    use Opcode::*;
    match code {
        AddI => Add,
        AndI => And,
        OrI => Or,
        XorI => Xor,
        SllI => Sll,
        SrlI => Srl,
        SraI => Sra,
        RorI => Ror,
        SltI => Slt,
        SltuI => Sltu,
        SeqI => Seq,
        AddIW => AddW,
        SllIW => SllW,
        SrlIW => SrlW,
        SraIW => SraW,
        RorIW => RorW,
        BitClearI => BitClear,
        BitExtractI => BitExtract,
        BitInvertI => BitInvert,
        BitSetI => BitSet,
        code => code,
    }
}

impl Lower<'_> {
    /// The second operand of an op that has two.
    fn second(&mut self, op: &Op) -> Value {
        if op.code.fields().imm { self.number(op.imm) } else { self.peek(op.c) }
    }

    /// The same as a word.
    pub fn second_low(&mut self, op: &Op) -> Value {
        if op.code.fields().imm {
            return self.b.ins().iconst(types::I32, op.imm as u32 as i64);
        }
        let c = self.peek(op.c);
        self.low(c)
    }

    /// A comparison as 0 or 1.
    pub fn flag(&mut self, cond: IntCC, b: Value, c: Value) -> Value {
        let bit = self.comparison(cond, b, c);
        let value = self.b.ins().uextend(types::I64, bit);
        self.is_signed(value);
        value
    }

    /// The result of an op for which [`lowers`].
    pub fn integer(&mut self, op: &Op) -> Value {
        use Opcode::*;
        match op.code {
            Li => return self.number(op.imm),
            AddPc => return self.address(self.now().offset as i64 + op.imm),
            _ => {}
        }
        if let Some(value) = self.word_op(op) {
            return value;
        }
        if divide::is_division(op.code) {
            return self.division(op);
        }
        let b = self.peek(op.b);
        if bits::is_unary(op.code) {
            return self.unary(op.code, b);
        }
        if op.code == SllIUw {
            let low = self.low(b);
            let wide = self.unsigned(low);
            return self.b.ins().ishl_imm_s(wide, op.imm & 63);
        }
        if op.code.fields().d {
            self.reads_all(b);
            return self.ternary(op, b);
        }
        let c = self.second(op);
        let code = plain(op.code);
        if let Some(value) = self.narrow_op(code, b, c).or_else(|| self.extension(code, b, c)) {
            return value;
        }
        if !matches!(code, And | Or | Xor | AndNot | OrNot | XorNot) {
            self.reads_all(b);
            self.reads_all(c);
        }
        let value = self.binary(code, b, c);
        let keeps = matches!(code, And | Or | Xor | AndNot | OrNot | XorNot)
            && self.known_signed(b)
            && self.known_signed(c);
        if keeps || matches!(op.code, AndI) && (0..=i32::MAX as i64).contains(&op.imm) {
            self.is_signed(value);
        }
        value
    }

    /// The guest address at `offset` from the region's entry.
    pub fn address(&mut self, offset: i64) -> Value {
        let pc = self.b.ins().stack_load(types::I64, types::I64, self.pc, 0);
        let address = if offset == 0 { pc } else { self.b.ins().iadd_imm_s(pc, offset) };
        self.values.is_address(address, offset);
        address
    }

    /// Ops on low words.
    fn word_op(&mut self, op: &Op) -> Option<Value> {
        use Opcode::*;
        let code = plain(op.code);
        if !matches!(code, AddW | SubW | SllW | SrlW | SraW | RolW | RorW | MulW) {
            return None;
        }
        let b = self.peek(op.b);
        let b = self.low(b);
        let c = self.second_low(op);
        let i = self.b.ins();
        let low = match code {
            AddW => i.iadd(b, c),
            SubW => i.isub(b, c),
            SllW => i.ishl(b, c),
            SrlW => i.ushr(b, c),
            SraW => i.sshr(b, c),
            RolW => i.rotl(b, c),
            RorW => i.rotr(b, c),
            _ => i.imul(b, c),
        };
        Some(self.signed(low))
    }

    fn binary(&mut self, code: Opcode, b: Value, c: Value) -> Value {
        use Opcode::*;
        match code {
            Add => self.b.ins().iadd(b, c),
            Sub => self.b.ins().isub(b, c),
            And | Or | Xor | AndNot | OrNot | XorNot => self.bits_of_two(code, b, c),
            Sll => self.b.ins().ishl(b, c),
            Srl => self.b.ins().ushr(b, c),
            Sra => self.b.ins().sshr(b, c),
            Rol => self.b.ins().rotl(b, c),
            Ror => self.b.ins().rotr(b, c),
            Slt => self.flag(IntCC::SignedLessThan, b, c),
            Sltu => self.flag(IntCC::UnsignedLessThan, b, c),
            Seq => self.flag(IntCC::Equal, b, c),
            Min => self.b.ins().smin(b, c),
            Minu => self.b.ins().umin(b, c),
            Max => self.b.ins().smax(b, c),
            Maxu => self.b.ins().umax(b, c),
            Mul => self.b.ins().imul(b, c),
            MulH => self.b.ins().smulhi(b, c),
            MulHu => self.b.ins().umulhi(b, c),
            MulHsu => {
                // Taken as unsigned, a negative b is 2^64 too large: c too much in the high half.
                let high = self.b.ins().umulhi(b, c);
                let sign = self.b.ins().sshr_imm_s(b, 63);
                let excess = self.b.ins().band(sign, c);
                self.b.ins().isub(high, excess)
            }
            Sh1Add => self.shift_add(b, c, 1),
            Sh2Add => self.shift_add(b, c, 2),
            Sh3Add => self.shift_add(b, c, 3),
            AddUw => self.shift_add_unsigned(b, c, 0),
            Sh1AddUw => self.shift_add_unsigned(b, c, 1),
            Sh2AddUw => self.shift_add_unsigned(b, c, 2),
            Sh3AddUw => self.shift_add_unsigned(b, c, 3),
            BitClear | BitInvert | BitSet | BitExtract => self.single_bit(code, b, c),
            ZeroIfZero | ZeroIfNot => {
                let zero = self.number(0);
                let (yes, no) = if code == ZeroIfZero { (b, zero) } else { (zero, b) };
                self.b.ins().select(c, yes, no)
            }
            // Mov, the only op left: `lowers` admits no other.
            _ => b,
        }
    }

    fn shift_add(&mut self, b: Value, c: Value, n: i64) -> Value {
        let shifted = if n == 0 { b } else { self.b.ins().ishl_imm_s(b, n) };
        self.b.ins().iadd(shifted, c)
    }

    fn shift_add_unsigned(&mut self, b: Value, c: Value, n: i64) -> Value {
        let low = self.low(b);
        let wide = self.unsigned(low);
        self.shift_add(wide, c, n)
    }

    fn single_bit(&mut self, code: Opcode, b: Value, c: Value) -> Value {
        if code == Opcode::BitExtract {
            let shifted = self.b.ins().ushr(b, c);
            return self.b.ins().band_imm_s(shifted, 1);
        }
        let one = self.number(1);
        let bit = self.b.ins().ishl(one, c);
        match code {
            Opcode::BitClear => {
                let mask = self.b.ins().bnot(bit);
                self.b.ins().band(b, mask)
            }
            Opcode::BitInvert => self.b.ins().bxor(b, bit),
            _ => self.b.ins().bor(b, bit),
        }
    }

    /// Ops with a fourth operand: selection, carries and overflows.
    fn ternary(&mut self, op: &Op, b: Value) -> Value {
        use Opcode::*;
        let (c, d) = (self.get(op.c), self.get(op.reg_d()));
        match op.code {
            Select => self.b.ins().select(d, b, c),
            CarryAdd => {
                let sum = self.b.ins().iadd(b, c);
                let first = self.flag(IntCC::UnsignedLessThan, sum, b);
                let all = self.b.ins().iadd(sum, d);
                let second = self.flag(IntCC::UnsignedLessThan, all, sum);
                // Not `or`: `d` may be any number, and then so may the carry.
                self.b.ins().iadd(first, second)
            }
            CarryAddW => {
                let (b, c) = (self.low(b), self.low(c));
                let (b, c) = (self.unsigned(b), self.unsigned(c));
                let sum = self.b.ins().iadd(b, c);
                let all = self.b.ins().iadd(sum, d);
                self.b.ins().ushr_imm_s(all, 32)
            }
            _ => self.overflow(op.code, b, c, d),
        }
    }

    /// The sign bit of `(b ^ sum) & (c ^ sum)`, or of `(b ^ c) & (b ^ difference)`.
    fn overflow(&mut self, code: Opcode, b: Value, c: Value, d: Value) -> Value {
        let subtract = matches!(code, Opcode::OverflowSub | Opcode::OverflowSubW);
        let result = if subtract {
            let difference = self.b.ins().isub(b, c);
            self.b.ins().isub(difference, d)
        } else {
            let sum = self.b.ins().iadd(b, c);
            self.b.ins().iadd(sum, d)
        };
        let x = self.b.ins().bxor(b, result);
        let y = if subtract { self.b.ins().bxor(b, c) } else { self.b.ins().bxor(c, result) };
        let both = self.b.ins().band(x, y);
        let wide = matches!(code, Opcode::OverflowAdd | Opcode::OverflowSub);
        let bit = self.b.ins().ushr_imm_s(both, if wide { 63 } else { 31 });
        self.b.ins().band_imm_s(bit, 1)
    }
}
