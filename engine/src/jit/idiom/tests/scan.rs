//! Loops that look for something: recognised as guests have them, and against the interpreter.

use super::{PAGES, Random, SEEN, check, map, solve};

use crate::guest::riscv::model::Model;
use crate::guest::riscv::testing::{RAM, RAM_LEN};
use crate::guest::riscv::{KEY_FS_OFF, Riscv};
use crate::guest::{Guest, LiftInput};
use crate::ir::Block;
use crate::ir::op::{Reg, Shape};
use crate::ir::opt::{Optimiser, Rules};
use crate::jit::abi::Exit;
use crate::jit::idiom::scan::{Scan, Sought, Step, Stop, With, recognise};
use crate::jit::idiom::{Linear, Test};
use crate::jit::region::RegionBlock;
use crate::jit::testing::compare::{Pair, Subject};
use crate::jit::testing::exec::Loaded as Code;
use crate::jit::testing::random::{DATA, Program};
use crate::jit::tier2::Tier2;
use crate::mem::PAGE_SIZE;

/// A loop: whose it is, its instructions in hexadecimal, the block with which a round begins, streams, log2 of an element's bytes, stops, ends.
struct Loop(&'static str, &'static str, usize, [usize; 4]);

const LOOPS: [Loop; 22] = [
    Loop("Linux strlen", "34283,3a028f63,305,bfdd", 0, [1, 0, 1, 0]),
    Loop("Linux strcmp", "54283,5c303,505,585,3a629563,fe0298e3", 0, [2, 0, 2, 0]),
    Loop("Linux strncmp", "3a760163,54283,5c303,505,585,38629963,385,fe0295e3", 0, [2, 0, 2, 1]),
    Loop("Linux strlen, Zbb", "82b303,2a1,28735313,ffc30be3", 0, [1, 3, 1, 0]),
    Loop("Linux strcmp, Zbb", "53283,5b303,2872de13,37de1763,521,5a1,fe6286e3", 0, [2, 3, 2, 0]),
    Loop("GCC strlen", "17c703,785,ff6d", 0, [1, 0, 1, 0]),
    Loop("GCC strlen by index", "505,a707b3,7c783,fbfd", 0, [1, 0, 1, 0]),
    Loop("GCC strnlen", "f50733,74703,34070363,785,fef599e3", 0, [1, 0, 1, 1]),
    Loop("GCC memchr", "7c703,853e,785,32b70a63,fec79ae3", 0, [1, 0, 1, 1]),
    Loop("GCC strchr", "54783,32b78463,505,fbfd", 0, [1, 0, 2, 0]),
    Loop("GCC strchr, entered elsewhere", "505,30078f63,54783,feb79be3", 1, [1, 0, 2, 0]),
    Loop("GCC strcmp", "54783,30078763,85b6,5c703,505,158693,fef706e3", 0, [2, 0, 2, 0]),
    Loop("GCC strncmp", "54783,167d,2e078a63,5c703,2ef71663,505,585,f66d", 0, [2, 0, 2, 1]),
    Loop("GCC memcmp", "54783,5c703,505,585,2ce79b63,fec518e3", 0, [2, 0, 1, 1]),
    Loop("while it is one", "54783,505,feb78de3", 0, [1, 0, 1, 0]),
    Loop("signed bytes", "50783,2cc57063,505,feb79be3", 0, [1, 0, 1, 1]),
    Loop("GCC wcslen", "43d8,791,ff75", 0, [1, 2, 1, 0]),
    Loop("halves", "7d703,2ad70663,789,fec7cbe3", 0, [1, 1, 1, 1]),
    Loop("words", "6118,619c,167d,28f71e63,521,5a1,fa6d", 0, [2, 3, 1, 1]),
    Loop("glibc strlen", "6518,521,c707b3,fff74713,8ff9,8ff5,dbe5", 0, [1, 3, 1, 0]),
    Loop("glibc strcmp", "28d71063,6518,5a1,521,fff74693,10707b3,8ff5,117f7b3,6194,d3fd", 1, [2, 3, 2, 0]),
    Loop("glibc memchr", "611c,8fad,1078733,fff7c793,8ff9,8ff5,24079a63,521,fea675e3", 0, [1, 3, 1, 1]),
];

