//! Which words of the state are in vector registers, and which are known to be NaN-boxed singles.
//!
//! The problem: a chain of float ops through memory costs the latency of a store and a load per link, and a single needs a
//! look at the upper half of its word before each use (unprivileged spec, chapter "D", NaN boxing of narrower values). So
//! `xmm4` to `xmm15` keep what ops of the block read and wrote. They are copies: every result is in the state as well,
//! and a register can be given to another word at any time.

use super::super::buffer::Buffer;
use crate::ir::op::{Effects, Op, Opcode, Reg, SINK};
use crate::jit::abi::reg_disp;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// The canonical NaN of format S, boxed.
pub const CANONICAL_SINGLE: u64 = 0xffff_ffff_7fc0_0000;

/// The first of the registers that hold words; the last is 15.
const FIRST: u8 = 4;
const COUNT: u8 = 12;

/// How many of them a loop may keep for its words: the others are enough for any op.
const CARRIED: usize = 8;

/// A word as an op reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operand {
    /// The word.
    pub word: Reg,
    /// As a boxed single, else as it is.
    pub single: bool,
}

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Nothing,
    /// The word as it is.
    Word(Reg),
    /// The word as a boxed single: the canonical NaN if it is not one.
    Single(Reg),
}

const NOTHING: [Held; COUNT as usize] = [Held::Nothing; COUNT as usize];

/// The registers' contents.
pub struct Words {
    held: [Held; COUNT as usize],
    /// Taken next.
    next: u8,
    /// Registers that the current op uses.
    pinned: u16,
    /// Words known to be boxed singles.
    boxed: [u64; 4],
    /// Registers that hold what they held before the loop's first round whenever a round begins.
    carried: [Held; COUNT as usize],
}

impl Default for Words {
    fn default() -> Words {
        Words { held: NOTHING, next: 0, pinned: 0, boxed: [0; 4], carried: NOTHING }
    }
}

impl Words {
    /// At the start of an op.
    pub fn unpin(&mut self) {
        self.pinned = 0;
    }

    fn is_boxed(&self, word: Reg) -> bool {
        self.boxed[word as usize / 64] >> (word % 64) & 1 != 0
    }

    fn set_boxed(&mut self, word: Reg, boxed: bool) {
        let bit = 1 << (word % 64);
        let set = &mut self.boxed[word as usize / 64];
        *set = if boxed { *set | bit } else { *set & !bit };
    }

    fn find(&mut self, what: Held) -> Option<u8> {
        let i = self.held.iter().position(|h| *h == what)?;
        self.pinned |= 1 << i;
        Some(i as u8 + FIRST)
    }

    /// A register whose contents nobody needs. An op uses four at most.
    pub fn fresh(&mut self) -> u8 {
        while self.pinned >> self.next & 1 != 0 || self.carried[self.next as usize] != Held::Nothing {
            self.next = (self.next + 1) % COUNT;
        }
        let i = self.next;
        self.next = (i + 1) % COUNT;
        self.pinned |= 1 << i;
        self.held[i as usize] = Held::Nothing;
        i + FIRST
    }

    fn hold(&mut self, x: u8, what: Held) {
        self.held[(x - FIRST) as usize] = what;
    }

    /// `x`, from [`Words::fresh`], holds what was just written to `word`.
    pub fn hold_word(&mut self, x: u8, word: Reg) {
        self.hold(x, Held::Word(word));
    }

    /// The register with a word.
    pub fn read(&mut self, asm: &mut Buffer, word: Reg) -> u8 {
        self.find(Held::Word(word)).unwrap_or_else(|| {
            let x = self.fresh();
            dynasm!(asm ; .arch x64 ; movsd Rx(x), [r15 + reg_disp(word)]);
            self.hold(x, Held::Word(word));
            x
        })
    }

    /// The register with a word as a single, boxed.
    pub fn read_single(&mut self, asm: &mut Buffer, word: Reg) -> u8 {
        if self.is_boxed(word) {
            return self.read(asm, word);
        }
        self.find(Held::Single(word)).unwrap_or_else(|| {
            let x = self.fresh();
            let (unboxed, back) = (asm.label(), asm.label());
            dynasm!(asm ; .arch x64
                ; movsd Rx(x), [r15 + reg_disp(word)]
                ; cmp DWORD [r15 + reg_disp(word) + 4], -1
                ; jne =>unboxed
                ; =>back);
            asm.cold();
            dynasm!(asm ; .arch x64
                ; =>unboxed
                ; mov rax, QWORD CANONICAL_SINGLE as i64
                ; movq Rx(x), rax
                ; jmp =>back);
            asm.hot();
            self.hold(x, Held::Single(word));
            x
        })
    }

    /// Writes `x`, from [`Words::fresh`], to a word.
    pub fn write(&mut self, asm: &mut Buffer, word: Reg, x: u8, single: bool) {
        self.forget(word);
        if word == SINK {
            return;
        }
        dynasm!(asm ; .arch x64 ; movsd [r15 + reg_disp(word)], Rx(x));
        self.set_boxed(word, single);
        self.hold(x, Held::Word(word));
    }

    fn forget(&mut self, word: Reg) {
        self.set_boxed(word, false);
        for h in &mut self.held {
            if matches!(*h, Held::Word(w) | Held::Single(w) if w == word) {
                *h = Held::Nothing;
            }
        }
    }

    /// The register that holds a word as it is.
    pub fn held(&mut self, word: Reg) -> Option<u8> {
        self.find(Held::Word(word))
    }

    /// An op is emitted by other means.
    pub fn note(&mut self, op: &Op) {
        if op.code.effects().has(Effects::STATE) {
            (self.held, self.boxed) = (NOTHING, [0; 4]);
        } else if op.code.fields().writes_a {
            self.forget(op.a);
            let boxed = match op.code {
                Opcode::LoadBox32 => true,
                Opcode::Li => op.imm as u64 >> 32 == 0xffff_ffff,
                _ => false,
            };
            self.set_boxed(op.a, boxed && op.a != SINK);
        }
    }

    /// Before a loop: gives some words a register for all rounds.
    pub fn enter_loop(&mut self, asm: &mut Buffer, words: &[Operand]) {
        for operand in words.iter().take(CARRIED) {
            self.unpin();
            let x = self.get(asm, *operand);
            let i = (x - FIRST) as usize;
            self.carried[i] = self.held[i];
        }
    }

    /// At the end of a round: brings the registers of [`Words::enter_loop`] up to date.
    pub fn go_back(&mut self, asm: &mut Buffer) {
        for i in 0..COUNT {
            let operand = match self.carried[i as usize] {
                Held::Nothing => continue,
                Held::Word(word) => Operand { word, single: false },
                Held::Single(word) => Operand { word, single: true },
            };
            self.unpin();
            let x = self.get(asm, operand);
            if x != i + FIRST {
                dynasm!(asm ; .arch x64 ; movaps Rx(i + FIRST), Rx(x));
            }
        }
    }

    fn get(&mut self, asm: &mut Buffer, Operand { word, single }: Operand) -> u8 {
        if single { self.read_single(asm, word) } else { self.read(asm, word) }
    }
}
