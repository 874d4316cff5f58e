//! Criterion: the parts of the run loop, one at a time, without a board.
//!
//! Figures are of this process on this host at this minute: compare them within one run (`cargo bench -p tests`), and whole
//! machines with `vitrine bench`.

mod board;

use board::{RAM, board, memory};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::cache::code::{Code, CodeMap};
use engine::cache::jump::Jumps;
use engine::cache::local::Locals;
use engine::exec::vcpu::Vcpu;
use engine::guest::riscv::model::Model;
use engine::guest::riscv::{KEY_FS_OFF, Riscv};
use engine::guest::{Access, Guest, LiftInput, Translation};
use engine::ir::opt::{Optimiser, Rules};
use engine::mem::tlb::{CodeSpace, Tlb};
use object::{Object, ObjectSegment};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use vitrine::bench::programs;

/// Instructions of a slice that is measured.
const SLICE: i64 = 100_000;

/// A hart at the entry of a bare-metal program.
fn hart(elf: &[u8]) -> Vcpu<Riscv> {
    let memory = memory();
    for segment in object::File::parse(elf).expect("an ELF file").segments() {
        assert!(memory.load(segment.address(), segment.data().expect("its bytes")));
    }
    let mut vcpu = Vcpu::new(board(memory.clone()), CodeMap::new(memory), 0);
    vcpu.cpu.pc = RAM;
    vcpu
}

/// The programs of single events and their twins, as guest instructions per second.
fn interpreter(c: &mut Criterion) {
    let mut group = c.benchmark_group("interpreter");
    group.throughput(Throughput::Elements(SLICE as u64));
    // So often that none comes to its end.
    let often = 1 << 40;
    let twins = [
        ("trap", programs::traps(often)),
        ("walk", programs::walks(often)),
        ("flush", programs::flushes(often)),
        ("jump", programs::jumps(often)),
        ("block", programs::chain(often)),
    ];
    for (name, twins) in &twins {
        for (which, elf) in [("with", &twins.with), ("without", &twins.without)] {
            let mut vcpu = hart(elf);
            group.bench_function(BenchmarkId::new(*name, which), |b| {
                b.iter(|| {
                    vcpu.begin_slice(SLICE);
                    vcpu.run(true)
                });
            });
        }
    }
    group.finish();
}

/// Eight instructions that any block might hold, and a jump to itself.
const BLOCK: [u32; 9] = [
    0x0000_b503, // ld a0, 0(ra)
    0x0085_0513, // addi a0, a0, 8
    0x00a5_85b3, // add a1, a1, a0
    0x0035_9593, // slli a1, a1, 3
    0x00b5_4533, // xor a0, a0, a1
    0x00a0_b023, // sd a0, 0(ra)
    0x02b5_0633, // mul a2, a0, a1
    0x0000_0013, // nop
    0x0000_006f, // j .
];

fn lifting(c: &mut Criterion) {
    let bytes: Vec<u8> = BLOCK.iter().flat_map(|w| w.to_le_bytes()).collect();
    let (model, mut optimiser, rules) =
        (Model::default(), Optimiser::default(), Rules::of::<Riscv>(Riscv::ZERO));
    c.bench_function("lift/9 instructions", |b| {
        b.iter(|| {
            let input = LiftInput { code: black_box(&bytes), key: KEY_FS_OFF, max_insns: 64 };
            let mut block = Riscv::lift(&model, input);
            optimiser.run(&mut block, &rules);
            Code::new(block, RAM, None, KEY_FS_OFF)
        });
    });
}

fn lookup(c: &mut Criterion) {
    const BLOCKS: u64 = 4096;
    let bytes: Vec<u8> = BLOCK.iter().flat_map(|w| w.to_le_bytes()).collect();
    let (memory, model) = (memory(), Model::default());
    let map = CodeMap::new(memory);
    let (mut jumps, mut locals) = (Jumps::default(), Locals::default());
    let tag = Jumps::tag(CodeSpace { generation: 1, set: 0 }, KEY_FS_OFF);
    let address = |i: u64| RAM + i * 64;
    for i in 0..BLOCKS {
        let prepared = map.prepare(address(i));
        let block = Riscv::lift(&model, LiftInput { code: &bytes, key: KEY_FS_OFF, max_insns: 64 });
        let code =
            map.publish(Code::new(block, address(i), None, KEY_FS_OFF), &prepared, None).expect("published");
        let local = locals.add(code);
        jumps.put(address(i), tag, local);
    }
    let mut i = 0;
    let mut next = move || {
        i = (i + 1) % BLOCKS;
        address(i)
    };
    let mut group = c.benchmark_group("look-up");
    group.bench_function("jump cache", |b| b.iter(|| jumps.get(black_box(RAM), [tag; 2])));
    group.bench_function("hart's table", |b| b.iter(|| locals.by_pa(black_box(next()), KEY_FS_OFF)));
    group.bench_function("code map", |b| b.iter(|| map.find(black_box(next()), KEY_FS_OFF)));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Another hart, which looks for the same blocks.
            for i in (0..BLOCKS).cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                black_box(map.find(address(i), KEY_FS_OFF));
            }
        });
        group.bench_function("code map, two harts", |b| b.iter(|| map.find(black_box(next()), KEY_FS_OFF)));
        over.store(true, Ordering::Relaxed);
    });
    group.finish();
}

fn tlb(c: &mut Criterion) {
    let memory = memory();
    let mut tlb = Tlb::new(memory);
    tlb.select_data(1, 1);
    let set = tlb.data_set();
    let page = |pa| Translation {
        pa,
        read: true,
        write: true,
        exec: false,
        size_log2: 12,
        global: false,
        cacheable: true,
    };
    tlb.fill(set, Access::Load, 0x4000, &page(RAM));
    let mut group = c.benchmark_group("tlb");
    assert!(tlb.load(0x4008, 3).is_some());
    group.bench_function("load hit", |b| b.iter(|| tlb.load(black_box(0x4008), 3)));
    group.bench_function("recall", |b| b.iter(|| tlb.recall(set, Access::Load, black_box(0x4008))));
    group.bench_function("fill", |b| {
        b.iter(|| tlb.fill(set, Access::Load, black_box(0x5000), &page(RAM)));
    });
    group.bench_function("flush a page", |b| b.iter(|| tlb.flush_page(black_box(0x5000), true, |_, _| true)));
    // As in a guest with eight processes, three sets each.
    for context in 2..10 {
        for index in 0..3 {
            tlb.select_data(context, index);
            for va in 0..64 {
                tlb.fill(tlb.data_set(), Access::Load, va << 12, &page(RAM));
            }
        }
    }
    group.bench_function("flush a page of many spaces", |b| {
        b.iter(|| tlb.flush_page(black_box(0x7005_5000), true, |_, _| true));
    });
    group.bench_function("new space, 8 pages, flush", |b| {
        let mut context = 100;
        b.iter(|| {
            context += 1;
            tlb.select_data(context, 0);
            for va in 0..8 {
                tlb.fill(tlb.data_set(), Access::Load, va << 12, &page(RAM));
            }
            tlb.flush_where(false, |c, _| c == context);
        });
    });
    group.finish();
}

criterion_group!(benches, interpreter, lifting, lookup, tlb);
criterion_main!(benches);
