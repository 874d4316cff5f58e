//! The operations of the IR.
//!
//! The problem: one form of guest code that an interpreter can run as it stands and that two compilers can lower
//! without looking back at the guest ISA. So an op is sixteen bytes: a code, three register operands of one byte
//! over a file of 256 words, a 32-bit word of flags or a second offset, and a 64-bit immediate. Register operands
//! are bytes so that indexing the file needs no bounds check.
//!
//! Every op is declared once, in [`ops!`]: its printed name, its [`Shape`] (what each field means) and its
//! [`Effects`]. Printer, parser, verifier and passes read those tables and know no op by name unless they must.

use std::fmt;

/// A word of the register file: guest registers first, then block temporaries, last [`SINK`].
pub type Reg = u8;

/// Writes to this word are lost; nothing may read it. A guest register that always reads as zero (RISC-V `x0`)
/// is written through it.
pub const SINK: Reg = 255;

/// What the fields of an op mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// `a = op(b, c)`
    Rrr,
    /// `a = op(b, imm)`
    Rri,
    /// `a = op(b)`
    Rr,
    /// `a = imm` or `a = pc + imm`
    Ri,
    /// `a = op(b, c, d)` with `d` in bits 0..8 of `aux`
    Rrrr,
    /// `a = mem[b + imm]`, `aux` is [`MemFlags`]
    Load,
    /// `mem[b + imm] = c`, `aux` is [`MemFlags`]
    Store,
    /// `a = mem[b]; mem[b] = op(a, c)` as one access, `aux` is [`MemFlags`]
    Amo,
    /// `a = mem[b]` and a reservation, `aux` is [`MemFlags`]
    LoadReserved,
    /// `mem[b] = c` if reserved, `a = 0` on success else 1, `aux` is [`MemFlags`]
    StoreCond,
    /// `a = mem[b]; if it equalled the old a { mem[b] = c }`, `aux` is [`MemFlags`]
    CompareSwap,
    /// `a = fop(b, c, d)` on floats, `aux` is [`FpFlags`]
    Float,
    /// if `op(b, c)` leave by exit 1 to `pc + imm`, else by exit 0 to `pc + aux`
    Branch,
    /// `a = pc + aux`, leave by exit 1 to `pc + imm`
    Jump,
    /// `a = pc + aux`, leave to `(old b + imm) & !1`; `c` is a [`JumpHint`]
    JumpReg,
    /// leave to the dispatcher at `pc + imm`
    Exit,
    /// `a = helper(b, c, imm)`, `aux` is [`CallSite`]
    Call,
    /// memory fence, `aux` holds predecessor and successor sets as the guest gave them
    Fence,
}

/// What an op may do beyond writing its destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effects(pub u8);

impl Effects {
    /// No effect but the result.
    pub const PURE: Effects = Effects(0);
    /// May raise a guest exception.
    pub const FAULT: Effects = Effects(1);
    /// Reads guest memory.
    pub const READ: Effects = Effects(2);
    /// Writes guest memory.
    pub const WRITE: Effects = Effects(4);
    /// Ends the block.
    pub const END: Effects = Effects(8);
    /// Reads the float environment (dynamic rounding mode) and accumulates float flags.
    pub const FENV: Effects = Effects(16);
    /// May read and write any guest state (helper calls; the helper's declaration narrows it).
    pub const STATE: Effects = Effects(32);

    /// Both sets.
    pub const fn and(self, other: Effects) -> Effects {
        Effects(self.0 | other.0)
    }
    /// Whether all of `other` is in `self`.
    #[inline]
    pub const fn has(self, other: Effects) -> bool {
        self.0 & other.0 == other.0
    }
}

