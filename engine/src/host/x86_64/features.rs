//! Which instruction sets beyond x86-64's baseline the host has.

use std::arch::is_x86_feature_detected;

/// Instruction sets that emitted code uses where it can.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// `andn`, `tzcnt`
    pub bmi1: bool,
    /// `shlx`, `rorx` and their kin
    pub bmi2: bool,
    /// `lzcnt`
    pub lzcnt: bool,
    /// `popcnt`
    pub popcnt: bool,
    /// `pclmulqdq`, and SSE4.1 to read its result
    pub clmul: bool,
    /// `roundsd`
    pub sse41: bool,
    /// FMA3
    pub fma: bool,
}

impl Features {
    /// The baseline alone.
    #[cfg(test)]
    pub const NONE: Features = Features {
        bmi1: false,
        bmi2: false,
        lzcnt: false,
        popcnt: false,
        clmul: false,
        sse41: false,
        fma: false,
    };
}

impl Default for Features {
    fn default() -> Features {
        Features {
            bmi1: is_x86_feature_detected!("bmi1"),
            bmi2: is_x86_feature_detected!("bmi2"),
            lzcnt: is_x86_feature_detected!("lzcnt"),
            popcnt: is_x86_feature_detected!("popcnt"),
            clmul: is_x86_feature_detected!("pclmulqdq") && is_x86_feature_detected!("sse4.1"),
            sse41: is_x86_feature_detected!("sse4.1"),
            fma: is_x86_feature_detected!("fma"),
        }
    }
}
