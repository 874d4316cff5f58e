//! Keeps the symbols of a machine's kernel up to date: finds them while it boots, notices when they are others.

use super::kallsyms::{self, Kernel};
use super::memory::GuestMemory;
use std::time::{Duration, Instant};

/// The first search comes so long after one that found nothing, and each later one after twice that.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// But not after more.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// How often a kernel that was found is looked at.
const CHECK: Duration = Duration::from_secs(1);

/// Looks for a kernel, again and again. For a thread in the background: a search goes through all of the memory that the guest has written.
#[derive(Debug, Default)]
pub struct Finder {
    kernel: Option<Kernel>,
    due: Option<Instant>,
    wait: Option<Duration>,
}

impl Finder {
    /// Looks if it is time. True if the kernel has changed: it was found, has moved, or is gone. Call it as often as you like.
    pub fn poll(&mut self, memory: &dyn GuestMemory, now: Instant) -> bool {
        if self.due.is_some_and(|due| now < due) {
            return false;
        }
        if self.kernel.as_ref().is_some_and(|k| k.is_current(memory)) {
            self.due = now.checked_add(CHECK);
            return false;
        }
        let before = self.kernel.is_some();
        self.kernel = kallsyms::find(memory);
        self.wait = match (&self.kernel, self.wait) {
            (Some(_), _) => None,
            (None, None) => Some(FIRST_WAIT),
            (None, Some(wait)) => Some((wait * 2).min(LONGEST_WAIT)),
        };
        self.due = now.checked_add(self.wait.unwrap_or(CHECK));
        before || self.kernel.is_some()
    }

    /// The kernel, as of the last poll.
    pub fn kernel(&self) -> Option<&Kernel> {
        self.kernel.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kallsyms::encode::{LINKED, NEW, RAM, image};
    use super::super::memory::testing::Flat;
    use super::*;

    #[test]
    fn a_kernel_is_found_followed_and_missed() {
        let empty = Flat { base: RAM, bytes: vec![0; 1 << 16] };
        let (early, late) = (image(&NEW, LINKED).memory, image(&NEW, LINKED + (1 << 30)).memory);
        let start = |f: &Finder| f.kernel().and_then(|k| k.table.iter().next().map(|s| s.address));
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut finder = Finder::default();
        assert!(!finder.poll(&empty, at(0)));
        assert!(!finder.poll(&early, at(249)), "searches are not that frequent");
        assert!(finder.poll(&early, at(250)));
        assert_eq!(start(&finder), Some(LINKED));
        assert!(!finder.poll(&late, at(1249)), "nor are checks");
        assert!(finder.poll(&late, at(1250)));
        assert_eq!(start(&finder), Some(LINKED + (1 << 30)));
        assert!(!finder.poll(&late, at(2250)));
        assert!(finder.poll(&empty, at(3250)));
        assert_eq!(start(&finder), None);
        assert!(!finder.poll(&empty, at(3500)));
    }

    #[test]
    fn searches_in_vain_get_rarer_up_to_a_limit() {
        let empty = Flat { base: RAM, bytes: Vec::new() };
        let (mut finder, mut now) = (Finder::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..9 {
            finder.poll(&empty, now);
            let due = finder.due.expect("another search");
            waits.push((due - now).as_millis());
            now = due;
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
    }
}
