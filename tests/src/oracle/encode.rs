//! Instruction formats, written from the unprivileged specification's chapter "RV32/64G Instruction Set Listings" and the
//! chapter on "C". Nothing here is shared with the engine: an oracle with the engine's own table would share its errors.

/// Register number.
pub type Reg = u32;

/// R format.
pub const fn r(opcode: u32, f3: u32, f7: u32, rd: Reg, rs1: Reg, rs2: Reg) -> u32 {
    f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode
}
/// I format.
pub const fn i(opcode: u32, f3: u32, rd: Reg, rs1: Reg, imm: i32) -> u32 {
    (imm as u32 & 0xfff) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode
}
/// S format.
pub const fn s(opcode: u32, f3: u32, rs1: Reg, rs2: Reg, imm: i32) -> u32 {
    let m = imm as u32;
    (m >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (m & 31) << 7 | opcode
}
/// B format.
pub const fn b(f3: u32, rs1: Reg, rs2: Reg, imm: i32) -> u32 {
    let m = imm as u32;
    (m >> 12 & 1) << 31
        | (m >> 5 & 0x3f) << 25
        | rs2 << 20
        | rs1 << 15
        | f3 << 12
        | (m >> 1 & 15) << 8
        | (m >> 11 & 1) << 7
        | 0x63
}
/// U format; `imm` is the value of bits 31 to 12.
pub const fn u(opcode: u32, rd: Reg, imm20: u32) -> u32 {
    (imm20 & 0xf_ffff) << 12 | rd << 7 | opcode
}
/// J format.
pub const fn j(rd: Reg, imm: i32) -> u32 {
    let m = imm as u32;
    (m >> 20 & 1) << 31
        | (m >> 1 & 0x3ff) << 21
        | (m >> 11 & 1) << 20
        | (m >> 12 & 0xff) << 12
        | rd << 7
        | 0x6f
}

macro_rules! imm_ops { ($($name:ident $op:literal $f3:literal;)*) => { $(
    #[doc = concat!("`", stringify!($name), " rd, rs1, imm` (or `rd, imm(rs1)`).")]
    pub const fn $name(rd: Reg, rs1: Reg, imm: i32) -> u32 { i($op, $f3, rd, rs1, imm) }
)* } }
imm_ops! {
    addi 0x13 0; xori 0x13 4; ori 0x13 6; andi 0x13 7; addiw 0x1b 0; jalr 0x67 0;
    lb 3 0; lh 3 1; lw 3 2; ld 3 3; lbu 3 4; lhu 3 5; lwu 3 6; fld 7 3;
}
macro_rules! reg_ops { ($($name:ident $op:literal $f3:literal $f7:literal;)*) => { $(
    #[doc = concat!("`", stringify!($name), " rd, rs1, rs2`.")]
    pub const fn $name(rd: Reg, rs1: Reg, rs2: Reg) -> u32 { r($op, $f3, $f7, rd, rs1, rs2) }
)* } }
reg_ops! { add 0x33 0 0; sub 0x33 0 0x20; xor 0x33 4 0; or 0x33 6 0; and 0x33 7 0; mul 0x33 0 1; sltu 0x33 3 0; }
macro_rules! store_ops { ($($name:ident $op:literal $f3:literal;)*) => { $(
    #[doc = concat!("`", stringify!($name), " rs2, imm(rs1)`.")]
    pub const fn $name(rs2: Reg, rs1: Reg, imm: i32) -> u32 { s($op, $f3, rs1, rs2, imm) }
)* } }
store_ops! { sb 0x23 0; sh 0x23 1; sw 0x23 2; sd 0x23 3; fsd 0x27 3; }

/// `slli rd, rs1, shamt`.
pub const fn slli(rd: Reg, rs1: Reg, shamt: u32) -> u32 {
    i(0x13, 1, rd, rs1, shamt as i32)
}
/// `srli rd, rs1, shamt`.
pub const fn srli(rd: Reg, rs1: Reg, shamt: u32) -> u32 {
    i(0x13, 5, rd, rs1, shamt as i32)
}
/// `csrrw rd, csr, rs1`.
pub const fn csrrw(rd: Reg, csr: u32, rs1: Reg) -> u32 {
    i(0x73, 1, rd, rs1, csr as i32)
}
/// `csrrs rd, csr, rs1`.
pub const fn csrrs(rd: Reg, csr: u32, rs1: Reg) -> u32 {
    i(0x73, 2, rd, rs1, csr as i32)
}
/// `csrrc rd, csr, rs1`.
pub const fn csrrc(rd: Reg, csr: u32, rs1: Reg) -> u32 {
    i(0x73, 3, rd, rs1, csr as i32)
}
/// `csrr rd, csr`.
pub const fn csrr(rd: Reg, csr: u32) -> u32 {
    csrrs(rd, csr, 0)
}
/// `csrw csr, rs1`.
pub const fn csrw(csr: u32, rs1: Reg) -> u32 {
    csrrw(0, csr, rs1)
}
/// `fmv.d.x fd, rs1`.
pub const fn fmv_d_x(fd: Reg, rs1: Reg) -> u32 {
    r(0x53, 0, 0x79, fd, rs1, 0)
}
/// `sfence.vma rs1, rs2`.
pub const fn sfence_vma(rs1: Reg, rs2: Reg) -> u32 {
    r(0x73, 0, 9, 0, rs1, rs2)
}
/// `nop`.
pub const NOP: u32 = 0x13;
/// `ecall`.
pub const ECALL: u32 = 0x73;
/// `ebreak`.
pub const EBREAK: u32 = 0x0010_0073;
/// `mret`.
pub const MRET: u32 = 0x3020_0073;
/// `sret`.
pub const SRET: u32 = 0x1020_0073;
/// `fence.i`.
pub const FENCE_I: u32 = 0x100f;

/// CSR numbers of the privileged specification's chapter "CSR Listing".
#[allow(missing_docs)]
pub mod csr {
    pub const FFLAGS: u32 = 1;
    pub const FRM: u32 = 2;
    pub const FCSR: u32 = 3;
    pub const SSTATUS: u32 = 0x100;
    pub const SIE: u32 = 0x104;
    pub const STVEC: u32 = 0x105;
    pub const SCOUNTEREN: u32 = 0x106;
    pub const SENVCFG: u32 = 0x10a;
    pub const SSCRATCH: u32 = 0x140;
    pub const SEPC: u32 = 0x141;
    pub const SCAUSE: u32 = 0x142;
    pub const STVAL: u32 = 0x143;
    pub const SIP: u32 = 0x144;
    pub const SATP: u32 = 0x180;
    pub const MSTATUS: u32 = 0x300;
    pub const MISA: u32 = 0x301;
    pub const MEDELEG: u32 = 0x302;
    pub const MIDELEG: u32 = 0x303;
    pub const MIE: u32 = 0x304;
    pub const MTVEC: u32 = 0x305;
    pub const MCOUNTEREN: u32 = 0x306;
    pub const MENVCFG: u32 = 0x30a;
    pub const MCOUNTINHIBIT: u32 = 0x320;
    pub const MSCRATCH: u32 = 0x340;
    pub const MEPC: u32 = 0x341;
    pub const MCAUSE: u32 = 0x342;
    pub const MTVAL: u32 = 0x343;
    pub const MIP: u32 = 0x344;
    pub const PMPCFG0: u32 = 0x3a0;
    pub const PMPADDR0: u32 = 0x3b0;
    pub const CYCLE: u32 = 0xc00;
    pub const INSTRET: u32 = 0xc02;
}
