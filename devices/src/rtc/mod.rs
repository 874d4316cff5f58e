//! The goldfish real-time clock: Unix time in nanoseconds, and one alarm.
//!
//! Registers: the Android emulator's goldfish virtual hardware description. Reading the low half latches the high half.

use crate::device::{Device, DeviceContext};
use crate::irq::IrqLine;
use crate::metrics::{self, Metric};
use crate::state::{Saved, StateError};
use engine::exec::time::AlarmId;
use engine::mem::bus::BusFault;
use engine::tier::monitor::Counter;
use serde::{Deserialize, Serialize};

/// Bytes of register space.
pub const SIZE: u64 = 0x1000;

pub(crate) const KIND: &str = "goldfish-rtc";
const VERSION: u32 = 1;
const TIME_LOW: u64 = 0x00;
const TIME_HIGH: u64 = 0x04;
const ALARM_LOW: u64 = 0x08;
const ALARM_HIGH: u64 = 0x0c;
const IRQ_ENABLED: u64 = 0x10;
const CLEAR_ALARM: u64 = 0x14;
const ALARM_STATUS: u64 = 0x18;
const CLEAR_INTERRUPT: u64 = 0x1c;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    /// What the guest added to the machine's wall time.
    offset_ns: u64,
    latched_high: u32,
    /// The alarm's high half, taken over when the low half is written.
    alarm_high: u32,
    /// Wall time of the running alarm.
    alarm_at: Option<u64>,
    /// Wall time last set, for reading back.
    alarm: u64,
    pending: bool,
    enabled: bool,
}

/// The device.
#[derive(Default)]
pub struct GoldfishRtc {
    ctx: Option<DeviceContext>,
    irq: Option<IrqLine>,
    waiting: Option<AlarmId>,
    state: State,
    alarms: u64,
}

impl GoldfishRtc {
    fn wall(&self) -> u64 {
        let wall = self.ctx.as_ref().map_or(0, |c| c.clock().wall_ns());
        wall.wrapping_add(self.state.offset_ns)
    }

    fn update_irq(&self) {
        if let Some(irq) = &self.irq {
            irq.set(self.state.pending && self.state.enabled);
        }
    }

    /// Rings the alarm if its time has come, else waits for it.
    fn check_alarm(&mut self) {
        if let (Some(id), Some(ctx)) = (self.waiting.take(), &self.ctx) {
            ctx.clock().cancel(id);
        }
        let Some(at) = self.state.alarm_at else { return };
        let left = at.saturating_sub(self.wall());
        if left == 0 {
            self.state.alarm_at = None;
            self.state.pending = true;
            self.alarms += 1;
            self.update_irq();
        } else if let Some(ctx) = &self.ctx
            && let Some(when) = ctx.clock().now_ns().checked_add(left)
        {
            self.waiting = Some(ctx.alarm(when, 0));
        }
    }

    fn set_wall(&mut self, wall: u64) {
        self.state.offset_ns = self.state.offset_ns.wrapping_add(wall.wrapping_sub(self.wall()));
        self.check_alarm();
    }
}

const LOW: u64 = 0xffff_ffff;

/// What it counts.
pub(crate) static COUNTERS: &[Counter<GoldfishRtc>] =
    &[Counter::total("alarms", "alarms", "alarms that rang", |r| r.alarms)];

impl Device for GoldfishRtc {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attach(&mut self, ctx: DeviceContext) {
        self.irq = Some(ctx.irq(0));
        self.ctx = Some(ctx);
    }

    fn read(&mut self, offset: u64, width: u32) -> Result<u64, BusFault> {
        if width != 4 {
            return Err(BusFault);
        }
        Ok(match offset {
            TIME_LOW => {
                let wall = self.wall();
                self.state.latched_high = (wall >> 32) as u32;
                wall & LOW
            }
            TIME_HIGH => self.state.latched_high as u64,
            ALARM_LOW => self.state.alarm & LOW,
            ALARM_HIGH => self.state.alarm >> 32,
            IRQ_ENABLED => self.state.enabled as u64,
            ALARM_STATUS => self.state.alarm_at.is_some() as u64,
            _ => 0,
        })
    }