macro_rules! ops {
    ($( $(#[$doc:meta])* $name:ident $text:literal $shape:ident $($eff:ident)|+ ;)*) => {
        /// The operation codes.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Opcode { $( #[doc = $text] #[doc = ""] $(#[$doc])* $name, )* }

        impl Opcode {
            /// Every code, in declaration order.
            pub const ALL: &'static [Opcode] = &[ $( Opcode::$name, )* ];

            /// The printed name.
            pub const fn text(self) -> &'static str {
                match self { $( Opcode::$name => $text, )* }
            }
            /// What the fields mean.
            #[inline]
            pub const fn shape(self) -> Shape {
                match self { $( Opcode::$name => Shape::$shape, )* }
            }
            /// What the op may do.
            #[inline]
            pub const fn effects(self) -> Effects {
                match self { $( Opcode::$name => Effects(0 $( | Effects::$eff.0 )+), )* }
            }
        }
    };
}

// Notation: 64-bit unless the name says W (low 32 bits in, result sign-extended) or a width.
ops! {
    /// `a = b`
    Mov "mov" Rr PURE;
    /// `a = imm`
    Li "li" Ri PURE;
    /// `a = pc of the block + imm`
    AddPc "addpc" Ri PURE;

    Add "add" Rrr PURE; Sub "sub" Rrr PURE; And "and" Rrr PURE; Or "or" Rrr PURE; Xor "xor" Rrr PURE;
    AndNot "andn" Rrr PURE; OrNot "orn" Rrr PURE; XorNot "xnor" Rrr PURE;
    /// Shift counts are taken modulo the width.
    Sll "sll" Rrr PURE; Srl "srl" Rrr PURE; Sra "sra" Rrr PURE; Rol "rol" Rrr PURE; Ror "ror" Rrr PURE;
    Slt "slt" Rrr PURE; Sltu "sltu" Rrr PURE; Seq "seq" Rrr PURE;
    Min "min" Rrr PURE; Minu "minu" Rrr PURE; Max "max" Rrr PURE; Maxu "maxu" Rrr PURE;
    AddW "addw" Rrr PURE; SubW "subw" Rrr PURE;
    SllW "sllw" Rrr PURE; SrlW "srlw" Rrr PURE; SraW "sraw" Rrr PURE; RolW "rolw" Rrr PURE; RorW "rorw" Rrr PURE;

    Mul "mul" Rrr PURE; MulH "mulh" Rrr PURE; MulHu "mulhu" Rrr PURE; MulHsu "mulhsu" Rrr PURE; MulW "mulw" Rrr PURE;
    /// Division follows RISC-V: by zero gives all ones (quotient) or the dividend (remainder), overflow wraps.
    Div "div" Rrr PURE; Divu "divu" Rrr PURE; Rem "rem" Rrr PURE; Remu "remu" Rrr PURE;
    DivW "divw" Rrr PURE; DivuW "divuw" Rrr PURE; RemW "remw" Rrr PURE; RemuW "remuw" Rrr PURE;
    /// `a = (b << 1) + c`, and 2, 3
    Sh1Add "sh1add" Rrr PURE; Sh2Add "sh2add" Rrr PURE; Sh3Add "sh3add" Rrr PURE;
    /// `a = zext32(b) << n + c`, n = 0 to 3
    AddUw "add.uw" Rrr PURE; Sh1AddUw "sh1add.uw" Rrr PURE; Sh2AddUw "sh2add.uw" Rrr PURE; Sh3AddUw "sh3add.uw" Rrr PURE;
    /// Carry-less multiply: low, high, reversed.
    Clmul "clmul" Rrr PURE; ClmulH "clmulh" Rrr PURE; ClmulR "clmulr" Rrr PURE;
    /// Single bits, number modulo 64.
    BitClear "bclr" Rrr PURE; BitExtract "bext" Rrr PURE; BitInvert "binv" Rrr PURE; BitSet "bset" Rrr PURE;
    /// `a = c == 0 ? 0 : b`
    ZeroIfZero "czero.eqz" Rrr PURE;
    /// `a = c != 0 ? 0 : b`
    ZeroIfNot "czero.nez" Rrr PURE;
    /// `a = d != 0 ? b : c`
    Select "select" Rrrr PURE;

    /// Carry out of `b + c + d` (d is 0 or 1), for flag-producing guests.
    CarryAdd "carry" Rrrr PURE; CarryAddW "carryw" Rrrr PURE;
    /// Signed overflow of `b + c + d`; of `b - c - d`.
    OverflowAdd "ovadd" Rrrr PURE; OverflowAddW "ovaddw" Rrrr PURE;
    OverflowSub "ovsub" Rrrr PURE; OverflowSubW "ovsubw" Rrrr PURE;

    AddI "addi" Rri PURE; AndI "andi" Rri PURE; OrI "ori" Rri PURE; XorI "xori" Rri PURE;
    SllI "slli" Rri PURE; SrlI "srli" Rri PURE; SraI "srai" Rri PURE; RorI "rori" Rri PURE;
    SltI "slti" Rri PURE; SltuI "sltiu" Rri PURE; SeqI "seqi" Rri PURE;
    AddIW "addiw" Rri PURE; SllIW "slliw" Rri PURE; SrlIW "srliw" Rri PURE; SraIW "sraiw" Rri PURE; RorIW "roriw" Rri PURE;
    /// `a = zext32(b) << imm`
    SllIUw "slli.uw" Rri PURE;
    BitClearI "bclri" Rri PURE; BitExtractI "bexti" Rri PURE; BitInvertI "binvi" Rri PURE; BitSetI "bseti" Rri PURE;

    Clz "clz" Rr PURE; Ctz "ctz" Rr PURE; Cpop "cpop" Rr PURE; ClzW "clzw" Rr PURE; CtzW "ctzw" Rr PURE; CpopW "cpopw" Rr PURE;
    SextB "sext.b" Rr PURE; SextH "sext.h" Rr PURE; SextW "sext.w" Rr PURE;
    ZextB "zext.b" Rr PURE; ZextH "zext.h" Rr PURE; ZextW "zext.w" Rr PURE;
    /// Byte reverse; OR-combine within bytes.
    Rev8 "rev8" Rr PURE; OrcB "orc.b" Rr PURE;

    LoadS8 "ld.s8" Load FAULT|READ; LoadS16 "ld.s16" Load FAULT|READ; LoadS32 "ld.s32" Load FAULT|READ;
    LoadU8 "ld.u8" Load FAULT|READ; LoadU16 "ld.u16" Load FAULT|READ; LoadU32 "ld.u32" Load FAULT|READ;
    Load64 "ld.64" Load FAULT|READ;
    /// A narrow float into a 64-bit float register: upper bits all ones.
    LoadBox16 "ld.box16" Load FAULT|READ; LoadBox32 "ld.box32" Load FAULT|READ;
    Store8 "st.8" Store FAULT|WRITE; Store16 "st.16" Store FAULT|WRITE; Store32 "st.32" Store FAULT|WRITE; Store64 "st.64" Store FAULT|WRITE;

    /// Width by [`MemFlags::size`]; 32-bit results are sign-extended, 8 and 16 bits too.
    AmoSwap "amo.swap" Amo FAULT|READ|WRITE; AmoAdd "amo.add" Amo FAULT|READ|WRITE; AmoXor "amo.xor" Amo FAULT|READ|WRITE;
    AmoAnd "amo.and" Amo FAULT|READ|WRITE; AmoOr "amo.or" Amo FAULT|READ|WRITE; AmoMin "amo.min" Amo FAULT|READ|WRITE;
    AmoMax "amo.max" Amo FAULT|READ|WRITE; AmoMinu "amo.minu" Amo FAULT|READ|WRITE; AmoMaxu "amo.maxu" Amo FAULT|READ|WRITE;
    LoadReserved "lr" LoadReserved FAULT|READ; StoreCond "sc" StoreCond FAULT|WRITE; CompareSwap "cas" CompareSwap FAULT|READ|WRITE;
    Fence "fence" Fence READ|WRITE;

    FAdd "fadd" Float FENV; FSub "fsub" Float FENV; FMul "fmul" Float FENV; FDiv "fdiv" Float FENV; FSqrt "fsqrt" Float FENV;
    /// `b * c + d`, `b * c - d`, `-(b * c) + d`, `-(b * c) - d`
    FMadd "fmadd" Float FENV; FMsub "fmsub" Float FENV; FNmsub "fnmsub" Float FENV; FNmadd "fnmadd" Float FENV;
    /// Sign of `c` (copied, inverted, xored) on the magnitude of `b`.
    FSgnj "fsgnj" Float PURE; FSgnjn "fsgnjn" Float PURE; FSgnjx "fsgnjx" Float PURE;
    FMin "fmin" Float FENV; FMax "fmax" Float FENV; FMinM "fminm" Float FENV; FMaxM "fmaxm" Float FENV;
    FEq "feq" Float FENV; FLt "flt" Float FENV; FLe "fle" Float FENV; FLtq "fltq" Float FENV; FLeq "fleq" Float FENV;
    FClass "fclass" Float PURE;
    /// Float to integer of the named type; `fmt` is the source format.
    FToI32 "f2i32" Float FENV; FToU32 "f2u32" Float FENV; FToI64 "f2i64" Float FENV; FToU64 "f2u64" Float FENV;
    /// Integer to float; `fmt` is the destination format.
    FFromI32 "i322f" Float FENV; FFromU32 "u322f" Float FENV; FFromI64 "i642f" Float FENV; FFromU64 "u642f" Float FENV;
    /// Float to float: `fmt` is the destination, [`FpFlags::from`] the source.
    FCvt "fcvt" Float FENV;
    /// Round to integral, without and with the inexact flag.
    FRound "fround" Float FENV; FRoundNx "froundnx" Float FENV;
    /// Modular double to 32-bit integer (RISC-V Zfa `fcvtmod.w.d`, ECMAScript ToInt32).
    FCvtMod "fcvtmod" Float FENV;
    /// Raw bits from a float register to an integer one, sign-extended from the width; and back, boxed.
    FMoveX "fmv.x" Float PURE; FMoveF "fmv.f" Float PURE;

    /// Terminators: fused compare and branch.
    BrEq "beq" Branch END; BrNe "bne" Branch END; BrLt "blt" Branch END; BrGe "bge" Branch END; BrLtu "bltu" Branch END; BrGeu "bgeu" Branch END;
    Jump "jump" Jump END; JumpReg "jumpr" JumpReg END;
    /// Leave to the dispatcher (end of a page, length limit, state change).
    Exit "exit" Exit END;
    /// A guest helper; the block goes on after it.
    Call "call" Call FAULT|STATE;
    /// A guest helper that says where to go on.
    CallEnd "callend" Call FAULT|STATE|END;
}

/// One operation. See [`Shape`] for the meaning of the fields of each code.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Op {
    /// What to do.
    pub code: Opcode,
    /// Destination.
    pub a: Reg,
    /// First source.
    pub b: Reg,
    /// Second source.
    pub c: Reg,
    /// Flags, a fourth register or a second offset.
    pub aux: u32,
    /// Immediate or offset.
    pub imm: i64,
}

