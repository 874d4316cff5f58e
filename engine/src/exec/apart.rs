//! Takes translations apart for whoever looks: see [`crate::watch::apart`].
//!
//! Nothing is kept for this where code is compiled but of which blocks a region was made: it is compiled once more, by the same compiler on
//! the thread of whoever looks, this time noting which host code belongs to which instruction.

use super::harts::Harts;
use crate::cache::code::Code;
use crate::guest::{Guest, LiftInput};
use crate::host::Tier1;
use crate::ir::op::{Effects, SINK};
use crate::ir::print::{Names, disassembler, op_text};
use crate::ir::{Block, Boundary, Op};
use crate::jit::block::{BlockCompiler, BlockInput};
use crate::jit::emitted::{Emitted, names};
use crate::jit::region::{GuestRules, Region};
use crate::jit::tier2::{Form, Tier2};
use crate::jit::translations::{Tier, Whole};
use crate::mem::PAGE_MASK;
use crate::watch::Stage;
use crate::watch::apart::{Apart, Insn, Line, Mark, Piece};
use std::sync::Arc;

/// A block of the thing that is taken apart.
struct Part {
    code: Arc<Code>,
    /// Guest address, relative to the entry's.
    offset: i64,
}

impl<G: Guest> Harts<G> {
    /// See [`Engine::take_apart`](super::engine::Engine::take_apart).
    pub fn take_apart(&self, id: u32, at: Option<u64>) -> Option<Apart> {
        let whole = self.code().translations().whole(id)?;
        let rules = GuestRules::of::<G>(&self.shared().model).alone(self.len() == 1);
        let region = whole.shape.as_ref().map(|shape| shape.region(&whole.parts, rules));
        let parts = match &whole.shape {
            Some(shape) => {
                let part = |(code, at): (&Arc<Code>, i32)| Part { code: code.clone(), offset: at.into() };
                shape.blocks(&whole.parts).map(part).collect()
            }
            None => whole.parts.iter().map(|code| Part { code: code.clone(), offset: 0 }).collect(),
        };
        let mut apart = self.forms(whole.stage, parts, at);
        let (emitted, clif) = match &region {
            Some(region) => again(region),
            None => (self.again(&whole, rules), String::new()),
        };
        apart.clif = clif.lines().map(|line| clif_line(line, &apart.insns)).collect();
        // If it came out otherwise, the code is shown without.
        let marks = emitted.filter(|e| e.code.len() == whole.code_len()).map_or_else(Vec::new, |e| e.marks);
        let marks: Vec<_> = marks.into_iter().map(|(at, mark)| (at, numbered(mark, &apart.insns))).collect();
        apart.host = whole.host.into_iter().map(|(from, piece)| with_marks(piece, from, &marks)).collect();
        Some(apart)
    }

    /// See [`Engine::take_block_apart`](super::engine::Engine::take_block_apart).
    pub fn take_block_apart(&self, pa: u64, key: u32, at: Option<u64>) -> Option<Apart> {
        let code = self.code().find(pa, key)?;
        Some(self.forms(Stage::Interpreter, vec![Part { code, offset: 0 }], at))
    }

    /// The forms that all blocks have.
    fn forms(&self, stage: Stage, parts: Vec<Part>, at: Option<u64>) -> Apart {
        let mut apart = Apart {
            stage,
            insns: Vec::new(),
            blocks: parts.iter().map(|p| p.code.pa).collect(),
            lifted: Vec::new(),
            passed: Vec::new(),
            clif: Vec::new(),
            host: Vec::new(),
        };
        for (n, part) in parts.iter().enumerate() {
            let (code, first) = (&part.code, apart.insns.len() as u32);
            let base = at.map_or(code.pa, |at| at.wrapping_add_signed(part.offset));
            let asm = disassembler::<G>(base);
            apart.insns.extend(code.bounds.iter().map(|b| Insn {
                block: n as u32,
                pa: code.pa.wrapping_add(b.offset.into()),
                offset: part.offset.wrapping_add(b.offset.into()),
                raw: b.raw,
                len: b.len,
                text: asm(b).unwrap_or_default(),
            }));
            let lifted = self.lift_again(code);
            lines::<G>(&lifted.ops, &lifted.bounds, first, &mut apart.lifted);
            lines::<G>(&code.ops, &code.bounds, first, &mut apart.passed);
        }
        apart
    }

