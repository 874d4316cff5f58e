//! What is selected, for all panels together, and what was selected before.

/// Selections that can be gone back to.
const KEPT: usize = 100;

/// A selection: guest code, a moment, or both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Selected {
    /// Physical address of guest code.
    pub code: Option<u64>,
    /// The guest address at which that was seen, if it was.
    pub pc: Option<u64>,
    /// A moment in guest time, in nanoseconds.
    pub moment_ns: Option<u64>,
}

/// The selection and the way to it.
#[derive(Debug, Default)]
pub struct Selection {
    past: Vec<Selected>,
    now: Selected,
    future: Vec<Selected>,
}

impl Selection {
    /// What is selected.
    pub fn now(&self) -> Selected {
        self.now
    }

    /// Selects something.
    pub fn select(&mut self, selected: Selected) {
        if selected == self.now {
            return;
        }
        if self.past.len() >= KEPT {
            self.past.remove(0);
        }
        self.past.push(std::mem::replace(&mut self.now, selected));
        self.future.clear();
    }

    /// Selects a moment; the code stays.
    pub fn select_moment(&mut self, moment_ns: u64) {
        self.select(Selected { moment_ns: Some(moment_ns), ..self.now });
    }

    /// Goes back to what was selected before. Whether there was something.
    pub fn back(&mut self) -> bool {
        step(&mut self.past, &mut self.now, &mut self.future)
    }

    /// Goes forward again. Whether there was something.
    pub fn forward(&mut self) -> bool {
        step(&mut self.future, &mut self.now, &mut self.past)
    }
}

fn step(from: &mut Vec<Selected>, now: &mut Selected, to: &mut Vec<Selected>) -> bool {
    let Some(next) = from.pop() else { return false };
    to.push(std::mem::replace(now, next));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(pa: u64) -> Selected {
        Selected { code: Some(pa), ..Selected::default() }
    }

    #[test]
    fn back_and_forward_walk_the_selections() {
        let mut s = Selection::default();
        assert!(!s.back() && !s.forward());
        s.select(code(1));
        s.select(code(1));
        s.select_moment(7);
        assert_eq!(s.now(), Selected { code: Some(1), pc: None, moment_ns: Some(7) });
        assert!(s.back());
        assert_eq!(s.now(), code(1));
        assert!(s.forward() && !s.forward());
        assert!(s.back() && s.back() && !s.back());
        assert_eq!(s.now(), Selected::default());
        s.select(code(2));
        assert!(!s.forward(), "another way was taken");
        (0..500).for_each(|pa| s.select(code(pa)));
        assert!(s.past.len() <= KEPT);
    }
}
