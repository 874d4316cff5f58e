//! The core-local interruptor: software interrupts and the machine timer of each hart.
//!
//! `mtime` is the machine's clock at 10 MHz; a guest that writes it moves the timer of this device, while the harts'
//! `time` register stays with the clock. Layout: SiFive FU540 manual, chapter 9.

use crate::device::{Device, DeviceContext};
use crate::irq::IrqLine;
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::exec::time::AlarmId;
use engine::mem::bus::BusFault;
use engine::tier::monitor::Counter;
use serde::{Deserialize, Serialize};

/// Ticks of `mtime` per second.
pub const TIMEBASE_HZ: u32 = 10_000_000;
/// Bytes of register space.
pub const SIZE: u64 = 0x1_0000;

pub(crate) const KIND: &str = "clint";
const VERSION: u32 = 1;
const NS_PER_TICK: u64 = 1_000_000_000 / TIMEBASE_HZ as u64;
const MTIMECMP: u64 = 0x4000;
const MTIME: u64 = 0xbff8;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    /// What the guest added to the clock, in ticks.
    offset: u64,
    msip: Vec<bool>,
    mtimecmp: Vec<u64>,
}

/// The device. Its lines are two for each hart, software interrupt first: line `2 * hart` and `2 * hart + 1`.
pub struct Clint {
    ctx: Option<DeviceContext>,
    lines: Vec<[IrqLine; 2]>,
    alarms: Vec<Option<AlarmId>>,
    state: State,
    timer_interrupts: u64,
    software_interrupts: u64,
}

enum Register {
    Msip(usize),
    TimeCmp(usize),
    Time,
    None,
}

fn register(offset: u64) -> Register {
    match offset {
        0..MTIMECMP => Register::Msip((offset / 4) as usize),
        MTIMECMP..MTIME => Register::TimeCmp(((offset - MTIMECMP) / 8) as usize),
        _ if offset & !7 == MTIME => Register::Time,
        _ => Register::None,
    }
}

/// The part of a 64-bit register that an access of 4 or 8 bytes sees.
fn part(value: u64, offset: u64, width: u32) -> u64 {
    match (width, offset & 4) {
        (8, _) => value,
        (_, 0) => value & 0xffff_ffff,
        _ => value >> 32,
    }
}

/// `old` with that part replaced.
fn merge(old: u64, offset: u64, width: u32, value: u64) -> u64 {
    match (width, offset & 4) {
        (8, _) => value,
        (_, 0) => old & !0xffff_ffff | value,
        _ => old & 0xffff_ffff | value << 32,
    }
}

impl Clint {
    /// For `harts` harts.
    pub fn new(harts: usize) -> Clint {
        Clint {
            ctx: None,
            lines: Vec::new(),
            alarms: vec![None; harts],
            state: Clint::at_reset(harts),
            timer_interrupts: 0,
            software_interrupts: 0,
        }
    }

    fn at_reset(harts: usize) -> State {
        State { offset: 0, msip: vec![false; harts], mtimecmp: vec![u64::MAX; harts] }
    }

    fn ticks(&self) -> u64 {
        self.ctx.as_ref().map_or(0, |c| c.clock().now_ns() / NS_PER_TICK)
    }

    fn mtime(&self) -> u64 {
        self.ticks().wrapping_add(self.state.offset)
    }

    /// Sets the timer line of `hart`, and an alarm for when it will rise.
    fn update_timer(&mut self, hart: usize) {
        let (Some(ctx), Some(cmp)) = (self.ctx.as_ref(), self.state.mtimecmp.get(hart)) else { return };
        if let Some(id) = self.alarms.get_mut(hart).and_then(Option::take) {
            ctx.clock().cancel(id);
        }
        let left = cmp.saturating_sub(self.mtime());
        if let Some(lines) = self.lines.get(hart) {
            lines[1].set(left == 0);
        }
        let at = self.ticks().checked_add(left).and_then(|t| t.checked_mul(NS_PER_TICK));
        if let (true, Some(at), Some(slot)) = (left > 0, at, self.alarms.get_mut(hart)) {
            *slot = Some(ctx.alarm(at, hart as u32));
        }
    }

    fn update_all(&mut self) {
        for hart in 0..self.state.msip.len() {
            self.update_timer(hart);
            if let (Some(lines), Some(on)) = (self.lines.get(hart), self.state.msip.get(hart)) {
                lines[0].set(*on);
            }
        }
    }

    fn check(offset: u64, width: u32) -> Result<(), BusFault> {
        let ok = matches!(width, 4 | 8) && offset.is_multiple_of(width as u64);
        if ok { Ok(()) } else { Err(BusFault) }
    }
}

/// What it counts.
pub(crate) static COUNTERS: &[Counter<Clint>] = &[
    Counter::total("timer", "interrupts", "machine timers that ran out", |c| c.timer_interrupts),
    Counter::total("software", "interrupts", "software interrupts sent", |c| c.software_interrupts),
];

