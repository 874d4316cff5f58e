use super::*;
use crate::ir::{Block, Op, Opcode};
use crate::jit::block::Profile;
use crate::jit::wanted::Flavour;

/// Bytes of each translation.
const BYTES: u64 = 1024;
/// Room for so many.
const ROOM: u64 = 64;
const LIMIT: u64 = ROOM * BYTES;

fn code(n: u64) -> Arc<Code> {
    let block = Block { ops: vec![Op::new(Opcode::Exit)], bounds: Vec::new(), bytes: 4 };
    Arc::new(Code::new(block, 0x8000_0000 + 4 * n, None, 0))
}

fn emitted(links: u32) -> Emitted {
    let stubs = (0..links).map(|n| 512 + 16 * (n % 32)).collect();
    Emitted { code: vec![0x90; BYTES as usize], stubs, ..Emitted::default() }
}

/// Translations of one hart, with blocks of which `n` are compiled.
fn compiled(n: u64) -> (Translations, Vec<Arc<Code>>) {
    let (all, blocks) = (Translations::new(1), (0..n).map(code).collect::<Vec<_>>());
    all.set_flavour(Flavour::All);
    for block in &blocks {
        compile(&all, block);
    }
    (all, blocks)
}

fn compile(all: &Translations, block: &Arc<Code>) {
    assert!(all.install(Tier::One, [block.clone()], &emitted(2), (Profile::Runs, 100)));
    all.make_room(LIMIT);
}

fn region(all: &Translations, blocks: &[Arc<Code>]) -> bool {
    let done = all.install(Tier::Two, blocks.to_vec(), &emitted(9), (Profile::Nothing, i32::MAX));
    all.make_room(LIMIT);
    done
}

fn arena(all: &Translations) -> &Arena {
    all.arena().expect("memory")
}

fn slot(block: &Code, n: usize) -> u64 {
    block.record() + crate::jit::record::link_offset(n) as u64
}

/// What a link slot holds.
fn held(all: &Translations, slot: u64) -> u64 {
    let inner = all.inner.lock();
    let (id, n) = inner.units.owner(arena(all), slot).expect("an owner");
    arena(all).link(&inner.units.get(id).expect("a unit").place, n as usize).load(Ordering::Relaxed)
}

#[test]
fn what_is_used_stays_and_the_rest_goes() {
    let (all, used) = compiled(20);
    let records: Vec<u64> = used.iter().map(|c| c.record()).collect();
    let idle: Vec<_> = (0..100).map(|n| code(1000 + n)).collect();
    for block in &idle {
        compile(&all, block);
        // Before the next is compiled.
        assert!(used.iter().all(|c| all.entry(c).is_some()));
        assert!(all.live.load(Ordering::Relaxed) <= LIMIT);
    }
    assert!(used.iter().map(|c| c.record()).eq(records), "none had to be compiled again");
    let gone = idle.iter().take_while(|c| c.record() == 0 && c.forgotten() == 1).count();
    assert!(gone >= 100 - ROOM as usize && all.counts.evicted.load(Ordering::Relaxed) == gone as u64);
    assert!(all.counts.reopened.load(Ordering::Relaxed) >= 20);
}

#[test]
fn links_to_cool_code_lead_to_the_dispatcher_until_it_is_used() {
    let (all, blocks) = compiled(ROOM / 4 * 3);
    let (first, last) = (&blocks[0], &blocks[blocks.len() - 1]);
    let from = slot(last, 1);
    let stub = held(&all, from);
    assert!(all.link(from, first, |_| true));
    let entry = held(&all, from);
    assert_eq!(all.entry(first), Some(entry));
    compile(&all, &code(1000));
    assert_eq!(held(&all, from), stub, "cool");
    assert_eq!(all.linked_exits(last), Some([false, true]), "but it was taken");
    assert!(all.link(from, first, |_| true));
    assert_eq!((held(&all, from), all.entry(first)), (entry, Some(entry)));
    assert_eq!(all.counts.reopened.load(Ordering::Relaxed), 1);
}

#[test]
fn a_cool_region_is_opened_for_the_code_below_it_too() {
    let (all, blocks) = compiled(4);
    let below = blocks[0].record();
    assert!(region(&all, &blocks[..2]));
    let entry = all.entry(&blocks[0]).expect("a region");
    let leads = || {
        // SAFETY: the record of a translation that is there.
        unsafe { &*(below as *const crate::jit::record::Record) }.entry.load(Ordering::Relaxed)
    };
    assert_eq!(leads(), entry);
    for n in 0..ROOM / 4 * 3 {
        compile(&all, &code(1000 + n));
    }
    assert_eq!(leads(), host::gone());
    assert_eq!((all.entry(&blocks[0]), leads()), (Some(entry), entry));
    // The block's own code is not used while the region is, so it goes first; the region stays.
    for n in 0..ROOM {
        compile(&all, &code(2000 + n));
        assert_eq!(all.entry(&blocks[0]), Some(entry));
    }
    assert_eq!(all.tiers_of(&blocks[0]), [Tier::Two]);
    all.discard(&blocks[1]);
    assert_eq!((blocks[0].record(), all.entry(&blocks[0])), (0, None));
}

