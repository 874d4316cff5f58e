//! Every 32-bit instruction of the model, from the specifications: name, fixed bits, and the shape of its operands.

/// Float formats by the value of the `fmt` field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Fmt {
    S = 0,
    D = 1,
    H = 2,
}

/// Shapes of operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// rd, rs1, rs2.
    Rrr,
    /// rd, rs1.
    Rr,
    /// rd, rs1, 12-bit immediate.
    Imm,
    /// rd, rs1, shift amount of 6 bits.
    Shift6,
    /// rd, rs1, shift amount of 5 bits.
    Shift5,
    /// rd, 20-bit immediate.
    Upper,
    /// `jal`.
    Jal,
    /// `jalr`.
    Jalr,
    /// rs1, rs2, displacement.
    Branch,
    /// rd, displacement(rs1).
    Load,
    /// rs2, displacement(rs1).
    Store,
    /// fd, displacement(rs1).
    FLoad,
    /// fs2, displacement(rs1).
    FStore,
    /// rd, (rs1); `aq` and `rl` free.
    Lr,
    /// rd, rs2, (rs1).
    Amo,
    /// As `Amo` on register pairs.
    AmoPair,
    /// fd, fs1, fs2; the flag says whether there is a rounding mode.
    Fff(Fmt, bool),
    /// fd, fs1.
    Ff(Fmt, bool),
    /// fd, fs1, fs2, fs3.
    Ffff(Fmt),
    /// rd, fs1, fs2.
    Xff(Fmt),
    /// rd, fs1.
    Xf(Fmt, bool),
    /// fd, rs1.
    Fx(bool),
    /// fd, constant 0 to 31.
    Fli,
    /// rd, csr, rs1.
    Csr,
    /// rd, csr, 5-bit immediate.
    CsrImm,
    /// Predecessor and successor sets; other fields are ignored or reserved.
    Fence,
    /// All fields but opcode and funct3 are ignored.
    FenceI,
    /// (rs1).
    Cbo,
    /// rs1, rs2.
    Sfence,
    /// Nothing free.
    Exact,
}

impl Kind {
    /// Bits that are fixed.
    pub fn mask(self) -> u32 {
        match self {
            Kind::Rrr => 0xfe00_707f,
            Kind::Rr | Kind::Xf(_, false) | Kind::Fx(false) | Kind::Ff(_, false) => 0xfff0_707f,
            Kind::Imm | Kind::Jalr | Kind::Load | Kind::Store | Kind::FLoad | Kind::FStore | Kind::Branch => {
                0x707f
            }
            Kind::Shift6 => 0xfc00_707f,
            Kind::Shift5 => 0xfe00_707f,
            Kind::Upper | Kind::Jal => 0x7f,
            Kind::Lr => 0xf9f0_707f,
            Kind::Amo | Kind::AmoPair => 0xf800_707f,
            Kind::Fff(_, true) => 0xfe00_007f,
            Kind::Fff(_, false) | Kind::Xff(_) => 0xfe00_707f,
            Kind::Ff(_, true) | Kind::Xf(_, true) | Kind::Fx(true) => 0xfff0_007f,
            Kind::Ffff(_) => 0x0600_007f,
            Kind::Fli => 0xfff0_707f,
            Kind::Csr | Kind::CsrImm | Kind::Fence | Kind::FenceI => 0x707f,
            Kind::Cbo => 0xfff0_7fff,
            Kind::Sfence => 0xfe00_7fff,
            Kind::Exact => 0xffff_ffff,
        }
    }
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Row {
    /// Mnemonic.
    pub name: String,
    /// Its fixed bits.
    pub bits: u32,
    /// Shape.
    pub kind: Kind,
}

/// Every 32-bit instruction.
pub fn rows() -> Vec<Row> {
    let mut t = Table(Vec::new());
    t.base();
    t.bits();
    t.atomics();
    for fmt in [Fmt::S, Fmt::D, Fmt::H] {
        t.float(fmt);
    }
    t.conversions();
    t.system();
    t.0
}

struct Table(Vec<Row>);

impl Table {
    fn add(&mut self, kind: Kind, bits: u32, name: impl Into<String>) {
        let name = name.into();
        debug_assert_eq!(bits & !kind.mask(), 0, "{name}");
        self.0.push(Row { name, bits, kind });
    }
    /// Rows `name funct3` under one opcode.
    fn funct3(&mut self, kind: Kind, bits: u32, names: &[(&str, u32)]) {
        names.iter().for_each(|(n, f3)| self.add(kind, bits | f3 << 12, *n));
    }
    /// Rows of OP and OP-32: `name funct7 funct3`.
    fn op(&mut self, opcode: u32, names: &[(&str, u32, u32)]) {
        names.iter().for_each(|(n, f7, f3)| self.add(Kind::Rrr, opcode | f7 << 25 | f3 << 12, *n));
    }

