//! Loads and stores: the TLB's answer inline, everything else in cold code.
//!
//! [`crate::mem::tlb`] has the tables. The tag is compared with the page of the access's last byte: an access that leaves its
//! page differs from the entry that its first byte selects. Where misaligned accesses trap, the low bits of the address are
//! left in, so that they differ too.
//!
//! **Runs.** Accesses near each other by one base (a stack frame, the fields of a structure) look the TLB up once: the first
//! asks for the bytes of all of them and keeps the host address in a register, a *base*; the others go there directly. A
//! base is zero where the TLB had no answer, the run crosses a page, or a slow path has been taken, which may have dropped
//! the page: then each access looks up for itself, in cold code.

use super::*;
use crate::host::x86_64::asm::{Form, Mem};
use crate::ir::op::{Align, MMU_CURRENT, MemFlags};
use crate::mem::tlb::FAST;

const PAGE: i32 = -4096;

/// Displacement from the state pointer of a field of the TLB's hot part.
const fn fast(field: usize) -> i32 {
    disp!(tlb.fast) + FAST[field] as i32
}

/// Where [`Tier1::look_up`] leaves its answer.
const FOUND: Mem = Mem::Sum(RAX, RDX);

/// A value to store.
#[derive(Clone, Copy)]
enum Value {
    Host(Host),
    Vector(u8),
    Zero,
}

/// How an access finds its memory.
#[derive(Clone, Copy)]
enum Way {
    /// Looks the TLB up for itself.
    Alone,
    /// Looks up for a run, which starts at this offset.
    First(Host, i32),
    /// By a base, at this offset.
    Later(Host, i32),
    /// By the slow path.
    Slow,
}

impl Tier1 {
    /// A load.
    pub(super) fn load(&mut self, op: &Op) {
        let later = self.later(op);
        let b = self.base_word(op, later.is_some());
        let in_state = op.a == SINK || self.uses.floats.contains(op.a);
        let d = if in_state { RAX } else { self.target(op, b) };
        let double = (in_state && op.a != SINK && op.code == Opcode::Load64).then(|| self.floats.target());
        let way = later.unwrap_or_else(|| self.first(op));
        let read = |e: &mut Tier1, m: Mem| match double {
            Some(x) => e.buf.memory(Form::LOAD_DOUBLE, x, m),
            None => e.buf.memory(load_form(op.code), d, m),
        };
        let back = self.access(op, b, way, read);
        self.describe(op.aux);
        x64!(self; call QWORD [DWORD r15 + disp!(thunks.load)]);
        match double {
            Some(x) => x64!(self; movsd Rx(x), [DWORD r15 + disp!(value)]),
            None => self.read_value(op.code, d),
        }
        self.accessed(way, back);
        if let Some(x) = double {
            self.floats.loaded(&mut self.buf, op.a, x);
            self.cache.forget(op.a);
        } else {
            self.loaded(op, d, in_state);
        }
    }

    fn loaded(&mut self, op: &Op, d: Host, in_state: bool) {
        let high = match op.code {
            Opcode::LoadBox16 => !0xffff,
            Opcode::LoadBox32 => !0xffff_ffff,
            _ => 0,
        };
        if high != 0 {
            self.buf.mov_imm(RCX, high);
            self.buf.alu(Alu::Or, d, RCX);
        }
        if !in_state {
            self.result(op, d);
        } else if op.a != SINK {
            self.buf.store_word(op.a, d);
            self.cache.forget(op.a);
            if self.now.next.a != NEVER {
                self.floats.keep(&mut self.buf, op.a, d);
            }
        }
    }

    /// A store.
    pub(super) fn store(&mut self, op: &Op) {
        let size = MemFlags(op.aux).size();
        let x = if size < 2 { None } else { self.floats.held(op.c) };
        let later = self.later(op);
        let b = self.base_word(op, later.is_some());
        let c = match x {
            Some(_) => {
                self.cache.read(op.c, self.now.next.c);
                Src::Zero
            }
            None if op.c == op.b => b,
            None => self.source(op.c, self.now.next.c),
        };
        let way = later.unwrap_or_else(|| self.first(op));
        let write = |e: &mut Tier1, m: Mem| {
            let value = x.map_or_else(|| e.value(c, RCX), Value::Vector);
            e.write(size, value, m);
        };
        let back = self.access(op, b, way, write);
        match x.map_or_else(|| self.value(c, RDX), Value::Vector) {
            Value::Vector(x) => x64!(self; movsd [DWORD r15 + disp!(value)], Rx(x)),
            Value::Host(h) => x64!(self; mov [DWORD r15 + disp!(value)], Rq(h)),
            Value::Zero => x64!(self; mov QWORD [DWORD r15 + disp!(value)], DWORD 0),
        }
        self.describe(op.aux);
        x64!(self; call QWORD [DWORD r15 + disp!(thunks.store)]);
        self.accessed(way, back);
    }

