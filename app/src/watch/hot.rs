//! Where guest time goes, by code: translations joined with samples, in the order that somebody wants to see.
//!
//! The problem: there can be a hundred thousand translations, and a frame has a few milliseconds. So the table is made, filtered and sorted
//! on the thread that looks at the machine; the window draws the rows that are on the screen.

use engine::watch::Stage;
use engine::watch::list::Listed;
use engine::watch::samples::{Privilege, Sample};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::sync::Arc;

/// A name and how far into it an address is.
pub type Named = (Arc<str>, u64);

/// Names guest code by its physical address and, if known, its guest address.
pub trait Namer {
    /// The function there.
    fn name(&self, pa: Option<u64>, pc: Option<u64>) -> Option<Named>;
}

/// What a table can be sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum By {
    /// Share of the time of harts that ran.
    #[default]
    Time,
    /// Function.
    Name,
    /// Guest address, as far as it is known.
    Address,
    /// How far up it has climbed.
    Stage,
    /// Runs.
    Runs,
    /// Guest instructions.
    Insns,
    /// Host bytes.
    HostBytes,
    /// Time it took to compile.
    Compile,
    /// Direct exits that lead to other translations.
    Exits,
}

/// Which rows there are, in which order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Order {
    /// The column.
    pub by: By,
    /// Lowest first.
    pub ascending: bool,
    /// One row a function; else one a translation.
    pub functions: bool,
    /// Rows whose name or address contains this, in lower case; all if empty.
    pub filter: String,
    /// Rows of these stages; all if none.
    pub stages: Vec<Stage>,
}

/// A row: a translation, sampled code that has none, or a function.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Number of the translation; of a function's hottest.
    pub id: Option<u32>,
    /// Physical address.
    pub pa: Option<u64>,
    /// The mode that it was lifted for.
    pub key: u32,
    /// Guest address at which it was last seen.
    pub pc: Option<u64>,
    /// The function.
    pub name: Option<Named>,
    /// Who runs it, if that was seen.
    pub privilege: Option<Privilege>,
    /// How far up it has climbed; of a function the stage of most samples.
    pub stage: Stage,
    /// Samples, by stage.
    pub samples: [u32; 4],
    /// Runs, where they are counted.
    pub runs: Option<u64>,
    /// Guest instructions.
    pub insns: u32,
    /// Guest bytes.
    pub bytes: u32,
    /// Host bytes.
    pub host_bytes: u32,
    /// Nanoseconds of compiling.
    pub compile_ns: u64,
    /// Direct exits, and how many lead to other translations.
    pub exits: [u32; 2],
    /// Translations in it: 1, or those of a function.
    pub translations: u32,
}

impl Row {
    /// Samples of all stages.
    pub fn time(&self) -> u32 {
        self.samples.iter().sum()
    }
}

/// The table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    /// The rows that are wanted, in order.
    pub rows: Vec<Row>,
    /// Rows without filter.
    pub all: usize,
    /// Samples of all rows, by stage.
    pub samples: [u32; 4],
    /// What it was asked to be.
    pub order: Order,
}

impl Table {
    /// Samples of all stages.
    pub fn time(&self) -> u32 {
        self.samples.iter().sum()
    }
}

/// What was sampled of one piece of code.
#[derive(Clone, Copy)]
struct Seen {
    samples: [u32; 4],
    pc: u64,
    pa: Option<u64>,
    privilege: Privilege,
}

/// Makes the table.
pub fn table<'a>(
    listed: &[Listed],
    samples: impl Iterator<Item = &'a Sample>,
    namer: &dyn Namer,
    order: &Order,
) -> Table {
    let (mut seen, total) = count(samples);
    let regions = regions(listed);
    let mut rows: Vec<Row> = Vec::with_capacity(listed.len());
    for l in listed {
        let own = if l.stage == Stage::Tier1 {
            take(&mut seen, l.pa, &[Stage::Tier1])
        } else {
            let mine = l.blocks.iter().filter(|pa| regions.get(*pa) == Some(&l.id));
            mine.filter_map(|pa| take(&mut seen, *pa, &[Stage::Tier2, Stage::Settled])).reduce(merge)
        };
        rows.push(translated(l, own));
    }
    // What is left ran without a translation that is still there.
    rows.extend(seen.values().filter(|s| s.samples.iter().any(|&n| n > 0)).map(untranslated));
    for row in &mut rows {
        row.name = namer.name(row.pa, row.pc);
    }
    if order.functions {
        rows = functions(rows);
    }
    let all = rows.len();
    rows.retain(|row| wanted(row, order));
    rows.sort_by(|a, b| compare(a, b, order));
    Table { rows, all, samples: total, order: order.clone() }
}

