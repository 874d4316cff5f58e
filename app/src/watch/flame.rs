//! Call stacks of samples as a tree, for flame graphs (Gregg, "The Flame Graph", ACM Queue 14(2), 2016).

use super::hot::{Named, Namer};
use engine::watch::Stage;
use engine::watch::samples::{Privilege, Sample};
use rustc_hash::FxHashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Name of the frame for callers that are not known.
pub const CUT: &str = "[cut]";

/// A function as called by those above it.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    /// Its name, or an address.
    pub name: Arc<str>,
    /// Samples in it and in what it calls, by stage of the code that ran.
    pub samples: [u32; 4],
    /// Samples in itself, by stage.
    pub own: [u32; 4],
    /// What it calls, by name.
    pub calls: Vec<Frame>,
}

impl Frame {
    fn new(name: Arc<str>) -> Frame {
        Frame { name, samples: [0; 4], own: [0; 4], calls: Vec::new() }
    }

    /// Samples of all stages.
    pub fn time(&self) -> u32 {
        self.samples.iter().sum()
    }

    /// The stage of most samples.
    pub fn stage(&self) -> Stage {
        Stage::ALL.into_iter().max_by_key(|s| (self.samples[*s as usize], *s)).unwrap_or(Stage::Interpreter)
    }

    /// Frames below one another at most.
    pub fn depth(&self) -> usize {
        1 + self.calls.iter().map(Frame::depth).max().unwrap_or(0)
    }

    fn sort(&mut self) {
        self.calls.sort_by(|a, b| a.name.cmp(&b.name));
        self.calls.iter_mut().for_each(Frame::sort);
    }
}

/// A tree of frames while it is built: children by name.
struct Growing {
    frames: Vec<(Frame, FxHashMap<Arc<str>, usize>)>,
}

impl Growing {
    fn child(&mut self, of: usize, name: &Arc<str>) -> usize {
        if let Some(&at) = self.frames[of].1.get(name) {
            return at;
        }
        let at = self.frames.len();
        self.frames.push((Frame::new(name.clone()), FxHashMap::default()));
        self.frames[of].1.insert(name.clone(), at);
        at
    }

    fn finish(&mut self, at: usize) -> Frame {
        let children: Vec<usize> = self.frames[at].1.values().copied().collect();
        let calls = children.into_iter().map(|child| self.finish(child)).collect();
        let mut frame = std::mem::replace(&mut self.frames[at].0, Frame::new("".into()));
        frame.calls = calls;
        frame
    }
}

/// Makes the tree of all samples that came with callers.
pub fn tree<'a>(samples: impl Iterator<Item = &'a Sample>, namer: &dyn Namer) -> Frame {
    let mut all = Growing { frames: vec![(Frame::new("all".into()), FxHashMap::default())] };
    let mut names = FxHashMap::default();
    for sample in samples {
        let Some(path) = path(sample, namer, &mut names) else { continue };
        let stage = sample.stage as usize;
        let mut at = 0;
        all.frames[0].0.samples[stage] += 1;
        for name in &path {
            at = all.child(at, name);
            all.frames[at].0.samples[stage] += 1;
        }
        all.frames[at].0.own[stage] += 1;
    }
    let mut root = all.finish(0);
    root.sort();
    root
}

/// The functions of a sample, outermost first.
fn path(sample: &Sample, namer: &dyn Namer, names: &mut FxHashMap<u64, Arc<str>>) -> Option<Vec<Arc<str>>> {
    let callers = sample.callers.as_ref()?;
    let mut path: Vec<Arc<str>> = Vec::with_capacity(callers.list.len() + 3);
    match sample.privilege {
        Privilege::Kernel => path.push("kernel".into()),
        Privilege::Machine => path.push("firmware".into()),
        // Programs are told apart by their page tables: by the number of the root's page (privileged specification, "satp").
        Privilege::User => path.push(format!("program {:x}", sample.space & ((1 << 44) - 1)).into()),
    }
    let mut name = |pc: u64, pa: Option<u64>| -> Arc<str> {
        let new = || namer.name(pa, Some(pc)).map_or_else(|| address(pc, sample.privilege), |n: Named| n.0);
        names.entry(pc).or_insert_with(new).clone()
    };
    let leaf = name(sample.pc, sample.pa);
    if sample.privilege == Privilege::User {
        // Programs are built without frame pointers.
        path.push(CUT.into());
        path.push(leaf);
        return Some(path);
    }
    let (link, frames) =
        callers.list.split_first().map_or((None, &[][..]), |(first, rest)| (Some(*first), rest));
    // A return address is that of the instruction behind the call, which may be the next function's first.
    let mut called: Vec<Arc<str>> = frames.iter().map(|ra| name(ra.wrapping_sub(1), None)).collect();
    if let Some(ra) = link.filter(|ra| *ra != 0 && frames.first() != Some(ra)) {
        let from = name(ra.wrapping_sub(1), None);
        // In a function with a frame it is where a call of its own came back.
        if from != leaf && called.first() != Some(&from) && is_code(ra, namer) {
            called.insert(0, from);
        }
    }
    if callers.cut {
        path.push(CUT.into());
    }
    path.extend(called.into_iter().rev());
    path.push(leaf);
    Some(path)
}

/// Whether a register that may hold anything names a function.
fn is_code(at: u64, namer: &dyn Namer) -> bool {
    namer.name(None, Some(at.wrapping_sub(1))).is_some()
}

/// Code without a name: programs by page, or there would be as many frames as instructions.
fn address(pc: u64, privilege: Privilege) -> Arc<str> {
    match privilege {
        Privilege::User => format!("{:#x}…", pc & !0xfff).into(),
        _ => format!("{pc:#x}").into(),
    }
}

