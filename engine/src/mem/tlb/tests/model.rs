//! Random work against a simple model: the TLB may forget at any time, but it must never answer with what was flushed, nor
//! give more rights than a walk gave; and code look-ups are void once what they rest on was flushed.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// Addresses: some that share slots at any size of table, some neighbours, some in large mappings.
const BASES: [u64; 4] = [0x1000, 0x4000_0000, 0xffff_ffff_c000_0000, 0x7f_ffe0_0000];

#[derive(Clone, Copy, Debug)]
struct Page {
    base: usize,
    number: u64,
}

impl Page {
    fn va(self) -> u64 {
        BASES[self.base].wrapping_add(self.number * PAGE_SIZE)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Select {
        context: u64,
        index: u8,
    },
    Access {
        page: Page,
        access: Access,
        write: bool,
        global: bool,
        size_log2: u8,
    },
    /// Many accesses in a row, so that tables grow.
    Sweep {
        page: Page,
        pages: u64,
    },
    Flush {
        page: Option<Page>,
        context: Option<u64>,
    },
    Code {
        page: u64,
    },
}

fn page() -> impl Strategy<Value = Page> {
    (0..BASES.len(), prop_oneof![0..40u64, (0..8u64).prop_map(|n| n << 9), (0..4u64).prop_map(|n| n << 13)])
        .prop_map(|(base, number)| Page { base, number })
}

fn step() -> impl Strategy<Value = Step> {
    let access = prop_oneof![Just(Access::Load), Just(Access::Store), Just(Access::Fetch)];
    let size = prop_oneof![6 => Just(12u8), 1 => Just(16), 2 => Just(21), 1 => Just(30)];
    prop_oneof![
        3 => (0..5u64, 0..3u8).prop_map(|(context, index)| Step::Select { context, index }),
        20 => (page(), access, any::<bool>(), prop::bool::weighted(0.3), size).prop_map(
            |(page, access, write, global, size_log2)| Step::Access { page, access, write, global, size_log2 }
        ),
        1 => (page(), 1..600u64).prop_map(|(page, pages)| Step::Sweep { page, pages }),
        4 => (prop::option::weighted(0.8, page()), prop::option::of(0..5u64))
            .prop_map(|(page, context)| Step::Flush { page, context }),
        1 => (0..RAM_PAGES).prop_map(|page| Step::Code { page }),
    ]
}

/// What a walk gave and no flush has taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Fact {
    context: u64,
    index: u8,
    page: u64,
    access: Access,
    pa: u64,
    size_log2: u8,
    global: bool,
}

struct Model {
    tlb: Tlb,
    now: (u64, u8),
    facts: HashSet<Fact>,
    /// Code look-ups: where they hold and page, with the fact that they rest on.
    look_ups: HashMap<(u64, u64, u64), Fact>,
    walks: u64,
}

impl Model {
    fn new() -> Model {
        let mut tlb = tlb();
        tlb.select_data(0, 0);
        tlb.select_fetch(0, 0);
        Model { tlb, now: (0, 0), facts: HashSet::new(), look_ups: HashMap::new(), walks: 0 }
    }

    fn allowed(&self, va: u64, access: Access, pa: u64) -> bool {
        let (context, index) = self.now;
        self.facts.iter().any(|f| {
            let shared = f.global && context != UNTRANSLATED && f.context != UNTRANSLATED;
            (f.context == context || shared)
                && f.index == index
                && f.page == va & PAGE_MASK
                && f.access == access
                && f.pa == pa & PAGE_MASK
        })
    }

    /// What the tables answer.
    fn table_answer(&mut self, va: u64, access: Access) -> Option<u64> {
        let host = |pa: u64| self.tlb.memory.page_at(pa).map(|(h, _)| h.addr() as u64);
        let base = host(RAM)?;
        let s = &self.tlb.sets[self.tlb.data];
        match access {
            Access::Load => s.load.get(va).map(|a| va.wrapping_add(a) - base + RAM),
            Access::Store => s.store.get(va).map(|a| va.wrapping_add(a) - base + RAM),
            Access::Fetch => self.tlb.fetch(va),
        }
    }

