//! Criterion: the compilers and the code that they make, one block or loop at a time.
//!
//! Figures are of this process on this host at this minute: compare them within one run (`cargo bench -p tests --bench tiers`). What a
//! whole guest gains is measured by `vitrine bench`.

mod board;

use board::{RAM, board, memory};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::cache::code::{Code, CodeMap};
use engine::exec::mode::{Mode, Settings, Tuning};
use engine::exec::vcpu::Vcpu;
use engine::guest::riscv::model::Model;
use engine::guest::riscv::{KEY_FS_DIRTY, Riscv};
use engine::guest::{Guest, LiftInput};
use engine::host::{COMPILES, Tier1};
use engine::ir::Block;
use engine::ir::opt::{Optimiser, Rules};
use engine::jit::block::{BlockCompiler, BlockInput, Profile};
use engine::jit::emitted::Emitted;
use engine::jit::single::Single;
use engine::jit::translations::{Tier, Translations};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// Where loops lie, and what they work on.
const CODE: u64 = RAM + 0x4000;
const DATA: u64 = RAM + 0x10_0000;
/// Instructions of a slice that is measured.
const SLICE: i64 = 1_000_000;
/// Never, as a number of runs.
const NEVER: u32 = 1 << 30;

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Ten instructions as compilers emit them: three loads and stores, a branch at the end.
const BLOCK: [u32; 10] = [
    0xfe01_0113, // addi sp, sp, -32
    0x0081_3823, // sd s0, 16(sp)
    0x0085_3783, // ld a5, 8(a0)
    0x0005_0413, // addi s0, a0, 0
    0x00b7_8733, // add a4, a5, a1
    0x0037_1693, // slli a3, a4, 3
    0x0006_a603, // lw a2, 0(a3)
    0x0086_4633, // xor a2, a2, s0
    0x0016_061b, // addiw a2, a2, 1
    0x04f6_1063, // bne a2, a5, 64
];

fn lift(words: &[u32]) -> Block {
    let input = LiftInput { code: &bytes(words), key: KEY_FS_DIRTY, max_insns: 64 };
    let mut block = Riscv::lift(&Model::default(), input);
    Optimiser::default().run(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
    block
}

fn input(block: &Block, profile: Profile) -> BlockInput<'_> {
    BlockInput {
        ops: &block.ops,
        bounds: &block.bounds,
        page_offset: 0,
        one_page: true,
        traps_misaligned: false,
        alone: true,
        profile,
        zero: Riscv::ZERO,
        state_moves: Riscv::state_moves(&Model::default()),
        temps: Riscv::TEMPS,
    }
}

