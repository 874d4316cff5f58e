//! Any bytes as RISC-V code, in any mode and any hart state, on the whole board.
//!
//! Blocks must be well formed after lifting and after the passes. Two harts run a bounded number of instructions with
//! devices, page tables and traps in reach; nothing may panic or hang. A state that was saved is restored, damaged or not.

#![no_main]

use devices::backend::chardev::{ByteRing, CharInput, SharedSink};
use devices::board::virt::{VirtBackends, VirtBoard, VirtConfig};
use devices::board::{make_harts, map};
use devices::pci::HostBridge;
use engine::cache::code::CodeMap;
use engine::exec::cpu::Shared;
use engine::exec::inputs::InputPort;
use engine::exec::state::HartState;
use engine::exec::time::{Clock, TimeSource};
use engine::exec::vcpu::{Stop, Vcpu};
use engine::guest::riscv::Riscv;
use engine::guest::riscv::model::{Ext, Model};
use engine::guest::riscv::state::Mode;
use engine::guest::{Flow, Guest, LiftInput};
use engine::ir::opt::{Optimiser, Rules, verified};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vitrine_fuzz::{Choices, mutate};

const RAM: u64 = map::RAM_BASE;
/// Where page tables, trap handlers and code lie.
const TABLES: u64 = RAM + 0x1_0000;
const HANDLER: u64 = RAM + 0x8000;
const CODE: u64 = RAM + 0x2_0000;
const HARTS: u32 = 2;
const ROUNDS: usize = 4;
const SLICE: i64 = 1500;
const NS_PER_INSN: u64 = 10;

/// Steps over the instruction that trapped, for M-mode (0x300 CSRs) or S-mode (0x100 CSRs):
/// `csrrw t6, scratch, t6; csrr t6, epc; addi t6, t6, 4; csrw epc, t6; csrrw t6, scratch, t6; xret`.
fn handler(csr: u32, xret: u32) -> Vec<u8> {
    let swap = (csr + 0x40) << 20 | 31 << 15 | 1 << 12 | 31 << 7 | 0x73;
    let get = (csr + 0x41) << 20 | 2 << 12 | 31 << 7 | 0x73;
    let put = (csr + 0x41) << 20 | 31 << 15 | 1 << 12 | 0x73;
    let skip = 4 << 20 | 31 << 15 | 31 << 7 | 0x13;
    [swap, get, skip, put, swap, xret].iter().flat_map(|i| i.to_le_bytes()).collect()
}

fn model(c: &mut Choices<'_>) -> Model {
    let mut m = Model::default();
    m.deterministic = true;
    let choice = c.u8();
    m.builtin_sbi = choice & 1 != 0;
    m.trap_misaligned = choice & 2 != 0;
    if choice & 4 != 0 {
        m.set(Ext::Svade, true);
    }
    if choice & 8 != 0 {
        Ext::ALL.iter().for_each(|e| m.set(*e, false));
    }
    m
}

fn board(model: &Model) -> (VirtBoard, Arc<Shared<Riscv>>) {
    let (harts, lines) = make_harts(HARTS);
    let (clock, inputs) = (Clock::new(TimeSource::Instructions, 1 << 60), InputPort::new());
    inputs.set_queued(Arc::new(|| {}));
    let backends = VirtBackends {
        serial: SharedSink::new(Box::new(ByteRing::new(1 << 12))),
        typed: CharInput::default(),
        events: Arc::new(|_| {}),
        entropy: Arc::new(|b| b.fill(7)),
        flash: [None, None],
        clock: clock.clone(),
        inputs: inputs.clone(),
    };
    let config = VirtConfig { harts: HARTS, ram_bytes: map::RAM_MIN, model: model.clone() };
    let mut board = VirtBoard::new(config, &lines, backends).expect("the board");
    board.attach_pci_host(Box::new(HostBridge::new())).expect("the bridge");
    let shared = Arc::new(Shared {
        model: model.clone(),
        memory: board.memory().clone(),
        clock,
        inputs,
        harts,
        platform: board.platform(),
        ns_per_insn: NS_PER_INSN,
    });
    (board, shared)
}

/// Lifts `code` at each offset under one key and checks the blocks.
fn check_blocks(model: &Model, code: &[u8], key: u32) {
    let (mut optimiser, rules) = (Optimiser::new(), Rules::of::<Riscv>(Riscv::ZERO));
    for at in (0..code.len().min(64)).step_by(2) {
        let mut block = Riscv::lift(model, LiftInput { code: &code[at..], key, max_insns: 64 });
        if block.bounds.is_empty() {
            continue;
        }
        assert_eq!(verified(&block, &rules), Ok(()), "as lifted");
        optimiser.run(&mut block, &rules);
        assert_eq!(verified(&block, &rules), Ok(()), "after the passes");
        let (_, len) = Riscv::disassemble(&code[at..], CODE);
        assert!(len > 0);
    }
}

