//! Emitted float ops against the interpreter's meaning of them: result words and flags, on edge and random operands, in every
//! rounding mode of the host.

mod chains;
mod ops;

use super::super::{buffer::Buffer, enter, fcr, fcr_flags, features::Features};
use super::{Done, Floats};
use crate::exec::cpu::{Cpu, FloatEnv};
use crate::guest::riscv::Riscv;
use crate::guest::riscv::testing::hart;
use crate::interp::float;
use crate::ir::op::{Op, SINK};
use crate::jit::abi::{Exit, reg_disp};
use dynasmrt::{DynasmApi, dynasm};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

const PAGE: usize = 16 << 10;

/// Executable memory with one piece of code.
struct Executable(*mut std::ffi::c_void);

impl Executable {
    fn new(code: &[u8]) -> Executable {
        assert!(code.len() <= PAGE);
        let null = std::ptr::null_mut();
        // SAFETY: a new mapping; nothing else knows it, and it is executable only after it was written.
        unsafe {
            let at = mmap_anonymous(null, PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
                .expect("memory");
            std::ptr::copy_nonoverlapping(code.as_ptr(), at.cast(), code.len());
            mprotect(at, PAGE, MprotectFlags::READ | MprotectFlags::EXEC).expect("rights");
            Executable(at)
        }
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no code in it is running.
        unsafe { munmap(self.0, PAGE).expect("unmap") }
    }
}

/// Ends code by the contract of `jit/abi.rs`.
fn end(buffer: &mut Buffer) -> Executable {
    dynasm!(buffer ; .arch x64 ; mov eax, Exit::DISPATCH as i32 ; ret);
    Executable::new(&buffer.finish().expect("code"))
}

/// Emits one op as tier 1 does; false if it is not handled.
fn emit(buffer: &mut Buffer, floats: &mut Floats, features: Features, op: &Op, int: Option<u8>) -> bool {
    let done = floats.emit(buffer, features, op, int);
    if done == Done::Rax {
        dynasm!(buffer ; .arch x64 ; mov [r15 + reg_disp(op.a)], rax);
        floats.note(op);
    }
    done != Done::No
}

/// The code of one op.
fn code(op: &Op, features: Features) -> Option<Executable> {
    let mut buffer = Buffer::default();
    emit(&mut buffer, &mut Floats::default(), features, op, None).then(|| end(&mut buffer))
}

/// Where code runs.
struct Rig(Box<Cpu<Riscv>>);

impl Rig {
    fn new() -> Rig {
        Rig(hart())
    }

    /// Runs `code` on `regs` with dynamic rounding mode `rm`: the registers after it, and the flags it raised.
    fn run(&mut self, code: &Executable, rm: u8, regs: &[u64; 256]) -> ([u64; 256], u8) {
        let core = &mut self.0.core;
        core.regs = *regs;
        (core.guest_fcr, core.host_fcr) = (fcr(rm), fcr(0));
        // SAFETY: `core` is a hart's and borrowed here alone; the code was made by `end` and lives until after the call.
        let exit = unsafe { enter(core, code.0 as u64) };
        assert_eq!(exit.kind(), Exit::DISPATCH);
        (core.regs, fcr_flags(core.left_fcr))
    }
}

/// What the interpreter makes of it.
fn interpret(ops: &[Op], rm: u8, regs: &[u64; 256]) -> ([u64; 256], u8) {
    let (mut regs, mut fenv) = (*regs, FloatEnv { flags: 0, rm });
    ops.iter().for_each(|op| float::run(&mut regs, &mut fenv, op));
    (regs, fenv.flags)
}

/// Runs and compares all words but the sink.
fn check(rig: &mut Rig, code: &Executable, ops: &[Op], rm: u8, regs: &[u64; 256]) {
    let (mut got, mut want) = (rig.run(code, rm, regs), interpret(ops, rm, regs));
    (got.0[SINK as usize], want.0[SINK as usize]) = (0, 0);
    if got != want {
        let words = |r: &[u64; 256]| -> Vec<String> {
            let changed = (0..256).filter(|&i| got.0[i] != want.0[i]);
            changed.map(|i| format!("{i}: {:#x}", r[i])).collect()
        };
        let operands: Vec<_> = ops[0]
            .code
            .fields()
            .b
            .then(|| regs[ops[0].b as usize])
            .into_iter()
            .chain([regs[ops[0].c as usize]])
            .collect();
        panic!(
            "{ops:?}\nmode {rm}, operands {operands:x?}\ngot {:?} flags {:#x}\nwant {:?} flags {:#x}",
            words(&got.0),
            got.1,
            words(&want.0),
            want.1
        );
    }
}