    fn access(&mut self, page: Page, access: Access, t: Translation) {
        let va = page.va() | 0x18;
        if let Some(pa) = self.table_answer(va, access) {
            assert!(self.allowed(va, access, pa), "{access:?} {va:#x} answered {pa:#x}");
            assert!(access != Access::Store || !self.tlb.memory.has_code(pa), "store entry for code");
            assert_eq!(pa & !PAGE_MASK, 0x18);
            return self.look_up(va);
        }
        let set = if access == Access::Fetch { self.tlb.fetch_set() } else { self.tlb.data_set() };
        if let Some(pa) = self.tlb.recall(set, access, va) {
            assert!(self.allowed(va, access, pa), "{access:?} {va:#x} held {pa:#x}");
            return;
        }
        self.walks += 1;
        self.tlb.fill(set, access, va, &t);
        let (context, index) = self.now;
        let kinds: &[Access] = match (access, t.write) {
            (Access::Fetch, _) => &[Access::Fetch],
            (_, true) => &[Access::Load, Access::Store],
            _ => &[Access::Load],
        };
        for &access in kinds {
            let (page, pa) = (va & PAGE_MASK, t.pa & PAGE_MASK);
            self.facts.insert(Fact {
                context,
                index,
                page,
                access,
                pa,
                size_log2: t.size_log2,
                global: t.global,
            });
        }
        self.look_up(va);
    }

    /// Makes or uses a code look-up at `va` as a jump cache does.
    fn look_up(&mut self, va: u64) {
        let tag = |space: CodeSpace| (space.set, space.generation, va & PAGE_MASK);
        let (first, second) = self.tlb.code_spaces();
        for space in [Some(first), second].into_iter().flatten() {
            if let Some(rest) = self.look_ups.get(&tag(space)) {
                assert!(self.facts.contains(rest), "look-up at {va:#x} rests on {rest:?}");
            }
        }
        let (context, index) = self.now;
        if let Some(pa) = self.tlb.fetch(va) {
            let is = |f: &&Fact| {
                (f.context, f.index, f.page) == (context, index, va & PAGE_MASK)
                    && f.access == Access::Fetch
                    && f.pa == pa & PAGE_MASK
            };
            // Both a superpage and a page may have been walked to: the look-up needs one of them.
            let tag = tag(self.tlb.answer_space(va));
            if self.facts.iter().filter(is).count() == 1
                && let Some(f) = self.facts.iter().find(is)
            {
                self.look_ups.insert(tag, *f);
            } else {
                self.look_ups.remove(&tag);
            }
        }
    }

    fn flush(&mut self, page: Option<Page>, context: Option<u64>) {
        let hit = move |c: u64, _: u8| c != UNTRANSLATED && context.is_none_or(|x| x == c);
        let globals = context.is_none();
        match page {
            Some(p) => self.tlb.flush_page(p.va() | 0x7, globals, hit),
            None => self.tlb.flush_where(globals, hit),
        }
        self.facts.retain(|f| {
            let named = page.is_none_or(|p| (p.va() ^ f.page) >> f.size_log2 == 0);
            !(hit(f.context, f.index) && named && (globals || !f.global))
        });
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Select { context, index } => {
                self.now = (context, index);
                self.tlb.select_data(context, index);
                self.tlb.select_fetch(context, index);
            }
            Step::Access { page, access, write, global, size_log2 } => {
                // Another page each time: an old answer would be noticed.
                let pa = RAM + (self.walks * 7 + page.number) % RAM_PAGES * PAGE_SIZE + 0x18;
                let write = write || access == Access::Store;
                // Without translation nothing is global, and all is base pages.
                let (global, size_log2) =
                    if self.now.0 == UNTRANSLATED { (false, 12) } else { (global, size_log2) };
                self.access(page, access, Translation { write, global, size_log2, ..to(pa) });
            }
            Step::Sweep { page, pages } => {
                for n in 0..pages {
                    let page = Page { number: page.number + n, ..page };
                    let pa = RAM + (self.walks + n) % RAM_PAGES * PAGE_SIZE + 0x18;
                    self.access(page, Access::Load, Translation { write: false, ..to(pa) });
                }
            }
            Step::Flush { page, context } => self.flush(page, context),
            Step::Code { page } => {
                let pa = RAM + page * PAGE_SIZE;
                if self.tlb.memory.has_code(pa) {
                    self.tlb.memory.clear_code(pa);
                } else {
                    self.tlb.memory.set_code(pa);
                    self.tlb.protect(pa);
                }
            }
        }
    }
}

fn cases() -> u32 {
    std::env::var("VITRINE_TLB_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_flushed_is_ever_answered(steps in prop::collection::vec(step(), 1..400)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
        }
    }
}
