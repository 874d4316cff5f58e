//! A bench for device tests: wiring, latched interrupts, passing time, and random use.

use super::*;
use crate::irq::LevelLatch;
use engine::exec::time::TimeSource;
use engine::mem::bus::NoBus;
use engine::mem::ram::RegionSpec;
use proptest::prelude::*;

/// Wiring with 1 MiB of RAM at 2 GiB and a clock in instruction time, at 0.
pub(crate) fn test_wiring() -> Wiring {
    let spec = RegionSpec { base: 0x8000_0000, len: 0x10_0000, writable: true };
    Wiring {
        memory: Memory::new(&[spec], Arc::new(NoBus)).expect("memory"),
        clock: Clock::new(TimeSource::Instructions, 0),
        inputs: InputPort::new(),
    }
}

/// An attached device with latched interrupt lines.
pub(crate) struct Bench {
    pub(crate) cell: Arc<DeviceCell>,
    pub(crate) wiring: Wiring,
    latch: Arc<LevelLatch>,
}

impl Bench {
    pub(crate) fn new(device: Box<dyn Device>, irqs: u32) -> Bench {
        let latch = Arc::<LevelLatch>::default();
        let lines: Vec<_> = (0..irqs).map(|n| IrqLine::new(latch.clone(), n)).collect();
        let wiring = test_wiring();
        Bench { cell: DeviceCell::attach(device, "test", &wiring, &lines), wiring, latch }
    }

    pub(crate) fn read(&self, offset: u64, width: u32) -> u64 {
        self.cell.read(offset, width).expect("the device answers")
    }

    pub(crate) fn write(&self, offset: u64, width: u32, value: u64) {
        self.cell.write(offset, width, value).expect("the device answers");
    }

    pub(crate) fn irq(&self, n: u32) -> bool {
        self.latch.level(n)
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ns: u64) {
        self.wiring.clock.set_virtual(self.wiring.clock.now_ns() + ns);
        self.wiring.clock.ring_due();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(u64, u32),
    Write(u64, u32, u64),
    Pass(u32),
    Input(Vec<u8>),
    Reset,
    /// Save, damage these bytes, restore.
    Restore(Vec<(usize, u8)>),
}

fn step(size: u64) -> impl Strategy<Value = Step> {
    // Registers crowd at the bottom of 4 KiB pages, and near values are the ones that mean something.
    let offset = move || {
        prop_oneof![
            0..size,
            0..size.min(0x100),
            (0..size).prop_map(|o| o & !0xf7b),
            (0..size).prop_map(|o| o & !7)
        ]
    };
    let width = || prop_oneof![Just(1u32), Just(2), Just(4), Just(8)];
    let value = || prop_oneof![any::<u64>(), 0..0x100u64, any::<u32>().prop_map(u64::from), Just(u64::MAX)];
    prop_oneof![
        4 => (offset(), width()).prop_map(|(o, w)| Step::Read(o, w)),
        8 => (offset(), width(), value()).prop_map(|(o, w, v)| Step::Write(o, w, v)),
        1 => any::<u32>().prop_map(Step::Pass),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Input),
        1 => Just(Step::Reset),
        1 => proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6).prop_map(Step::Restore),
    ]
}

fn take_step(bench: &Bench, size: u64, step: Step) {
    match step {
        Step::Read(o, w) if o + w as u64 <= size => drop(bench.cell.read(o, w)),
        Step::Write(o, w, v) if o + w as u64 <= size => drop(bench.cell.write(o, w, v)),
        Step::Read(..) | Step::Write(..) => {}
        Step::Pass(ns) => bench.pass(ns as u64),
        Step::Input(bytes) => drop(bench.cell.with(|d| d.input(0, InputEvent::Bytes(bytes)))),
        Step::Reset => drop(bench.cell.with(|d| d.reset())),
        Step::Restore(damage) => drop(bench.cell.with(|d| {
            let mut saved = d.save();
            let len = saved.data.len().max(1);
            for (at, b) in &damage {
                if let Some(x) = saved.data.get_mut(at % len) {
                    *x = *b;
                }
            }
            let result = d.restore(&saved);
            assert!(result.is_ok() || !damage.is_empty(), "{result:?}");
        })),
    }
}

/// Random accesses, inputs, times and damaged states: nothing may panic or hang.
pub(crate) fn torment(make: impl Fn() -> Box<dyn Device>, size: u64) {
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) }, |(steps in proptest::collection::vec(step(size), 1..60))| {
        let bench = Bench::new(make(), 8);
        for s in steps {
            take_step(&bench, size, s);
        }
    });
}

/// Pushes an input at itself on each write; a read comes back through its own cell.
#[derive(Default)]
struct Selfish {
    ctx: Option<(DeviceContext, SourceId)>,
    heard: Vec<InputEvent>,
    rung: u32,
}

impl Device for Selfish {
    fn kind(&self) -> &'static str {
        "selfish"
    }
    fn attach(&mut self, ctx: DeviceContext) {
        let source = ctx.input(3);
        self.ctx = Some((ctx, source));
    }
    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        let (ctx, _) = self.ctx.as_ref().ok_or(BusFault)?;
        ctx.cell.upgrade().ok_or(BusFault)?.read(offset, width)
    }
    fn write(&mut self, _: u64, _: u32, value: u64) -> Result<(), BusFault> {
        let (ctx, source) = self.ctx.as_ref().ok_or(BusFault)?;
        ctx.wiring().inputs.push(*source, InputEvent::Signal(value));
        assert!(self.heard.is_empty());
        Ok(())
    }
    fn reset(&mut self) {}
    fn input(&mut self, number: u32, event: InputEvent) {
        assert_eq!(number, 3);
        self.heard.push(event);
    }
    fn alarm(&mut self, number: u32) {
        self.rung += number;
    }
    fn save(&self) -> Saved {
        Saved::pack("selfish", 1, &())
    }
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.unpack("selfish", 1)
    }
}

#[test]
fn a_device_that_reaches_itself_is_refused_and_its_inputs_wait() {
    let wiring = test_wiring();
    let cell = DeviceCell::attach(Box::new(Selfish::default()), "x", &wiring, &[]);
    assert_eq!(cell.read(0, 4), Err(BusFault));
    assert_eq!(cell.write(0, 1, 0x1ff), Ok(()));
    assert_eq!(cell.with_as(|d: &mut Selfish| d.heard.clone()), Some(vec![InputEvent::Signal(0xff)]));
    assert_eq!(cell.counts(), AccessCounts { reads: 2, writes: 1, faults: 2 });
}

#[test]
fn alarms_arrive_inside_the_device() {
    let wiring = test_wiring();
    let cell = DeviceCell::attach(Box::new(Selfish::default()), "x", &wiring, &[]);
    cell.with_as(|d: &mut Selfish| d.ctx.as_ref().map(|c| c.0.alarm(10, 5)));
    wiring.clock.set_virtual(10);
    wiring.clock.ring_due();
    assert_eq!(cell.with_as(|d: &mut Selfish| d.rung), Some(5));
}
