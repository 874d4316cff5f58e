//! What the host's CPU can do beyond the x86-64 baseline, as far as emitted code makes use of it.

use std::sync::OnceLock;

/// Instruction set extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Features {
    /// SSE 4.1: `roundsd`.
    pub sse41: bool,
    /// FMA3.
    pub fma: bool,
}

impl Features {
    /// Those of the CPU that we run on.
    pub fn of_host() -> Features {
        static HOST: OnceLock<Features> = OnceLock::new();
        *HOST.get_or_init(|| Features {
            sse41: is_x86_feature_detected!("sse4.1"),
            fma: is_x86_feature_detected!("fma"),
        })
    }
}
