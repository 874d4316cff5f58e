//! Pausing, resuming and ending a machine whose harts run, wait, fence and publish code.

use super::asm::*;
use super::machine::*;
use engine::exec::engine::Engine;
use engine::exec::mode::Mode;
use engine::exec::time::TimeSource;
use std::time::{Duration, Instant};

const FUNCTION: u64 = DATA + 0x800;

/// Hart 0 rewrites code and fences, hart 1 runs it and counts, 2 and 3 wake each other.
fn busy(m: &Machine) {
    let mut a = Asm::at(CODE);
    a.li(S0, FUNCTION).op(&[addi(S2, ZERO, 0)]);
    let again = a.here();
    a.op(&[addi(S2, S2, 1), andi(T0, S2, 0x3ff), slli(T0, T0, 4), sh(T0, S0, 2), FENCE]);
    a.remote_fence_i();
    a.jal(ZERO, again);
    m.load(a);
    let mut a = Asm::at(CODE + 0x1000);
    a.li(S0, FUNCTION).li(S1, DATA);
    let again = a.here();
    a.op(&[jalr(RA, S0, 0), addi(T0, ZERO, 1), amoadd_d(ZERO, T0, S1)]);
    a.jal(ZERO, again);
    m.load(a);
    let mut a = Asm::at(CODE + 0x2000);
    a.op(&[addi(S2, A1, 0), addi(T0, ZERO, 2), csrrs(ZERO, 0x104, T0)]);
    let again = a.here();
    a.ipi(S2);
    a.op(&[WFI, csrrci(ZERO, 0x144, 2)]);
    a.jal(ZERO, again);
    m.load(a);
    m.put(FUNCTION, &[0x13, 0x05, 0, 0, 0x82, 0x80]);
    m.start(0, CODE, 0);
    m.start(1, CODE + 0x1000, 0);
    m.start(2, CODE + 0x2000, 3);
    m.start(3, CODE + 0x2000, 2);
}

fn retired(m: &Machine) -> Vec<u64> {
    (0..m.harts.len()).map(|i| m.harts.vcpu(i).expect("hart").cpu.instret()).collect()
}

#[test]
fn a_busy_machine_pauses_and_goes_on_a_thousand_times() {
    in_each_mode(pause_and_go_on);
}

fn pause_and_go_on() {
    let m = Machine::threads(4);
    busy(&m);
    let mut last = vec![0; 4];
    let begin = Instant::now();
    for i in 0..1000 {
        m.harts.resume();
        if i % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        m.harts.pause();
        assert!(m.harts.is_paused());
        let now = retired(&m);
        assert!(now.iter().zip(&last).all(|(n, l)| n >= l));
        assert_eq!(now, retired(&m));
        last = now;
        assert!(begin.elapsed() < Duration::from_secs(120), "pausing is slow");
    }
    // Everybody still gets on after all that.
    m.harts.resume();
    let count = |i: usize| m.shared.harts[i].retired.load(std::sync::atomic::Ordering::Relaxed);
    m.wait_for("going on", || (0..4).all(|i| count(i) > last[i] + 100));
}

#[test]
fn machines_end_whatever_their_harts_do() {
    in_each_mode(end_at_once);
}

fn end_at_once() {
    for i in 0..40 {
        let mut m = Machine::threads(4);
        busy(&m);
        if i % 4 != 0 {
            m.harts.resume();
            std::thread::sleep(Duration::from_micros(i * 50));
        }
        if i % 3 == 0 {
            m.harts.pause();
        }
        m.harts.stop();
    }
}

#[test]
fn a_machine_saved_in_mid_flight_goes_on_elsewhere() {
    in_each_mode(save_in_mid_flight);
}

fn save_in_mid_flight() {
    let m = Machine::threads(4);
    busy(&m);
    // Starts are still in the mail: they are part of what is saved.
    let saved = m.harts.save().expect("saved");
    let n = Machine::threads(4);
    busy(&n);
    n.harts.restore(&saved).expect("restored");
    n.harts.resume();
    n.wait_for("the restored machine", || n.word(DATA) > 1000);
    n.harts.pause();
    let saved = n.harts.save().expect("saved");
    assert_eq!(n.harts.save().expect("saved"), saved);
    // Mail from before a restore is void.
    n.start(1, CODE, 0);
    n.harts.restore(&saved).expect("restored");
    let pc = n.harts.vcpu(1).expect("hart").cpu.pc;
    assert_eq!(n.harts.save().expect("saved"), saved);
    assert_eq!(n.harts.vcpu(1).expect("hart").cpu.pc, pc);
}

#[test]
fn a_hostile_state_cannot_move_the_zero_register() {
    let m = Machine::new(TimeSource::Instructions, 1);
    let state = {
        let mut v = m.harts.vcpu(0).expect("hart");
        let mut s = v.save();
        s.regs[0] = 7;
        s
    };
    m.harts.vcpu(0).expect("hart").restore(&state).expect("restored");
    assert_eq!(m.harts.vcpu(0).expect("hart").cpu.regs[0], 0);
}

/// The mode of a busy machine changes all the time; everybody gets on.
#[test]
fn modes_are_switched_a_thousand_times() {
    let m = Machine::threads(4);
    busy(&m);
    m.harts.resume();
    for i in 0..1000 {
        m.harts.settings().set_mode(Mode::ALL[(i * 7 + i / 9) % 4]);
        std::thread::sleep(Duration::from_micros(200));
    }
    m.harts.pause();
    let last = retired(&m);
    m.harts.resume();
    let count = |i: usize| m.shared.harts[i].retired.load(std::sync::atomic::Ordering::Relaxed);
    m.wait_for("going on", || (0..4).all(|i| count(i) > last[i] + 100));
    m.harts.pause();
    let t = m.harts.tiers();
    assert_eq!(t.insns.iter().sum::<u64>(), retired(&m).iter().sum::<u64>(), "{t:?}");
    assert!(t.evicted + t.invalidated <= t.compiled[0] + t.compiled[1], "{t:?}");
}
