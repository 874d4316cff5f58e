//! Two saved harts side by side: what differs, by name.

use super::state::HartState;
use crate::guest::Guest;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Something that two states of a machine do not agree on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Whose.
    pub hart: usize,
    /// Register, or path of a field of the saved state.
    pub name: String,
    /// What the first has, and the second.
    pub values: [String; 2],
}

/// What differs, hart by hart.
pub fn differences<G: Guest>(first: &[HartState<G>], second: &[HartState<G>]) -> Vec<Difference> {
    let pairs = first.iter().zip(second).enumerate();
    pairs.flat_map(|(hart, (a, b))| of_hart(hart, a, b)).collect()
}

fn of_hart<G: Guest>(hart: usize, a: &HartState<G>, b: &HartState<G>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |name: &str, values: [String; 2]| {
        if values[0] != values[1] {
            found.push(Difference { hart, name: name.to_owned(), values });
        }
    };
    let hex = |v: u64| format!("{v:#018x}");
    note("pc", [hex(a.pc), hex(b.pc)]);
    note("instructions", [a.retired.to_string(), b.retired.to_string()]);
    for (reg, values) in a.regs.iter().zip(&b.regs).enumerate() {
        let name = u8::try_from(reg).ok().and_then(G::reg_name).unwrap_or("?");
        note(name, [hex(*values.0), hex(*values.1)]);
    }
    let rest = |s: &HartState<G>| {
        let mut leaves = leaves(&(s.fenv, &s.reservation, s.started, s.wait, s.lines));
        for (index, name) in ["float", "reservation", "started", "wait", "lines"].into_iter().enumerate() {
            rename(&mut leaves, &index.to_string(), name);
        }
        leaves.extend(self::leaves(&s.ext));
        leaves
    };
    by_name(&rest(a), &rest(b), note);
    found
}

fn rename(leaves: &mut [(String, String)], from: &str, to: &str) {
    for (name, _) in leaves {
        if let Some(rest) = name.strip_prefix(from)
            && (rest.is_empty() || rest.starts_with('.'))
        {
            *name = format!("{to}{rest}");
        }
    }
}

fn by_name(a: &[(String, String)], b: &[(String, String)], mut note: impl FnMut(&str, [String; 2])) {
    let other: BTreeMap<_, _> = b.iter().map(|(n, v)| (n, v)).collect();
    let ours: BTreeMap<_, _> = a.iter().map(|(n, v)| (n, v)).collect();
    let none = || "none".to_owned();
    for (name, value) in a {
        note(name, [value.clone(), other.get(name).map_or_else(none, |v| (*v).clone())]);
    }
    for (name, value) in b.iter().filter(|(n, _)| !ours.contains_key(n)) {
        note(name, [none(), value.clone()]);
    }
}

/// The leaves of a value's debug text, each with its path. All that is known of an ISA's own state here is that it prints.
pub fn leaves(value: &dyn Debug) -> Vec<(String, String)> {
    let text = format!("{value:#x?}");
    let mut found = Vec::new();
    // Name of each open value, and how many unnamed entries it has had.
    let mut open: Vec<(String, usize)> = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_end_matches(',');
        if matches!(line, "}" | ")" | "]") {
            open.pop();
            continue;
        }
        let (name, value) = match line.split_once(": ") {
            Some((name, value)) => (name.to_owned(), value),
            None => {
                let index = open.last_mut().map_or(0, |(_, n)| std::mem::replace(n, *n + 1));
                (index.to_string(), line)
            }
        };
        if value.ends_with(['{', '(', '[']) {
            open.push((name, 0));
        } else {
            // The outermost value has no name that says anything.
            let path = open.iter().skip(1).map(|(n, _)| n.as_str()).chain([name.as_str()]);
            found.push((path.collect::<Vec<_>>().join("."), value.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::cpu::{FloatEnv, Reservation};
    use crate::exec::state::SavedWait;
    use crate::guest::riscv::Riscv;
    use crate::guest::riscv::model::Model;

    fn state() -> HartState<Riscv> {
        HartState {
            pc: 0x8000_0000,
            regs: vec![0; Riscv::TEMPS as usize],
            fenv: FloatEnv::default(),
            reservation: None,
            retired: 7,
            started: true,
            wait: SavedWait::None,
            lines: 0,
            ext: Riscv::reset(&Model::default(), 0),
        }
    }

    #[test]
    fn every_field_that_differs_is_named() {
        let a = state();
        let mut b = state();
        assert_eq!(differences(&[state()], &[state()]), []);
        b.regs[10] = 5;
        b.fenv.flags = 1;
        b.reservation = Some(Reservation { va: 16, size_log2: 3, value: 1 });
        b.ext.m.epc = 0x44;
        b.ext.hpm[3] = 9;
        b.lines = 2;
        b.wait = SavedWait::Bounded(3);
        let found = differences(&[a.clone(), a.clone()], &[a, b]);
        assert!(found.iter().all(|d| d.hart == 1), "{found:?}");
        let names: Vec<_> = found.iter().map(|d| d.name.as_str()).collect();
        for name in ["a0", "float.flags", "lines", "m.epc", "hpm.3"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        assert!(names.iter().any(|n| n.starts_with("reservation")), "{names:?}");
        assert!(names.iter().any(|n| n.starts_with("wait")), "{names:?}");
        assert!(!names.contains(&"a1") && !names.contains(&"s.epc"), "{names:?}");
        let a0 = found.iter().find(|d| d.name == "a0").expect("a0");
        assert_eq!(a0.values, ["0x0000000000000000", "0x0000000000000005"]);
    }
}