/// Loops that look like scans and are none.
const OTHERS: [(&str, &str); 7] = [
    // beq a4,a5,out; lbu a4,0(a0); addi a0,a0,1; mv a5,a4; j
    ("compares what it loaded with itself", "24f70563,54703,505,87ba,bfd5"),
    // lbu a4,0(a0); addi a0,a0,2; bnez a4
    ("leaves some out", "54703,509,ff6d"),
    // lbu a4,0(a0); sb a4,0(a1); ...
    ("stores", "54703,e58023,505,585,fb75"),
    // lbu a4,0(a0); addi a0,a0,1; add a3,a3,a4; bnez a4
    ("sums", "54703,505,96ba,ff65"),
    // ld a0,0(a0); bnez a0
    ("follows a list", "6108,fd7d"),
    // lbu a4,0(a0); lb a5,0(a1); ... beq a4,a5
    ("compares with sign and without", "54703,58783,505,585,fef70ae3"),
    // lbu a4,-1(a0); addi a0,a0,-1; bnez a4
    ("goes back", "fff54703,157d,ff6d"),
];

const ENTRY: u16 = 0x100;

/// The blocks of a loop, the first is the entry.
fn blocks(hex: &str) -> Vec<(u16, Block)> {
    let mut bytes = Vec::new();
    for raw in hex.split(',') {
        let raw = u32::from_str_radix(raw, 16).expect("hexadecimal");
        bytes.extend_from_slice(&raw.to_le_bytes()[..if raw & 3 == 3 { 4 } else { 2 }]);
    }
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let input = LiftInput { code: &bytes[at..], key: KEY_FS_OFF, max_insns: 64 };
        let mut block = Riscv::lift(&Model::default(), input);
        Optimiser::new().run(&mut block, &Rules::of::<Riscv>(Riscv::ZERO));
        let len = block.bytes as usize;
        all.push((ENTRY + at as u16, block));
        at += len;
    }
    all
}

/// The scan that the blocks are, begun with `first`.
fn seen(subject: &Subject, first: usize) -> Option<Scan> {
    let mut blocks: Vec<&RegionBlock> = subject.region.blocks.iter().collect();
    blocks.rotate_left(first);
    let step = |i: usize| {
        let (block, next) = (blocks[i], blocks[(i + 1) % blocks.len()]);
        let last = block.ops.last().expect("an end");
        let leads = i64::from(block.offset) + last.imm == i64::from(next.offset);
        Step { block, taken: (last.code.shape() == Shape::Branch).then_some(leads) }
    };
    let path: Vec<Step> = (0..blocks.len()).map(step).collect();
    recognise(&path, &subject.region.rules)
}

fn subject(hex: &str) -> Subject {
    Subject::new(&Program { blocks: blocks(hex) }, &Model::default())
}

#[test]
fn scans_of_guests_are_recognised() {
    for Loop(name, hex, first, shape) in LOOPS {
        let subject = subject(hex);
        let scan = seen(&subject, first).unwrap_or_else(|| panic!("{name}: {:?}", blocks(hex)));
        let of = [scan.streams.len(), scan.width as usize, scan.stops.len(), scan.ends.len()];
        assert_eq!(of, shape, "{name}: {scan:?}");
        assert_eq!(scan.insns as usize, hex.split(',').count(), "{name}");
        let before = (0..first).find_map(|n| seen(&subject, n));
        assert!(before.is_none(), "{name}: {before:?}");
    }
    for (name, hex) in OTHERS {
        let subject = subject(hex);
        let found = (0..subject.region.blocks.len()).find_map(|n| seen(&subject, n));
        assert!(found.is_none(), "{name}: {found:?}");
    }
}

