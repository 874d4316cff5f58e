//! A small assembler: bytes at an address, labels, constants and the console routines that every test program has.

use super::encode::*;

/// A place in the code, bound once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(usize);

enum Fix {
    Branch,
    Jump,
    /// `auipc` and the `addi` behind it.
    Address,
}

/// Code being written.
pub struct Asm {
    /// Address of the first byte.
    pub base: u64,
    /// What is written so far.
    pub bytes: Vec<u8>,
    labels: Vec<Option<u64>>,
    fixes: Vec<(usize, usize, Fix)>,
}

impl Asm {
    /// Empty code at `base`.
    pub fn new(base: u64) -> Asm {
        Asm { base, bytes: Vec::new(), labels: Vec::new(), fixes: Vec::new() }
    }
    /// Address of the next instruction.
    pub fn here(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }
    /// Appends a 32-bit instruction.
    pub fn w(&mut self, word: u32) {
        self.bytes.extend(word.to_le_bytes());
    }
    /// Appends several.
    pub fn ws(&mut self, words: &[u32]) {
        words.iter().for_each(|w| self.w(*w));
    }
    /// Appends a 16-bit instruction.
    pub fn h(&mut self, half: u16) {
        self.bytes.extend(half.to_le_bytes());
    }
    /// Pads with zeros (illegal instructions) to a multiple of `n`.
    pub fn align(&mut self, n: usize) {
        while !self.here().is_multiple_of(n as u64) {
            self.bytes.push(0);
        }
    }
    /// A new label, not bound.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }
    /// Binds `l` here.
    pub fn bind(&mut self, l: Label) {
        let here = self.here();
        assert!(self.labels[l.0].replace(here).is_none(), "label bound twice");
    }
    /// A label bound here.
    pub fn mark(&mut self) -> Label {
        let l = self.label();
        self.bind(l);
        l
    }
    /// Where a bound label is.
    pub fn address(&self, l: Label) -> u64 {
        self.labels[l.0].expect("label is bound")
    }
    /// Branch with funct3 `f3` (0 eq, 1 ne, 4 lt, 5 ge, 6 ltu, 7 geu).
    pub fn branch(&mut self, f3: u32, rs1: Reg, rs2: Reg, to: Label) {
        self.fixes.push((self.bytes.len(), to.0, Fix::Branch));
        self.w(b(f3, rs1, rs2, 0));
    }
    /// `jal rd, to`.
    pub fn jal(&mut self, rd: Reg, to: Label) {
        self.fixes.push((self.bytes.len(), to.0, Fix::Jump));
        self.w(j(rd, 0));
    }
    /// `rd` = address of `to`, relative to the program counter.
    pub fn la(&mut self, rd: Reg, to: Label) {
        self.fixes.push((self.bytes.len(), to.0, Fix::Address));
        self.w(u(0x17, rd, 0));
        self.w(addi(rd, rd, 0));
    }
    /// `rd` = `value`.
    pub fn li(&mut self, rd: Reg, value: u64) {
        let v = value as i64;
        if let Ok(v) = i32::try_from(v) {
            let low = v << 20 >> 20;
            let high = (v.wrapping_sub(low) as u32) >> 12;
            if high != 0 {
                self.w(u(0x37, rd, high));
                if low != 0 {
                    self.w(addiw(rd, rd, low));
                }
            } else {
                self.w(addi(rd, 0, low));
            }
            return;
        }
        let low = (v << 52 >> 52) as i32;
        let rest = v.wrapping_sub(low as i64) as u64;
        let zeros = rest.trailing_zeros();
        self.li(rd, ((rest as i64) >> zeros) as u64);
        self.w(slli(rd, rd, zeros));
        if low != 0 {
            self.w(addi(rd, rd, low));
        }
    }
    /// Resolves labels and hands out the bytes.
    pub fn finish(mut self) -> Vec<u8> {
        for (at, label, fix) in &self.fixes {
            let to = self.labels[*label].expect("every label is bound");
            let d = to.wrapping_sub(self.base + *at as u64) as i64;
            let old = |k: usize| u32::from_le_bytes(self.bytes[k..k + 4].try_into().expect("four bytes"));
            let (first, second) = match fix {
                Fix::Branch => {
                    assert!((-4096..4096).contains(&d), "branch out of reach");
                    (old(*at) | b(0, 0, 0, d as i32) & !0x63, None)
                }
                Fix::Jump => {
                    assert!((-(1 << 20)..1 << 20).contains(&d), "jump out of reach");
                    (old(*at) | j(0, d as i32) & !0x6f, None)
                }
                Fix::Address => {
                    let low = (d << 52 >> 52) as i32;
                    let high = ((d - low as i64) >> 12) as u32;
                    (old(*at) | u(0, 0, high), Some(old(*at + 4) | i(0, 0, 0, 0, low)))
                }
            };
            self.bytes[*at..*at + 4].copy_from_slice(&first.to_le_bytes());
            if let Some(w) = second {
                self.bytes[*at + 4..*at + 8].copy_from_slice(&w.to_le_bytes());
            }
        }
        self.bytes
    }
}