/// All that must be true of the translations between two changes.
fn check(all: &Translations, blocks: &[Arc<Code>]) {
    let (arena, inner) = (arena(all), all.inner.lock());
    let mut bytes = 0;
    for (id, unit) in inner.units.all() {
        bytes += unit.place.code_bytes() as u64;
        assert_eq!(inner.units.by_record(arena, arena.record_address(&unit.place)), Some(id));
        for (from, n) in &unit.incoming {
            let source = inner.units.get(*from).expect("a unit that links here");
            let leads = arena.link(&source.place, *n as usize).load(Ordering::Relaxed);
            assert_eq!(leads, arena.entry(&unit.place));
        }
        let entry = arena.record(&unit.place).entry.load(Ordering::Relaxed);
        if unit.is_current(arena) {
            let open = if inner.units.is_cool(id) { host::gone() } else { arena.entry(&unit.place) };
            assert_eq!(entry, open);
        }
        assert!(unit.parts.iter().all(|c| !c.is_dead() && inner.units.of(arena, c).contains(&id)));
        assert!(!inner.units.is_cool(id) || !unit.is_current(arena) || unit.incoming.is_empty());
    }
    // Every slot leads to its stub or to one of the entries counted above.
    let incoming: usize = inner.units.all().map(|(_, u)| u.incoming.len()).sum();
    let mut linked = 0;
    for (_, unit) in inner.units.all() {
        let (from, to) = (arena.entry(&unit.place), arena.entry(&unit.place) + BYTES);
        let leads = |n| arena.link(&unit.place, n).load(Ordering::Relaxed);
        linked += (0..unit.links.len()).filter(|&n| !(from + 1..to).contains(&leads(n))).count();
    }
    assert_eq!((linked, bytes), (incoming, all.live.load(Ordering::Relaxed)));
    let known = |c: &Code| c.record() == 0 || inner.units.by_record(arena, c.record()).is_some();
    assert!(blocks.iter().all(|c| known(c)));
}

#[test]
fn any_history_leaves_every_link_right() {
    let (all, mut blocks) = compiled(40);
    let mut random = 0x1234_5678_9abc_def1u64;
    let mut dead = Vec::new();
    for step in 0..20_000u64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let pick = |n: u32| (random >> n) as usize % blocks.len();
        let (a, b, c) = (pick(8), pick(20), pick(32));
        match random % 64 {
            0..20 if blocks[a].record() != 0 => {
                let n = if all.tiers_of(&blocks[a]).len() > 1 { 2 } else { 1 };
                all.link(slot(&blocks[a], n), &blocks[b], |_| random >> 40 & 7 != 0);
            }
            20..40 => drop(all.entry(&blocks[a])),
            40..50 if blocks[a].record() == 0 => compile(&all, &blocks[a]),
            50..54 => drop(region(&all, blocks.get(c..c + 3).unwrap_or(&blocks[..2]))),
            54..57 => {
                let gone = std::mem::replace(&mut blocks[a], code(step + 100));
                gone.mark_dead();
                all.discard(&gone);
                dead.push(gone);
            }
            57 => blocks.push(code(step + 100)),
            58 if random >> 50 & 31 == 0 => all.discard_all(),
            59 => {
                all.enter(0);
                all.reclaim();
            }
            60 => drop(all.make_room(LIMIT / (1 + (random >> 50 & 3)))),
            _ => {}
        }
        if step % 16 == 0 {
            check(&all, &blocks);
        }
    }
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    assert!(count(&all.counts.evicted) > 100 && count(&all.counts.reopened) > 100 && dead.len() > 100);
    assert!(dead.iter().all(|c| c.record() == 0));
    all.discard_all();
    all.enter(0);
    all.reclaim();
    assert_eq!(all.code_bytes(), 0);
}

#[test]
fn samples_run_down_the_counter_of_code_that_counts_no_runs() {
    let all = Translations::new(1);
    all.set_flavour(Flavour::Sampled);
    let back = Block { ops: vec![Op { imm: -8, ..Op::new(Opcode::BrNe) }], bounds: Vec::new(), bytes: 4 };
    let block = Arc::new(Code::new(back, 0x8000_0010, None, 0));
    assert!(all.install(Tier::One, [block.clone()], &emitted(2), (Profile::Left, 100)));
    assert!(
        !all.sampled(block.record(), 70)
            && !all.sampled(block.record(), 30)
            && all.sampled(block.record(), 1)
    );
    assert!(all.sampled(block.record(), u64::MAX), "no more than there are numbers for");
    all.set_heat(block.record(), 100);
    assert!(!all.sampled(block.record(), 50));
    let (runs, taken) = all.profile(&block).expect("tier 1 code");
    assert!(runs == taken && runs > 151, "it was never left: {runs} {taken}");
    assert!(!all.sampled(block.record() + 8, 1000), "nobody's");
    // Code that counts for itself is not counted twice, and is not what is wanted here.
    assert!(!all.install(Tier::One, [code(1)], &emitted(2), (Profile::Runs, 100)));
    all.set_flavour(Flavour::Loops);
    assert!(all.entry(&block).is_none());
    assert!(all.install(Tier::One, [block.clone()], &emitted(2), (Profile::Runs, 100)));
    assert!(!all.sampled(block.record(), 1000));
}
