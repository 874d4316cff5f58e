//! The reset ROM: the first instructions after reset, which hand over to firmware.
//!
//! The contract is OpenSBI's: a0 hart number, a1 device tree, a2 the `fw_dynamic_info` structure (docs/firmware/fw_dynamic.md).

const FW_DYNAMIC_MAGIC: u64 = 0x4942_534f;
const FW_DYNAMIC_VERSION: u64 = 2;
const S_MODE: u64 = 1;

const CODE: [u32; 6] = [
    0x0000_0297, // auipc t0, 0
    0x0282_8613, // addi  a2, t0, 40
    0xf140_2573, // csrr  a0, mhartid
    0x0202_b583, // ld    a1, 32(t0)
    0x0182_b283, // ld    t0, 24(t0)
    0x0002_8067, // jr    t0
];

/// The ROM that jumps to `entry` in M-mode; `next` is what dynamic firmware starts in S-mode (0: nothing).
pub(super) fn write(entry: u64, fdt: u64, next: u64) -> Vec<u8> {
    let options = 0u64;
    let boot_hart = 0u64;
    let words = [entry, fdt, FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next, S_MODE, options, boot_hart];
    let code = CODE.iter().flat_map(|i| i.to_le_bytes());
    code.chain(words.iter().flat_map(|w| w.to_le_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a2` points here, from the start of the ROM.
    const INFO: usize = 40;

    #[test]
    fn data_lies_where_the_code_looks() {
        let rom = write(0x11, 0x22, 0x33);
        let word = |at: usize| u64::from_le_bytes(rom[at..at + 8].try_into().expect("eight bytes"));
        assert_eq!((word(24), word(32)), (0x11, 0x22));
        assert_eq!((word(INFO), word(INFO + 8), word(INFO + 16), word(INFO + 24)), (0x4942_534f, 2, 0x33, 1));
        assert_eq!(rom.len(), INFO + 48);
        assert_eq!(CODE[1] >> 20, INFO as u32);
    }
}