    fn base(&mut self) {
        self.add(Kind::Upper, 0x37, "lui");
        self.add(Kind::Upper, 0x17, "auipc");
        self.add(Kind::Jal, 0x6f, "jal");
        self.add(Kind::Jalr, 0x67, "jalr");
        self.funct3(
            Kind::Branch,
            0x63,
            &[("beq", 0), ("bne", 1), ("blt", 4), ("bge", 5), ("bltu", 6), ("bgeu", 7)],
        );
        self.funct3(
            Kind::Load,
            0x03,
            &[("lb", 0), ("lh", 1), ("lw", 2), ("ld", 3), ("lbu", 4), ("lhu", 5), ("lwu", 6)],
        );
        self.funct3(Kind::Store, 0x23, &[("sb", 0), ("sh", 1), ("sw", 2), ("sd", 3)]);
        self.funct3(
            Kind::Imm,
            0x13,
            &[("addi", 0), ("slti", 2), ("sltiu", 3), ("xori", 4), ("ori", 6), ("andi", 7)],
        );
        self.add(Kind::Imm, 0x1b, "addiw");
        self.add(Kind::Shift6, 0x1013, "slli");
        self.add(Kind::Shift6, 0x5013, "srli");
        self.add(Kind::Shift6, 0x4000_5013, "srai");
        self.add(Kind::Shift5, 0x101b, "slliw");
        self.add(Kind::Shift5, 0x501b, "srliw");
        self.add(Kind::Shift5, 0x4000_501b, "sraiw");
        self.op(
            0x33,
            &[
                ("add", 0, 0),
                ("sub", 0x20, 0),
                ("sll", 0, 1),
                ("slt", 0, 2),
                ("sltu", 0, 3),
                ("xor", 0, 4),
                ("srl", 0, 5),
            ],
        );
        self.op(0x33, &[("sra", 0x20, 5), ("or", 0, 6), ("and", 0, 7)]);
        self.op(
            0x3b,
            &[("addw", 0, 0), ("subw", 0x20, 0), ("sllw", 0, 1), ("srlw", 0, 5), ("sraw", 0x20, 5)],
        );
        self.op(
            0x33,
            &[
                ("mul", 1, 0),
                ("mulh", 1, 1),
                ("mulhsu", 1, 2),
                ("mulhu", 1, 3),
                ("div", 1, 4),
                ("divu", 1, 5),
                ("rem", 1, 6),
            ],
        );
        self.op(0x33, &[("remu", 1, 7)]);
        self.op(0x3b, &[("mulw", 1, 0), ("divw", 1, 4), ("divuw", 1, 5), ("remw", 1, 6), ("remuw", 1, 7)]);
    }

