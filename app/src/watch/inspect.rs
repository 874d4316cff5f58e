//! A translation in all its forms, laid out so that what belongs to one guest instruction stands side by side.

use engine::watch::Stage;
use engine::watch::apart::{Apart, Line, Mark, Piece};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

/// Forms beside the guest's own assembly.
pub const FORMS: usize = 4;
/// Their names.
pub const FORM_TITLES: [&str; FORMS] = ["IR as lifted", "IR after passes", "CLIF", "Host code"];
/// What each is.
pub const FORM_ABOUT: [&str; FORMS] = [
    "The block in the engine's own terms, as the instructions were lifted.",
    "The same after the block passes: what interpreter and compilers get.",
    "Cranelift's terms, after lowering a region. Only tier 2 has them.",
    "The code that runs, read from the code memory. \u{2744} marks what lies apart because it is seldom run.",
];

/// What a group of lines belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// No instruction: checks at the entry, what the register allocator puts in.
    Head,
    /// A guest instruction, an index into [`Apart::insns`].
    Insn(usize),
    /// Ways out that are not linked, and calls of slow paths.
    Stub,
}

/// Lines that stand side by side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// What they belong to.
    pub owner: Owner,
    /// The lines of each form.
    pub lines: [Vec<String>; FORMS],
    /// A block begins here.
    pub begins_block: bool,
}

impl Group {
    fn new(owner: Owner) -> Group {
        Group { owner, lines: Default::default(), begins_block: false }
    }

    /// Lines of the highest column; the guest's assembly has one.
    pub fn height(&self) -> usize {
        self.lines.iter().map(Vec::len).max().unwrap_or(0).max(1)
    }
}

/// Everything about one translation.
#[derive(Clone, PartialEq, Debug)]
pub struct Inspected {
    /// What it was made from.
    pub apart: Apart,
    /// Its lines: the head, each instruction, the stubs.
    pub groups: Vec<Group>,
    /// Which forms it has.
    pub has: [bool; FORMS],
}

/// Lays a translation out.
pub fn inspect(apart: Apart) -> Inspected {
    let mut groups = vec![Group::new(Owner::Head)];
    for (n, insn) in apart.insns.iter().enumerate() {
        let begins_block = n == 0 || apart.insns[n - 1].block != insn.block;
        groups.push(Group { begins_block, ..Group::new(Owner::Insn(n)) });
    }
    groups.push(Group::new(Owner::Stub));
    for (form, lines) in [&apart.lifted, &apart.passed].into_iter().enumerate() {
        for line in lines {
            put(&mut groups, form, index(line), line.text.trim_end().to_owned());
        }
    }
    put_clif(&mut groups, &apart.clif);
    for (n, piece) in apart.host.iter().enumerate() {
        for (mark, text) in disassemble(piece) {
            let at = match mark {
                Mark::Insn(insn) => 1 + insn as usize,
                Mark::Head => 0,
                Mark::Stub | Mark::Data => groups.len() - 1,
            };
            let text = if n > 0 { format!("\u{2744} {text}") } else { text };
            put(&mut groups, FORMS - 1, at, text);
        }
    }
    let has = std::array::from_fn(|form| groups.iter().any(|g| !g.lines[form].is_empty()));
    groups.retain(|g| matches!(g.owner, Owner::Insn(_)) || g.lines.iter().any(|l| !l.is_empty()));
    Inspected { apart, groups, has }
}

/// CLIF: heads of blocks go to the instruction that follows, what is declared before the first block to the end.
fn put_clif(groups: &mut [Group], lines: &[Line]) {
    let (last, mut heads, mut declared) = (groups.len() - 1, Vec::new(), true);
    for line in lines.iter().filter(|l| !l.text.trim().is_empty()) {
        let text = line.text.trim().to_owned();
        let is_head = line.insn.is_none() && text.starts_with("block") && text.ends_with(':');
        declared &= !is_head;
        if is_head {
            heads.push(text);
            continue;
        }
        let at = if declared || text == "}" { last } else { index(line) };
        heads.drain(..).chain([text]).for_each(|text| put(groups, 2, at, text));
    }
    heads.into_iter().for_each(|text| put(groups, 2, last, text));
}

fn index(line: &Line) -> usize {
    line.insn.map_or(0, |n| 1 + n as usize)
}