    /// The block as it was before the passes.
    fn lift_again(&self, code: &Code) -> Block {
        let bytes: Vec<u8> =
            code.bounds.iter().flat_map(|b| b.raw.to_le_bytes().into_iter().take(b.len.into())).collect();
        let input = LiftInput { code: &bytes, key: code.key, max_insns: code.insns.max(1) };
        G::lift(&self.shared().model, input)
    }

    /// Compiles tier 1's code once more.
    fn again(&self, whole: &Whole, rules: GuestRules) -> Option<Emitted> {
        let code = whole.parts.first().filter(|_| whole.tier == Tier::One)?;
        let input = BlockInput {
            ops: &code.ops,
            bounds: &code.bounds,
            page_offset: (code.pa & !PAGE_MASK) as u16,
            one_page: code.second_page.is_none(),
            traps_misaligned: rules.traps_misaligned,
            alone: rules.alone,
            profile: whole.profile,
            zero: rules.zero,
            state_moves: rules.state_moves,
            temps: rules.temps,
        };
        let mut tier1 = Tier1::default();
        tier1.mark();
        tier1.compile(&input).ok()
    }
}

/// Compiles a region once more.
fn again(region: &Region) -> (Option<Emitted>, String) {
    let Ok(mut tier2) = Tier2::new() else { return (None, String::new()) };
    tier2.mark();
    let emitted = tier2.compile_as(region, Form::Region).ok();
    (emitted, tier2.clif())
}

fn lines<G: Guest>(ops: &[Op], bounds: &[Boundary], first: u32, out: &mut Vec<Line>) {
    let names = Names::of::<G>();
    for (i, op) in ops.iter().enumerate() {
        let insn = bounds.partition_point(|b| usize::from(b.op) <= i).checked_sub(1);
        // What no pass has removed yet and computes nothing that is read is left out.
        if op.a == SINK && op.code.effects() == Effects::PURE {
            continue;
        }
        out.push(Line { insn: insn.map(|n| first + n as u32), text: op_text(op, &names).to_string() });
    }
}

/// The instruction that a compiler names so, as an index.
fn index_of(mark: u32, insns: &[Insn]) -> Option<u32> {
    let (block, n) = names(mark);
    let first = insns.partition_point(|i| i.block < block) as u32;
    insns.get((first + n) as usize).filter(|i| i.block == block).map(|_| first + n)
}

fn numbered(mark: Mark, insns: &[Insn]) -> Mark {
    match mark {
        Mark::Insn(name) => index_of(name, insns).map_or(Mark::Head, Mark::Insn),
        other => other,
    }
}

/// CLIF names instructions so: `@0012    v3 = iadd v1, v2`.
fn clif_line(line: &str, insns: &[Insn]) -> Line {
    let named = line.strip_prefix('@').and_then(|rest| {
        let (name, text) = rest.split_at(rest.find(' ')?);
        Some((u32::from_str_radix(name, 16).ok()?, text.trim_start()))
    });
    match named {
        Some((name, text)) => Line { insn: index_of(name, insns), text: format!("    {text}") },
        None => Line { insn: None, text: line.to_owned() },
    }
}

/// The marks of a piece that begins at this offset of the code.
fn with_marks(mut piece: Piece, from: u32, marks: &[(u32, Mark)]) -> Piece {
    let end = from + piece.bytes.len() as u32;
    // What the first byte is was said at it or before.
    let first = marks.iter().rev().find(|(at, _)| *at <= from).map(|(_, mark)| (0, *mark));
    let rest =
        marks.iter().filter(|(at, _)| (from + 1..end).contains(at)).map(|(at, mark)| (at - from, *mark));
    piece.marks = first.into_iter().chain(rest).collect();
    piece
}