    /// Zba, Zbb, Zbc, Zbs, Zicond.
    fn bits(&mut self) {
        self.op(0x33, &[("sh1add", 0x10, 2), ("sh2add", 0x10, 4), ("sh3add", 0x10, 6)]);
        self.op(
            0x3b,
            &[("add.uw", 4, 0), ("sh1add.uw", 0x10, 2), ("sh2add.uw", 0x10, 4), ("sh3add.uw", 0x10, 6)],
        );
        self.add(Kind::Shift6, 0x0800_101b, "slli.uw");
        self.op(
            0x33,
            &[
                ("andn", 0x20, 7),
                ("orn", 0x20, 6),
                ("xnor", 0x20, 4),
                ("min", 5, 4),
                ("minu", 5, 5),
                ("max", 5, 6),
            ],
        );
        self.op(0x33, &[("maxu", 5, 7), ("rol", 0x30, 1), ("ror", 0x30, 5)]);
        self.op(0x3b, &[("rolw", 0x30, 1), ("rorw", 0x30, 5)]);
        self.add(Kind::Shift6, 0x6000_5013, "rori");
        self.add(Kind::Shift5, 0x6000_501b, "roriw");
        let unary = [
            ("clz", 0x600, 0x1013),
            ("ctz", 0x601, 0x1013),
            ("cpop", 0x602, 0x1013),
            ("sext.b", 0x604, 0x1013),
        ];
        let more = [
            ("sext.h", 0x605, 0x1013),
            ("orc.b", 0x287, 0x5013),
            ("rev8", 0x6b8, 0x5013),
            ("zext.h", 0x080, 0x403b),
        ];
        let words = [("clzw", 0x600, 0x101b), ("ctzw", 0x601, 0x101b), ("cpopw", 0x602, 0x101b)];
        for (name, imm, rest) in unary.into_iter().chain(more).chain(words) {
            self.add(Kind::Rr, imm << 20 | rest, name);
        }
        self.op(0x33, &[("clmul", 5, 1), ("clmulr", 5, 2), ("clmulh", 5, 3)]);
        for (name, f6) in [("bclr", 0x12), ("bext", 0x12), ("binv", 0x1a), ("bset", 0x0a)] {
            let f3 = if name == "bext" { 5 } else { 1 };
            self.add(Kind::Rrr, f6 << 26 | f3 << 12 | 0x33, name);
            self.add(Kind::Shift6, f6 << 26 | f3 << 12 | 0x13, format!("{name}i"));
        }
        self.op(0x33, &[("czero.eqz", 7, 5), ("czero.nez", 7, 7)]);
    }

    /// A and Zacas.
    fn atomics(&mut self) {
        let ops = [
            ("swap", 1),
            ("add", 0),
            ("xor", 4),
            ("and", 12),
            ("or", 8),
            ("min", 16),
            ("max", 20),
            ("minu", 24),
            ("maxu", 28),
        ];
        for (suffix, f3) in [("w", 2), ("d", 3)] {
            let rest = f3 << 12 | 0x2f;
            self.add(Kind::Lr, 2 << 27 | rest, format!("lr.{suffix}"));
            self.add(Kind::Amo, 3 << 27 | rest, format!("sc.{suffix}"));
            for (name, f5) in ops {
                self.add(Kind::Amo, f5 << 27 | rest, format!("amo{name}.{suffix}"));
            }
            self.add(Kind::Amo, 5 << 27 | rest, format!("amocas.{suffix}"));
        }
        self.add(Kind::AmoPair, 5 << 27 | 4 << 12 | 0x2f, "amocas.q");
    }

