//! A few RISC-V instructions by name, and labels.

pub const ZERO: u32 = 0;
pub const RA: u32 = 1;
pub const T0: u32 = 5;
pub const T1: u32 = 6;
pub const T2: u32 = 7;
pub const S0: u32 = 8;
pub const S1: u32 = 9;
pub const A0: u32 = 10;
pub const A1: u32 = 11;
pub const A2: u32 = 12;
pub const A3: u32 = 13;
pub const A4: u32 = 14;
pub const A5: u32 = 15;
pub const A6: u32 = 16;
pub const A7: u32 = 17;

pub const S2: u32 = 18;
pub const S3: u32 = 19;
pub const S4: u32 = 20;
pub const S5: u32 = 21;
pub const S6: u32 = 22;
pub const T3: u32 = 28;
pub const T4: u32 = 29;
pub const T5: u32 = 30;

pub const FENCE: u32 = 0x0ff0_000f;
pub const FENCE_I: u32 = 0x0000_100f;
pub const SFENCE_ALL: u32 = 0x1200_0073;
pub const ECALL: u32 = 0x0000_0073;
pub const WFI: u32 = 0x1050_0073;
pub const SRET: u32 = 0x1020_0073;

fn r(op: u32, rd: u32, f3: u32, rs1: u32, rs2: u32, f7: u32) -> u32 {
    op | rd << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | f7 << 25
}

pub fn i(op: u32, f3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
    op | rd << 7 | f3 << 12 | rs1 << 15 | (imm as u32) << 20
}

pub fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, 0, rd, rs1, imm)
}
pub fn add(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, rd, 0, rs1, rs2, 0)
}
pub fn sub(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, rd, 0, rs1, rs2, 0x20)
}
pub fn xor(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, rd, 4, rs1, rs2, 0)
}
pub fn mul(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, rd, 0, rs1, rs2, 1)
}
pub fn slli(rd: u32, rs1: u32, by: i32) -> u32 {
    i(0x13, 1, rd, rs1, by)
}
pub fn srli(rd: u32, rs1: u32, by: i32) -> u32 {
    i(0x13, 5, rd, rs1, by)
}
pub fn andi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, 7, rd, rs1, imm)
}
pub fn ld(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(3, 3, rd, rs1, imm)
}
pub fn lw(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(3, 2, rd, rs1, imm)
}
fn store(f3: u32, rs2: u32, rs1: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    0x23 | (imm & 31) << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | (imm >> 5) << 25
}
pub fn sd(rs2: u32, rs1: u32, imm: i32) -> u32 {
    store(3, rs2, rs1, imm)
}
pub fn sw(rs2: u32, rs1: u32, imm: i32) -> u32 {
    store(2, rs2, rs1, imm)
}
pub fn amoadd_d(rd: u32, rs2: u32, rs1: u32) -> u32 {
    r(0x2f, rd, 3, rs1, rs2, 0)
}
pub fn amoadd_w(rd: u32, rs2: u32, rs1: u32) -> u32 {
    r(0x2f, rd, 2, rs1, rs2, 0)
}
pub fn lr_d(rd: u32, rs1: u32) -> u32 {
    r(0x2f, rd, 3, rs1, 0, 2 << 2)
}
pub fn sc_d(rd: u32, rs2: u32, rs1: u32) -> u32 {
    r(0x2f, rd, 3, rs1, rs2, 3 << 2)
}
pub fn lr_w(rd: u32, rs1: u32) -> u32 {
    r(0x2f, rd, 2, rs1, 0, 2 << 2)
}
pub fn sc_w(rd: u32, rs2: u32, rs1: u32) -> u32 {
    r(0x2f, rd, 2, rs1, rs2, 3 << 2)
}
pub fn csrrw(rd: u32, csr: u32, rs1: u32) -> u32 {
    0x73 | rd << 7 | 1 << 12 | rs1 << 15 | csr << 20
}
pub fn csrrs(rd: u32, csr: u32, rs1: u32) -> u32 {
    0x73 | rd << 7 | 2 << 12 | rs1 << 15 | csr << 20
}
pub fn csrrci(rd: u32, csr: u32, imm: u32) -> u32 {
    0x73 | rd << 7 | 7 << 12 | imm << 15 | csr << 20
}
pub fn sfence_va(rs1: u32) -> u32 {
    0x1200_0073 | rs1 << 15
}
pub fn jalr(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x67, 0, rd, rs1, imm)
}

pub fn sh(rs2: u32, rs1: u32, imm: i32) -> u32 {
    store(1, rs2, rs1, imm)
}

const RFENCE: u64 = 0x5246_4e43;