/// The UART's transmit register on the `virt` board.
pub const UART: u64 = 0x1000_0000;
/// The test device that ends the run.
pub const FINISHER: u64 = 0x10_0000;

/// Writes a routine that prints x10 as 16 hexadecimal digits and a newline. Link x5; destroys x6, x7, x28, x29.
pub fn put_hex(a: &mut Asm) -> Label {
    let entry = a.mark();
    a.li(28, UART);
    a.li(29, 60);
    let digit = a.mark();
    let letter = a.label();
    a.w(r(0x33, 5, 0, 6, 10, 29)); // srl
    a.w(andi(6, 6, 15));
    a.w(addi(7, 6, -10));
    a.w(addi(6, 6, 48));
    a.branch(4, 7, 0, letter);
    a.w(addi(6, 6, 39));
    a.bind(letter);
    send(a);
    a.w(addi(29, 29, -4));
    a.branch(5, 29, 0, digit);
    a.w(addi(6, 0, 10));
    send(a);
    a.w(jalr(0, 5, 0));
    entry
}

/// Sends x6 to the UART at x28 when there is room; destroys x7.
fn send(a: &mut Asm) {
    let wait = a.mark();
    a.w(lbu(7, 28, 5));
    a.w(andi(7, 7, 0x20));
    a.branch(0, 7, 0, wait);
    a.w(sb(6, 28, 0));
}

/// Ends the run with success.
pub fn power_off(a: &mut Asm) {
    a.li(28, FINISHER);
    a.li(6, 0x5555);
    a.w(sw(6, 28, 0));
    let park = a.mark();
    a.jal(0, park);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as GNU as prints them.
    #[test]
    fn encodings_are_the_assemblers() {
        assert_eq!(add(10, 11, 12), 0x00c5_8533);
        assert_eq!(sd(8, 2, 16), 0x0081_3823);
        assert_eq!(b(1, 10, 11, -8), 0xfeb5_1ce3);
        assert_eq!(j(1, -4), 0xffdf_f0ef);
        assert_eq!(csrw(csr::MTVEC, 5), 0x3052_9073);
        assert_eq!(fmv_d_x(10, 11), 0xf205_8553);
    }

    #[test]
    fn constants_come_out_whole() {
        for v in [
            0,
            1,
            -1i64 as u64,
            0x7ff,
            0x800,
            0x7fff_ffff,
            0x8000_0000,
            0x7fff_f800,
            0xdead_beef_0123_4567,
            1 << 63,
        ] {
            let mut a = Asm::new(0);
            a.li(5, v);
            let mut x = 0u64;
            for w in a.finish().as_chunks::<4>().0 {
                let w = u32::from_le_bytes(*w);
                let imm = (w as i32 >> 20) as i64 as u64;
                let from = if w >> 15 & 31 == 0 { 0 } else { x };
                x = match (w & 0x7f, w >> 12 & 7) {
                    (0x37, _) => (w & 0xffff_f000) as i32 as i64 as u64,
                    (0x1b, 0) => from.wrapping_add(imm) as i32 as i64 as u64,
                    (0x13, 0) => from.wrapping_add(imm),
                    (0x13, 1) => from << (w >> 20 & 63),
                    _ => unreachable!("{w:08x}"),
                };
            }
            assert_eq!(x, v);
        }
    }
}
