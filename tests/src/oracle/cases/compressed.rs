//! All 49,152 compressed words: valid ones on every register field and immediate, reserved ones as illegal instructions.

use super::*;

pub(super) fn fill(b: &mut Builder) {
    let random = b.random_contexts();
    let address = b.address_contexts();
    let arena = b.arena_contexts();
    let nowhere = b.nowhere_contexts();
    for quadrant in 0..3u32 {
        for f3 in 0..8u32 {
            // In groups of 64, so that a difference is found in few reruns.
            for high in 0..0x40u32 {
                let mut tests = Vec::new();
                for low in 0..0x20u32 {
                    let word = f3 << 13 | (high >> 5) << 12 | (high & 31) << 7 | low << 2 | quadrant;
                    // A jump to itself would never end.
                    let displacement = if f3 == 5 { 0x1ffc } else { 0x1c7c };
                    if quadrant == 1 && f3 >= 5 && word & displacement == 0 {
                        continue;
                    }
                    tests.extend(one(word, random, address, [arena, nowhere]));
                }
                b.group(format!("compressed quadrant {quadrant} funct3 {f3} bits 12-7 {high:#04x}"), tests);
            }
        }
    }
}

fn one(word: u32, random: usize, address: usize, jumps_to: [usize; 2]) -> Vec<Test> {
    let f3 = word >> 13;
    let memory = match word & 3 {
        0 => f3 != 0,
        2 => !matches!(f3, 0 | 4),
        _ => false,
    };
    let jumps = word & 3 == 2 && f3 == 4 && word >> 2 & 31 == 0;
    let lists = if memory {
        vec![address]
    } else if jumps {
        jumps_to.into()
    } else {
        vec![random]
    };
    let test = |list| Test {
        text: format!("{word:#06x}"),
        slot: (word as u16).to_le_bytes().to_vec(),
        list,
        fcsr: 0,
        memory,
        full: Some(Gates::M),
        no_tval: false,
    };
    lists.into_iter().map(test).collect()
}