/// One line a stack, "outermost;…;innermost count", as flame graph programs read them.
pub fn collapsed(root: &Frame) -> String {
    fn walk(frame: &Frame, path: &mut Vec<String>, out: &mut String) {
        path.push(frame.name.replace([';', ' '], "_"));
        let own: u32 = frame.own.iter().sum();
        if own > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{} {own}", path.join(";"));
        }
        frame.calls.iter().for_each(|f| walk(f, path, out));
        path.pop();
    }
    let mut out = String::new();
    root.calls.iter().for_each(|f| walk(f, &mut Vec::new(), &mut out));
    out
}

/// A frame as it is drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Tile<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// Its number among its caller's calls, and those of all above: names it.
    pub path: Vec<usize>,
    /// Where it begins and how wide it is, as parts of the whole.
    pub x: (f32, f32),
    /// How deep it lies; the root is 0.
    pub depth: usize,
}

/// The tiles of a tree that are at least this part of it wide.
pub fn tiles(root: &Frame, least: f32) -> Vec<Tile<'_>> {
    fn walk<'a>(
        frame: &'a Frame,
        place: (f32, usize),
        scale: f32,
        least: f32,
        path: &mut Vec<usize>,
        out: &mut Vec<Tile<'a>>,
    ) {
        let (x, depth) = place;
        let width = frame.time() as f32 * scale;
        if width < least {
            return;
        }
        out.push(Tile { frame, path: path.clone(), x: (x, width), depth });
        let mut at = x;
        for (n, call) in frame.calls.iter().enumerate() {
            path.push(n);
            walk(call, (at, depth + 1), scale, least, path, out);
            path.pop();
            at += call.time() as f32 * scale;
        }
    }
    let mut out = Vec::new();
    if root.time() > 0 {
        walk(root, (0.0, 0), 1.0 / root.time() as f32, least, &mut Vec::new(), &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::watch::samples::Callers;
    use std::time::Instant;

    const BASE: u64 = 0xffff_ffff_8000_0000;

    /// Functions of 0x100 bytes: a, b, c, d.
    struct Names;
    impl Namer for Names {
        fn name(&self, _: Option<u64>, pc: Option<u64>) -> Option<Named> {
            let by = pc?.checked_sub(BASE)?;
            let name = ["a", "b", "c", "d"].get((by / 0x100) as usize)?;
            Some(((*name).into(), by % 0x100))
        }
    }

    fn sample(stage: Stage, pc: u64, list: &[u64], cut: bool) -> Sample {
        let callers = Some(Callers { list: list.iter().map(|a| BASE + a).collect(), cut });
        let (at, privilege) = (Instant::now(), Privilege::Kernel);
        Sample { at, hart: 0, pc: BASE + pc, pa: None, stage, privilege, space: 0, callers }
    }

    #[test]
    fn stacks_become_a_tree() {
        let all = [
            // In c, called by b, called by a; ra is where a call of c's own came back.
            sample(Stage::Tier1, 0x210, &[0x220, 0x150, 0x30], false),
            sample(Stage::Tier2, 0x230, &[0x220, 0x150, 0x30], false),
            // d has no frame: ra is its caller, c.
            sample(Stage::Tier2, 0x310, &[0x240, 0x150, 0x30], false),
            // c at its first instruction: ra is what its frame will say.
            sample(Stage::Tier1, 0x200, &[0x30], true),
        ];
        let root = tree(all.iter(), &Names);
        let lines = collapsed(&root);
        assert_eq!(lines, "kernel;[cut];a;c 1\nkernel;a;b;c 2\nkernel;a;b;c;d 1\n");
        assert_eq!(
            (root.time(), root.samples, root.stage(), root.depth()),
            (4, [0, 2, 2, 0], Stage::Tier2, 6)
        );
    }

    #[test]
    fn programs_are_cut_and_told_apart() {
        let user =
            |space| Sample { privilege: Privilege::User, space, ..sample(Stage::Tier1, 0, &[1, 2], false) };
        let pc = |s: Sample| Sample { pc: 0x12_3456, ..s };
        let all = [pc(user(8 << 60 | 0x81)), pc(user(8 << 60 | 0x82)), pc(user(8 << 60 | 0x82))];
        assert_eq!(
            collapsed(&tree(all.iter(), &Names)),
            "program_81;[cut];0x123000… 1\nprogram_82;[cut];0x123000… 2\n"
        );
        let none = [Sample { callers: None, ..user(0) }];
        assert_eq!(tree(none.iter(), &Names).time(), 0);
    }

    #[test]
    fn tiles_fill_their_callers_and_narrow_ones_are_left_out() {
        let all = [
            sample(Stage::Tier1, 0x10, &[], false),
            sample(Stage::Tier1, 0x110, &[0, 0x20], false),
            sample(Stage::Tier1, 0x110, &[0, 0x20], false),
            sample(Stage::Tier1, 0x210, &[0, 0x20], false),
        ];
        let root = tree(all.iter(), &Names);
        let names = |least| tiles(&root, least).iter().map(|t| t.frame.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(0.0), ["all", "kernel", "a", "b", "c"]);
        assert_eq!(names(0.3), ["all", "kernel", "a", "b"]);
        let all = tiles(&root, 0.0);
        assert_eq!((all[4].x, all[4].depth, &all[4].path[..]), ((0.5, 0.25), 3, &[0, 0, 1][..]));
        assert!(tiles(&tree([].iter(), &Names), 0.0).is_empty());
    }
}
