//! Timings of float loops by tier, for people: `cargo test --release -p engine --lib measure_float -- --ignored --nocapture`.

use crate::cache::code::Code;
use crate::exec::cpu::Cpu;
use crate::guest::riscv::model::Model;
use crate::guest::riscv::testing::{RAM, hart};
use crate::guest::riscv::{KEY_FS_DIRTY, Riscv};
use crate::guest::{Guest, LiftInput};
use crate::host::{self, Tier1};
use crate::interp;
use crate::ir::Block;
use crate::ir::opt::{Optimiser, Rules};
use crate::jit::block::BlockInput;
use crate::jit::emitted::Emitted;
use crate::jit::region::{GuestRules, Region, RegionBlock};
use crate::jit::testing::exec::Loaded;
use crate::jit::tier2::Tier2;
use std::time::Instant;

/// Loops of one block, as the comments say.
const LOOPS: [(&str, &[u32]); 5] = [
    // fld fa0,0(a0); fld fa1,8(a0); fmadd.d fa2,fa0,fa1,fa2; addi t0,t0,1; bnez t0
    ("dot product", &[0x0005_3507, 0x0085_3587, 0x62b5_7643, 0x0012_8293, 0xfe02_98e3]),
    // fld fa0,0(a0); fld fa1,512(a0); fmul.d fa0,fa0,fa3; fadd.d fa1,fa1,fa0; fsd fa1,512(a0); addi; bnez
    ("axpy", &[0x0005_3507, 0x2005_3587, 0x12d5_7553, 0x02a5_f5d3, 0x20b5_3027, 0x0012_8293, 0xfe02_94e3]),
    // fmul.d fa0,fa0,fa1; fadd.d fa0,fa0,fa2; fmul.d fa0,fa0,fa1; fadd.d fa0,fa0,fa3; addi; bnez
    ("polynomial", &[0x12b5_7553, 0x02c5_7553, 0x12b5_7553, 0x02d5_7553, 0x0012_8293, 0xfe02_96e3]),
    // flw fa0,0(a0); flw fa1,8(a0); fmul.s fa0,fa0,fa1; fadd.s fa2,fa2,fa0; addi; bnez
    ("single dot", &[0x0005_2507, 0x0085_2587, 0x10b5_7553, 0x00a6_7653, 0x0012_8293, 0xfe02_96e3]),
    // fcvt.d.w fa0,t0; fdiv.d fa0,fa1,fa0; flt.d t1,fa0,fa2; add t2,t2,t1; fcvt.l.d t3,fa0,rtz; addi; bnez
    (
        "conversions",
        &[0xd202_8553, 0x1aa5_f553, 0xa2c5_1353, 0x0063_83b3, 0xc225_1e53, 0x0012_8293, 0xfe02_94e3],
    ),
];

const INSNS: i64 = 5_000_000;
const PC: u64 = RAM + 0x4000;

fn lift(code: &[u32]) -> Block {
    let bytes: Vec<u8> = code.iter().flat_map(|c| c.to_le_bytes()).collect();
    let input = LiftInput { code: &bytes, key: KEY_FS_DIRTY, max_insns: 64 };
    let mut block = Riscv::lift(&Model::default(), input);
    Optimiser::default().run(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
    block
}

fn tier1(block: &Block) -> Emitted {
    let input = BlockInput {
        ops: &block.ops,
        bounds: &block.bounds,
        page_offset: 0,
        one_page: true,
        traps_misaligned: false,
        profile: false,
        zero: Some(0),
        temps: crate::guest::riscv::TEMPS,
    };
    Tier1::default().compile(&input).expect("compiled")
}

fn tier2(block: &Block) -> Emitted {
    let rules = GuestRules::of::<Riscv>(&Model::default());
    let ops = block.ops.clone().into();
    let block = RegionBlock { offset: 0, ops, bounds: block.bounds.clone().into(), insns: block.insns() };
    Tier2::new()
        .expect("compiler")
        .compile(&Region { blocks: vec![block], page_offset: 0, rules })
        .expect("compiled")
}

fn reset(cpu: &mut Cpu<Riscv>) {
    cpu.regs = [0; 256];
    cpu.ext.mstatus |= 3 << 13;
    (cpu.pc, cpu.budget) = (PC, INSNS);
    cpu.regs[10] = RAM + 0x1_0000;
    for (i, word) in cpu.regs[32..64].iter_mut().enumerate() {
        *word = (0.25 + i as f64 / 64.0).to_bits();
    }
    cpu.core.guest_fcr = host::fcr(0);
}

/// The least of a few runs, in nanoseconds for each instruction.
fn time(mut run: impl FnMut() -> i64) -> f64 {
    let mut once = || {
        let start = Instant::now();
        let insns = run();
        start.elapsed().as_nanos() as f64 / insns as f64
    };
    (0..5).map(|_| once()).fold(f64::MAX, f64::min)
}

#[test]
#[ignore = "prints timings"]
fn measure_float_loops() {
    let mut cpu = hart();
    for (name, words) in LOOPS {
        let block = lift(words);
        let code = Code::new(block.clone(), PC, None, KEY_FS_DIRTY);
        let interpreted = time(|| {
            reset(&mut cpu);
            while cpu.budget > INSNS - INSNS / 20 {
                cpu.budget -= code.insns as i64;
                interp::run(&mut cpu, &code, PC);
            }
            INSNS - cpu.budget
        });
        let mut compiled = |emitted: &Emitted| {
            let loaded = Loaded::new(emitted);
            let ns = time(|| {
                reset(&mut cpu);
                // SAFETY: a live hart, and an entry that a compiler made, in memory that `loaded` keeps.
                unsafe { host::enter(&mut cpu.core, loaded.entry()) };
                assert!(cpu.budget < 16, "{name} left with {}", cpu.budget);
                INSNS - cpu.budget
            });
            (ns, emitted.code.len())
        };
        let (one, bytes_one) = compiled(&tier1(&block));
        let (two, bytes_two) = compiled(&tier2(&block));
        println!(
            "{name}: interpreter {interpreted:.2}, tier 1 {one:.2} ({bytes_one} bytes), tier 2 {two:.2} ({bytes_two} bytes)"
        );
        if let Ok(dir) = std::env::var("VITRINE_DUMP") {
            let name = name.replace(' ', "-");
            std::fs::write(format!("{dir}/{name}-1.bin"), tier1(&block).code).expect("written");
            std::fs::write(format!("{dir}/{name}-2.bin"), tier2(&block).code).expect("written");
        }
    }
}
