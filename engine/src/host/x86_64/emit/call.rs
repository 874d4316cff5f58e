//! What the emitter leaves to Rust: helpers, and ops by the interpreter's meaning.

use super::*;
use crate::guest::{StateChange, StateGuard, StateMove};
use crate::host::x86_64::fp::Done;
use crate::jit::abi::STATE;

impl Tier1 {
    /// A helper. It sees and may change all guest words.
    pub(super) fn call(&mut self, op: &Op) {
        self.flush();
        self.flush_sources(op);
        match self.block.state_moves.and_then(|f| f(op)).filter(|_| !op.ends()) {
            Some(m) => self.move_state(op, &m),
            None => self.call_op(op),
        }
        if op.ends() {
            // Does not come back.
            x64!(self; ud2);
            return;
        }
        self.cache.forget_guest();
        self.cache.forget(op.a);
        self.cache.drop_bases();
    }

    /// A helper's work inline, and the call of the helper out of the way. Registers of the guest are in the state.
    fn move_state(&mut self, op: &Op, m: &StateMove) {
        let (slow, done) = (self.buf.label(), self.buf.label());
        let disp = |at: usize| at as i32 - STATE;
        let at = disp(m.at);
        match m.guard {
            StateGuard::AtLeast { at, least } => {
                x64!(self; cmp BYTE [DWORD r15 + disp(at)], BYTE least as i8 ; jb =>slow);
            }
            StateGuard::Bits { set: [one, other], clear, bits } => {
                x64!(self; mov eax, [DWORD r15 + disp(one)] ; and eax, [DWORD r15 + disp(other)]);
                x64!(self; mov ecx, [DWORD r15 + disp(clear)] ; not ecx ; and eax, ecx ; not eax);
                x64!(self; test eax, bits as i32 ; jnz =>slow);
            }
        }
        x64!(self; mov rax, [DWORD r15 + at]);
        if let Some([one, other]) = m.counts {
            x64!(self; add rax, [DWORD r15 + disp(one)] ; add rax, [DWORD r15 + disp(other)]);
            let charged = (self.block.insns - self.now.insn) as i32;
            x64!(self; sub rax, rsi ; sub rax, charged);
        }
        if let Some(write) = m.write {
            match write.number {
                Some(n) => self.buf.mov_imm(RCX, n.into()),
                None => self.buf.load_word(RCX, op.b),
            }
            match write.how {
                StateChange::Replace => {}
                StateChange::Set => x64!(self; or rcx, rax),
                StateChange::Clear => x64!(self; not rcx ; and rcx, rax),
            }
            if write.even {
                x64!(self; and rcx, BYTE -2);
            }
            x64!(self; mov [DWORD r15 + at], rcx);
        }
        if op.a != SINK {
            if m.seen != u64::MAX {
                self.buf.mov_imm(RCX, m.seen as i64);
                x64!(self; and rax, rcx);
            }
            if m.summary != 0 {
                let all = m.summary as i32;
                // All ones if all bits are set.
                x64!(self; mov ecx, eax ; and ecx, all ; xor ecx, all ; cmp ecx, BYTE 1 ; sbb rcx, rcx);
                x64!(self; shl rcx, BYTE 63 ; or rax, rcx);
            }
            self.buf.store_word(op.a, RAX);
        }
        x64!(self; =>done);
        self.buf.cold();
        x64!(self; =>slow);
        self.call_op(op);
        x64!(self; jmp =>done);
        self.buf.hot();
    }

    /// An op that cannot fault, as the interpreter does it.
    pub(super) fn by_interpreter(&mut self, op: &Op) {
        self.flush_sources(op);
        self.call_op(op);
        self.cache.forget(op.a);
    }

    /// A float op. They work on the words in the state, and on copies of those in vector registers; an integer operand may
    /// be in a general one.
    pub(super) fn float(&mut self, op: &Op) {
        use Opcode::*;
        let from_integer = matches!(op.code, FFromI32 | FFromU32 | FFromI64 | FFromU64 | FMoveF);
        let integer = self.cache.host_of(op.b).filter(|_| from_integer);
        if integer.is_none() {
            self.flush_sources(op);
        }
        match self.floats.emit(&mut self.buf, self.features, op, integer) {
            Done::Yes => self.cache.forget(op.a),
            Done::Rax if op.a == SINK => {}
            Done::Rax => {
                let h = self.target(op, Src::Zero);
                self.buf.mov(h, RAX);
                self.result(op, h);
                self.floats.note(op);
            }
            Done::No => {
                self.by_interpreter(op);
                self.floats.note(op);
            }
        }
        if let Some(h) = integer
            && self.cache.host_of(op.b) == Some(h)
        {
            self.cache.read(op.b, self.now.next.b);
        }
    }

    /// Brings the state's copies of the operands up to date.
    pub(super) fn flush_sources(&mut self, op: &Op) {
        let fields = op.code.fields();
        let next = self.now.next;
        let sources = [
            (fields.b, op.b, next.b),
            (fields.c, op.c, next.c),
            (fields.d, op.reg_d(), next.d),
            (fields.reads_a, op.a, next.a),
        ];
        for (used, word, next) in sources {
            if used {
                self.flush_word(word);
                self.cache.read(word, next);
            }
        }
    }

    /// Calls the thunk for `op`.
    pub(super) fn call_op(&mut self, op: &Op) {
        x64!(self; lea rax, [rip + 0]);
        self.constants.push((self.buf.position() - 4, *op));
        self.describe(0);
        x64!(self; call QWORD [DWORD r15 + disp!(thunks.op)]);
    }

    /// TSO keeps everything in order but a store before a load (unprivileged spec, appendix "RVWMO", table of mappings to
    /// TSO).
    pub(super) fn fence(&mut self, op: &Op) {
        const WRITES: u32 = 0b0101 << 4;
        const READS: u32 = 0b1010;
        if op.aux & WRITES != 0 && op.aux & READS != 0 {
            self.full_fence();
        }
    }

    /// A locked operation on the stack orders stores before loads and costs less than `mfence`.
    pub(super) fn full_fence(&mut self) {
        x64!(self; lock or DWORD [BYTE rsp - 8], BYTE 0);
    }
}