    fn write(&mut self, offset: u64, width: u32, value: u64) -> Result<(), BusFault> {
        if width != 4 {
            return Err(BusFault);
        }
        match offset {
            TIME_LOW => self.set_wall(self.wall() & !LOW | value),
            TIME_HIGH => self.set_wall(self.wall() & LOW | value << 32),
            ALARM_LOW => {
                self.state.alarm = (self.state.alarm_high as u64) << 32 | value;
                self.state.alarm_at = Some(self.state.alarm);
                self.check_alarm();
            }
            ALARM_HIGH => self.state.alarm_high = value as u32,
            IRQ_ENABLED => self.state.enabled = value & 1 != 0,
            CLEAR_ALARM => self.state.alarm_at = None,
            CLEAR_INTERRUPT => self.state.pending = false,
            _ => {}
        }
        self.update_irq();
        Ok(())
    }

    /// The battery keeps the time.
    fn reset(&mut self) {
        self.state = State { offset_ns: self.state.offset_ns, ..State::default() };
        self.update_irq();
    }

    fn alarm(&mut self, _: u32) {
        self.check_alarm();
    }

    fn save(&self) -> Saved {
        Saved::pack(KIND, VERSION, &self.state)
    }

    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.state = State::default();
        let result = saved.unpack(KIND, VERSION).map(|s| self.state = s);
        self.check_alarm();
        self.update_irq();
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
        let b = Bench::new(Box::<GoldfishRtc>::default(), 1);
        b.wiring.clock.set_wall_ns(0x1234_5678_9abc_def0);
        b
    }

    fn set_alarm(b: &Bench, at: u64) {
        b.write(ALARM_HIGH, 4, at >> 32);
        b.write(ALARM_LOW, 4, at & LOW);
    }

    #[test]
    fn time_reads_in_halves_and_can_be_set() {
        let b = bench();
        assert_eq!(b.read(TIME_LOW, 4), 0x9abc_def0);
        b.pass(1 << 32);
        assert_eq!(b.read(TIME_HIGH, 4), 0x1234_5678, "latched");
        b.write(TIME_HIGH, 4, 0x17);
        b.write(TIME_LOW, 4, 0x42);
        assert_eq!((b.read(TIME_LOW, 4), b.read(TIME_HIGH, 4)), (0x42, 0x17));
        assert_eq!(b.cell.read(TIME_LOW, 8), Err(BusFault));
    }

    #[test]
    fn the_alarm_rings_once_and_is_cleared() {
        let b = bench();
        b.write(IRQ_ENABLED, 4, 1);
        set_alarm(&b, 0x1234_5678_9abc_def0 + 1000);
        assert_eq!((b.read(ALARM_STATUS, 4), b.irq(0)), (1, false));
        b.pass(1000);
        assert_eq!((b.read(ALARM_STATUS, 4), b.irq(0)), (0, true));
        b.write(CLEAR_INTERRUPT, 4, 1);
        assert!(!b.irq(0));
        set_alarm(&b, 5);
        assert!(b.irq(0), "an alarm in the past rings at once");
    }

    #[test]
    fn a_cancelled_alarm_stays_silent() {
        let b = bench();
        b.write(IRQ_ENABLED, 4, 1);
        set_alarm(&b, 0x1234_5678_9abc_def0 + 1000);
        b.write(CLEAR_ALARM, 4, 1);
        b.pass(2000);
        assert!(!b.irq(0));
    }

    #[test]
    fn state_survives() {
        let b = bench();
        b.write(IRQ_ENABLED, 4, 1);
        set_alarm(&b, 0x1234_5678_9abc_def0 + 1000);
        let saved = b.cell.with(|d| d.save()).expect("save");
        let c = bench();
        assert_eq!(c.cell.with(|d| d.restore(&saved)), Some(Ok(())));
        c.pass(1000);
        assert!(c.irq(0));
    }

    #[test]
    fn anything_goes() {
        torment(|| Box::<GoldfishRtc>::default(), SIZE);
    }
}