    /// F, D, Zfh and Zfa within one format.
    fn float(&mut self, f: Fmt) {
        let (x, memory) = [("s", 2), ("d", 3), ("h", 1)][f as usize];
        let fmt = (f as u32) << 25;
        let op = |f5: u32, f3: u32| f5 << 27 | fmt | f3 << 12 | 0x53;
        self.add(Kind::FLoad, memory << 12 | 0x07, ["flw", "fld", "flh"][f as usize]);
        self.add(Kind::FStore, memory << 12 | 0x27, ["fsw", "fsd", "fsh"][f as usize]);
        for (name, opcode) in [("fmadd", 0x43), ("fmsub", 0x47), ("fnmsub", 0x4b), ("fnmadd", 0x4f)] {
            self.add(Kind::Ffff(f), fmt | opcode, format!("{name}.{x}"));
        }
        for (name, f5) in [("fadd", 0), ("fsub", 1), ("fmul", 2), ("fdiv", 3)] {
            self.add(Kind::Fff(f, true), op(f5, 0), format!("{name}.{x}"));
        }
        self.add(Kind::Ff(f, true), op(0x0b, 0), format!("fsqrt.{x}"));
        let plain = [
            ("fsgnj", 4, 0),
            ("fsgnjn", 4, 1),
            ("fsgnjx", 4, 2),
            ("fmin", 5, 0),
            ("fmax", 5, 1),
            ("fminm", 5, 2),
            ("fmaxm", 5, 3),
        ];
        for (name, f5, f3) in plain {
            self.add(Kind::Fff(f, false), op(f5, f3), format!("{name}.{x}"));
        }
        for (name, f3) in [("fle", 0), ("flt", 1), ("feq", 2), ("fleq", 4), ("fltq", 5)] {
            self.add(Kind::Xff(f), op(0x14, f3), format!("{name}.{x}"));
        }
        self.add(Kind::Ff(f, true), op(8, 0) | 4 << 20, format!("fround.{x}"));
        self.add(Kind::Ff(f, true), op(8, 0) | 5 << 20, format!("froundnx.{x}"));
        self.add(Kind::Xf(f, false), op(0x1c, 1), format!("fclass.{x}"));
        let wide = ["w", "d", "h"][f as usize];
        self.add(Kind::Xf(f, false), op(0x1c, 0), format!("fmv.x.{wide}"));
        self.add(Kind::Fx(false), op(0x1e, 0), format!("fmv.{wide}.x"));
        self.add(Kind::Fli, op(0x1e, 0) | 1 << 20, format!("fli.{x}"));
        for (name, rs2) in [("w", 0), ("wu", 1), ("l", 2), ("lu", 3)] {
            self.add(Kind::Xf(f, true), op(0x18, 0) | rs2 << 20, format!("fcvt.{name}.{x}"));
            self.add(Kind::Fx(true), op(0x1a, 0) | rs2 << 20, format!("fcvt.{x}.{name}"));
        }
    }

    fn conversions(&mut self) {
        for (to, to_name) in [(Fmt::S, "s"), (Fmt::D, "d"), (Fmt::H, "h")] {
            for (from, from_name) in [(Fmt::S, "s"), (Fmt::D, "d"), (Fmt::H, "h")] {
                if to != from {
                    let bits = 8 << 27 | (to as u32) << 25 | (from as u32) << 20 | 0x53;
                    self.add(Kind::Ff(from, true), bits, format!("fcvt.{to_name}.{from_name}"));
                }
            }
        }
        self.add(Kind::Xf(Fmt::D, false), 0x18 << 27 | 1 << 25 | 8 << 20 | 1 << 12 | 0x53, "fcvtmod.w.d");
    }

    fn system(&mut self) {
        self.add(Kind::Fence, 0x0f, "fence");
        self.add(Kind::FenceI, 0x100f, "fence.i");
        for (name, n) in [("cbo.inval", 0), ("cbo.clean", 1), ("cbo.flush", 2), ("cbo.zero", 4)] {
            self.add(Kind::Cbo, n << 20 | 2 << 12 | 0x0f, name);
        }
        self.funct3(Kind::Csr, 0x73, &[("csrrw", 1), ("csrrs", 2), ("csrrc", 3)]);
        self.funct3(Kind::CsrImm, 0x73, &[("csrrwi", 5), ("csrrsi", 6), ("csrrci", 7)]);
        self.add(Kind::Sfence, 0x1200_0073, "sfence.vma");
        self.add(Kind::Sfence, 0x1600_0073, "sinval.vma");
        let exact = [
            ("ecall", 0x73),
            ("ebreak", 0x0010_0073),
            ("sret", 0x1020_0073),
            ("mret", 0x3020_0073),
            ("wfi", 0x1050_0073),
        ];
        let more = [
            ("wrs.nto", 0x00d0_0073),
            ("wrs.sto", 0x01d0_0073),
            ("sfence.w.inval", 0x1800_0073),
            ("sfence.inval.ir", 0x1810_0073),
        ];
        for (name, bits) in exact.into_iter().chain(more) {
            self.add(Kind::Exact, bits, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_overlap() {
        let rows = rows();
        for (k, a) in rows.iter().enumerate() {
            for b in &rows[k + 1..] {
                let common = a.kind.mask() & b.kind.mask();
                assert_ne!(a.bits & common, b.bits & common, "{} and {}", a.name, b.name);
            }
        }
    }
}