/// A place in a program.
#[derive(Clone, Copy)]
pub struct Label(usize);

enum Fix {
    Branch,
    Jal,
}

/// A program under construction, at a known address.
pub struct Asm {
    pub base: u64,
    words: Vec<u32>,
    labels: Vec<Option<usize>>,
    fixes: Vec<(usize, Label, Fix)>,
}

impl Asm {
    pub fn at(base: u64) -> Asm {
        Asm { base, words: Vec::new(), labels: Vec::new(), fixes: Vec::new() }
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub fn bind(&mut self, l: Label) {
        self.labels[l.0] = Some(self.words.len());
    }

    pub fn here(&mut self) -> Label {
        let l = self.label();
        self.bind(l);
        l
    }

    pub fn op(&mut self, words: &[u32]) -> &mut Asm {
        self.words.extend(words);
        self
    }

    /// Any 64-bit constant, in a fixed number of instructions.
    pub fn li(&mut self, rd: u32, v: u64) -> &mut Asm {
        self.op(&[addi(rd, ZERO, (v >> 53) as i32)]);
        for (shift, bits) in [(42, 11), (31, 11), (20, 11), (9, 11), (0, 9)] {
            let part = (v >> shift & ((1 << bits) - 1)) as i32;
            self.op(&[slli(rd, rd, bits), i(0x13, 6, rd, rd, part)]);
        }
        self
    }

    fn branch(&mut self, f3: u32, a: u32, b: u32, to: Label) {
        self.fixes.push((self.words.len(), to, Fix::Branch));
        self.op(&[0x63 | f3 << 12 | a << 15 | b << 20]);
    }
    pub fn beq(&mut self, a: u32, b: u32, to: Label) {
        self.branch(0, a, b, to);
    }
    pub fn bne(&mut self, a: u32, b: u32, to: Label) {
        self.branch(1, a, b, to);
    }
    pub fn bltu(&mut self, a: u32, b: u32, to: Label) {
        self.branch(6, a, b, to);
    }
    pub fn jal(&mut self, rd: u32, to: Label) {
        self.fixes.push((self.words.len(), to, Fix::Jal));
        self.op(&[0x6f | rd << 7]);
    }

    /// Calls `function` of an SBI extension; arguments are in a0 to a4. Changes a0, a1, a6, a7.
    pub fn sbi(&mut self, extension: u64, function: i32) {
        self.li(A7, extension).op(&[addi(A6, ZERO, function), ECALL]);
    }

    /// FENCE.I on all harts.
    pub fn remote_fence_i(&mut self) {
        self.op(&[addi(A0, ZERO, 0), addi(A1, ZERO, -1)]).sbi(RFENCE, 0);
    }

    /// SFENCE.VMA of the page in `va` on all harts.
    pub fn remote_sfence(&mut self, va: u32) {
        self.op(&[addi(A2, va, 0), addi(A0, ZERO, 0), addi(A1, ZERO, -1)]);
        self.li(A3, 4096).sbi(RFENCE, 1);
    }

    /// An interrupt for the hart whose number is in `hart`.
    pub fn ipi(&mut self, hart: u32) {
        self.op(&[addi(A1, hart, 0), addi(A0, ZERO, 1)]).sbi(0x0073_5049, 0);
    }

    /// Counts the hart as done and stops it.
    pub fn finish_hart(&mut self, done: u64) {
        self.li(T0, done).op(&[addi(T1, ZERO, 1), FENCE, amoadd_d(ZERO, T1, T0)]);
        self.sbi(0x0048_534d, 1);
    }

    /// Waits until `count` harts have come here; `at` is a word used for nothing else. Changes t0 to t2.
    pub fn barrier(&mut self, at: u32, count: u32) {
        self.op(&[addi(T1, ZERO, 1), FENCE, amoadd_d(ZERO, T1, at)]);
        let again = self.here();
        self.op(&[ld(T0, at, 0)]);
        self.bltu(T0, count, again);
        self.op(&[FENCE]);
    }

    pub fn finish(mut self) -> Vec<u8> {
        for (at, label, fix) in &self.fixes {
            let to = self.labels[label.0].expect("a bound label");
            let d = ((to as i64 - *at as i64) * 4) as u32;
            self.words[*at] |= match fix {
                Fix::Branch => {
                    (d >> 11 & 1) << 7 | (d >> 1 & 15) << 8 | (d >> 5 & 63) << 25 | (d >> 31) << 31
                }
                Fix::Jal => {
                    (d >> 12 & 0xff) << 12 | (d >> 11 & 1) << 20 | (d >> 1 & 0x3ff) << 21 | (d >> 31) << 31
                }
            };
        }
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }
}