/// Fills the memory of both sides: with one byte, in which others are found now and then, or with a few at random.
fn fill(pair: &mut Pair, r: &mut Random, usual: u8) {
    let mut bytes = vec![usual; (DATA.end - DATA.start) as usize];
    match r.below(4) {
        0 => {}
        1 => bytes.iter_mut().for_each(|b| *b = r.pick(&[usual, usual, usual, b'b', 0, 0x80])),
        _ => (0..r.below(60)).for_each(|_| {
            let at = r.below(bytes.len() as u64) as usize;
            bytes[at] = r.pick(&[0, b'b', 0xe1, usual ^ 1]);
        }),
    }
    for cpu in [&mut pair.fast, &mut pair.slow] {
        assert!(cpu.shared.memory.load(DATA.start, &bytes));
    }
}

/// Registers for a search of at most `n` elements, where memory holds `usual`.
fn words(scan: &Scan, r: &mut Random, regs: &mut [u64; 256], n: u64, usual: u8) {
    let size = 1 << scan.width;
    let steps = |w: Reg| scan.step(&Linear::word(w)) != 0;
    for stream in &scan.streams {
        let page = SEEN + r.below(PAGES) * PAGE_SIZE;
        let at = match r.below(4) {
            0 => 0,
            1 => PAGE_SIZE - r.below(70),
            _ => r.below(PAGE_SIZE),
        };
        let at = if r.one_in(12) { at } else { at / size * size };
        for &word in stream.at.words().iter().filter(|&&w| stream.at.count == 2 && steps(w)) {
            regs[usize::from(word)] = r.below(100) * size;
        }
        solve(regs, &stream.at, page + at, |w| stream.at.count == 1 || !steps(w));
    }
    let usual = u64::from_le_bytes([usual; 8]);
    let low = |value: u64| value << (64 - 8 * size) >> (64 - 8 * size);
    for stop in &scan.stops {
        let (Stop::Byte(Sought { word, .. }) | Stop::Compared { with: With::Word(word), .. }) = stop else {
            continue;
        };
        let goes_on = matches!(stop, Stop::Compared { same: true, .. });
        let value = match r.below(4) {
            0 => r.value(),
            1 => low(usual),
            2 if !goes_on => r.pick(&[0, 0x62, 0xe1, -31i64 as u64]),
            _ if goes_on => low(usual),
            _ => low(u64::from_le_bytes([b'b'; 8])),
        };
        solve(regs, word, value, |_| true);
    }
    for (sum, value) in &scan.if_these {
        let value = if r.one_in(12) { r.value() } else { *value };
        solve(regs, sum, value, |_| true);
    }
    for trips in &scan.ends {
        let far = (trips.step as u64).wrapping_mul(n);
        let near = if trips.test == Test::Other && !r.one_in(8) { 0 } else { r.below(2 * size) };
        if trips.still.count > 0 {
            let end = trips.moving.value(regs).wrapping_add(far).wrapping_add(near);
            solve(regs, &trips.still, end, |_| true);
        } else {
            let begin = trips.still.value(regs).wrapping_sub(far).wrapping_add(near);
            solve(regs, &trips.moving, begin, |_| true);
        }
    }
}

/// Runs a loop on both sides until it is left or the budget is used up; what compiled code leaves is interpreted.
fn one_run(pair: &mut Pair, subject: &Subject, code: &Code) {
    let inside = |pc: u64| subject.region.blocks.iter().any(|b| subject.entry() + b.offset as u64 == pc);
    for _ in 0..20_000 {
        let left = pair.fast.budget;
        if pair.fast.pc == subject.entry() {
            pair.remember(subject.entry(), code.record());
            pair.fast.core.limit = pair.fast.hart.lines.limit();
            let exit = pair.enter(code);
            let at = pair.fast.pc.wrapping_sub(subject.entry()) as i64;
            if exit.kind() == Exit::POLL && subject.accesses_at(at) && !inside(pair.fast.pc) {
                pair.run_rest(subject);
            }
        } else {
            pair.run_rest(subject);
        }
        pair.catch_up(subject);
        check(pair);
        if !inside(pair.fast.pc) || pair.fast.budget <= 0 {
            return;
        }
        if pair.fast.budget == left {
            // It wants something else, or the access is the block's first.
            if pair.fast.hart.lines.take_attention() {
                continue;
            }
            pair.run_rest(subject);
            pair.catch_up(subject);
            check(pair);
        }
    }
}

