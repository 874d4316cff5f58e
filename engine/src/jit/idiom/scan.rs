//! Which loops are scans: they read memory from low to high addresses until what they read is, or is not, something.
//!
//! A round of such a loop is a *path* of a few blocks, each left in the middle of the loop where a comparison says so. A comparison
//! of sums says how often the loop goes round, as for other idioms; all others are of what was loaded. So a scan is data:
//! streams of elements that an iteration reads, what ends it at an element, how many iterations there are, and what the words hold
//! after each. The compiler makes vectors of that ([`lower`](crate::jit::lower)), for many elements at once.

use super::walk::{Holds, Made, Steps, Walk};
use super::{Linear, Trips};
use crate::ir::op::{MemFlags, Reg, Shape};
use crate::ir::{Opcode, SINK};
use crate::jit::region::{GuestRules, RegionBlock};

/// Streams at most.
const MOST_STREAMS: usize = 4;
/// Guest instructions of an iteration at most.
const MOST_INSNS: u32 = 64;

/// Bits by which a word is searched for a byte that is zero: `(word + ONES) & !word & HIGH`.
const ONES: u64 = 0xfefe_fefe_fefe_feff;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A block of the loop.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The block.
    pub block: &'a RegionBlock,
    /// The loop goes on where its branch is taken, or where it is not. `None`: always.
    pub taken: Option<bool>,
}

/// Elements that are read one after the other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stream {
    /// Where the iteration reads.
    pub at: Linear,
    /// How.
    pub code: Opcode,
    /// The same.
    pub flags: MemFlags,
}

/// With what an element is compared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum With {
    /// The element of another stream.
    Stream(usize),
    /// A word that stays the same.
    Word(Linear),
}

/// What ends the loop at an element.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stop {
    /// It is, or is not, the same as another.
    Compared {
        /// Its stream.
        stream: usize,
        /// The other.
        with: With,
        /// The loop goes on while they are the same.
        same: bool,
    },
    /// One of its bytes is the same as that of a word.
    Byte(Sought),
}

/// What is searched for a byte that is zero: an element, with another word by XOR.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sought {
    /// Its stream.
    pub stream: usize,
    /// The word, which stays the same.
    pub word: Linear,
}

/// A loop that looks for something in memory.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Guest instructions of an iteration.
    pub insns: u32,
    /// log2 of an element's bytes, by which each stream goes on.
    pub width: u32,
    /// What is read, in the loop's order.
    pub streams: Vec<Stream>,
    /// What ends it there.
    pub stops: Vec<Stop>,
    /// It goes on for no more iterations than any of these allows.
    pub ends: Vec<Trips>,
    /// It is as described if these sums have these values.
    pub if_these: Vec<(Linear, u64)>,
    /// The words that an iteration leaves, and what it leaves in them, by the words before it.
    pub leaves: Vec<(Reg, Holds)>,
    /// See [`Holds::Made`].
    pub made: Vec<Made>,
    /// By word: how far an iteration moves it.
    steps: [i64; 256],
}

impl Scan {
    /// How far an iteration moves a sum that the scan speaks of.
    pub fn step(&self, sum: &Linear) -> i64 {
        sum.words().iter().fold(0, |all: i64, &w| all.wrapping_add(self.steps[usize::from(w)]))
    }
}

/// A branch that goes on in the loop where the comparison `.0` of these holds.
type Guard = (Opcode, [Holds; 2]);

