//! Branches and jumps: every condition on edges; displacements and targets land in the arena, where the next trap says where.

use super::*;
use crate::oracle::encode as e;

pub(super) fn fill(b: &mut Builder, rows: &[Row]) {
    let all = pairs(b);
    let few = short_pairs(b);
    for row in rows {
        match row.kind {
            Kind::Branch => {
                let f3 = row.bits >> 12;
                let one = |s1, s2, list| {
                    let mut t = light(
                        format!("{} x{s1}, x{s2}, +8; addi x12, x12, 1", row.name),
                        e::b(f3 & 7, s1, s2, 8),
                        list,
                    );
                    t.slot.extend(e::addi(12, 12, 1).to_le_bytes());
                    t
                };
                let mut tests = vec![one(10, 11, all)];
                tests.extend([(10, 10), (0, 10), (10, 0), (0, 0)].map(|(s1, s2)| one(s1, s2, few)));
                let contexts = b.random_contexts();
                for d in [4, 6, -2, -4, 4094, -4096, 2046, 2048, -2048, -2050] {
                    for (s1, s2) in [(1, 2), (3, 3)] {
                        tests.push(full(
                            format!("{} x{s1}, x{s2}, {d}", row.name),
                            e::b(f3 & 7, s1, s2, d),
                            contexts,
                        ));
                    }
                }
                b.group(row.name.clone(), tests);
            }
            Kind::Jal => {
                let contexts = b.random_contexts();
                let one = |rd, d: i32| full(format!("jal x{rd}, {d}"), e::j(rd, d), contexts);
                let far = [
                    2, 4, 6, -2, -4, 0x7fe, 0x800, -0x800, 0xffe, 0x1000, 0xf_fffe, -0x10_0000, 0x5_5554,
                    -0x5_5556,
                ];
                b.group("jal", far.into_iter().flat_map(|d| [one(1, d), one(0, d), one(31, d)]).collect());
            }
            Kind::Jalr => {
                let arena = b.arena_contexts();
                let nowhere = b.nowhere_contexts();
                let mut tests = Vec::new();
                for imm in [0, 1, 2, 3, -1, -2, 2047, -2048] {
                    for (rd, rs1) in [(1, 5), (5, 5), (0, 1), (1, 0), (1, 1)] {
                        tests.push(full(format!("jalr x{rd}, {imm}(x{rs1})"), e::jalr(rd, rs1, imm), arena));
                        tests.push(full(
                            format!("jalr x{rd}, {imm}(x{rs1})"),
                            e::jalr(rd, rs1, imm),
                            nowhere,
                        ));
                    }
                }
                b.group("jalr", tests);
            }
            _ => {}
        }
    }
}
