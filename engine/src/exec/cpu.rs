//! The state of one hart, as the interpreter, the compilers and the guest ISA's helpers share it.

use super::core::{Core, FORCED, Held, PAGE_SLOTS};
use super::hart::{Ack, Hart, Request};
use super::inputs::InputPort;
use super::time::Clock;
use super::traps::Traps;
use crate::cache::jump::{Jumps, NO_TAG};
use crate::guest::{Exception, Flow, Guest};
use crate::host;
use crate::jit::across::certificate_offset;
use crate::mem::ram::Memory;
use crate::mem::tlb::Tlb;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What the guest's firmware interface and devices can ask of the machine as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MachineEvent {
    /// Power off, with the guest's exit code (0 = orderly).
    PowerOff(u32),
    /// Reset everything and boot again.
    Reboot,
}

/// Services of the board for firmware built into the engine (SBI): a console, and power.
pub trait Platform: Send + Sync {
    /// Bytes for the firmware console.
    fn console_write(&self, bytes: &[u8]);
    /// Bytes typed at the firmware console; how many were written to `buf`.
    fn console_read(&self, buf: &mut [u8]) -> usize;
    /// Power events. Returns; the caller parks.
    fn event(&self, event: MachineEvent);
    /// Random bytes through the input port.
    fn entropy(&self, buf: &mut [u8]);
}

/// What all harts of a machine share.
pub struct Shared<G: Guest> {
    /// CPU model.
    pub model: G::Model,
    /// Memory.
    pub memory: Arc<Memory>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The input port.
    pub inputs: Arc<InputPort>,
    /// All harts by number.
    pub harts: Vec<Arc<Hart<G::Remote>>>,
    /// The board.
    pub platform: Arc<dyn Platform>,
    /// Nanoseconds of virtual time per instruction; used when time comes from the instruction count.
    pub ns_per_insn: u64,
}

/// A reservation of LR. SC succeeds by compare-and-swap on the loaded value (ABA is accepted, as in QEMU).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reservation {
    /// Virtual address.
    pub va: u64,
    /// log2 of the width.
    pub size_log2: u8,
    /// What LR read.
    pub value: u64,
}

/// Dynamic float environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FloatEnv {
    /// Accumulated flags, RISC-V bits: NX 1, UF 2, OF 4, DZ 8, NV 16.
    pub flags: u8,
    /// Dynamic rounding mode, RISC-V numbers; 5 to 7 are invalid.
    pub rm: u8,
}

/// One hart.
#[repr(C)]
pub struct Cpu<G: Guest> {
    /// What compiled code sees. First, so that a pointer to it is a pointer to the whole.
    pub core: Core,
    /// Instructions retired up to the start of the slice.
    pub retired_base: u64,
    /// Budget with which the slice began.
    pub slice: i64,
    /// Clock reading at the start of the slice, when time comes from the instruction count.
    pub slice_ns: u64,
    /// Set by whatever changes what the translation of code depends on; the dispatcher looks everything up again.
    pub context_changed: bool,
    /// [`Memory::kills`] when compiled code was entered or last left.
    pub kills: u64,
    /// What a helper that compiled code called said to do next.
    pub flow: Flow,
    /// What the hart knows of the code.
    pub jumps: Jumps,
    /// Traps taken since power-on.
    pub traps: Traps,
    /// The ISA's own state.
    pub ext: G::Ext,
    /// What others see of this hart.
    pub hart: Arc<Hart<G::Remote>>,
    /// What harts share.
    pub shared: Arc<Shared<G>>,
}

// SAFETY: the raw pointers in `core` point to what the hart owns or keeps alive (its limit word, its jump cache, its TLB's
// tables), so they move with it; nobody else writes through them.
unsafe impl<G: Guest> Send for Cpu<G> {}

impl<G: Guest> Deref for Cpu<G> {
    type Target = Core;
    #[inline(always)]
    fn deref(&self) -> &Core {
        &self.core
    }
}