const _: () = assert!(size_of::<Op>() == 16);

impl Op {
    /// An op with all other fields zero.
    pub const fn new(code: Opcode) -> Op {
        Op { code, a: 0, b: 0, c: 0, aux: 0, imm: 0 }
    }
    /// `a = code(b, c)`
    pub const fn rrr(code: Opcode, a: Reg, b: Reg, c: Reg) -> Op {
        Op { code, a, b, c, aux: 0, imm: 0 }
    }
    /// `a = code(b, imm)`
    pub const fn rri(code: Opcode, a: Reg, b: Reg, imm: i64) -> Op {
        Op { code, a, b, c: 0, aux: 0, imm }
    }
    /// Whether the op ends a block.
    #[inline]
    pub const fn ends(&self) -> bool {
        self.code.effects().has(Effects::END)
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} a={} b={} c={} aux={:#x} imm={:#x}",
            self.code.text(),
            self.a,
            self.b,
            self.c,
            self.aux,
            self.imm
        )
    }
}

/// How a memory op accesses memory; packed into [`Op::aux`].
///
/// bits 0..3 log2 of the width in bytes, 3 big endian, 4..6 [`Align`], 6 acquire, 7 release, 8..16 MMU index
/// ([`MMU_CURRENT`] = whatever the hart's data accesses use now, which is how `mstatus` changes flush nothing).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemFlags(pub u32);

