use super::*;
use crate::device::tests::{Bench, torment};
use crate::irq::{IrqLine, IrqSink, LevelLatch};

struct Rig {
    bench: Bench,
    plic: Arc<Plic>,
    out: Arc<LevelLatch>,
}

fn rig() -> Rig {
    let out = Arc::<LevelLatch>::default();
    let plic = Arc::new(Plic::new((0..4).map(|n| IrqLine::new(out.clone(), n)).collect()));
    Rig { bench: Bench::new(Box::new(PlicDevice::new(plic.clone())), 0), plic, out }
}

impl Rig {
    fn enable(&self, context: u64, source: u64, priority: u64) {
        self.bench.write(4 * source, 4, priority);
        let at = ENABLE + ENABLE_STRIDE * context + source / 32 * 4;
        self.bench.write(at, 4, self.bench.read(at, 4) | 1 << (source % 32));
    }
    fn claim(&self, context: u64) -> u64 {
        self.bench.read(CONTEXT + CONTEXT_STRIDE * context + 4, 4)
    }
    fn complete(&self, context: u64, source: u64) {
        self.bench.write(CONTEXT + CONTEXT_STRIDE * context + 4, 4, source);
    }
}

#[test]
fn a_level_interrupts_until_it_is_served() {
    let r = rig();
    r.enable(1, 10, 1);
    r.plic.set(10, true);
    assert!(r.out.level(1) && !r.out.level(0));
    assert_eq!(r.bench.read(PENDING, 4), 1 << 10);
    assert_eq!(r.claim(1), 10);
    assert!(!r.out.level(1));
    assert_eq!((r.claim(1), r.bench.read(PENDING, 4)), (0, 0));
    r.complete(1, 10);
    assert!(r.out.level(1), "the line is still high");
    assert_eq!(r.claim(1), 10);
    r.plic.set(10, false);
    r.complete(1, 10);
    assert!(!r.out.level(1));
}

#[test]
fn priorities_decide_and_the_threshold_hides() {
    let r = rig();
    for (source, priority) in [(3, 2), (40, 7), (5, 2), (95, 6)] {
        r.enable(0, source, priority);
        r.plic.set(source as u32, true);
    }
    assert_eq!([r.claim(0), r.claim(0), r.claim(0), r.claim(0)], [40, 95, 3, 5]);
    for source in [40, 95, 3, 5] {
        r.complete(0, source);
    }
    r.bench.write(CONTEXT, 4, 7);
    assert!(!r.out.level(0));
    r.bench.write(CONTEXT, 4, 6);
    assert!(r.out.level(0));
    r.bench.write(4 * 40, 4, 0);
    assert!(!r.out.level(0), "priority 0 never interrupts");
}

#[test]
fn completions_of_others_are_ignored() {
    let r = rig();
    r.enable(0, 7, 1);
    r.plic.set(7, true);
    assert_eq!(r.claim(0), 7);
    r.complete(2, 7);
    r.complete(0, 0);
    r.complete(0, 0xffff_ffff);
    assert!(!r.out.level(0));
    r.complete(0, 7);
    assert!(r.out.level(0));
}

#[test]
fn absent_sources_and_contexts_read_zero() {
    let r = rig();
    r.bench.write(0, 4, 7);
    r.bench.write(4 * 96, 4, 7);
    r.bench.write(ENABLE, 4, 0xffff_ffff);
    assert_eq!(r.bench.read(0, 4), 0);
    assert_eq!(r.bench.read(4 * 96, 4), 0);
    assert_eq!(r.bench.read(ENABLE, 4), 0xffff_fffe);
    assert_eq!(r.bench.read(ENABLE + 9 * ENABLE_STRIDE, 4), 0);
    assert_eq!(r.claim(9), 0);
    r.bench.write(4, 4, 0xff);
    assert_eq!(r.bench.read(4, 4), 7);
    assert_eq!(r.bench.cell.read(0, 8), Err(BusFault));
    r.plic.set(0, true);
    r.plic.set(96, true);
    assert_eq!(r.bench.read(PENDING, 4), 0);
}

#[test]
fn state_survives() {
    let r = rig();
    r.enable(3, 33, 5);
    r.enable(3, 34, 5);
    r.plic.set(33, true);
    r.plic.set(34, true);
    assert_eq!(r.claim(3), 33);
    let saved = r.bench.cell.with(|d| d.save()).expect("save");
    let q = rig();
    assert_eq!(q.bench.cell.with(|d| d.restore(&saved)), Some(Ok(())));
    assert!(q.out.level(3));
    assert_eq!(q.claim(3), 34);
    q.complete(3, 33);
    assert_eq!(q.claim(3), 33);
    q.bench.cell.with(|d| d.reset());
    assert!(!q.out.level(3));
}

#[test]
fn no_interrupt_is_lost_between_threads() {
    let r = rig();
    const ROUNDS: u32 = 2000;
    for source in 1..=4 {
        r.enable(0, source, 1);
    }
    let raisers: Vec<_> = (1..=4)
        .map(|source| {
            let (plic, out) = (r.plic.clone(), Arc::<LevelLatch>::default());
            let seen = out.clone();
            let t = std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    plic.set(source, true);
                    while !seen.level(0) {
                        std::thread::yield_now();
                    }
                    plic.set(source, false);
                    seen.set(0, false);
                    seen.set(1, true);
                }
            });
            (t, out)
        })
        .collect();
    let mut served = 0;
    let start = std::time::Instant::now();
    while served < 4 * ROUNDS {
        assert!(start.elapsed().as_secs() < 600, "an interrupt was lost after {served}");
        if !r.out.level(0) {
            std::thread::yield_now();
            continue;
        }
        let source = r.claim(0);
        let Some((_, latch)) = (source as usize).checked_sub(1).and_then(|i| raisers.get(i)) else {
            continue;
        };
        latch.set(1, false);
        latch.set(0, true);
        while !latch.level(1) {
            std::thread::yield_now();
        }
        served += 1;
        r.complete(0, source);
    }
    for (t, _) in raisers {
        t.join().expect("raiser");
    }
    assert!(!r.out.level(0));
}

#[test]
fn anything_goes() {
    torment(
        || {
            let out = Arc::<LevelLatch>::default();
            let lines = (0..4).map(|n| IrqLine::new(out.clone(), n)).collect();
            Box::new(PlicDevice::new(Arc::new(Plic::new(lines))))
        },
        SIZE,
    );
}