impl<G: Guest> DerefMut for Cpu<G> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl<G: Guest> Cpu<G> {
    /// Hart `id` of the machine at reset, not started.
    pub fn new(shared: Arc<Shared<G>>, id: u32) -> Box<Cpu<G>> {
        let hart = shared.harts[id as usize].clone();
        let mut cpu = Box::new(Cpu {
            core: Core {
                tlb: Tlb::new(shared.memory.clone()),
                pc: 0,
                budget: 0,
                limit: hart.lines.limit(),
                insn_pc: 0,
                unretired: 0,
                value: 0,
                tag: 0,
                other_tag: NO_TAG,
                jumps: std::ptr::null_mut(),
                jump_hits: 0,
                held: Held::NONE,
                tier2_insns: 0,
                tier2_entered: 0,
                certificate: certificate_offset(id),
                idioms: [0; 2],
                pages: [[0; 2]; PAGE_SLOTS],
                entry_sp: 0,
                guest_fcr: host::fcr(0),
                host_fcr: host::fcr(0),
                left_fcr: host::fcr(0),
                access: 0,
                fenv: FloatEnv::default(),
                thunks: host::thunks::<G>(),
                regs: [0; 256],
            },
            retired_base: 0,
            slice: 0,
            slice_ns: 0,
            context_changed: true,
            kills: 0,
            flow: Flow::Continue,
            jumps: Jumps::default(),
            traps: Traps::default(),
            ext: G::reset(&shared.model, id),
            hart,
            shared,
        });
        cpu.core.jumps = cpu.jumps.table();
        cpu.select_address_space();
        cpu
    }

    /// The reservation, if any.
    pub fn reservation(&self) -> Option<Reservation> {
        let Held { va, value, size_log2 } = self.held;
        let size_log2 = u8::try_from(size_log2).ok()?;
        Some(Reservation { va, size_log2, value })
    }

    /// Makes or drops the reservation.
    pub fn set_reservation(&mut self, reservation: Option<Reservation>) {
        self.held = match reservation {
            Some(r) => Held { va: r.va, value: r.value, size_log2: r.size_log2.into() },
            None => Held::NONE,
        };
    }

    /// Instructions of this slice retired before the current one.
    fn used(&self) -> u64 {
        (self.slice - self.budget - self.unretired) as u64
    }

    /// Instructions retired before the current one.
    pub fn instret(&self) -> u64 {
        self.retired_base.wrapping_add(self.used())
    }

    /// Clock time now in ns, exact to the instruction when time comes from the instruction count.
    pub fn now_ns(&self) -> u64 {
        match self.shared.clock.source() {
            super::time::TimeSource::Host => self.shared.clock.now_ns(),
            super::time::TimeSource::Instructions => {
                self.slice_ns.saturating_add(self.used().saturating_mul(self.shared.ns_per_insn))
            }
        }
    }

    /// Tells the TLB which table sets fetches and data accesses use now. Call after any change of mode, rights or root.
    pub fn select_address_space(&mut self) {
        let (f, d) = (G::fetch_index(self), G::data_index(self));
        let (fc, dc) = (G::context(self, f), G::context(self, d));
        self.tlb.select_fetch(fc, f);
        self.tlb.select_data(dc, d);
        self.context_changed = true;
    }

    /// In a slow path of compiled code: makes it leave at the next poll if code has died since it was entered.
    #[inline]
    pub fn note_kills(&mut self) {
        if self.shared.memory.kills() != self.kills {
            self.core.limit = &FORCED;
        }
    }

    /// Takes over the float flags that compiled code raised.
    #[inline]
    pub fn merge_float_flags(&mut self) {
        self.core.fenv.flags |= host::fcr_flags(self.core.left_fcr);
    }

    /// Raises `e` for the instruction at `insn_pc`. Uses up one instruction of budget without retiring it, so that a guest
    /// that faults in its trap handler still comes to its polls.
    pub fn raise(&mut self, e: Exception) {
        self.budget -= 1;
        self.retired_base = self.retired_base.wrapping_sub(1);
        self.set_reservation(None);
        G::raise(self, e);
    }

    /// Runs all requests in the mailbox.
    pub fn run_requests(&mut self) {
        while let Some((request, ack)) = self.hart.take() {
            match request {
                Request::Protect(pa) => self.tlb.protect(pa),
                Request::Start(pc, args) => {
                    G::start(self, pc, args);
                    self.hart.set_started(true);
                }
                Request::Guest(r) => G::remote(self, r),
            }
            Hart::<G::Remote>::done(ack);
        }
    }

    /// Whether the machine has no other hart.
    pub fn is_alone(&self) -> bool {
        self.shared.harts.len() == 1
    }

    /// Sends `request` to the other harts in `targets` and waits until each has run it (sleeping harts count as having).
    /// Runs this hart's own mail while it waits, so that two harts can ask each other.
    pub fn ask_others(&mut self, targets: impl Fn(u32) -> bool, request: &Request<G::Remote>) {
        let me = self.hart.id;
        let harts: Vec<_> =
            self.shared.harts.iter().filter(|h| h.id != me && targets(h.id)).cloned().collect();
        if harts.is_empty() {
            return;
        }
        let lines = self.hart.lines.clone();
        let ack = Ack::new(harts.len(), lines.clone());
        for h in &harts {
            h.post(request.clone(), Some(&ack));
        }
        while !ack.is_done() {
            self.run_requests();
            if !ack.is_done() {
                lines.sleep(None);
            }
        }
    }
}
