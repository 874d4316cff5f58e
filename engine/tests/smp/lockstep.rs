//! Lockstep: machines that stay equal are found equal; one that is bent is found out, to the instruction.

use super::asm::*;
use super::machine::*;
use engine::debug::lockstep::{Divergence, Lockstep, LockstepError, Side, Step, Until};
use engine::exec::engine::Engine;
use engine::exec::mode::Mode;
use engine::exec::time::TimeSource;
use engine::host::COMPILES;
use engine::mem::ram::Memory;

/// A machine that something goes wrong with after so many instructions.
struct Bent {
    machine: Machine,
    at: u64,
    bend: fn(&Machine),
}

impl Bent {
    fn retired(&self) -> u64 {
        (0..self.machine.harts.len()).filter_map(|i| self.engine().view(i)).map(|v| v.retired).sum()
    }
}

impl Side for Bent {
    fn engine(&self) -> &dyn Engine {
        &self.machine.harts
    }
    fn memory(&self) -> &Memory {
        &self.machine.shared.memory
    }
    fn save_rest(&self) -> Vec<u8> {
        self.machine.shared.clock.now_ns().to_le_bytes().to_vec()
    }
    fn restore_rest(&self, saved: &[u8]) -> Result<(), LockstepError> {
        let bytes = saved.try_into().map_err(|_| LockstepError::Devices("no clock".into()))?;
        self.machine.shared.clock.set_virtual(u64::from_le_bytes(bytes));
        Ok(())
    }
    fn explain_rest(&self, first: &[u8], second: &[u8]) -> Vec<(String, [String; 2])> {
        let differ = first != second;
        differ.then(|| ("clock".into(), [first, second].map(|b| format!("{b:?}")))).into_iter().collect()
    }
    fn feed(&self, _: &[u8]) {}
    fn is_over(&self) -> bool {
        false
    }
    fn run(&self, until: Until) {
        let (Until::Round(end) | Until::Exactly(end)) = until;
        if self.retired() < self.at && self.at <= end {
            Plain(self).run(Until::Exactly(self.at));
            (self.bend)(&self.machine);
        }
        Plain(self).run(until);
    }
}

/// Runs as machines do.
struct Plain<'a>(&'a Bent);

impl Side for Plain<'_> {
    fn engine(&self) -> &dyn Engine {
        self.0.engine()
    }
    fn memory(&self) -> &Memory {
        self.0.memory()
    }
    fn save_rest(&self) -> Vec<u8> {
        self.0.save_rest()
    }
    fn restore_rest(&self, saved: &[u8]) -> Result<(), LockstepError> {
        self.0.restore_rest(saved)
    }
    fn explain_rest(&self, first: &[u8], second: &[u8]) -> Vec<(String, [String; 2])> {
        self.0.explain_rest(first, second)
    }
    fn feed(&self, _: &[u8]) {}
    fn is_over(&self) -> bool {
        false
    }
}

const HARTS: u32 = 2;
const LIST: u64 = RAM + 0x30_0000;

/// Walks through a page, writes into it, and takes part in a race with the other hart.
fn machine() -> Machine {
    let m = Machine::new(TimeSource::Instructions, HARTS);
    let mut a = Asm::at(CODE);
    a.li(S0, DATA).li(S1, LIST).op(&[slli(T0, A0, 12), add(S1, S1, T0), addi(T3, ZERO, 1)]);
    let again = a.here();
    a.op(&[addi(S2, S2, 1), andi(T0, S2, 0xff), slli(T0, T0, 3), add(T0, T0, S1), ld(T1, T0, 0)]);
    a.op(&[mul(T1, T1, S2), add(T1, T1, S2), sd(T1, T0, 0), xor(S3, S3, T1)]);
    let retry = a.here();
    a.op(&[lr_d(T0, S0), addi(T1, T0, 1), sc_d(T2, T1, S0)]);
    a.bne(T2, ZERO, retry);
    a.op(&[csrrs(A3, 0xc01, ZERO), add(S4, S4, A3), addi(A4, S4, 0), addi(A4, ZERO, 0)]);
    a.jal(ZERO, again);
    m.load(a);
    (0..HARTS as usize).for_each(|h| m.start(h, CODE, 0));
    m
}

fn pair(at: u64, bend: fn(&Machine)) -> Lockstep<Bent> {
    let never = |_: &Machine| {};
    let sides =
        [Bent { machine: machine(), at: u64::MAX, bend: never }, Bent { machine: machine(), at, bend }];
    sides[0].engine().settings().set_mode(Mode::Interpreter);
    Lockstep::new(sides).expect("equal machines")
}

