//! Physical memory protection (privileged specification, 3.7).
//!
//! The lowest-numbered region that matches any byte of an access decides; it must match all of them. Configuration
//! and addresses are what the guest wrote; the byte ranges of active regions are derived from them, so that a check is a
//! short walk.

use super::state::Mode;
use crate::guest::Access;
use serde::{Deserialize, Serialize};

/// Regions of a hart at most.
pub const REGIONS: usize = 16;

const READ: u8 = 1;
const WRITE: u8 = 2;
const EXEC: u8 = 4;
const MATCH: u8 = 0x18;
const LOCK: u8 = 0x80;
const TOR: u8 = 1;
const NA4: u8 = 2;
const NAPOT: u8 = 3;
/// `pmpaddr` holds bits 55:2 of an address.
const ADDR_MASK: u64 = (1 << 54) - 1;
/// A region that allows everything: R, W, X, NAPOT.
const OPEN: u8 = READ | WRITE | EXEC | NAPOT << 3;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Region {
    first: u64,
    last: u64,
    cfg: u8,
}

/// What is saved.
#[derive(Clone, Serialize, Deserialize)]
struct Raw {
    count: u8,
    cfg: [u8; REGIONS],
    addr: [u64; REGIONS],
}

/// The PMP unit of a hart.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(from = "Raw", into = "Raw")]
pub struct Pmp {
    count: u8,
    cfg: [u8; REGIONS],
    addr: [u64; REGIONS],
    /// Active regions by priority.
    active: Vec<Region>,
}

impl From<Raw> for Pmp {
    fn from(raw: Raw) -> Pmp {
        let count = raw.count.min(REGIONS as u8);
        let mut pmp = Pmp { count, cfg: raw.cfg, addr: raw.addr, active: Vec::new() };
        pmp.derive();
        pmp
    }
}

impl From<Pmp> for Raw {
    fn from(pmp: Pmp) -> Raw {
        Raw { count: pmp.count, cfg: pmp.cfg, addr: pmp.addr }
    }
}

impl Pmp {
    /// A unit of `count` regions (at most 16), all off.
    pub fn new(count: u8) -> Pmp {
        Raw { count, cfg: [0; REGIONS], addr: [0; REGIONS] }.into()
    }

    /// The same settings in a unit of `count` regions.
    pub fn with_count(self, count: u8) -> Pmp {
        Raw { count, ..self.into() }.into()
    }

    /// Opens all memory to every mode, as firmware does before it hands over.
    pub fn open(&mut self) {
        self.set_cfg(0, OPEN);
        self.set_addr(0, u64::MAX);
    }

    /// Configuration of region `i`, 0 if there is none.
    pub fn cfg(&self, i: usize) -> u8 {
        self.cfg.get(i).copied().unwrap_or(0)
    }

    /// `pmpaddr` of region `i`, 0 if there is none.
    pub fn addr(&self, i: usize) -> u64 {
        self.addr.get(i).copied().unwrap_or(0)
    }

    fn locked(&self, i: usize) -> bool {
        self.cfg(i) & LOCK != 0
    }

    /// Writes the configuration of region `i` unless it is locked or absent. W without R is reserved: both read 0
    /// then. True if something changed.
    pub fn set_cfg(&mut self, i: usize, value: u8) -> bool {
        if i >= self.count as usize || self.locked(i) {
            return false;
        }
        let mut cfg = value & (READ | WRITE | EXEC | MATCH | LOCK);
        if cfg & READ == 0 {
            cfg &= !WRITE;
        }
        self.update(|p| p.cfg[i] = cfg)
    }

    /// Writes `pmpaddr` of region `i` unless it is absent, locked, or the base of a locked TOR region. True if
    /// something changed.
    pub fn set_addr(&mut self, i: usize, value: u64) -> bool {
        let base_of_locked = self.locked(i + 1) && self.cfg(i + 1) >> 3 & 3 == TOR;
        if i >= self.count as usize || self.locked(i) || base_of_locked {
            return false;
        }
        self.update(|p| p.addr[i] = value & ADDR_MASK)
    }

    fn update(&mut self, f: impl FnOnce(&mut Pmp)) -> bool {
        let before = (self.cfg, self.addr);
        f(self);
        self.derive();
        before != (self.cfg, self.addr)
    }

    fn derive(&mut self) {
        self.active = (0..self.count as usize).filter_map(|i| self.region(i)).collect();
    }

    /// The byte range of region `i` if it is on and not empty.
    fn region(&self, i: usize) -> Option<Region> {
        let cfg = self.cfg[i];
        let addr = self.addr[i] & ADDR_MASK;
        let (first, last) = match cfg >> 3 & 3 {
            TOR => {
                let base = if i == 0 { 0 } else { self.addr[i - 1] & ADDR_MASK };
                if base >= addr {
                    return None;
                }
                (base << 2, (addr << 2) - 1)
            }
            NA4 => (addr << 2, (addr << 2) + 3),
            NAPOT => {
                let low = addr ^ (addr + 1);
                ((addr & !low) << 2, ((addr | low) << 2) + 3)
            }
            _ => return None,
        };
        Some(Region { first, last, cfg })
    }