fn count<'a>(samples: impl Iterator<Item = &'a Sample>) -> (FxHashMap<u64, Seen>, [u32; 4]) {
    let (mut seen, mut total) = (FxHashMap::<u64, Seen>::default(), [0; 4]);
    for s in samples {
        // Without a physical address the guest's own will do: it is not one of memory.
        let new = || Seen { samples: [0; 4], pc: s.pc, pa: s.pa, privilege: s.privilege };
        let entry = seen.entry(s.pa.unwrap_or(s.pc)).or_insert_with(new);
        (entry.pc, entry.privilege) = (s.pc, s.privilege);
        entry.samples[s.stage as usize] += 1;
        total[s.stage as usize] += 1;
    }
    (seen, total)
}

/// Of each block the youngest region that it is part of.
fn regions(listed: &[Listed]) -> FxHashMap<u64, u32> {
    let of_two = listed.iter().filter(|l| l.stage > Stage::Tier1);
    of_two.flat_map(|l| l.blocks.iter().map(|pa| (*pa, l.id))).collect()
}

/// Takes the samples of some stages out.
fn take(seen: &mut FxHashMap<u64, Seen>, pa: u64, stages: &[Stage]) -> Option<Seen> {
    let found = seen.get_mut(&pa)?;
    let mut taken = Seen { samples: [0; 4], ..*found };
    for &stage in stages {
        taken.samples[stage as usize] = std::mem::take(&mut found.samples[stage as usize]);
    }
    Some(taken)
}

fn merge(a: Seen, b: Seen) -> Seen {
    let mut samples = a.samples;
    samples.iter_mut().zip(b.samples).for_each(|(a, b)| *a += b);
    Seen { samples, ..a }
}

fn translated(l: &Listed, seen: Option<Seen>) -> Row {
    Row {
        id: Some(l.id),
        pa: Some(l.pa),
        key: l.key,
        // Where a block in its midst was seen says nothing of the entry but by distance.
        pc: seen.and_then(|s| Some(s.pc.wrapping_add(l.pa.wrapping_sub(s.pa?)))),
        name: None,
        privilege: seen.map(|s| s.privilege),
        stage: l.stage,
        samples: seen.map_or([0; 4], |s| s.samples),
        runs: l.runs,
        insns: l.insns,
        bytes: l.bytes,
        host_bytes: l.host_bytes,
        compile_ns: l.compile_ns,
        exits: l.exits.map(u32::from),
        translations: 1,
    }
}

fn untranslated(seen: &Seen) -> Row {
    Row {
        id: None,
        pa: seen.pa,
        key: 0,
        pc: Some(seen.pc),
        name: None,
        privilege: Some(seen.privilege),
        stage: most(&seen.samples),
        samples: seen.samples,
        runs: None,
        insns: 0,
        bytes: 0,
        host_bytes: 0,
        compile_ns: 0,
        exits: [0; 2],
        translations: 0,
    }
}

/// The stage of most samples.
fn most(samples: &[u32; 4]) -> Stage {
    Stage::ALL.into_iter().max_by_key(|s| (samples[*s as usize], *s)).unwrap_or(Stage::Interpreter)
}