fn diverges(at: u64, bend: fn(&Machine)) -> Divergence {
    let mut lockstep = pair(at, bend);
    loop {
        match lockstep.step(100_000, &[]).expect("a step") {
            Step::Equal(n) => assert!(n < at + 100_000, "nothing was found until {n}"),
            Step::Over(n) => panic!("over after {n}"),
            Step::Diverged(d) => return *d,
        }
    }
}

#[test]
fn equal_machines_stay_equal() {
    in_each_mode(stay_equal);
}

/// The reference interprets whatever the mode.
fn stay_equal() {
    let mut lockstep = pair(u64::MAX, |_| {});
    for n in 1..=10 {
        let step = lockstep.step(50_000, &[]).expect("a step");
        assert!(matches!(step, Step::Equal(at) if at >= n * 50_000), "{step:?}");
    }
    assert!(lockstep.sides()[1].machine.word(DATA) > 1000);
    let [a, b] = [0, 1].map(|i| lockstep.sides()[i].engine().tiers().insns);
    assert!(
        a[1] + a[2] == 0 && (mode() == Mode::Interpreter || !COMPILES || b[1] + b[2] > b[0]),
        "{a:?} {b:?}"
    );
}

#[test]
fn a_wrong_register_is_found_with_its_block() {
    in_each_mode(wrong_register_is_found_with_its_block);
}

fn wrong_register_is_found_with_its_block() {
    let at = 333_333;
    let d = diverges(at, |m| {
        let mut v = m.harts.vcpu(0).expect("hart");
        v.cpu.regs[S3 as usize] ^= 0x10;
    });
    // Bent behind that instruction: there both are seen to differ, and not before.
    assert!(d.is_exact && d.equal_at + 1 == d.differ_at && d.differ_at == at, "{d}");
    let s3: Vec<_> = d.found.harts.iter().filter(|x| x.name == "s3").collect();
    assert!(s3.len() == 1 && s3[0].hart == 0 && d.found.words.is_empty(), "{d}");
    let block = d.block.as_ref().expect("a block");
    let last = d.trace.last().expect("a trace");
    assert!(block.insns.iter().any(|i| i.0 == last.pc), "{d}");
    assert!((CODE..CODE + 0x200).contains(&last.pc) && d.to_string().contains("Its IR"), "{d}");
}

#[test]
fn a_wrong_word_of_memory_is_found() {
    in_each_mode(wrong_word_of_memory_is_found);
}

fn wrong_word_of_memory_is_found() {
    let at = 251_007;
    let d = diverges(at, |m| m.put(LIST + 0x3128, &[0xaa]));
    assert!(d.is_exact && d.differ_at == at && d.found.harts.is_empty(), "{d}");
    assert!(d.found.words.len() == 1 && d.found.words[0].pa == LIST + 0x3128, "{d}");
}

#[test]
fn a_lost_float_flag_and_a_lost_instruction_are_found() {
    let d = diverges(120_001, |m| m.harts.vcpu(1).expect("hart").cpu.fenv.flags |= 1);
    assert!(d.is_exact && d.differ_at == 120_001, "{d}");
    assert!(d.found.harts.iter().all(|x| x.hart == 1 && x.name == "float.flags"), "{d}");
    let d = diverges(120_001, |m| m.harts.vcpu(1).expect("hart").cpu.retired_base += 1);
    assert!(d.found.harts.iter().any(|x| x.name == "instructions"), "{d}");
}

/// Stopping in the midst of rounds changes nothing.
#[test]
fn exact_stops_are_not_seen_by_the_guest() {
    in_each_mode(stop_exactly);
}

fn stop_exactly() {
    let run = |stops: &[Until]| {
        let bent = Bent { machine: machine(), at: u64::MAX, bend: |_| {} };
        for s in stops {
            bent.run(*s);
            if let Until::Exactly(n) = s {
                assert_eq!(bent.retired(), *n);
            }
        }
        (bent.engine().save().expect("saved"), bent.machine.word(DATA), bent.save_rest())
    };
    let whole = run(&[Until::Round(200_000)]);
    let stops: Vec<_> = (1..60).map(|n| Until::Exactly(n * 3_331)).chain([Until::Round(200_000)]).collect();
    assert_eq!(run(&stops), whole);
    assert_eq!(
        run(&[Until::Exactly(7), Until::Round(50_000), Until::Exactly(60_001), Until::Round(200_000)]),
        whole
    );
    let singles: Vec<_> = (40_000..40_300).map(Until::Exactly).chain([Until::Round(200_000)]).collect();
    assert_eq!(run(&singles), whole);
}