/// What tier 1 takes for a block of ten instructions: emitting it, the same with a place in code memory and all books about it, and by the
/// other compiler. The reciprocal of the throughput is the time of a block.
fn blocks(c: &mut Criterion) {
    const BLOCKS: u64 = 512;
    if !COMPILES {
        return;
    }
    let block = lift(&BLOCK);
    let mut group = c.benchmark_group("tier 1, ten instructions");
    let mut tier1 = Tier1::default();
    let mut out = Emitted::default();
    for (name, profile) in [("emit", Profile::Nothing), ("emit, counting", Profile::Runs)] {
        group.bench_function(name, |b| {
            b.iter(|| tier1.compile_into(black_box(&input(&block, profile)), black_box(&mut out)));
        });
    }
    let mut single = Single::new(Riscv::helper_desc).expect("a compiler");
    group.bench_function("by Cranelift", |b| {
        b.iter(|| single.compile(black_box(&input(&block, Profile::Nothing))))
    });
    let translations = Translations::new(1);
    group.throughput(Throughput::Elements(BLOCKS));
    group.bench_function("emit and install", |b| {
        let fresh = || -> Vec<Arc<Code>> {
            // Those before are gone, and their memory is free.
            translations.discard_all();
            translations.enter(0);
            translations.reclaim();
            (0..BLOCKS)
                .map(|n| Arc::new(Code::new(block.clone(), RAM + n * 64, None, KEY_FS_DIRTY)))
                .collect()
        };
        let mut emitted = Emitted::default();
        b.iter_batched(
            fresh,
            |codes| {
                for code in &codes {
                    tier1.compile_into(&input(&block, Profile::Nothing), &mut emitted).expect("compiled");
                    assert!(translations.install(
                        Tier::One,
                        [code.clone()],
                        &emitted,
                        (Profile::Nothing, i32::MAX)
                    ));
                }
                codes
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Who runs a loop.
const WAYS: [(&str, Mode, u32); 4] = [
    ("interpreter", Mode::Interpreter, NEVER),
    ("tier 1", Mode::Tier1, NEVER),
    ("tier 1, counting", Mode::Tier2, NEVER),
    ("tier 2", Mode::Tier2, 64),
];

/// A hart in a mode, at code that never ends.
fn hart(words: &[u32], regs: &[(usize, u64)], mode: Mode, tier2_runs: u32) -> Vcpu<Riscv> {
    let memory = memory();
    assert!(memory.load(CODE, &bytes(words)));
    let settings = Arc::<Settings>::default();
    settings.set_mode(mode);
    settings.set_tuning(Tuning { tier2_eager_runs: tier2_runs, workers: 0, ..Tuning::default() });
    let mut vcpu = Vcpu::with(board(memory.clone()), CodeMap::new(memory), settings, Arc::default(), 0);
    // Float state is there, and clean registers are numbers.
    vcpu.cpu.ext.mstatus |= 3 << 13;
    for (i, word) in vcpu.cpu.regs[32..64].iter_mut().enumerate() {
        *word = (0.25 + i as f64 / 64.0).to_bits();
    }
    regs.iter().for_each(|&(word, value)| vcpu.cpu.regs[word] = value);
    vcpu.cpu.pc = CODE;
    vcpu
}

/// Name, code, and registers to begin with.
type Loop<'a> = (&'a str, &'a [u32], &'a [(usize, u64)]);

fn each_way(c: &mut Criterion, name: &str, loops: &[Loop]) {
    for (which, words, regs) in loops {
        let mut group = c.benchmark_group(format!("{name}/{which}"));
        group.throughput(Throughput::Elements(SLICE as u64));
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(1));
        for (way, mode, tier2_runs) in WAYS {
            let mut vcpu = hart(words, regs, mode, tier2_runs);
            group.bench_function(BenchmarkId::from_parameter(way), |b| {
                b.iter(|| {
                    vcpu.begin_slice(SLICE);
                    vcpu.run(true)
                });
            });
        }
        group.finish();
    }
}

/// Loops of one block of integers, with and without memory.
fn integers(c: &mut Criterion) {
    let data = [(10, DATA), (11, DATA), (14, DATA), (15, DATA + 4096)];
    each_way(
        c,
        "integer loop",
        &[
            // addi t0,t0,1; bnez t0
            ("count", &[0x0012_8293, 0xfe02_9ee3], &[]),
            // t0 ^= t0 << 13; t0 ^= t0 >> 7; t0 ^= t0 << 17; addi t2,t2,1; bnez t2
            (
                "xorshift",
                &[
                    0x00d2_9313,
                    0x0062_c2b3,
                    0x0072_d313,
                    0x0062_c2b3,
                    0x0112_9313,
                    0x0062_c2b3,
                    0x0013_8393,
                    0xfe03_92e3,
                ],
                &[(5, 1)],
            ),
            // ld t1,0(a0); add t0,t0,t1; addi a0,a0,8; andi a0,a0,2047; or a0,a0,a1; bnez a0
            ("sum", &[0x0005_3303, 0x0062_82b3, 0x0085_0513, 0x7ff5_7513, 0x00b5_6533, 0xfe05_16e3], &data),
            // ld t0,0(a0); ld t1,8(a0); ld t2,16(a0); add t0,t0,t1; sd t0,24(a0); sd t2,8(a0); addi a2,a2,1; bnez a2
            (
                "fields",
                &[
                    0x0005_3283,
                    0x0085_3303,
                    0x0105_3383,
                    0x0062_82b3,
                    0x0055_3c23,
                    0x0075_3423,
                    0x0016_0613,
                    0xfe06_12e3,
                ],
                &data,
            ),
        ],
    );
}

/// Loops of one block of floats.
fn floats(c: &mut Criterion) {
    let data = [(10, DATA)];
    each_way(
        c,
        "float loop",
        &[
            // fld fa0,0(a0); fld fa1,8(a0); fmadd.d fa2,fa0,fa1,fa2; addi t0,t0,1; bnez t0
            ("dot product", &[0x0005_3507, 0x0085_3587, 0x62b5_7643, 0x0012_8293, 0xfe02_98e3], &data),
            // fld fa0,0(a0); fld fa1,512(a0); fmul.d fa0,fa0,fa3; fadd.d fa1,fa1,fa0; fsd fa1,512(a0); addi; bnez
            (
                "axpy",
                &[0x0005_3507, 0x2005_3587, 0x12d5_7553, 0x02a5_f5d3, 0x20b5_3027, 0x0012_8293, 0xfe02_94e3],
                &data,
            ),
            // fmul.d fa0,fa0,fa1; fadd.d fa0,fa0,fa2; fmul.d fa0,fa0,fa1; fadd.d fa0,fa0,fa3; addi; bnez
            (
                "polynomial",
                &[0x12b5_7553, 0x02c5_7553, 0x12b5_7553, 0x02d5_7553, 0x0012_8293, 0xfe02_96e3],
                &data,
            ),
            // flw fa0,0(a0); flw fa1,8(a0); fmul.s fa0,fa0,fa1; fadd.s fa2,fa2,fa0; addi; bnez
            (
                "single dot",
                &[0x0005_2507, 0x0085_2587, 0x10b5_7553, 0x00a6_7653, 0x0012_8293, 0xfe02_96e3],
                &data,
            ),
            // fcvt.d.w fa0,t0; fdiv.d fa0,fa1,fa0; flt.d t1,fa0,fa2; add t2,t2,t1; fcvt.l.d t3,fa0,rtz; addi; bnez
            (
                "conversions",
                &[0xd202_8553, 0x1aa5_f553, 0xa2c5_1353, 0x0063_83b3, 0xc225_1e53, 0x0012_8293, 0xfe02_94e3],
                &data,
            ),
        ],
    );
}

mod kernels {
    include!("../../engine/src/jit/testing/kernels/words.rs");
    pub const ALL: &[u32] = &WORDS;
}

/// Kernels of several blocks, called for ever.
fn calls(c: &mut Criterion) {
    // again: addi a0,s0,0; addi a1,s1,0; jalr ra,s2,0; j again
    const CALLER: [u32; 4] = [0x0004_0513, 0x0004_8593, 0x0009_00e7, 0xff5f_f06f];
    let words: Vec<u32> = CALLER.iter().chain(kernels::ALL).copied().collect();
    for (name, offset, rounds) in kernels::KERNELS {
        let at = CODE + 4 * CALLER.len() as u64 + offset;
        let regs = [(2, RAM + 0x80_0000), (8, DATA), (9, rounds), (18, at)];
        each_way(c, "kernel", &[(name, &words, &regs)]);
    }
}

/// Bytes of text that is searched.
const TEXT: usize = 64 << 10;

/// Words of so many bytes, each with a zero behind it; of 0 bytes: of any number up to 20.
fn text(len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(TEXT + 32);
    let mut state = 1u32;
    while text.len() < TEXT {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let letters = if len == 0 { (state >> 16) as usize % 21 } else { len };
        text.extend(std::iter::repeat_n(b'a', letters));
        text.push(0);
    }
    text
}

/// Searches of words of one length, and of several, one after the other.
fn scans(c: &mut Criterion) {
    // mv a5,s0; 1: lbu a4,0(a5); addi a5,a5,1; bnez a4,1b; bltu a5,s1,1b; j
    const LENGTH: [u32; 6] = [0x0004_0793, 0x0007_c703, 0x0017_8793, 0xfe07_1ce3, 0xfe97_eae3, 0xfedf_f06f];
    // mv a0,s0; mv a1,s2; 1: lbu t0,0(a0); lbu t1,0(a1); addi a0,a0,1; addi a1,a1,1; bne t0,t1,2f; bnez t0,1b; 2: bltu a0,s1,1b; j
    const COMPARE: [u32; 10] = [
        0x0004_0513,
        0x0009_0593,
        0x0005_4283,
        0x0005_c303,
        0x0015_0513,
        0x0015_8593,
        0x0062_9463,
        0xfe02_96e3,
        0xfe95_64e3,
        0xfddf_f06f,
    ];
    for (name, words) in [("length", &LENGTH[..]), ("compare", &COMPARE)] {
        let mut group = c.benchmark_group(format!("scan/{name}"));
        group.throughput(Throughput::Elements(SLICE as u64));
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        for len in [1, 3, 8, 20, 100, 4000, 0] {
            let text = text(len);
            let end = DATA + text.len() as u64;
            let regs = [(8, DATA), (9, end), (18, DATA + 0x10_0004)];
            let mut vcpu = hart(words, &regs, Mode::Tier2, 64);
            for at in [DATA, DATA + 0x10_0004] {
                assert!(vcpu.cpu.shared.memory.load(at, &text));
            }
            group.bench_function(BenchmarkId::from_parameter(len), |b| {
                b.iter(|| {
                    vcpu.begin_slice(SLICE);
                    vcpu.run(true)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, blocks, integers, floats, calls, scans);
criterion_main!(benches);