/// One row a function; code without a name stays as it is.
fn functions(rows: Vec<Row>) -> Vec<Row> {
    let mut out = Vec::new();
    let mut by_name = FxHashMap::<Arc<str>, (usize, u32)>::default();
    for row in rows {
        let Some((name, _)) = &row.name else {
            out.push(row);
            continue;
        };
        let time = row.time();
        match by_name.get_mut(name) {
            None => {
                by_name.insert(name.clone(), (out.len(), time));
                let start = row.name.clone().map(|(name, _)| (name, 0));
                out.push(Row { name: start, ..row });
            }
            Some((at, hottest)) => {
                let sum = &mut out[*at];
                add(sum, &row);
                if time > *hottest {
                    (*hottest, sum.id, sum.pa, sum.key, sum.pc) = (time, row.id, row.pa, row.key, row.pc);
                }
            }
        }
    }
    for row in &mut out {
        if row.time() > 0 {
            row.stage = most(&row.samples);
        }
    }
    out
}

fn add(sum: &mut Row, row: &Row) {
    sum.samples.iter_mut().zip(row.samples).for_each(|(a, b)| *a += b);
    sum.exits.iter_mut().zip(row.exits).for_each(|(a, b)| *a += b);
    sum.runs = sum.runs.zip(row.runs).map(|(a, b)| a.saturating_add(b));
    sum.insns = sum.insns.saturating_add(row.insns);
    sum.bytes = sum.bytes.saturating_add(row.bytes);
    sum.host_bytes = sum.host_bytes.saturating_add(row.host_bytes);
    sum.compile_ns = sum.compile_ns.saturating_add(row.compile_ns);
    sum.translations += row.translations;
    sum.stage = sum.stage.max(row.stage);
}

fn wanted(row: &Row, order: &Order) -> bool {
    let text = || {
        let named = row.name.as_ref().is_some_and(|(name, _)| name.to_lowercase().contains(&order.filter));
        let at = |address: Option<u64>| {
            address.is_some_and(|a| format!("{a:x}").contains(order.filter.trim_start_matches("0x")))
        };
        named || at(row.pc) || at(row.pa)
    };
    (order.stages.is_empty() || order.stages.contains(&row.stage)) && (order.filter.is_empty() || text())
}

