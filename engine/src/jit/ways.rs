//! How regions were left, and what is made of that when they are formed again.
//!
//! The problem: a region is formed along edges that tier 1 has counted for a short time, or that were guessed. Where they mislead, control
//! leaves it at each turn. So a new region *counts*: its runs, the exits that it takes, and where its indirect jumps lead when
//! that is none of the targets that it compares with. When it has run often it is formed once more without those counters, and
//! *settled*: what it was left to often is pulled in, and targets that were seen are compared with. A settled region counts comparisons
//! that fail and nothing else; if they fail too often, it counts again, and how often each jump is made besides: then what hardly ever
//! comes is not compared with any more. That is not counted at first, because loops that are never left would pay for ever.

use super::across::{PageMap, Place, place};
use super::region::{GuestRules, Limits};
use rustc_hash::FxHashMap;

/// Targets that are kept of a jump that led elsewhere: the last ones.
pub const SAMPLES: usize = 8;
/// Words of an indirect exit: how often it was taken, how often its jump was made, the samples.
pub const INDIRECT: usize = 2 + SAMPLES;
/// Words of a region's record that count; exits for which there is no room are not counted.
pub const MOST_WORDS: usize = 448;
/// More targets of one jump are not compared with.
const MOST: usize = 12;
/// A direct exit is hot that one of so many runs takes,
const DIRECT_SHARE: u64 = 16;
/// and an indirect one here.
const INDIRECT_SHARE: u64 = 8;

/// What a region counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Counts {
    /// Its runs and its exits.
    #[default]
    Exits,
    /// Indirect jumps too, whether they leave it or not.
    Jumps,
    /// Comparisons that fail.
    Failures,
}

/// An exit that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Offset of its block relative to the region's entry.
    pub from: i32,
    /// The block is a copy for one call.
    pub copy: bool,
    /// Where it leads relative to the entry, if that is always the same.
    pub target: Option<i64>,
}

impl Site {
    /// Words of the record in which it counts.
    pub const fn words(&self) -> usize {
        if self.target.is_some() { 1 } else { INDIRECT }
    }
}

/// An exit and its counts.
#[derive(Clone, Debug)]
pub struct Left {
    /// The exit.
    pub site: Site,
    /// How often it was taken.
    pub times: u64,
    /// How often the jump was made, to targets that it was compared with too; if that was counted.
    pub tries: u64,
    /// Targets relative to the region's entry, when it was taken last.
    pub samples: Vec<i64>,
}

impl Left {
    /// Reads the counts of an exit from its words.
    pub fn read(site: Site, mut word: impl FnMut(usize) -> u64) -> Left {
        let times = word(0);
        if site.target.is_some() {
            return Left { site, times, tries: times, samples: Vec::new() };
        }
        let kept = times.min(SAMPLES as u64) as usize;
        Left { site, times, tries: word(1), samples: (2..2 + kept).map(|i| word(i) as i64).collect() }
    }
}

/// What an indirect jump is compared with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Guess {
    /// What the shape of the region says: places behind calls, what tables may lead to.
    #[default]
    Shape,
    /// That and these, relative to the block.
    Also(Vec<i64>),
    /// These alone.
    Only(Vec<i64>),
}

impl Guess {
    /// The targets that were seen.
    pub fn seen(&self) -> &[i64] {
        match self {
            Guess::Shape => &[],
            Guess::Also(seen) | Guess::Only(seen) => seen,
        }
    }
}

/// What is known of a region that is formed again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    /// It does not count its exits.
    pub settled: bool,
    /// Times that it has been formed again because guesses failed.
    pub rounds: u32,
    /// Places that it was left to often.
    pub hot: Vec<Place>,
    /// Indirect jumps, by place of the block and whether it is a copy for one call.
    pub jumps: FxHashMap<(Place, bool), Guess>,
    /// The pages across which it is formed.
    pub pages: PageMap,
    /// It may have no other page than that of its entry.
    pub in_page: bool,
}

impl Settled {
    /// What the region counts.
    pub fn counts(&self) -> Counts {
        match (self.settled, self.rounds) {
            (true, _) => Counts::Failures,
            (false, 0) => Counts::Exits,
            (false, _) => Counts::Jumps,
        }
    }

    /// How far it grows.
    pub fn limits(&self, rules: GuestRules) -> Limits {
        let limits = if self.settled { Limits::settled(rules) } else { Limits::new(rules) };
        // Branches inside of a loop are often not counted, so each way is as likely: go four deep.
        Limits { least: 1.0 / 16.0, ..limits }
    }

    /// The same in the page of its entry alone, for good: others were not where they were.
    pub fn in_page(&self) -> Settled {
        Settled { in_page: true, pages: PageMap::default(), ..self.clone() }
    }

    /// What the jump at the end of a block is compared with.
    pub fn guess(&self, at: Place, copy: bool) -> Guess {
        self.jumps.get(&(at, copy)).cloned().unwrap_or_default()
    }

    /// The same, to be counted again.
    pub fn recount(&self) -> Settled {
        Settled { settled: false, rounds: self.rounds + 1, ..self.clone() }
    }

