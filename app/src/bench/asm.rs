//! A handful of RISC-V encodings, so that benchmarks of single events need no cross compiler.

/// A register by number.
pub type Reg = u32;
/// `x0`.
pub const ZERO: Reg = 0;
/// `t0`.
pub const T0: Reg = 5;
/// `t1`.
pub const T1: Reg = 6;
/// `t2`.
pub const T2: Reg = 7;
/// `s0`.
pub const S0: Reg = 8;
/// `s1`.
pub const S1: Reg = 9;
/// `a0`.
pub const A0: Reg = 10;
/// `a1`.
pub const A1: Reg = 11;

/// `mstatus`.
pub const MSTATUS: u32 = 0x300;
/// `mtvec`.
pub const MTVEC: u32 = 0x305;
/// `mepc`.
pub const MEPC: u32 = 0x341;
/// `satp`.
pub const SATP: u32 = 0x180;
/// `pmpcfg0`.
pub const PMPCFG0: u32 = 0x3a0;
/// `pmpaddr0`.
pub const PMPADDR0: u32 = 0x3b0;

/// Code being written; instruction numbers count from its start.
#[derive(Default)]
pub struct Asm {
    words: Vec<u32>,
}

fn i_type(opcode: u32, funct3: u32, rd: Reg, rs1: Reg, imm: i32) -> u32 {
    ((imm as u32) << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode
}

fn b_type(funct3: u32, rs1: Reg, rs2: Reg, offset: i32) -> u32 {
    let o = offset as u32;
    let high = ((o >> 12) & 1) << 31 | ((o >> 5) & 0x3f) << 25;
    let low = ((o >> 1) & 0xf) << 8 | ((o >> 11) & 1) << 7;
    high | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | low | 0x63
}

fn j_type(rd: Reg, offset: i32) -> u32 {
    let o = offset as u32;
    let imm =
        ((o >> 20) & 1) << 31 | ((o >> 1) & 0x3ff) << 21 | ((o >> 11) & 1) << 20 | ((o >> 12) & 0xff) << 12;
    imm | (rd << 7) | 0x6f
}

impl Asm {
    /// Number of the next instruction.
    pub fn here(&self) -> usize {
        self.words.len()
    }

    fn put(&mut self, word: u32) -> usize {
        self.words.push(word);
        self.words.len() - 1
    }

    /// Bytes from the next instruction to instruction `target`.
    fn offset(&self, target: usize) -> i32 {
        (target as i32 - self.here() as i32) * 4
    }

    /// `addi rd, rs1, imm`; `imm` is -2048 to 2047.
    pub fn addi(&mut self, rd: Reg, rs1: Reg, imm: i32) {
        self.put(i_type(0x13, 0, rd, rs1, imm));
    }

    /// `add rd, rs1, rs2`.
    pub fn add(&mut self, rd: Reg, rs1: Reg, rs2: Reg) {
        self.put(rs2 << 20 | rs1 << 15 | rd << 7 | 0x33);
    }

    /// Any 64-bit constant, in eleven instructions at most.
    pub fn li(&mut self, rd: Reg, value: u64) {
        self.addi(rd, ZERO, (value >> 55) as i32);
        for shift in [44, 33, 22, 11, 0] {
            self.put(i_type(0x13, 1, rd, rd, 11));
            self.addi(rd, rd, ((value >> shift) & 0x7ff) as i32);
        }
    }

    /// `slli rd, rs1, by`.
    pub fn slli(&mut self, rd: Reg, rs1: Reg, by: i32) {
        self.put(i_type(0x13, 1, rd, rs1, by));
    }

    /// `amoadd.w rd, rs2, (rs1)`.
    pub fn amoadd(&mut self, rd: Reg, rs2: Reg, rs1: Reg) {
        self.put(rs2 << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x2f);
    }

    /// `sb rs2, 0(rs1)`.
    pub fn sb(&mut self, rs2: Reg, rs1: Reg) {
        self.put(rs2 << 20 | rs1 << 15 | 0x23);
    }

    /// `ld rd, 0(rs1)`.
    pub fn ld(&mut self, rd: Reg, rs1: Reg) {
        self.put(i_type(0x03, 3, rd, rs1, 0));
    }

    /// `sw rs2, 0(rs1)`.
    pub fn sw(&mut self, rs2: Reg, rs1: Reg) {
        self.put(rs2 << 20 | rs1 << 15 | 2 << 12 | 0x23);
    }

    /// `bnez rs1, target`, backwards.
    pub fn bnez(&mut self, rs1: Reg, target: usize) {
        let offset = self.offset(target);
        self.put(b_type(1, rs1, ZERO, offset));
    }

    /// `beqz rs1, …`; [`Asm::land`] says where to.
    pub fn beqz_ahead(&mut self, rs1: Reg) -> usize {
        self.put(b_type(0, rs1, ZERO, 0))
    }

    /// Lets the `beqz` at instruction `from` lead here.
    pub fn land(&mut self, from: usize) {
        let offset = (self.here() - from) as i32 * 4;
        if let Some(word) = self.words.get_mut(from) {
            *word |= b_type(0, ZERO, ZERO, offset);
        }
    }

    /// `j target`.
    pub fn j(&mut self, target: usize) {
        let offset = self.offset(target);
        self.put(j_type(ZERO, offset));
    }

    /// `jr rs1`.
    pub fn jr(&mut self, rs1: Reg) {
        self.put(i_type(0x67, 0, ZERO, rs1, 0));
    }

    /// `csrw csr, rs1`.
    pub fn csrw(&mut self, csr: u32, rs1: Reg) {
        self.put(csr << 20 | rs1 << 15 | 1 << 12 | 0x73);
    }

    /// `csrs csr, rs1`.
    pub fn csrs(&mut self, csr: u32, rs1: Reg) {
        self.put(csr << 20 | rs1 << 15 | 2 << 12 | 0x73);
    }

    /// `csrc csr, rs1`.
    pub fn csrc(&mut self, csr: u32, rs1: Reg) {
        self.put(csr << 20 | rs1 << 15 | 3 << 12 | 0x73);
    }

    /// `csrr rd, csr`.
    pub fn csrr(&mut self, rd: Reg, csr: u32) {
        self.put(csr << 20 | 2 << 12 | rd << 7 | 0x73);
    }

    /// `ecall`.
    pub fn ecall(&mut self) {
        self.put(0x73);
    }

    /// `mret`.
    pub fn mret(&mut self) {
        self.put(0x3020_0073);
    }

    /// `wfi`.
    pub fn wfi(&mut self) {
        self.put(0x1050_0073);
    }

    /// `sfence.vma`.
    pub fn sfence(&mut self) {
        self.put(0x1200_0073);
    }

    /// Fills up with `nop` to `bytes` from the start.
    pub fn pad_to(&mut self, bytes: usize) {
        while self.here() * 4 < bytes {
            self.addi(ZERO, ZERO, 0);
        }
    }

    /// The code.
    pub fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::guest::riscv::disasm::disassemble;

    fn text(write: impl FnOnce(&mut Asm)) -> Vec<String> {
        let mut a = Asm::default();
        write(&mut a);
        let bytes = a.bytes();
        bytes.chunks(4).map(|insn| disassemble(insn, 0).0).collect()
    }

    #[test]
    fn what_is_written_reads_back() {
        let lines = text(|a| {
            a.addi(T0, S0, -5);
            a.add(T1, T1, T2);
            a.ld(T2, T0);
            a.slli(A1, A0, 12);
            a.amoadd(T1, T0, A1);
            a.sb(T1, T0);
            a.csrw(SATP, T0);
            a.ecall();
            a.mret();
        });
        let wanted = ["addi", "add", "ld", "slli", "amoadd.w", "sb", "csrrw", "ecall", "mret"];
        for (line, want) in lines.iter().zip(wanted) {
            let word = line.split_whitespace().next().unwrap_or_default();
            assert!(want.starts_with(word.trim_end_matches('w')) || word == want, "{line} is no {want}");
        }
        assert!(
            lines[0].contains("-5") && lines[0].contains("t0") && lines[0].contains("s0"),
            "{}",
            lines[0]
        );
    }
}