/// The MMU index that follows the hart's mode, see [`MemFlags`].
pub const MMU_CURRENT: u8 = 0xff;

/// What a misaligned access does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Align {
    /// As the machine's policy says: done, or a misaligned exception.
    Policy = 0,
    /// A misaligned exception (LR, SC).
    Trap = 1,
    /// Always done.
    Any = 2,
}

impl MemFlags {
    /// A plain little-endian access of `1 << size` bytes by the current MMU index.
    pub const fn plain(size: u32) -> MemFlags {
        MemFlags(size | (MMU_CURRENT as u32) << 8)
    }
    /// The same with this alignment rule.
    pub const fn align(self, rule: Align) -> MemFlags {
        MemFlags(self.0 & !0x30 | (rule as u32) << 4)
    }
    /// The same with acquire and release ordering.
    pub const fn order(self, acquire: bool, release: bool) -> MemFlags {
        MemFlags(self.0 & !0xc0 | (acquire as u32) << 6 | (release as u32) << 7)
    }
    /// The same with an explicit MMU index.
    pub const fn mmu(self, index: u8) -> MemFlags {
        MemFlags(self.0 & !0xff00 | (index as u32) << 8)
    }
    /// log2 of the width in bytes.
    #[inline]
    pub const fn size(self) -> u32 {
        self.0 & 7
    }
    /// The alignment rule.
    #[inline]
    pub const fn align_rule(self) -> Align {
        match self.0 >> 4 & 3 {
            0 => Align::Policy,
            1 => Align::Trap,
            _ => Align::Any,
        }
    }
    /// Acquire ordering asked for.
    #[inline]
    pub const fn acquire(self) -> bool {
        self.0 & 0x40 != 0
    }
    /// Release ordering asked for.
    #[inline]
    pub const fn release(self) -> bool {
        self.0 & 0x80 != 0
    }
    /// The MMU index.
    #[inline]
    pub const fn mmu_index(self) -> u8 {
        (self.0 >> 8) as u8
    }
}

