//! Timings, for people: `cargo test --release -p engine --lib measure -- --ignored --nocapture`.

use super::*;
use crate::guest::riscv::Riscv;
use crate::guest::{Guest, LiftInput};
use crate::ir::opt::{Optimiser, Rules};
use machine::{DATA, Setup};
use std::time::{Duration, Instant};

/// RISC-V instructions by format.
mod rv {
    pub fn r(f7: u32, f3: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
        f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | 0x33
    }
    pub fn i(op: u32, f3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
        (imm as u32) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op
    }
    pub fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
        i(0x13, 0, rd, rs1, imm)
    }
    pub fn load(f3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
        i(0x03, f3, rd, rs1, imm)
    }
    pub fn store(f3: u32, rs2: u32, rs1: u32, imm: i32) -> u32 {
        let imm = imm as u32;
        (imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (imm & 31) << 7 | 0x23
    }
    pub fn branch(f3: u32, rs1: u32, rs2: u32, imm: i32) -> u32 {
        let imm = imm as u32;
        let (high, low) = ((imm >> 12 & 1) << 6 | imm >> 5 & 63, imm & 0x1e | imm >> 11 & 1);
        high << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | low << 7 | 0x63
    }
}

fn lift(code: &[u32]) -> Block {
    let cpu = hart();
    let bytes: Vec<u8> = code.iter().flat_map(|c| c.to_le_bytes()).collect();
    let mut block = Riscv::lift(&cpu.shared.model, LiftInput { code: &bytes, key: 2, max_insns: 64 });
    Optimiser::default().run(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
    block
}

/// Ten instructions as compilers emit them: three loads and stores, a branch at the end.
fn ordinary() -> Block {
    lift(&[
        rv::addi(2, 2, -32),
        rv::store(3, 8, 2, 16),
        rv::load(3, 15, 10, 8),
        rv::addi(8, 10, 0),
        rv::r(0, 0, 14, 15, 11),
        rv::i(0x13, 1, 13, 14, 3),
        rv::load(2, 12, 13, 0),
        rv::r(0, 4, 12, 12, 8),
        rv::i(0x1b, 0, 12, 12, 1),
        rv::branch(1, 12, 15, 64),
    ])
}

fn best(times: usize, mut f: impl FnMut()) -> Duration {
    let once = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..times).map(|_| once(&mut f)).min().unwrap_or_default()
}

#[test]
#[ignore = "prints timings"]
fn measure_compile_time() {
    const BLOCKS: u32 = 1000;
    let setup = Setup { profile: true, ..Setup::default() };
    let mut compiler = Tier1::default();
    let block = ordinary();
    let mut bytes = 0;
    let time = best(50, || {
        for _ in 0..BLOCKS {
            bytes = compiler.compile(&machine::input(&block, &setup)).expect("compiled").code.len();
        }
    });
    println!(
        "{} instructions, {} ops: {:?} a block, {bytes} bytes",
        block.bounds.len(),
        block.ops.len(),
        time / BLOCKS
    );
}

fn time_loop(name: &str, code: &[u32], regs: &[(usize, u64)], profile: bool) {
    const INSNS: i64 = 20_000_000;
    let block = lift(code);
    let setup = Setup { budget: INSNS, profile, ..Setup::default() };
    let mut pair = Pair::new();
    let mut file = [0; 64];
    regs.iter().for_each(|&(word, value)| file[word] = value);
    let emitted = pair.compiler.compile(&machine::input(&block, &setup)).expect("compiled");
    let entry = pair.arena.load(&emitted, i32::MAX);
    let time = best(5, || {
        pair.reset(&file, &vec![0; DATA], &setup);
        let end = pair.enter(entry);
        assert_eq!(end.left, Left::Poll);
    });
    let per_insn = time.as_nanos() as f64 / INSNS as f64;
    if let Ok(dir) = std::env::var("VITRINE_DUMP_CODE") {
        std::fs::write(format!("{dir}/{name}.bin"), &emitted.code).expect("written");
    }
    println!(
        "{name}: {per_insn:.3} ns an instruction, {} bytes for {}",
        emitted.code.len(),
        block.bounds.len()
    );
}

#[test]
#[ignore = "prints timings"]
fn measure_loops() {
    for profile in [false, true] {
        println!("profile: {profile}");
        time_loop("count", &[rv::addi(5, 5, 1), rv::branch(1, 5, 0, -4)], &[], profile);
        // x ^= x << 13; x ^= x >> 7; x ^= x << 17
        let xorshift = [
            rv::i(0x13, 1, 6, 5, 13),
            rv::r(0, 4, 5, 5, 6),
            rv::i(0x13, 5, 6, 5, 7),
            rv::r(0, 4, 5, 5, 6),
            rv::i(0x13, 1, 6, 5, 17),
            rv::r(0, 4, 5, 5, 6),
            rv::addi(7, 7, 1),
            rv::branch(1, 7, 0, -28),
        ];
        time_loop("xorshift", &xorshift, &[(5, 1)], profile);
        let sum = [
            rv::load(3, 6, 10, 0),
            rv::r(0, 0, 5, 5, 6),
            rv::addi(10, 10, 8),
            rv::i(0x13, 7, 10, 10, 0x7ff),
            rv::r(0, 6, 10, 10, 11),
            rv::branch(1, 10, 0, -20),
        ];
        time_loop("sum", &sum, &[(10, RAM), (11, RAM)], profile);
        let copy = [
            rv::load(4, 6, 10, 0),
            rv::store(0, 6, 11, 0),
            rv::addi(12, 12, 1),
            rv::i(0x13, 7, 13, 12, 0x7ff),
            rv::r(0, 0, 10, 14, 13),
            rv::r(0, 0, 11, 15, 13),
            rv::branch(1, 12, 0, -24),
        ];
        time_loop("copy", &copy, &[(14, RAM), (15, RAM + 4096), (10, RAM), (11, RAM + 4096)], profile);

        // Fields of a structure, as calls save and restore registers.
        let fields = [
            rv::load(3, 5, 10, 0),
            rv::load(3, 6, 10, 8),
            rv::load(3, 7, 10, 16),
            rv::r(0, 0, 5, 5, 6),
            rv::store(3, 5, 10, 24),
            rv::store(3, 7, 10, 8),
            rv::load(2, 6, 10, 32),
            rv::store(2, 6, 10, 36),
            rv::addi(12, 12, 1),
            rv::branch(1, 12, 0, -36),
        ];
        time_loop("fields", &fields, &[(10, RAM + 64)], profile);
    }
}