/// The scan that a loop is which begins with the first block and goes back to it from the last.
pub fn recognise(path: &[Step<'_>], rules: &GuestRules) -> Option<Scan> {
    let mut walk = Walk::new(rules);
    let mut guards = Vec::new();
    for step in path {
        let (last, body) = step.block.ops.split_last()?;
        walk.ops(body)?;
        match (last.code.shape(), step.taken) {
            (Shape::Branch, Some(taken)) => {
                let code = if taken { last.code } else { opposite(last.code)? };
                guards.push((code, sum_last([walk.get(last.b)?, walk.get(last.c)?])));
            }
            (Shape::Exit, None) => {}
            (Shape::Jump, None) if last.a == SINK => {}
            _ => return None,
        }
    }
    let insns = path.iter().map(|s| s.block.insns).sum();
    if walk.accesses.is_empty() || walk.accesses.len() > MOST_STREAMS || insns > MOST_INSNS {
        return None;
    }
    Finder { steps: Steps::of(&walk), walk }.scan(insns, &guards)
}

/// A sum comes last where the other is none: the order matters of sums only.
fn sum_last([b, c]: [Holds; 2]) -> [Holds; 2] {
    let swap = matches!([b, c], [Holds::Sum(_), Holds::Load(_) | Holds::Made(_)]);
    if swap { [c, b] } else { [b, c] }
}

fn opposite(code: Opcode) -> Option<Opcode> {
    use Opcode::*;
    Some(match code {
        BrEq => BrNe,
        BrNe => BrEq,
        BrLt => BrGe,
        BrGe => BrLt,
        BrLtu => BrGeu,
        BrGeu => BrLtu,
        _ => return None,
    })
}

struct Finder<'a> {
    walk: Walk<'a>,
    steps: Steps,
}