    // ---- ways

    /// Whether misaligned addresses must not get past the look-up.
    fn traps(&self, flags: MemFlags) -> bool {
        match flags.align_rule() {
            Align::Policy => self.block.traps_misaligned,
            Align::Trap => true,
            Align::Any => false,
        }
    }

    /// The way by a base, if one serves the access.
    fn later(&mut self, op: &Op) -> Option<Way> {
        let flags = MemFlags(op.aux);
        if self.cache.based() == 0 || flags.mmu_index() != MMU_CURRENT || self.traps(flags) {
            return None;
        }
        let from = i32::try_from(op.imm).ok()?;
        let to = from.checked_add(1 << flags.size())?;
        let (h, start) = self.cache.base_for(op.b, (from, to), op.code.shape() == Shape::Store)?;
        Some(Way::Later(h, from - start))
    }

    /// The way of an access that no base serves; it may begin a run.
    fn first(&mut self, op: &Op) -> Way {
        let flags = MemFlags(op.aux);
        if flags.mmu_index() != MMU_CURRENT {
            return Way::Slow;
        }
        let run = self.uses.run(self.now.op);
        if run.next == NEVER || self.traps(flags) {
            return Way::Alone;
        }
        match self.cache.take_base(op.b, (run.from, run.to), run.stores) {
            Some(h) => Way::First(h, run.from),
            None => Way::Alone,
        }
    }

    /// The base operand; where only cold code needs it, it is not loaded.
    fn base_word(&mut self, op: &Op, idle: bool) -> Src {
        if idle && self.cache.host_of(op.b).is_none() && self.block.zero != Some(op.b) {
            return Src::Word(op.b);
        }
        self.source(op.b, self.now.next.b)
    }

    /// The access where the TLB answers, by `go`. Leaves the buffer in the cold part, where the slow path is to be called: rax
    /// has the address, the state is whole. Returns where that goes on.
    fn access(&mut self, op: &Op, b: Src, way: Way, go: impl Fn(&mut Tier1, Mem)) -> DynamicLabel {
        let flags = MemFlags(op.aux);
        let is_store = op.code.shape() == Shape::Store;
        let slow = self.buf.label();
        let (base, at) = match way {
            Way::Alone => {
                self.address(b, op.imm);
                self.look_up_for(flags, is_store, slow);
                go(self, FOUND);
                let back = self.cold(slow);
                self.store_dirty();
                return back;
            }
            Way::Slow => {
                self.address(b, op.imm);
                x64!(self; jmp =>slow);
                let back = self.cold(slow);
                self.store_dirty();
                return back;
            }
            Way::First(h, from) => {
                let run = self.uses.run(self.now.op);
                self.address(b, from.into());
                self.look_up(run.to - run.from - 1, None, table(run.stores), slow);
                self.buf.lea_index(h, RAX, RDX, 0);
                (h, op.imm as i32 - from)
            }
            Way::Later(h, at) => {
                x64!(self; test Rq(h), Rq(h));
                self.buf.jcc(Cond::E, slow);
                (h, at)
            }
        };
        go(self, Mem::Based(base, at));
        let back = self.cold(slow);
        if matches!(way, Way::First(..)) {
            self.buf.mov_imm(base, 0);
        }
        let sub = self.shared_look_up(flags.size(), is_store);
        self.address(b, op.imm);
        x64!(self; call =>sub ; jne >miss);
        go(self, FOUND);
        x64!(self; jmp =>back ; miss:);
        self.store_dirty();
        back
    }

    /// Behind the call of the slow path.
    fn accessed(&mut self, way: Way, back: DynamicLabel) {
        self.void_bases();
        self.back(back);
        if let Way::First(h, _) | Way::Later(h, _) = way {
            self.cache.use_base(h, self.uses.run(self.now.op).next);
        }
    }

    /// After a slow path: what it did may have dropped pages from the TLB.
    pub(super) fn void_bases(&mut self) {
        for h in bits(self.cache.based()) {
            self.buf.mov_imm(h, 0);
        }
    }

    // ---- pieces

    fn value(&mut self, c: Src, scratch: Host) -> Value {
        match c {
            Src::Host(h) => Value::Host(h),
            Src::Word(_) => Value::Host(self.in_host(c, scratch)),
            Src::Zero => Value::Zero,
        }
    }

    /// rax = base + imm
    fn address(&mut self, base: Src, imm: i64) {
        match base {
            Src::Host(h) => self.offset(RAX, h, imm),
            Src::Zero => self.buf.mov_imm(RAX, imm),
            Src::Word(word) => {
                self.buf.load_word(RAX, word);
                if imm != 0 {
                    self.alu_imm(Alu::Add, RAX, imm);
                }
            }
        }
    }