    /// What was learnt in `runs` runs from the block at page offset `head`.
    pub fn settle(&self, head: u16, runs: u64, left: &[Left]) -> Settled {
        let mut next = Settled { settled: true, pages: PageMap::default(), ..self.clone() };
        let mut jumps: FxHashMap<(Place, bool), Left> = FxHashMap::default();
        let head = Place::from(head);
        for exit in left {
            let Some(from) = place(head, exit.site.from.into()) else { continue };
            match exit.site.target {
                None => add(jumps.entry((from, exit.site.copy)).or_insert(empty(exit.site)), exit),
                Some(to) if exit.times > 0 && exit.times.saturating_mul(DIRECT_SHARE) >= runs => {
                    next.hot.extend(place(head, to).filter(|to| !next.hot.contains(to)));
                }
                Some(_) => {}
            }
        }
        for (place, exit) in jumps {
            if exit.times > 0 && exit.times.saturating_mul(INDIRECT_SHARE) >= runs {
                let before = self.jumps.get(&place).cloned().unwrap_or_default();
                let hits = match self.counts() {
                    Counts::Jumps => exit.tries.saturating_sub(exit.times),
                    _ => u64::MAX,
                };
                next.jumps.insert(place, learnt(before, head, &exit, hits));
            }
        }
        next
    }
}

fn empty(site: Site) -> Left {
    Left { site, times: 0, tries: 0, samples: Vec::new() }
}

fn add(sum: &mut Left, exit: &Left) {
    sum.times += exit.times;
    sum.tries += exit.tries;
    sum.samples.extend(&exit.samples);
}

/// What a jump is compared with next, that was compared with what `before` says and led elsewhere often. `hits`: how often it did not.
fn learnt(before: Guess, head: Place, exit: &Left, hits: u64) -> Guess {
    let mut seen: Vec<(usize, i64)> = Vec::new();
    for &to in exit.samples.iter().filter(|&&to| to & 1 == 0 && place(head, to).is_some()) {
        let to = to - i64::from(exit.site.from);
        match seen.iter_mut().find(|s| s.1 == to) {
            Some(found) => found.0 += 1,
            None => seen.push((1, to)),
        }
    }
    let inside: usize = seen.iter().map(|s| s.0).sum();
    if inside * 2 < exit.samples.len() {
        seen.clear();
    }
    seen.sort_by_key(|&(times, to)| (std::cmp::Reverse(times), to));
    let seen = seen.into_iter().map(|s| s.1);
    if exit.times > hits.saturating_mul(4) {
        return Guess::Only(seen.take(MOST).collect());
    }
    let (only, mut all) = match before {
        Guess::Only(all) => (true, all),
        other => (false, other.seen().to_vec()),
    };
    for to in seen {
        if all.len() < MOST && !all.contains(&to) {
            all.push(to);
        }
    }
    if only { Guess::Only(all) } else { Guess::Also(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(to: i64, times: u64) -> Left {
        Left { times, tries: times, ..empty(Site { from: 0, copy: false, target: Some(to) }) }
    }

    fn jump(times: u64, tries: u64, samples: &[i64]) -> Left {
        let site = Site { from: 0x10, copy: false, target: None };
        Left { site, times, tries, samples: samples.to_vec() }
    }

    /// Too far away for a region.
    const FAR: i64 = 1 << 40;

    fn guess(before: &Settled, exit: Left) -> Option<Guess> {
        before.settle(0x100, 1000, &[exit]).jumps.get(&(0x110, false)).cloned()
    }

    #[test]
    fn exits_that_are_taken_often_are_hot() {
        let exits = [direct(0x20, 500), direct(0x40, 3), direct(0x1000, 900), direct(-0x140, 100)];
        let next = Settled::default().settle(0x100, 1000, &exits);
        assert!(next.settled && next.hot == [0x120, 0x1100, -0x40], "{next:?}");
        // Once hot, always hot.
        assert_eq!(next.recount().settle(0x100, 1000, &exits[1..2]).hot, next.hot);
    }

    #[test]
    fn jumps_are_compared_with_what_was_seen() {
        let new = Settled::default();
        let seen = [0x50, 0x30, 0x50, 0x50, 0x50, 0x30, FAR, 0x50];
        // How often it did not leave was not counted: what is compared with stays.
        assert_eq!(guess(&new, jump(900, 0, &seen)), Some(Guess::Also(vec![0x40, 0x20])));
        assert_eq!(guess(&new, jump(20, 0, &seen)), None);
        let again = new.recount();
        assert_eq!((new.counts(), again.counts()), (Counts::Exits, Counts::Jumps));
        assert_eq!(guess(&again, jump(900, 900, &seen)), Some(Guess::Only(vec![0x40, 0x20])));
        assert_eq!(guess(&again, jump(500, 900, &seen)), Some(Guess::Also(vec![0x40, 0x20])));
    }

    #[test]
    fn guesses_that_fail_go() {
        let mut before = Settled::default();
        before.jumps.insert((0x110, false), Guess::Only(vec![0x40]));
        let again = before.recount();
        assert_eq!((again.settled, again.rounds), (false, 1));
        assert_eq!(guess(&again, jump(900, 950, &[FAR; 8])), Some(Guess::Only(vec![])));
        assert_eq!(guess(&again, jump(900, 950, &[0x30; 8])), Some(Guess::Only(vec![0x20])));
        assert_eq!(guess(&again, jump(400, 950, &[0x30; 8])), Some(Guess::Only(vec![0x40, 0x20])));
        assert_eq!(guess(&again, jump(4, 950, &[0x30; 4])), Some(Guess::Only(vec![0x40])));
    }

    #[test]
    fn counts_are_read_back() {
        let words = [3u64, 5, 8, u64::MAX - 7, 16, 0, 0, 0, 0, 0];
        let site = Site { from: 0, copy: true, target: None };
        let left = Left::read(site, |i| words[i]);
        assert_eq!((left.times, left.tries, left.samples), (3, 5, vec![8, -8, 16]));
        assert_eq!(site.words(), words.len());
    }
}
