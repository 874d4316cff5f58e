//! Small RISC-V programs, put together by hand: an encoder of the few instructions that tests need, and the ELF around it.

/// First byte of RAM on the `virt` board.
pub const RAM: u64 = 0x8000_0000;

/// A register by its number.
pub type Reg = u32;
/// Always zero.
pub const ZERO: Reg = 0;
/// Return address.
pub const RA: Reg = 1;
/// Temporaries.
pub const T0: Reg = 5;
/// Temporaries.
pub const T1: Reg = 6;
/// Temporaries.
pub const T2: Reg = 7;

/// `mtvec`
pub const MTVEC: u32 = 0x305;
/// `medeleg`
pub const MEDELEG: u32 = 0x302;
/// `stvec`
pub const STVEC: u32 = 0x105;
/// `satp`
pub const SATP: u32 = 0x180;
/// `mstatus`
pub const MSTATUS: u32 = 0x300;
/// `mepc`
pub const MEPC: u32 = 0x341;
/// `pmpaddr0`
pub const PMPADDR0: u32 = 0x3b0;
/// `pmpcfg0`
pub const PMPCFG0: u32 = 0x3a0;

/// `addi rd, rs, imm`
pub fn addi(rd: Reg, rs: Reg, imm: i32) -> u32 {
    ((imm as u32 & 0xfff) << 20) | (rs << 15) | (rd << 7) | 0x13
}

/// `slli rd, rs, shift`
pub fn slli(rd: Reg, rs: Reg, shift: u32) -> u32 {
    (shift << 20) | (rs << 15) | (1 << 12) | (rd << 7) | 0x13
}

/// `lui rd, imm20`
pub fn lui(rd: Reg, imm20: u32) -> u32 {
    (imm20 << 12) | (rd << 7) | 0x37
}

/// `auipc rd, 0`
pub fn auipc(rd: Reg) -> u32 {
    (rd << 7) | 0x17
}

/// `csrw csr, rs`
pub fn csrw(csr: u32, rs: Reg) -> u32 {
    (csr << 20) | (rs << 15) | (1 << 12) | 0x73
}

/// `jalr zero, rs`
pub fn jr(rs: Reg) -> u32 {
    (rs << 15) | 0x67
}

/// `jal zero, offset`
pub fn j(offset: i32) -> u32 {
    let o = offset as u32;
    ((o >> 20 & 1) << 31) | ((o >> 1 & 0x3ff) << 21) | ((o >> 11 & 1) << 20) | ((o >> 12 & 0xff) << 12) | 0x6f
}

/// `ld rd, 0(rs)`
pub fn ld(rd: Reg, rs: Reg) -> u32 {
    (rs << 15) | (3 << 12) | (rd << 7) | 0x03
}

/// `sd value, 0(rs)`
pub fn sd(value: Reg, rs: Reg) -> u32 {
    (value << 20) | (rs << 15) | (3 << 12) | 0x23
}

/// `sw value, 0(rs)`
pub fn sw(value: Reg, rs: Reg) -> u32 {
    (value << 20) | (rs << 15) | (2 << 12) | 0x23
}

/// `mret`
pub const MRET: u32 = 0x3020_0073;
/// `sfence.vma`
pub const SFENCE_VMA: u32 = 0x1200_0073;
/// `wfi`
pub const WFI: u32 = 0x1050_0073;
/// `ecall`
pub const ECALL: u32 = 0x73;

/// Puts a constant into a register, 11 bits at a time.
pub fn li(rd: Reg, value: u64) -> Vec<u32> {
    let mut code = vec![addi(rd, ZERO, 0)];
    let top = (64 - value.leading_zeros()).div_ceil(11);
    for n in (0..top).rev() {
        code.push(slli(rd, rd, 11));
        code.push(addi(rd, rd, (value >> (11 * n) & 0x7ff) as i32));
    }
    code
}

/// One loadable segment of an ELF file.
pub struct Segment {
    /// Where it is loaded.
    pub at: u64,
    /// What is in the file.
    pub bytes: Vec<u8>,
    /// Bytes in memory.
    pub memory: u64,
}

impl Segment {
    /// Code or data as it is.
    pub fn new(at: u64, bytes: Vec<u8>) -> Segment {
        let memory = bytes.len() as u64;
        Segment { at, bytes, memory }
    }
}

/// Instructions as bytes.
pub fn code(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// An ELF file for RISC-V 64.
pub fn elf(entry: u64, segments: &[Segment]) -> Vec<u8> {
    const RISCV: u16 = 243;
    elf_for(RISCV, entry, segments)
}

/// An executable ELF file, 64 bits, little endian, for any machine.
pub fn elf_for(machine: u16, entry: u64, segments: &[Segment]) -> Vec<u8> {
    const HEADER: u64 = 64;
    const SEGMENT: u64 = 56;
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    let half = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let word = |out: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    let long = |out: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
    half(&mut out, &[2, machine]);
    word(&mut out, &[1]);
    long(&mut out, &[entry, HEADER, 0]);
    word(&mut out, &[0]);
    half(&mut out, &[HEADER as u16, SEGMENT as u16, segments.len() as u16, 64, 0, 0]);
    let mut offset = HEADER + SEGMENT * segments.len() as u64;
    for s in segments {
        word(&mut out, &[1, 7]);
        long(&mut out, &[offset, s.at, s.at, s.bytes.len() as u64, s.memory, 4096]);
        offset += s.bytes.len() as u64;
    }
    segments.iter().for_each(|s| out.extend(&s.bytes));
    out
}
