//! Operand formats: where an encoding keeps its registers and immediate, and how assembly text writes them.

use crate::guest::riscv::F0;

/// The operands of an encoding. What a format does not have is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Operands {
    /// Destination word.
    pub rd: u8,
    /// First source word.
    pub rs1: u8,
    /// Second source word.
    pub rs2: u8,
    /// Immediate.
    pub imm: i64,
}

macro_rules! forms {
    ($( $(#[$doc:meta])* $name:ident $syntax:literal; )*) => {
        /// An operand format.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Form { $( #[doc = concat!("Written `", $syntax, "`.")] $(#[$doc])* $name, )* }

        impl Form {
            /// The operands as assembly text writes them: `d s t r` registers, `i` decimal and `x` hexadecimal
            /// immediate, `U` upper immediate, `b` branch target, `c` CSR, `z` CSR immediate, `p q` fence sets, `m` rounding
            /// mode after a comma unless dynamic, `f` float constant; the rest as it stands.
            pub const fn syntax(self) -> &'static str {
                match self { $( Form::$name => $syntax, )* }
            }
        }
    };
}

forms! {
    /// No operands.
    None "";
    R "d,s,t";
    I "d,s,i";
    /// 6-bit shift count.
    Shift "d,s,x";
    /// 5-bit shift count.
    ShiftW "d,s,x";
    Unary "d,s";
    Load "d,i(s)";
    Store "t,i(s)";
    Branch "s,t,b";
    Upper "d,U";
    Jump "d,b";
    Amo "d,t,(s)";
    LoadReserved "d,(s)";
    Fence "p,q";
    Csr "d,c,s";
    CsrImm "d,c,z";
    /// Two sources, no destination.
    Pair "s,t";
    Address "(s)";
    Prefetch "i(s)";

    FLoad "d,i(s)";
    FStore "t,i(s)";
    /// Float: destination, two sources, rounding mode.
    FBinaryRm "d,s,tm";
    FBinary "d,s,t";
    /// Float comparison into an integer register.
    FCompare "d,s,t";
    FUnaryRm "d,sm";
    FFourRm "d,s,t,rm";
    /// Float to integer register.
    FToXRm "d,sm";
    FToX "d,s";
    /// Integer to float register.
    XToFRm "d,sm";
    XToF "d,s";
    FConst "d,f";

    /// CIW.
    CAddi4spn "d,s,i";
    CLw "d,i(s)";
    CLd "d,i(s)";
    CSw "t,i(s)";
    CSd "t,i(s)";
    CFld "d,i(s)";
    CFsd "t,i(s)";
    CLb "d,i(s)";
    CLh "d,i(s)";
    CSb "t,i(s)";
    CSh "t,i(s)";
    CNop "";
    /// CI, `rd` is the source too.
    CI "d,i";
    CLi "d,i";
    CAddi16sp "d,i";
    CLui "d,U";
    /// CI shift of any register.
    CSlli "d,x";
    /// CB shift of `x8` to `x15`.
    CShift "d,x";
    CAndi "d,i";
    CArith "d,t";
    /// CU: `rd` is the only source.
    CUnary "d";
    /// XOR with -1.
    CNot "d";
    CJ "b";
    CBranch "s,b";
    CLwsp "d,i(s)";
    CLdsp "d,i(s)";
    CFldsp "d,i(s)";
    CSwsp "t,i(s)";
    CSdsp "t,i(s)";
    CFsdsp "t,i(s)";
    /// CR jump: no link, or `ra`.
    CJr "s";
    CJalr "s";
    CMv "d,t";
    CAdd "d,t";
}

/// Bits `lo..lo + n` of `raw`.
const fn bits(raw: u32, lo: u32, n: u32) -> u32 {
    raw >> lo & ((1 << n) - 1)
}
/// The low `n` bits of `v` as a signed number.
const fn sext(v: u32, n: u32) -> i64 {
    ((v << (32 - n)) as i32 >> (32 - n)) as i64
}
const fn imm_i(raw: u32) -> i64 {
    (raw as i32 >> 20) as i64
}
const fn imm_s(raw: u32) -> i64 {
    ((raw & 0xfe00_0000) as i32 >> 20) as i64 | bits(raw, 7, 5) as i64
}
const fn imm_b(raw: u32) -> i64 {
    sext(bits(raw, 31, 1) << 12 | bits(raw, 7, 1) << 11 | bits(raw, 25, 6) << 5 | bits(raw, 8, 4) << 1, 13)
}
const fn imm_j(raw: u32) -> i64 {
    sext(
        bits(raw, 31, 1) << 20 | bits(raw, 12, 8) << 12 | bits(raw, 20, 1) << 11 | bits(raw, 21, 10) << 1,
        21,
    )
}
const fn imm_u(raw: u32) -> i64 {
    (raw & 0xffff_f000) as i32 as i64
}
/// Six bits of a CI immediate, unsigned.
const fn c_imm6(raw: u32) -> u32 {
    bits(raw, 12, 1) << 5 | bits(raw, 2, 5)
}
const fn c_word(raw: u32) -> i64 {
    (bits(raw, 10, 3) << 3 | bits(raw, 6, 1) << 2 | bits(raw, 5, 1) << 6) as i64
}
const fn c_double(raw: u32) -> i64 {
    (bits(raw, 10, 3) << 3 | bits(raw, 5, 2) << 6) as i64
}
const fn c_byte(raw: u32) -> i64 {
    (bits(raw, 6, 1) | bits(raw, 5, 1) << 1) as i64
}
const fn c_half(raw: u32) -> i64 {
    (bits(raw, 5, 1) << 1) as i64
}
const fn c_addi4spn(raw: u32) -> i64 {
    (bits(raw, 11, 2) << 4 | bits(raw, 7, 4) << 6 | bits(raw, 6, 1) << 2 | bits(raw, 5, 1) << 3) as i64
}
const fn c_addi16sp(raw: u32) -> i64 {
    sext(
        bits(raw, 12, 1) << 9
            | bits(raw, 6, 1) << 4
            | bits(raw, 5, 1) << 6
            | bits(raw, 3, 2) << 7
            | bits(raw, 2, 1) << 5,
        10,
    )
}
const fn c_jump(raw: u32) -> i64 {
    sext(
        bits(raw, 12, 1) << 11
            | bits(raw, 11, 1) << 4
            | bits(raw, 9, 2) << 8
            | bits(raw, 8, 1) << 10
            | bits(raw, 7, 1) << 6
            | bits(raw, 6, 1) << 7
            | bits(raw, 3, 3) << 1
            | bits(raw, 2, 1) << 5,
        12,
    )
}
const fn c_branch(raw: u32) -> i64 {
    sext(
        bits(raw, 12, 1) << 8
            | bits(raw, 10, 2) << 3
            | bits(raw, 5, 2) << 6
            | bits(raw, 3, 2) << 1
            | bits(raw, 2, 1) << 5,
        9,
    )
}
const fn c_lwsp(raw: u32) -> i64 {
    (bits(raw, 12, 1) << 5 | bits(raw, 4, 3) << 2 | bits(raw, 2, 2) << 6) as i64
}
const fn c_ldsp(raw: u32) -> i64 {
    (bits(raw, 12, 1) << 5 | bits(raw, 5, 2) << 3 | bits(raw, 2, 3) << 6) as i64
}
const fn c_swsp(raw: u32) -> i64 {
    (bits(raw, 9, 4) << 2 | bits(raw, 7, 2) << 6) as i64
}
const fn c_sdsp(raw: u32) -> i64 {
    (bits(raw, 10, 3) << 3 | bits(raw, 7, 3) << 6) as i64
}

const SP: u8 = 2;
const RA: u8 = 1;

impl Form {
    /// Whether the encoding has a rounding mode.
    pub const fn has_rm(self) -> bool {
        use Form::*;
        matches!(self, FBinaryRm | FUnaryRm | FFourRm | FToXRm | XToFRm)
    }

    /// Whether the instruction touches float state, so that it is illegal while that is off.
    pub const fn is_float(self) -> bool {
        use Form::*;
        matches!(
            self,
            FLoad
                | FStore
                | FBinaryRm
                | FBinary
                | FCompare
                | FUnaryRm
                | FFourRm
                | FToXRm
                | FToX
                | XToFRm
                | XToF
        ) || matches!(self, FConst | CFld | CFsd | CFldsp | CFsdsp)
    }

    /// The operands of `raw`.
    #[inline]
    pub fn operands(self, raw: u32) -> Operands {
        use Form::*;
        if raw & 3 != 3 {
            return self.compressed(raw);
        }
        let rd = bits(raw, 7, 5) as u8;
        let rs1 = bits(raw, 15, 5) as u8;
        let rs2 = bits(raw, 20, 5) as u8;
        let (fd, fs1, fs2) = (rd + F0, rs1 + F0, rs2 + F0);
        match self {
            R | Amo => ops(rd, rs1, rs2, 0),
            I | Load => ops(rd, rs1, 0, imm_i(raw)),
            Shift => ops(rd, rs1, 0, bits(raw, 20, 6) as i64),
            ShiftW => ops(rd, rs1, 0, bits(raw, 20, 5) as i64),
            Unary | LoadReserved | Csr => ops(rd, rs1, 0, 0),
            Store => ops(0, rs1, rs2, imm_s(raw)),
            Branch => ops(0, rs1, rs2, imm_b(raw)),
            Upper => ops(rd, 0, 0, imm_u(raw)),
            Jump => ops(rd, 0, 0, imm_j(raw)),
            CsrImm => ops(rd, 0, 0, rs1 as i64),
            Pair => ops(0, rs1, rs2, 0),
            Address => ops(0, rs1, 0, 0),
            Prefetch => ops(0, rs1, 0, imm_i(raw) & !31),
            FLoad => ops(fd, rs1, 0, imm_i(raw)),
            FStore => ops(0, rs1, fs2, imm_s(raw)),
            FBinaryRm | FBinary | FFourRm => ops(fd, fs1, fs2, 0),
            FCompare => ops(rd, fs1, fs2, 0),
            FUnaryRm => ops(fd, fs1, 0, 0),
            FToXRm | FToX => ops(rd, fs1, 0, 0),
            XToFRm | XToF => ops(fd, rs1, 0, 0),
            FConst => ops(fd, 0, 0, rs1 as i64),
            _ => Operands::default(),
        }
    }

    /// The operands of a 16-bit encoding.
    fn compressed(self, raw: u32) -> Operands {
        use Form::*;
        // Three-bit fields name x8 to x15.
        let low = bits(raw, 2, 3) as u8 + 8;
        let high = bits(raw, 7, 3) as u8 + 8;
        let rd = bits(raw, 7, 5) as u8;
        let rs2 = bits(raw, 2, 5) as u8;
        let imm6 = c_imm6(raw);
        match self {
            CAddi4spn => ops(low, SP, 0, c_addi4spn(raw)),
            CLw => ops(low, high, 0, c_word(raw)),
            CLd => ops(low, high, 0, c_double(raw)),
            CFld => ops(low + F0, high, 0, c_double(raw)),
            CLb => ops(low, high, 0, c_byte(raw)),
            CLh => ops(low, high, 0, c_half(raw)),
            CSw => ops(0, high, low, c_word(raw)),
            CSd => ops(0, high, low, c_double(raw)),
            CFsd => ops(0, high, low + F0, c_double(raw)),
            CSb => ops(0, high, low, c_byte(raw)),
            CSh => ops(0, high, low, c_half(raw)),
            CI => ops(rd, rd, 0, sext(imm6, 6)),
            CLi => ops(rd, 0, 0, sext(imm6, 6)),
            CAddi16sp => ops(SP, SP, 0, c_addi16sp(raw)),
            CLui => ops(rd, 0, 0, sext(imm6, 6) << 12),
            CSlli => ops(rd, rd, 0, imm6 as i64),
            CShift => ops(high, high, 0, imm6 as i64),
            CAndi => ops(high, high, 0, sext(imm6, 6)),
            CArith => ops(high, high, low, 0),
            CUnary => ops(high, high, 0, 0),
            CNot => ops(high, high, 0, -1),
            CJ => ops(0, 0, 0, c_jump(raw)),
            CBranch => ops(0, high, 0, c_branch(raw)),
            CLwsp => ops(rd, SP, 0, c_lwsp(raw)),
            CLdsp => ops(rd, SP, 0, c_ldsp(raw)),
            CFldsp => ops(rd + F0, SP, 0, c_ldsp(raw)),
            CSwsp => ops(0, SP, rs2, c_swsp(raw)),
            CSdsp => ops(0, SP, rs2, c_sdsp(raw)),
            CFsdsp => ops(0, SP, rs2 + F0, c_sdsp(raw)),
            CJr => ops(0, rd, 0, 0),
            CJalr => ops(RA, rd, 0, 0),
            CMv => ops(rd, 0, rs2, 0),
            CAdd => ops(rd, rd, rs2, 0),
            _ => Operands::default(),
        }
    }
}

const fn ops(rd: u8, rs1: u8, rs2: u8, imm: i64) -> Operands {
    Operands { rd, rs1, rs2, imm }
}