    fn look_up_for(&mut self, flags: MemFlags, store: bool, slow: DynamicLabel) {
        let last = (1i32 << flags.size()) - 1;
        let aligned = self.traps(flags).then_some(last);
        self.look_up(last, aligned, table(store), slow);
    }

    /// Looks an aligned access at rax up in the load table.
    pub(super) fn look_up_load(&mut self, flags: MemFlags, slow: DynamicLabel) {
        self.look_up_for(flags.align(Align::Trap), false, slow);
    }

    /// Looks an aligned access at rax up in the store table.
    pub(super) fn look_up_store(&mut self, flags: MemFlags, slow: DynamicLabel) {
        self.look_up_for(flags.align(Align::Trap), true, slow);
    }

    /// Finds the host address of the bytes from rax to rax + `last`: it is rax + rdx. Goes to `slow` with rax as it was if the
    /// TLB has none, or a bit of `aligned` is set in rax. Uses rcx.
    fn look_up(&mut self, last: i32, aligned: Option<i32>, table: [i32; 2], slow: DynamicLabel) {
        self.compare_tag(last, aligned, table);
        self.buf.jcc(Cond::NE, slow);
        x64!(self; mov rdx, [BYTE rcx + 8]);
    }

    /// A look-up for cold code, one for the block: to be called, answers "equal" with rdx as [`Tier1::look_up`], or "not equal".
    fn shared_look_up(&mut self, size: u32, store: bool) -> DynamicLabel {
        let place = (size * 2) as usize + usize::from(store);
        match self.look_ups[place] {
            Some(label) => label,
            None => *self.look_ups[place].insert(self.buf.label()),
        }
    }

    /// Emits the look-ups that cold code calls.
    pub(super) fn shared_look_ups(&mut self) {
        self.buf.cold();
        for (size, store) in (0..4).flat_map(|size| [(size, false), (size, true)]) {
            let Some(label) = self.look_ups[(size * 2) as usize + usize::from(store)] else { continue };
            x64!(self; =>label);
            self.compare_tag((1 << size) - 1, None, table(store));
            x64!(self; mov rdx, [BYTE rcx + 8] ; ret);
        }
        self.buf.hot();
    }

    /// Compares the tag; the entry is at rcx.
    fn compare_tag(&mut self, last: i32, aligned: Option<i32>, [table, mask]: [i32; 2]) {
        if self.features.bmi2 {
            x64!(self; rorx rcx, rax, 8);
        } else {
            x64!(self; mov rcx, rax ; shr rcx, 8);
        }
        x64!(self; and rcx, [DWORD r15 + mask] ; add rcx, [DWORD r15 + table]);
        match aligned {
            Some(low) => x64!(self; mov rdx, rax ; and rdx, DWORD PAGE | low),
            None => {
                self.buf.lea(RDX, RAX, last);
                x64!(self; and rdx, DWORD PAGE);
            }
        }
        x64!(self; cmp rdx, [rcx]);
    }

    /// What the thunk read.
    fn read_value(&mut self, code: Opcode, d: Host) {
        use Opcode::*;
        const VALUE: i32 = disp!(value);
        match code {
            LoadS8 => x64!(self; movsx Rq(d), BYTE [DWORD r15 + VALUE]),
            LoadS16 => x64!(self; movsx Rq(d), WORD [DWORD r15 + VALUE]),
            LoadS32 => x64!(self; movsxd Rq(d), DWORD [DWORD r15 + VALUE]),
            _ => x64!(self; mov Rq(d), [DWORD r15 + VALUE]),
        }
    }

    fn write(&mut self, size: u32, value: Value, m: Mem) {
        match value {
            Value::Host(h) => self.buf.memory(Form::store(size), h, m),
            Value::Vector(x) if size == 2 => self.buf.memory(Form::STORE_SINGLE, x, m),
            Value::Vector(x) => self.buf.memory(Form::STORE_DOUBLE, x, m),
            Value::Zero => {
                self.buf.memory(Form::store_imm(size), 0, m);
                self.buf.put(0, 1 << size.min(2));
            }
        }
    }
}

/// Displacements of a table and its mask.
const fn table(store: bool) -> [i32; 2] {
    if store { [fast(2), fast(3)] } else { [fast(0), fast(1)] }
}

fn load_form(code: Opcode) -> Form {
    use Opcode::*;
    match code {
        LoadS8 => Form::LOAD_S8,
        LoadS16 => Form::LOAD_S16,
        LoadS32 => Form::LOAD_S32,
        LoadU8 => Form::LOAD_U8,
        LoadU16 | LoadBox16 => Form::LOAD_U16,
        LoadU32 | LoadBox32 => Form::LOAD_32,
        _ => Form::LOAD_64,
    }
}