impl Finder<'_> {
    fn scan(self, insns: u32, guards: &[Guard]) -> Option<Scan> {
        let width = MemFlags(self.walk.accesses[0].op.aux).size();
        let mut scan = Scan {
            insns,
            width,
            streams: self.streams(width)?,
            stops: Vec::new(),
            ends: Vec::new(),
            if_these: Vec::new(),
            leaves: Vec::new(),
            made: Vec::new(),
            steps: self.steps.0.map(|step| step.unwrap_or(0)),
        };
        for guard in guards {
            self.guard(&mut scan, guard)?;
        }
        self.leaves(&mut scan, guards)?;
        scan.made = self.walk.made;
        (!scan.stops.is_empty()).then_some(scan)
    }

    fn streams(&self, width: u32) -> Option<Vec<Stream>> {
        let stream = |access: &super::walk::Access| {
            let fits = access.stored.is_none()
                && MemFlags(access.op.aux).size() == width
                && self.steps.of_sum(&access.at)? == 1 << width;
            fits.then_some(Stream { at: access.at, code: access.op.code, flags: MemFlags(access.op.aux) })
        };
        self.walk.accesses.iter().map(stream).collect()
    }

    fn stays(&self, sum: &Linear) -> Option<Linear> {
        (self.steps.of_sum(sum)? == 0).then_some(*sum)
    }

    fn guard(&self, scan: &mut Scan, &(code, of): &Guard) -> Option<()> {
        if let [Holds::Sum(_), Holds::Sum(_)] = of {
            let trips = self.steps.trips(code, of)?;
            scan.ends.push(trips);
            return trips.step.unsigned_abs().is_power_of_two().then_some(());
        }
        let same = match code {
            Opcode::BrEq => true,
            Opcode::BrNe => false,
            _ => return None,
        };
        let stop = match of {
            [Holds::Load(stream), Holds::Sum(word)] => {
                Stop::Compared { stream, with: With::Word(self.stays(&word)?), same }
            }
            [Holds::Load(stream), Holds::Load(other)]
                if stream != other && scan.streams[stream].code == scan.streams[other].code =>
            {
                Stop::Compared { stream, with: With::Stream(other), same }
            }
            [Holds::Made(made), Holds::Sum(word)] if same => {
                Stop::Byte(self.no_zero_byte(scan, made, &word)?)
            }
            _ => return None,
        };
        scan.stops.push(stop);
        Some(())
    }

    /// Notes that the scan is what it is thought to be if `sum` has this value.
    fn wants(&self, scan: &mut Scan, sum: &Linear, value: u64) -> Option<()> {
        let sum = self.stays(sum)?;
        if sum.count > 0 {
            scan.if_these.push((sum, value));
            return Some(());
        }
        (sum.add as u64 == value).then_some(())
    }

    /// What has no zero byte if what was `made` of it is the word.
    fn no_zero_byte(&self, scan: &mut Scan, made: usize, word: &Linear) -> Option<Sought> {
        let Made { code, of } = self.walk.made[made];
        let sought = if code == Opcode::OrcB {
            self.wants(scan, word, !0)?;
            self.sought(of[0])?
        } else {
            self.wants(scan, word, 0)?;
            self.by_carries(scan, made)?
        };
        (scan.width == 3).then_some(sought)
    }

    /// What may be searched.
    fn sought(&self, holds: Holds) -> Option<Sought> {
        match holds {
            Holds::Load(stream) => Some(Sought { stream, word: Linear::number(0) }),
            Holds::Made(made) => match self.walk.made[made] {
                Made { code: Opcode::Xor, of: [Holds::Load(stream), Holds::Sum(word)] } => {
                    Some(Sought { stream, word: self.stays(&word)? })
                }
                _ => None,
            },
            Holds::Sum(_) => None,
        }
    }

    /// What is searched by arithmetic: see [`ONES`].
    fn by_carries(&self, scan: &mut Scan, made: usize) -> Option<Sought> {
        let mut terms = Vec::new();
        self.terms(Holds::Made(made), false, &mut terms);
        let (mut less, mut not, mut high) = (None, None, None);
        for (term, inverted) in terms {
            let seen = match (term, inverted) {
                (Holds::Sum(sum), false) => high.replace(sum).is_some(),
                (_, true) => not.replace(self.sought(term)?).is_some(),
                (Holds::Made(made), false) => match self.walk.made[made] {
                    Made { code: Opcode::Add, of: [of, Holds::Sum(ones)] } => {
                        self.wants(scan, &ones, ONES)?;
                        less.replace(self.sought(of)?).is_some()
                    }
                    Made { code: Opcode::Xor, of: [of, Holds::Sum(all)] } => {
                        self.wants(scan, &all, !0)?;
                        not.replace(self.sought(of)?).is_some()
                    }
                    _ => return None,
                },
                _ => return None,
            };
            if seen {
                return None;
            }
        }
        self.wants(scan, &high?, HIGH)?;
        (less? == not?).then_some(less?)
    }

    /// What is combined by AND, and whether it is inverted first.
    fn terms(&self, holds: Holds, inverted: bool, terms: &mut Vec<(Holds, bool)>) {
        let made = match holds {
            Holds::Made(made) if !inverted => self.walk.made[made],
            _ => return terms.push((holds, inverted)),
        };
        match made.code {
            Opcode::And | Opcode::AndNot => {
                self.terms(made.of[0], false, terms);
                self.terms(made.of[1], made.code == Opcode::AndNot, terms);
            }
            _ => terms.push((holds, false)),
        }
    }

    /// Notes what the words hold after an iteration.
    fn leaves(&self, scan: &mut Scan, guards: &[Guard]) -> Option<()> {
        for word in 0..self.walk.rules.temps {
            let Some(holds) = self.walk.words[usize::from(word)] else { continue };
            let holds = self.equal_to(holds, guards);
            self.known_after(&holds)?;
            scan.leaves.push((word, holds));
        }
        Some(())
    }

    /// What a word also holds that must have been equal to something for the loop to go on.
    fn equal_to(&self, holds: Holds, guards: &[Guard]) -> Holds {
        let equal = guards.iter().find_map(|(code, of)| match of {
            [one, Holds::Sum(sum)] if *code == Opcode::BrEq && *one == holds => self.stays(sum),
            _ => None,
        });
        match (holds, equal) {
            (Holds::Made(_), Some(sum)) => Holds::Sum(sum),
            _ => holds,
        }
    }

    /// Looks whether it can be computed.
    fn known_after(&self, holds: &Holds) -> Option<()> {
        match holds {
            Holds::Load(_) => Some(()),
            Holds::Sum(sum) => self.steps.of_sum(sum).map(|_| ()),
            Holds::Made(made) => {
                let Made { code, of } = &self.walk.made[*made];
                matches!(code, Opcode::Add | Opcode::And | Opcode::AndNot | Opcode::Xor).then_some(())?;
                of.iter().try_for_each(|holds| self.known_after(holds))
            }
        }
    }
}
