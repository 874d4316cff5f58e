//! The test finisher: one register with which a guest powers the machine off or resets it.
//!
//! Values: SiFive test device, as the device tree's `syscon-poweroff` and `syscon-reboot` nodes use it.

use crate::device::{Device, DeviceContext};
use crate::state::{Saved, StateError};
use engine::exec::cpu::MachineEvent;
use engine::mem::bus::BusFault;
use std::sync::Arc;

/// Bytes of register space.
pub const SIZE: u64 = 0x1000;
/// Power off, all well.
pub const PASS: u16 = 0x5555;
/// Power off with the exit code in the upper half.
pub const FAIL: u16 = 0x3333;
/// Reset.
pub const RESET: u16 = 0x7777;

const KIND: &str = "sifive-test";
const VERSION: u32 = 1;

/// Who hears power events. Called inside the device: it must only pass them on.
pub type EventFn = Arc<dyn Fn(MachineEvent) + Send + Sync>;

/// The device.
pub struct Syscon {
    event: EventFn,
}

impl Syscon {
    /// A finisher that tells `event`.
    pub fn new(event: EventFn) -> Syscon {
        Syscon { event }
    }
}

impl Device for Syscon {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn attach(&mut self, _: DeviceContext) {}
    fn read(&mut self, _: u64, _: u32) -> Result<u64, BusFault> {
        Ok(0)
    }
    fn write(&mut self, offset: u64, _: u32, value: u64) -> Result<(), BusFault> {
        if offset == 0 {
            match value as u16 {
                PASS => (self.event)(MachineEvent::PowerOff(0)),
                FAIL => (self.event)(MachineEvent::PowerOff((value >> 16) as u16 as u32)),
                RESET => (self.event)(MachineEvent::Reboot),
                _ => {}
            }
        }
        Ok(())
    }
    fn reset(&mut self) {}
    fn save(&self) -> Saved {
        Saved::pack(KIND, VERSION, &())
    }
    fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.unpack(KIND, VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::{Bench, torment};
    use parking_lot::Mutex;

    #[test]
    fn values_are_events() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let s = seen.clone();
        let b = Bench::new(Box::new(Syscon::new(Arc::new(move |e| s.lock().push(e)))), 0);
        b.write(0, 4, 0x5555);
        b.write(0, 4, 0x2a_3333);
        b.write(0, 2, 0x7777);
        b.write(0, 4, 0x1234);
        b.write(4, 4, 0x5555);
        assert_eq!(b.read(0, 4), 0);
        let want = [MachineEvent::PowerOff(0), MachineEvent::PowerOff(42), MachineEvent::Reboot];
        assert_eq!(*seen.lock(), want);
    }

    #[test]
    fn anything_goes() {
        torment(|| Box::new(Syscon::new(Arc::new(|_| {}))), SIZE);
    }
}