fn put(groups: &mut [Group], form: usize, at: usize, text: String) {
    if let Some(group) = groups.get_mut(at) {
        group.lines[form].push(text);
    }
}

/// The instructions of a piece of host code, and what each belongs to.
fn disassemble(piece: &Piece) -> Vec<(Mark, String)> {
    let data = piece.marks.iter().find(|(_, mark)| *mark == Mark::Data).map(|(at, _)| *at as usize);
    let code = &piece.bytes[..data.unwrap_or(piece.bytes.len()).min(piece.bytes.len())];
    let mut decoder = Decoder::with_ip(64, code, piece.address, DecoderOptions::NONE);
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    let mut out = Vec::new();
    for instruction in &mut decoder {
        let at = instruction.ip().wrapping_sub(piece.address);
        let mark =
            piece.marks.iter().rev().find(|(from, _)| u64::from(*from) <= at).map_or(Mark::Head, |m| m.1);
        let mut text = format!("{:06x}  ", instruction.ip() & 0xff_ffff);
        formatter.format(&instruction, &mut text);
        out.push((mark, text));
    }
    out
}

/// What the forms of a stage are short of, in words for the empty column.
pub fn missing(stage: Stage, form: usize) -> &'static str {
    match (stage, form) {
        (Stage::Interpreter, 2 | 3) => "It is interpreted: nothing was compiled.",
        (Stage::Tier1, 2) => "Tier 1 emits host code from IR, without CLIF.",
        _ => "There is none.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::watch::apart::Insn;

    fn apart() -> Apart {
        let insn = |n: u32, block| Insn {
            block,
            pa: 0x1000 + u64::from(4 * n),
            offset: i64::from(4 * n),
            raw: 0x13,
            len: 4,
            text: "nop".into(),
        };
        let line = |insn, text: &str| Line { insn, text: text.into() };
        Apart {
            stage: Stage::Settled,
            insns: vec![insn(0, 0), insn(1, 0), insn(2, 1)],
            blocks: vec![0x1000, 0x1008],
            lifted: vec![line(Some(0), "a"), line(Some(1), "b"), line(Some(1), "c")],
            passed: vec![line(Some(1), "c")],
            clif: vec![line(None, "function"), line(None, "block0:"), line(Some(2), "v1"), line(None, "}")],
            host: vec![
                // nop; ret; int3 as data
                Piece {
                    address: 0x10_0000,
                    bytes: vec![0x90, 0x90, 0xc3, 0xcc, 0xcc],
                    marks: vec![(0, Mark::Head), (1, Mark::Insn(0)), (2, Mark::Stub), (3, Mark::Data)],
                },
                Piece { address: 0x20_0000, bytes: vec![0x90], marks: vec![(0, Mark::Insn(0))] },
            ],
        }
    }

    #[test]
    fn lines_stand_beside_their_instruction() {
        let all = inspect(apart());
        assert_eq!(all.has, [true; 4]);
        let owners: Vec<_> = all.groups.iter().map(|g| g.owner).collect();
        assert_eq!(owners, [Owner::Head, Owner::Insn(0), Owner::Insn(1), Owner::Insn(2), Owner::Stub]);
        assert_eq!(all.groups[1].lines[3], ["100001  nop", "\u{2744} 200000  nop"], "hot code first");
        assert_eq!((all.groups[2].lines[0].len(), all.groups[2].height(), all.groups[3].height()), (2, 2, 2));
        assert_eq!(all.groups[4].lines[3], ["100002  ret"], "data are not disassembled");
        assert_eq!(all.groups[3].lines[2], ["block0:", "v1"], "heads stand before what follows");
        assert_eq!(all.groups[4].lines[2], ["function", "}"]);
        assert_eq!(
            all.groups.iter().map(|g| g.begins_block).collect::<Vec<_>>(),
            [false, true, false, true, false]
        );
    }

    #[test]
    fn what_does_not_belong_is_survived() {
        let mut bad = apart();
        bad.lifted[0].insn = Some(77);
        bad.host[0].marks = vec![(0, Mark::Insn(99)), (4_000_000_000, Mark::Data)];
        bad.host[0].bytes = vec![0x0f, 0xff, 0xff];
        let all = inspect(bad);
        assert!(all.groups.iter().all(|g| g.lines[0].len() < 3));
    }
}