/// Compares `runs` runs of a loop; how often iterations were done at once, and how many instructions that were.
fn compare(&Loop(_, hex, first, _): &Loop, seed: u64, runs: u64) -> [u64; 2] {
    let subject = subject(hex);
    let scan = seen(&subject, first).expect("a scan");
    let code = Code::new(&Tier2::new().expect("compiler").compile(&subject.region).expect("compiled"));
    let mut pair = Pair::new(Model::default());
    for n in 0..runs {
        let mut r = Random((seed + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = r.next());
        let most = if r.one_in(2) { 40 } else { (3 * PAGE_SIZE) >> scan.width };
        let n = 1 + r.below(most);
        let budget = match r.below(3) {
            0 => r.below(400),
            1 => r.below(n * u64::from(scan.insns) * 2),
            _ => 1 << 20,
        };
        pair.reset(&mut r, subject.entry(), budget as i64 + 1);
        let usual = r.pick(b"aaa\xe1");
        fill(&mut pair, &mut r, usual);
        map(&mut pair, &mut r);
        let mut regs = pair.fast.regs;
        words(&scan, &mut r, &mut regs, n, usual);
        if first > 0 {
            // What the blocks before compare.
            regs[13] = regs[14];
        }
        pair.fast.regs = regs;
        pair.slow.regs = regs;
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one_run(&mut pair, &subject, &code)));
        if let Err(e) = result {
            eprintln!("{hex}: {n} iterations, budget {budget}, {:x?}\n{scan:x?}", &regs[..32]);
            std::panic::resume_unwind(e);
        }
    }
    pair.fast.core.idioms
}

#[test]
fn scans_do_what_their_loops_do() {
    let factor: u64 = std::env::var("VITRINE_LONG_TESTS").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    for scan in &LOOPS {
        let [runs, insns] = compare(scan, 1, 100 * factor);
        assert!(runs > 20 && insns > 2_000, "{}: {runs} runs of {insns} instructions", scan.0);
    }
}

/// Strings that begin and end at each place before the end of memory, and such as do not end before it.
#[test]
fn scans_end_at_each_place() {
    const LAST: u64 = RAM + RAM_LEN - PAGE_SIZE;
    for Loop(name, hex, first, _) in [&LOOPS[1], &LOOPS[5], &LOOPS[9], &LOOPS[12], &LOOPS[19]] {
        let subject = subject(hex);
        let scan = seen(&subject, *first).expect("a scan");
        let code = Code::new(&Tier2::new().expect("compiler").compile(&subject.region).expect("compiled"));
        let mut pair = Pair::new(Model::default());
        let mut r = Random(9);
        let size = 1 << scan.width;
        for (begin, len) in (0..16).flat_map(|begin| (0..56).map(move |len| (begin, len))) {
            let budget = if r.one_in(4) { r.below(200) } else { 1 << 20 };
            pair.reset(&mut r, subject.entry(), budget as i64 + 1);
            let at = PAGE_SIZE - 80 * size + begin * size;
            let mut page = vec![b'a'; PAGE_SIZE as usize];
            if len < 50 {
                page[(at + len * size) as usize] = 0;
            }
            let mut regs = pair.fast.regs;
            scan.streams.iter().for_each(|s| solve(&mut regs, &s.at, LAST + at, |_| true));
            scan.if_these.iter().for_each(|(sum, value)| solve(&mut regs, sum, *value, |_| true));
            for cpu in [&mut pair.fast, &mut pair.slow] {
                assert!(cpu.shared.memory.load(LAST, &page));
                cpu.regs = regs;
            }
            one_run(&mut pair, &subject, &code);
        }
        let [runs, insns] = pair.fast.core.idioms;
        assert!(runs > 200 && insns > 2_000, "{name}: {runs} runs of {insns} instructions");
    }
}
