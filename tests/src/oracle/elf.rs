//! Writes the test programs as ELF64 RISC-V executables.

/// A program: entry and what lies where in physical memory.
#[derive(Clone, Default)]
pub struct Image {
    /// Segments by address; they do not overlap.
    pub segments: Vec<(u64, Vec<u8>)>,
}

/// Where every test program starts: RAM of the `virt` board.
pub const ENTRY: u64 = 0x8000_0000;

impl Image {
    /// Adds bytes at `address`.
    pub fn put(&mut self, address: u64, bytes: Vec<u8>) {
        let end = address + bytes.len() as u64;
        let clash = self.segments.iter().find(|(a, b)| address < a + b.len() as u64 && *a < end);
        assert!(clash.is_none(), "segments overlap at {address:#x}");
        self.segments.push((address, bytes));
    }

    /// Adds 64-bit words at `address`.
    pub fn put_words(&mut self, address: u64, words: &[u64]) {
        self.put(address, words.iter().flat_map(|w| w.to_le_bytes()).collect());
    }

    /// The file.
    pub fn elf(&self) -> Vec<u8> {
        const HEADER: u64 = 64;
        const PROGRAM_HEADER: u64 = 56;
        let n = self.segments.len() as u64;
        let mut f = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        f.extend(2u16.to_le_bytes()); // ET_EXEC
        f.extend(243u16.to_le_bytes()); // EM_RISCV
        f.extend(1u32.to_le_bytes());
        for w in [ENTRY, HEADER, 0] {
            f.extend(w.to_le_bytes());
        }
        f.extend(5u32.to_le_bytes()); // RVC, double-float ABI
        for h in [HEADER, PROGRAM_HEADER, n, 64, 0, 0] {
            f.extend((h as u16).to_le_bytes());
        }
        let mut offset = (HEADER + n * PROGRAM_HEADER).next_multiple_of(8);
        for (address, bytes) in &self.segments {
            f.extend(1u32.to_le_bytes()); // PT_LOAD
            f.extend(7u32.to_le_bytes()); // RWX
            let size = bytes.len() as u64;
            for w in [offset, *address, *address, size, size, 8] {
                f.extend(w.to_le_bytes());
            }
            offset = (offset + size).next_multiple_of(8);
        }
        for (_, bytes) in &self.segments {
            f.resize(f.len().next_multiple_of(8), 0);
            f.extend(bytes);
        }
        f
    }
}
