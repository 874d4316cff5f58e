//! Rounding to integral numbers in the same format.
//!
//! SSE 4.1 has it with a static rounding mode or the dynamic one, with or without the inexact flag. To nearest, ties to max
//! magnitude, is made of truncations.

use super::{Done, Emit, X, sized};
use crate::ir::op::{Opcode, RM_DYNAMIC};
use dynasmrt::{DynasmApi, dynasm};

/// In the immediate of `roundsd`: raise no inexact.
pub(super) const QUIET: i8 = 8;
/// The immediate of `roundsd` for truncation.
pub(super) const TRUNCATE: i8 = 3;

/// The rounding of `roundsd` for a RISC-V mode; none for ties to max magnitude (Intel SDM volume 2, table "Rounding Modes and
/// Encoding of Rounding Control Field").
pub(super) const fn control(rm: u8) -> Option<i8> {
    match rm {
        0 => Some(0),
        1 => Some(TRUNCATE),
        2 => Some(1),
        3 => Some(2),
        RM_DYNAMIC => Some(4),
        _ => None,
    }
}

impl Emit<'_> {
    pub(super) fn round(&mut self) -> Done {
        let Some(control) = control(self.flags.rm()) else {
            return Done::No;
        };
        if !self.features.sse41 {
            return Done::No;
        }
        let quiet = if self.op.code == Opcode::FRound { QUIET } else { 0 };
        let b = self.read(self.op.b);
        let x = self.copy(b);
        sized!(self, roundsd | roundss Rx(x), Rx(b), control | quiet);
        self.write_number(x)
    }

    /// `xmm1 = b` rounded as the op says, quietly. Infinities may raise invalid and become NaN, and zeros lose their sign.
    pub(super) fn round_quietly(&mut self, b: X) {
        if let Some(control) = control(self.flags.rm()) {
            sized!(self, roundsd | roundss xmm1, Rx(b), control | QUIET);
            return;
        }
        // Ties to max magnitude: the truncated number plus the truncated double of the fraction. All sums here are exact.
        dynasm!(self.asm ; .arch x64 ; movaps xmm0, Rx(b));
        sized!(self, roundsd | roundss xmm1, Rx(b), TRUNCATE | QUIET);
        sized!(self, subsd | subss xmm0, xmm1);
        sized!(self, addsd | addss xmm0, xmm0);
        sized!(self, roundsd | roundss xmm0, xmm0, TRUNCATE | QUIET);
        sized!(self, addsd | addss xmm1, xmm0);
    }
}