/// Page tables with a fuzzer's entries: three levels that point at each other and at large pages of RAM and devices.
fn tables(c: &mut Choices<'_>, shared: &Shared<Riscv>) -> u64 {
    let entry = |flags: u64, pa: u64| (pa >> 12 << 10 | flags).to_le_bytes();
    let root_flags = 0xcf | u64::from(c.u8() & 0x30);
    for (i, pa) in [(0, 0), (1, 0x4000_0000), (2, RAM), (3, TABLES), (511, RAM)] {
        let flags = if i == 3 { 1 } else { root_flags };
        shared.memory.load(TABLES + 8 * i, &entry(flags, pa));
    }
    for _ in 0..c.u8() % 16 {
        let at = TABLES + u64::from(c.u16() & 0x3ff) * 8;
        let pa = [RAM, TABLES, CODE, TABLES + 0x1000, map::UART.base, map::PLIC.base][c.below(6)];
        let high = u64::from(c.u8()) << 56;
        let value = entry(u64::from(c.u8()) | u64::from(c.u8() & 3) << 8, pa);
        shared.memory.load(at, &(u64::from_le_bytes(value) | high).to_le_bytes());
    }
    let mode = [0, 8, 8, 8, 9, 10, 1, 15][c.below(8)];
    mode << 60 | u64::from(c.u8()) << 44 | TABLES >> 12
}

fn set_up(c: &mut Choices<'_>, v: &mut Vcpu<Riscv>, satp: u64) {
    let mut s = v.save();
    s.started = true;
    s.pc = CODE + u64::from(c.u8() & 0x3f) * 2;
    for (i, r) in s.regs.iter_mut().enumerate().skip(1) {
        *r = match i % 4 {
            0 => RAM + 0x10_0000 + 0x1000 * i as u64,
            1 => CODE + 8 * i as u64,
            2 => i as u64,
            _ => c.value(RAM),
        };
    }
    s.fenv.rm = c.u8() & 7;
    s.lines = u64::from(c.u16());
    let e = &mut s.ext;
    e.mode = [Mode::User, Mode::Supervisor, Mode::Machine, Mode::Machine][c.below(4)];
    e.mstatus = if c.u8() & 1 != 0 { c.u64() } else { 3 << 13 };
    (e.m.tvec, e.s.tvec) = (HANDLER | u64::from(c.u8() & 1), HANDLER + 0x400);
    if c.u8() & 1 != 0 {
        (e.medeleg, e.mideleg, e.mie, e.menvcfg) = (c.u64(), c.u64(), c.u64(), c.u64());
        e.stimecmp = c.value(0);
        e.mcounteren = c.u32();
    }
    e.satp = satp;
    if c.u8() & 7 != 0 {
        e.pmp.open();
    } else {
        for i in 0..4 {
            e.pmp.set_addr(i, c.value(RAM) >> 2);
            e.pmp.set_cfg(i, c.u8());
        }
    }
    v.restore(&s).expect("a state of this machine");
}

fn save_and_restore(c: &mut Choices<'_>, v: &mut Vcpu<Riscv>) {
    let saved = v.save();
    v.restore(&saved).expect("a state just saved");
    let again = v.save();
    if again != saved {
        let (a, b) = (format!("{saved:#?}"), format!("{again:#?}"));
        let (was, is) = a.lines().zip(b.lines()).find(|(a, b)| a != b).unwrap_or_default();
        panic!("a restored hart saves another state: was {was}, is {is}");
    }
    if c.u8() & 1 != 0 {
        let mut bytes = postcard::to_stdvec(&saved).expect("the state");
        mutate(&mut bytes, c);
        if let Ok(damaged) = postcard::from_bytes::<HartState<Riscv>>(&bytes) {
            let _ = v.restore(&damaged);
        }
    }
}

/// One hart's part of a round, as the run loop does it.
fn round(v: &mut Vcpu<Riscv>, now: u64) {
    v.cpu.slice_ns = now;
    v.cpu.hart.lines.take_attention();
    v.cpu.run_requests();
    if !v.cpu.hart.is_started() {
        return;
    }
    if v.waiting.is_some() {
        let _ = (Riscv::wakes(&mut v.cpu), Riscv::deadline(&v.cpu));
        v.waiting = None;
    }
    Riscv::poll(&mut v.cpu);
    v.begin_slice(SLICE);
    let stop = v.run(true);
    v.end_slice();
    match stop {
        Stop::Flow(Flow::Park) => v.cpu.hart.set_started(false),
        Stop::Flow(flow @ (Flow::Wait | Flow::WaitBounded(_))) => v.waiting = Some(flow),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let c = &mut Choices::new(data);
    let model = model(c);
    let key = u32::from(c.u8() & 7);
    let (board, shared) = board(&model);
    let map = CodeMap::new(shared.memory.clone());
    let mut harts: Vec<_> = (0..HARTS).map(|id| Vcpu::new(shared.clone(), map.clone(), id)).collect();
    let satp = tables(c, &shared);
    harts.iter_mut().for_each(|v| set_up(c, v, satp));
    let later = c.bytes(24);
    // The end of a page may come early.
    let at = if c.u8() & 1 != 0 { CODE } else { CODE + 0xfe0 };
    let code = c.rest();
    if code.len() > 1 << 14 {
        return;
    }
    check_blocks(&model, code, key);
    shared.memory.load(CODE, &[0x13, 0, 0, 0].repeat(0x400));
    shared.memory.load(at, code);
    for (offset, csr, xret) in [(0, 0x300, 0x3020_0073), (0x400, 0x100, 0x1020_0073)] {
        shared.memory.load(HANDLER + offset, &handler(csr, xret));
    }
    let mut later = Choices::new(later);
    for _ in 0..ROUNDS {
        let now = shared.clock.now_ns();
        shared.inputs.drain(0);
        shared.clock.ring_due();
        harts.iter_mut().for_each(|v| round(v, now));
        shared.clock.set_virtual(now + SLICE as u64 * NS_PER_INSN);
        if later.u8() & 3 == 3 {
            harts.iter_mut().for_each(|v| save_and_restore(&mut later, v));
        }
    }
    drop(board);
});