fn compare(a: &Row, b: &Row, order: &Order) -> Ordering {
    let address = |r: &Row| (r.pc.is_none(), r.pc.or(r.pa));
    let first = match order.by {
        By::Time => a.time().cmp(&b.time()),
        // What has no name comes last, whichever way names go.
        By::Name => {
            let missing = a.name.is_none().cmp(&b.name.is_none());
            return missing.then_with(|| {
                let by_name = a.name.cmp(&b.name);
                if order.ascending { by_name } else { by_name.reverse() }
            });
        }
        By::Address => address(a).cmp(&address(b)),
        By::Stage => a.stage.cmp(&b.stage),
        By::Runs => a.runs.cmp(&b.runs),
        By::Insns => a.insns.cmp(&b.insns),
        By::HostBytes => a.host_bytes.cmp(&b.host_bytes),
        By::Compile => a.compile_ns.cmp(&b.compile_ns),
        By::Exits => a.exits[1].cmp(&b.exits[1]),
    };
    let first = if order.ascending { first } else { first.reverse() };
    // Rows that are alike keep their places from one table to the next.
    first.then_with(|| b.time().cmp(&a.time())).then_with(|| address(a).cmp(&address(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    struct Names;
    impl Namer for Names {
        fn name(&self, pa: Option<u64>, _: Option<u64>) -> Option<Named> {
            match pa? {
                pa @ 0x1000..0x1100 => Some(("memcpy".into(), pa - 0x1000)),
                pa @ 0x2000..0x2100 => Some(("Schedule".into(), pa - 0x2000)),
                _ => None,
            }
        }
    }

    fn listed(id: u32, pa: u64, stage: Stage, blocks: &[u64]) -> Listed {
        Listed {
            id,
            pa,
            key: 3,
            stage,
            current: true,
            blocks: blocks.into(),
            insns: 10 * id,
            bytes: 40,
            host_bytes: 100 * id,
            exits: [2, 1],
            runs: None,
            compile_ns: 1_000 * u64::from(id),
        }
    }

    fn sample(pa: Option<u64>, pc: u64, stage: Stage) -> Sample {
        let (at, privilege) = (Instant::now(), Privilege::Kernel);
        Sample { at, hart: 0, pc, pa, stage, privilege, space: 0, callers: None }
    }

    const HIGH: u64 = 0xffff_ffff_8000_0000;

    /// A loop in tier 1 and as a region, code of a program that is gone, and cold code.
    fn made(order: &Order) -> Table {
        let all = [
            listed(1, 0x1010, Stage::Tier1, &[0x1010]),
            listed(2, 0x1010, Stage::Tier2, &[0x1010, 0x1020]),
            listed(3, 0x2000, Stage::Tier1, &[0x2000]),
            listed(4, 0x9000, Stage::Tier1, &[0x9000]),
        ];
        let two = |pa: u64| sample(Some(pa), HIGH + pa, Stage::Tier2);
        let samples = [
            two(0x1020),
            two(0x1020),
            two(0x1010),
            sample(Some(0x1010), HIGH + 0x1010, Stage::Tier1),
            sample(Some(0x2000), HIGH + 0x2000, Stage::Tier1),
            sample(Some(0x2000), HIGH + 0x2000, Stage::Interpreter),
            sample(None, 0x55, Stage::Tier1),
        ];
        table(&all, samples.iter(), &Names, order)
    }

    #[test]
    fn samples_come_to_the_code_that_ran() {
        let t = made(&Order::default());
        assert_eq!((t.all, t.time(), t.samples), (6, 7, [1, 3, 3, 0]));
        let times: Vec<_> = t.rows.iter().map(|r| (r.id, r.time())).collect();
        assert_eq!(times[0], (Some(2), 3), "blocks in the midst of a region are the region's");
        assert_eq!(t.rows[0].pc, Some(HIGH + 0x1010));
        assert_eq!(t.rows.iter().map(Row::time).sum::<u32>(), t.time(), "no sample is lost or counted twice");
        let gone = t.rows.iter().find(|r| r.pa.is_none()).expect("code without a translation");
        assert_eq!((gone.pc, gone.stage, gone.id), (Some(0x55), Stage::Tier1, None));
        assert_eq!(t.rows.last().map(|r| (r.id, r.time())), Some((Some(4), 0)), "cold code is listed too");
    }

    #[test]
    fn functions_are_the_sum_of_their_code() {
        let t = made(&Order { functions: true, ..Order::default() });
        let names: Vec<_> = t.rows.iter().map(|r| r.name.as_ref().map(|n| &*n.0)).collect();
        assert_eq!(names[..2], [Some("memcpy"), Some("Schedule")]);
        let memcpy = &t.rows[0];
        assert_eq!(
            (memcpy.time(), memcpy.translations, memcpy.insns, memcpy.stage),
            (4, 2, 30, Stage::Tier2)
        );
        assert_eq!(memcpy.id, Some(2), "selected is the hottest");
        assert_eq!(t.rows[1].samples, [1, 1, 0, 0]);
    }

    #[test]
    fn rows_are_filtered_and_sorted() {
        let ids = |order: Order| made(&order).rows.iter().map(|r| r.id).collect::<Vec<_>>();
        let filter = |text: &str| ids(Order { filter: text.into(), ..Order::default() });
        assert_eq!(filter("sched"), [Some(3), None]);
        assert_eq!(filter("0x9000"), [Some(4)]);
        assert_eq!(filter("nothing"), []);
        assert_eq!(ids(Order { stages: vec![Stage::Tier2], ..Order::default() }), [Some(2)]);
        let sorted = |by, ascending| ids(Order { by, ascending, ..Order::default() });
        assert_eq!(sorted(By::Insns, false)[..4], [Some(4), Some(3), Some(2), Some(1)]);
        assert_eq!(sorted(By::Compile, true)[2..], [Some(1), Some(2), Some(3), Some(4)]);
        let named = |ascending| made(&Order { by: By::Name, ascending, ..Order::default() });
        assert_eq!(named(true).rows[0].name.as_ref().map(|n| &*n.0), Some("Schedule"));
        assert_eq!(named(false).rows[0].name.as_ref().map(|n| &*n.0), Some("memcpy"));
        assert!(
            [true, false].map(|up| named(up).rows[5].name.is_none()) == [true, true],
            "without a name comes last"
        );
    }
}
