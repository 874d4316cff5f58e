//! Words that no instruction of the model has: each must be an illegal instruction with the same `mtval`.

use super::*;

pub(super) fn fill(b: &mut Builder, rows: &[Row]) {
    let contexts = b.random_contexts();
    for opcode in (3..0x80u32).step_by(4) {
        if opcode & 0x1f == 0x1f {
            continue; // longer than 32 bits
        }
        for f3 in 0..8 {
            let mut tests = Vec::new();
            for n in 0..256u32 {
                // Every funct7, then the second operand field fixed at values where unary instructions live.
                let random = b.rng.next() as u32;
                let fields = if n < 128 {
                    n << 25 | random & 0x01ff_8f80
                } else {
                    (n & 31) << 20 | random & 0xfe0f_8f80
                };
                let word = fields | f3 << 12 | opcode;
                if rows.iter().all(|r| word & r.kind.mask() != r.bits) {
                    tests.push(full(format!("{word:#010x}"), word, contexts));
                }
            }
            b.group(format!("reserved: opcode {opcode:#04x} funct3 {f3}"), tests);
        }
    }
}