/// Float formats as [`FpFlags`] and the guests name them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fmt {
    /// binary32
    S = 0,
    /// binary64
    D = 1,
    /// binary16
    H = 2,
}

/// How a float op works; packed into [`Op::aux`].
///
/// bits 0..8 the fourth register, 8..10 format, 10..12 source format of a conversion, 12..15 rounding mode (RISC-V
/// numbers, 7 = dynamic), 15 narrow values are NaN-boxed in 64-bit registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FpFlags(pub u32);

/// The dynamic rounding mode in [`FpFlags`].
pub const RM_DYNAMIC: u8 = 7;

impl FpFlags {
    /// A format and rounding mode, NaN-boxed.
    pub const fn boxed(fmt: Fmt, rm: u8) -> FpFlags {
        FpFlags((fmt as u32) << 8 | (rm as u32 & 7) << 12 | 1 << 15)
    }
    /// The same with a fourth register.
    pub const fn d(self, reg: Reg) -> FpFlags {
        FpFlags(self.0 & !0xff | reg as u32)
    }
    /// The same with a source format.
    pub const fn from(self, fmt: Fmt) -> FpFlags {
        FpFlags(self.0 & !0xc00 | (fmt as u32) << 10)
    }
    #[inline]
    const fn fmt_of(bits: u32) -> Fmt {
        match bits & 3 {
            0 => Fmt::S,
            1 => Fmt::D,
            _ => Fmt::H,
        }
    }
    /// The format.
    #[inline]
    pub const fn fmt(self) -> Fmt {
        Self::fmt_of(self.0 >> 8)
    }
    /// The source format of a conversion.
    #[inline]
    pub const fn source(self) -> Fmt {
        Self::fmt_of(self.0 >> 10)
    }
    /// The rounding mode.
    #[inline]
    pub const fn rm(self) -> u8 {
        (self.0 >> 12 & 7) as u8
    }
    /// Whether narrow values are NaN-boxed.
    #[inline]
    pub const fn is_boxed(self) -> bool {
        self.0 & 1 << 15 != 0
    }
    /// The fourth register.
    #[inline]
    pub const fn reg_d(self) -> Reg {
        self.0 as u8
    }
}

/// Which helper a call op calls and from which guest instruction of the block; packed into [`Op::aux`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallSite(pub u32);

impl CallSite {
    /// Helper `id`, called by guest instruction number `insn` of its block (from 0).
    pub const fn new(id: u16, insn: u16) -> CallSite {
        CallSite(id as u32 | (insn as u32) << 16)
    }
    /// The helper's number in the guest's helper table.
    #[inline]
    pub const fn id(self) -> u16 {
        self.0 as u16
    }
    /// The number of the guest instruction in its block.
    #[inline]
    pub const fn insn(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

/// What an indirect jump is for, in field `c`; feeds return prediction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum JumpHint {
    /// Unknown.
    None = 0,
    /// A call: pushes the link address.
    Call = 1,
    /// A return: pops.
    Return = 2,
    /// A co-routine jump: pops, then pushes.
    ReturnCall = 3,
}