impl Device for Clint {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        let harts = self.state.msip.len();
        self.lines = (0..harts).map(|h| [ctx.irq(2 * h), ctx.irq(2 * h + 1)]).collect();
        self.ctx = Some(ctx);
    }

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        Clint::check(offset, width)?;
        Ok(match register(offset) {
            Register::Msip(hart) => {
                let bit = |h: usize| self.state.msip.get(h).copied().unwrap_or(false) as u64;
                if width == 8 { bit(hart) | bit(hart + 1) << 32 } else { bit(hart) }
            }
            Register::TimeCmp(hart) => {
                part(self.state.mtimecmp.get(hart).copied().unwrap_or(0), offset, width)
            }
            Register::Time => part(self.mtime(), offset, width),
            Register::None => 0,
        })
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        Clint::check(offset, width)?;
        match register(offset) {
            Register::Msip(first) => {
                for (hart, bits) in (first..).zip([value, value >> 32]).take(width as usize / 4) {
                    let on = bits & 1 != 0;
                    if let (Some(slot), Some(lines)) = (self.state.msip.get_mut(hart), self.lines.get(hart)) {
                        self.software_interrupts += (on && !*slot) as u64;
                        *slot = on;
                        lines[0].set(on);
                    }
                }
            }
            Register::TimeCmp(hart) => {
                if let Some(slot) = self.state.mtimecmp.get_mut(hart) {
                    *slot = merge(*slot, offset, width, value);
                    self.update_timer(hart);
                }
            }
            Register::Time => {
                let new = merge(self.mtime(), offset, width, value);
                self.state.offset = new.wrapping_sub(self.ticks());
                self.update_all();
            }
            Register::None => {}
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.state = Clint::at_reset(self.state.msip.len());
        self.update_all();
    }

    fn alarm(&mut self, hart: u32) {
        self.timer_interrupts += 1;
        self.update_timer(hart as usize);
    }

    fn save(&self) -> Saved {
        Saved::pack(KIND, VERSION, &self.state)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        let harts = self.state.msip.len();
        self.state = Clint::at_reset(harts);
        let state = saved.unpack::<State>(KIND, VERSION).and_then(|s| {
            match s.msip.len() == harts && s.mtimecmp.len() == harts {
                true => Ok(s),
                false => Err(StateError::damaged(KIND, format!("it is not for {harts} harts"))),
            }
        });
        let result = state.map(|s| self.state = s);
        self.update_all();
        result
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics::read(COUNTERS, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::{Bench, torment};

    fn bench() -> Bench {
        Bench::new(Box::new(Clint::new(2)), 4)
    }

    #[test]
    fn software_interrupts_reach_their_hart() {
        let b = bench();
        b.write(4, 4, 0xffff_ffff);
        assert_eq!((b.irq(0), b.irq(2), b.read(4, 4)), (false, true, 1));
        b.write(0, 8, 1);
        assert_eq!((b.irq(0), b.irq(2), b.read(0, 8)), (true, false, 1));
        b.write(8, 4, 1);
        assert_eq!(b.read(8, 4), 0);
    }

    #[test]
    fn the_timer_rings_at_its_tick() {
        let b = bench();
        b.write(MTIMECMP + 8, 8, 50);
        b.pass(4_999);
        assert!(!b.irq(3));
        b.pass(1);
        assert!(b.irq(3) && !b.irq(1));
        assert_eq!(b.read(MTIME, 8), 50);
        b.write(MTIMECMP + 12, 4, 1);
        assert!(!b.irq(3));
        assert_eq!(b.read(MTIMECMP + 8, 8), 1 << 32 | 50);
        b.write(MTIMECMP + 8, 8, 0);
        assert!(b.irq(3));
    }

    #[test]
    fn writing_the_time_moves_the_timers() {
        let b = bench();
        b.write(MTIMECMP, 8, 1000);
        b.write(MTIME, 8, 1000);
        assert!(b.irq(1));
        b.write(MTIME, 4, 990);
        assert!(!b.irq(1));
        b.pass(1000);
        assert!(b.irq(1));
    }

    #[test]
    fn state_survives() {
        let b = bench();
        b.write(0, 4, 1);
        b.write(MTIMECMP, 8, 7);
        let saved = b.cell.with(|d| d.save()).expect("save");
        let c = bench();
        assert_eq!(c.cell.with(|d| d.restore(&saved)), Some(Ok(())));
        assert!(c.irq(0) && !c.irq(1));
        c.pass(700);
        assert!(c.irq(1));
        let one = Bench::new(Box::new(Clint::new(1)), 2);
        assert!(matches!(one.cell.with(|d| d.restore(&saved)), Some(Err(StateError::Damaged { .. }))));
        c.cell.with(|d| d.reset());
        assert!(!c.irq(0) && !c.irq(1));
    }

    #[test]
    fn anything_goes() {
        torment(|| Box::new(Clint::new(3)), SIZE);
    }
}
