//! Where jumps through tables lead.
//!
//! The problem: a `switch` or a byte-code machine jumps to an address that it has loaded, so no edge says what comes next, and a
//! region would end there at each turn. But the blocks that such a jump leads to have been lifted, and nothing else leads
//! to them: they begin behind an unconditional jump, and no branch that is known names them. So these blocks, near the
//! jump, are taken for its targets. A wrong guess costs compile time only, because the region compares.

use super::across::{Place, page_of};
use crate::cache::code::Code;
use crate::ir::op::Shape;
use crate::ir::{JumpHint, Op, Opcode, Reg, SINK};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Targets lie at most this far before the jump,
const BEFORE: Place = 512;
/// and this far behind it.
const BEHIND: Place = 1536;

/// Whether the op is an indirect jump that is neither call nor return.
pub fn is_plain_jump(op: &Op) -> bool {
    op.code == Opcode::JumpReg
        && op.a == SINK
        && matches!(JumpHint::from_bits(op.c), None | Some(JumpHint::None))
}

/// The op that last gives `word` its value, and what comes before it.
fn maker(ops: &[Op], word: Reg) -> Option<(&Op, &[Op])> {
    let at = ops.iter().rposition(|op| op.dest() == Some(word))?;
    Some((&ops[at], &ops[..at]))
}

/// Whether the block ends with a jump to an address that it has loaded, or to one that is the sum of what it has loaded and something.
pub fn jumps_by_table(ops: &[Op]) -> bool {
    let Some((last, before)) = ops.split_last() else { return false };
    if !is_plain_jump(last) {
        return false;
    }
    let is_load = |(op, _): (&Op, &[Op])| op.code.shape() == Shape::Load;
    let loaded = |ops, word| maker(ops, word).is_some_and(is_load);
    loaded(before, last.b)
        || maker(before, last.b).is_some_and(|(op, before)| {
            op.code == Opcode::Add && (loaded(before, op.b) || loaded(before, op.c))
        })
}

/// Where control goes from `ops`, relative to their start, without an indirect jump; with the place behind a call.
pub fn direct(ops: &[Op], bytes: u32) -> Vec<i64> {
    let Some(op) = ops.last() else { return Vec::new() };
    match op.code {
        Opcode::Jump if op.a == SINK => vec![op.imm],
        Opcode::Jump => vec![op.imm, op.aux.into()],
        Opcode::Exit => vec![op.imm],
        Opcode::JumpReg if op.a == SINK => Vec::new(),
        code if code.shape() == Shape::Branch => vec![op.imm, op.aux.into()],
        _ => vec![bytes.into()],
    }
}

/// The likely targets of the jump that ends the block at `at`, relative to the block. `find` looks blocks up; of those, only such as lie in
/// the jump's page are guessed.
pub fn guess(at: Place, find: &mut dyn FnMut(Place) -> Option<Arc<Code>>) -> Vec<i64> {
    let near = ((at - BEFORE) & !1..at + BEHIND).step_by(2).filter(|&to| page_of(to) == page_of(at));
    let (mut starts, mut named) = (Vec::new(), FxHashSet::default());
    for start in near {
        let Some(code) = find(start) else { continue };
        starts.push(i64::from(start));
        named.extend(direct(&code.ops, code.bytes).into_iter().map(|to| to + i64::from(start)));
    }
    starts.retain(|start| !named.contains(start));
    starts.into_iter().map(|start| start - i64::from(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Block, Boundary};
    use rustc_hash::FxHashMap;

    const JUMP: Op = Op { b: 13, a: SINK, ..Op::new(Opcode::JumpReg) };

    fn load(a: Reg) -> Op {
        Op::rri(Opcode::LoadS32, a, 10, 0)
    }

    #[test]
    fn jumps_by_table_use_what_was_loaded() {
        let sum = Op::rrr(Opcode::Add, 13, 13, 11);
        assert!(jumps_by_table(&[load(13), JUMP]));
        assert!(jumps_by_table(&[load(13), sum, JUMP]));
        assert!(jumps_by_table(&[load(11), sum, JUMP]));
        assert!(!jumps_by_table(&[load(12), sum, JUMP]));
        assert!(!jumps_by_table(&[sum, load(11), JUMP]));
        let ret = Op { c: JumpHint::Return as u8, ..JUMP };
        assert!(!jumps_by_table(&[load(13), ret]));
        assert!(!jumps_by_table(&[load(13), Op { a: 1, ..JUMP }]));
        assert!(!jumps_by_table(&[]));
    }

    #[test]
    fn targets_are_blocks_that_nothing_else_leads_to() {
        let mut blocks = FxHashMap::default();
        let mut add = |at: Place, op: Op| {
            let bounds = vec![Boundary { op: 0, offset: 0, len: 4, raw: 0 }];
            let block = Block { ops: vec![op], bounds, bytes: 4 };
            blocks.insert(at, Arc::new(Code::new(block, 0x8000_0000 + at as u64, None, 0)));
        };
        let back = |at: Place| Op { a: SINK, imm: 0x100 - i64::from(at), aux: 4, ..Op::new(Opcode::Jump) };
        add(0x100, Op { imm: 0x40, aux: 4, ..Op::new(Opcode::BrEq) });
        add(0x104, JUMP);
        for at in [0x108, 0x10c, 0x140, 0x160] {
            add(at, back(at));
        }
        // Too far away.
        add(0xf00, back(0xf00));
        let found = guess(0x104, &mut |at| blocks.get(&at).cloned());
        assert_eq!(found, [4, 8, 0x5c]);
    }
}