    /// Whether `mode` may access the `size` bytes at `pa`.
    pub fn allows(&self, pa: u64, size: u64, access: Access, mode: Mode) -> bool {
        let last = pa.saturating_add(size.max(1) - 1);
        let Some(r) = self.active.iter().find(|r| pa <= r.last && last >= r.first) else {
            return mode == Mode::Machine || self.count == 0;
        };
        if pa < r.first || last > r.last {
            return false;
        }
        if mode == Mode::Machine && r.cfg & LOCK == 0 {
            return true;
        }
        let need = match access {
            Access::Load => READ,
            Access::Store => WRITE,
            Access::Fetch => EXEC,
        };
        r.cfg & need != 0
    }

    /// Whether one verdict holds for all bytes of `first..=last`.
    pub fn is_uniform(&self, first: u64, last: u64) -> bool {
        match self.active.iter().find(|r| first <= r.last && last >= r.first) {
            Some(r) => first >= r.first && last <= r.last,
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Mode = Mode::Supervisor;
    const M: Mode = Mode::Machine;

    fn on(p: &mut Pmp, i: usize, cfg: u8, addr: u64) {
        p.set_addr(i, addr);
        p.set_cfg(i, cfg);
    }

    #[test]
    fn without_a_match_only_machine_mode_gets_through() {
        let p = Pmp::new(16);
        assert!(p.allows(0x8000_0000, 8, Access::Store, M));
        assert!(!p.allows(0x8000_0000, 8, Access::Load, S));
        assert!(Pmp::new(0).allows(0x8000_0000, 8, Access::Load, S));
        let mut p = Pmp::new(16);
        p.open();
        assert!(p.allows(0, 8, Access::Fetch, Mode::User) && p.allows(1 << 55, 8, Access::Store, S));
    }

    #[test]
    fn matching_modes_give_their_ranges() {
        let mut p = Pmp::new(16);
        on(&mut p, 0, READ | NA4 << 3, 0x1000 >> 2);
        on(&mut p, 1, READ | NAPOT << 3, 0x2000 >> 2 | 0x1ff);
        on(&mut p, 2, 0, 0x8000 >> 2);
        on(&mut p, 3, READ | TOR << 3, 0x9000 >> 2);
        let ok = |at: u64| p.allows(at, 4, Access::Load, S);
        assert!(ok(0x1000) && !ok(0x1004) && !ok(0xffc));
        assert!(ok(0x2000) && ok(0x2ffc) && !ok(0x3000));
        assert!(ok(0x8000) && ok(0x8ffc) && !ok(0x9000) && !ok(0x7ffc));
        assert!(!p.allows(0x2000, 4, Access::Store, S));
    }

    #[test]
    fn the_lowest_region_decides_and_must_match_the_whole_access() {
        let mut p = Pmp::new(16);
        on(&mut p, 0, NA4 << 3, 0x1000 >> 2);
        on(&mut p, 1, READ | NAPOT << 3, 0x1000 >> 2 | 0x1ff);
        assert!(!p.allows(0x1000, 4, Access::Load, S));
        assert!(!p.allows(0x1000, 8, Access::Load, S), "partial match");
        assert!(!p.allows(0x1000, 8, Access::Load, M), "partial match fails in M-mode too");
        assert!(p.allows(0x1008, 8, Access::Load, S));
        assert!(!p.is_uniform(0x1000, 0x1fff) && p.is_uniform(0x2000, 0x2fff));
        assert!(p.is_uniform(0x1004, 0x1fff));
    }

    #[test]
    fn locked_regions_bind_machine_mode_and_refuse_writes() {
        let mut p = Pmp::new(16);
        on(&mut p, 0, 0, 0x1000 >> 2);
        on(&mut p, 1, READ | TOR << 3 | LOCK, 0x2000 >> 2);
        assert!(!p.allows(0x1000, 4, Access::Store, M) && p.allows(0x1000, 4, Access::Load, M));
        assert!(!p.set_cfg(1, 0) && !p.set_addr(1, 0) && !p.set_addr(0, 0));
        assert!(p.set_cfg(0, READ));
    }

    #[test]
    fn reserved_and_absent_settings_are_legalised() {
        let mut p = Pmp::new(4);
        assert!(!p.set_cfg(4, 0xff) && !p.set_addr(4, 1));
        p.set_cfg(0, WRITE | EXEC | 0x60);
        assert_eq!(p.cfg(0), EXEC);
        p.set_addr(0, u64::MAX);
        assert_eq!(p.addr(0), ADDR_MASK);
        let copy: Raw = p.clone().into();
        assert_eq!(Pmp::from(copy).addr(0), ADDR_MASK);
    }
}
