//! Where entropy comes from.

use std::fs::File;
use std::io::{self, Read};

/// Gives random bytes. Does not block for long.
pub trait EntropySource: Send {
    /// Fills `buf`.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()>;
}

impl<F: FnMut(&mut [u8]) + Send> EntropySource for F {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self(buf);
        Ok(())
    }
}

/// The host's random number generator, random(4).
#[derive(Default)]
pub struct HostEntropy {
    file: Option<File>,
}

impl HostEntropy {
    /// The host's generator, opened at first use.
    pub fn new() -> HostEntropy {
        HostEntropy::default()
    }
}

impl EntropySource for HostEntropy {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(f) => f,
            None => File::open("/dev/urandom")?,
        };
        self.file.insert(file).read_exact(buf)
    }
}

/// The same bytes in every run: for deterministic machines, not for keys. Splitmix64 (Steele, Lea and Flood 2014).
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// A source that starts at `seed`.
    pub fn new(seed: u64) -> SeededEntropy {
        SeededEntropy(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl EntropySource for SeededEntropy {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        for part in buf.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            part.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}
