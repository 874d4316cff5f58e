//! Which loops are idioms: a walk over the block that follows what each word holds.

use super::{Computed, Idiom, Linear, Loaded, MOST_ELEMENTS, MOST_WRITES, STORES, Test, Trips};
use crate::ir::op::{Align, MMU_CURRENT, MemFlags, Reg, Shape};
use crate::ir::{Op, Opcode, SINK};
use crate::jit::region::{GuestRules, RegionBlock};

/// What a word holds.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Holds {
    /// A sum of words as they were at the head.
    Sum(Linear),
    /// What access `.0` loaded.
    Load(usize),
}

struct Access {
    op: Op,
    at: Linear,
    /// What is stored.
    stored: Option<Holds>,
}

struct Walk<'a> {
    rules: &'a GuestRules,
    words: [Option<Holds>; 256],
    accesses: Vec<Access>,
}

impl Walk<'_> {
    fn get(&self, word: Reg) -> Option<Holds> {
        if Some(word) == self.rules.zero {
            return Some(Holds::Sum(Linear::number(0)));
        }
        match self.words[usize::from(word)] {
            None if word >= self.rules.temps => None,
            None => Some(Holds::Sum(Linear::word(word))),
            some => some,
        }
    }

    fn sum(&self, word: Reg) -> Option<Linear> {
        match self.get(word)? {
            Holds::Sum(sum) => Some(sum),
            Holds::Load(_) => None,
        }
    }

    fn op(&mut self, op: &Op) -> Option<()> {
        let holds = match op.code {
            Opcode::Li => Holds::Sum(Linear::number(op.imm)),
            Opcode::Mov => self.get(op.b)?,
            Opcode::AddI => Holds::Sum(self.sum(op.b)?.plus(op.imm)),
            Opcode::Add => Holds::Sum(self.sum(op.b)?.sum(&self.sum(op.c)?)?),
            code if matches!(code.shape(), Shape::Load | Shape::Store) => return self.access(op),
            _ => return None,
        };
        self.set(op.a, holds);
        Some(())
    }

    fn set(&mut self, word: Reg, holds: Holds) {
        if word != SINK {
            self.words[usize::from(word)] = Some(holds);
        }
    }

    fn access(&mut self, op: &Op) -> Option<()> {
        use Opcode::*;
        let plain = MemFlags::plain(MemFlags(op.aux).size());
        let integer = matches!(op.code, LoadS8 | LoadU8 | LoadS16 | LoadU16 | LoadS32 | LoadU32 | Load64);
        let load = op.code.shape() == Shape::Load;
        if [Align::Policy, Align::Any].iter().all(|&a| plain.align(a).0 != op.aux)
            || MemFlags(op.aux).mmu_index() != MMU_CURRENT
            || load && !integer
            || self.accesses.len() >= 2 * MOST_ELEMENTS
        {
            return None;
        }
        let at = self.sum(op.b)?.plus(op.imm);
        let stored = if load { None } else { Some(self.get(op.c)?) };
        self.accesses.push(Access { op: *op, at, stored });
        if load {
            self.set(op.a, Holds::Load(self.accesses.len() - 1));
        }
        Some(())
    }
}

/// The idiom that `block`, whose branch leads back to its head, is.
pub fn recognise(block: &RegionBlock, rules: &GuestRules) -> Option<Idiom> {
    let (last, body) = block.ops.split_last()?;
    if last.code.shape() != Shape::Branch || last.imm != 0 {
        return None;
    }
    let mut walk = Walk { rules, words: [None; 256], accesses: Vec::new() };
    for op in body {
        walk.op(op)?;
    }
    let steps = Steps::of(&walk)?;
    let trips = steps.trips(&walk, last)?;
    let mut idiom = Idiom {
        trips,
        insns: block.insns.into(),
        load: Linear::default(),
        store: Linear::default(),
        value: Linear::default(),
        stride: 0,
        computed: [Computed::default(); 8],
        loaded: [Loaded::default(); MOST_WRITES],
        order: [0; 2 * MOST_ELEMENTS],
        accesses: 0,
        computes: 0,
        loads: 0,
        width: 0,
        copies: false,
        spare: [0; 11],
    };
    let elements = streams(&walk, &steps, &mut idiom)?;
    values(&walk, &steps, &elements, &mut idiom)?;
    results(&walk, &steps, &elements, &mut idiom)?;
    Some(idiom)
}

/// By word: how far an iteration moves it. `None`: it is written and not moved.
struct Steps([Option<i64>; 256]);

impl Steps {
    fn of(walk: &Walk<'_>) -> Option<Steps> {
        let mut steps = [Some(0); 256];
        for (word, step) in (0..walk.rules.temps).zip(&mut steps) {
            if let Some(holds) = walk.words[usize::from(word)] {
                let own = Linear::word(word);
                *step = match holds {
                    Holds::Sum(sum) if sum == own.plus(sum.add) => Some(sum.add),
                    _ => None,
                };
            }
        }
        Some(Steps(steps))
    }

    /// How far an iteration moves the sum.
    fn of_sum(&self, sum: &Linear) -> Option<i64> {
        sum.words().iter().try_fold(0i64, |all, &w| Some(all.wrapping_add(self.0[usize::from(w)]?)))
    }

    fn trips(&self, walk: &Walk<'_>, branch: &Op) -> Option<Trips> {
        use Opcode::*;
        let (b, c) = (walk.sum(branch.b)?, walk.sum(branch.c)?);
        let (step_b, step_c) = (self.of_sum(&b)?, self.of_sum(&c)?);
        let first = match (step_b, step_c) {
            (0, 0) => return None,
            (_, 0) => true,
            (0, _) => false,
            _ => return None,
        };
        let (moving, still, step) = if first { (b, c, step_b) } else { (c, b, step_c) };
        let test = match (branch.code, first) {
            (BrNe, _) => Test::Other,
            (BrLt | BrLtu, true) => Test::Less,
            (BrLt | BrLtu, false) => Test::Greater,
            (BrGe | BrGeu, true) => Test::GreaterEqual,
            (BrGe | BrGeu, false) => Test::LessEqual,
            _ => return None,
        };
        let signed = matches!(branch.code, BrLt | BrGe);
        let trips = Trips { moving, still, step, test, signed, ..Trips::default() };
        trips.ends().then_some(trips)
    }
}

/// Looks whether loads and stores are one run of bytes each. Returns the element that each access is.
fn streams(walk: &Walk<'_>, steps: &Steps, idiom: &mut Idiom) -> Option<Vec<u8>> {
    let of = |loads: bool| walk.accesses.iter().filter(move |a| a.stored.is_none() == loads);
    let (loads, stores) = (of(true).count(), of(false).count());
    if stores == 0 || loads != 0 && loads != stores || stores > MOST_ELEMENTS {
        return None;
    }
    let width = MemFlags(walk.accesses[0].op.aux).size();
    let lowest = |loads: bool| of(loads).map(|a| a.at).min_by_key(|at| at.add);
    idiom.width = width as u8;
    idiom.copies = loads != 0;
    idiom.stride = (stores as u64) << width;
    idiom.store = lowest(false)?;
    idiom.load = lowest(true).unwrap_or_default();
    let mut seen = [0u64; 2];
    let mut elements = Vec::with_capacity(walk.accesses.len());
    for access in &walk.accesses {
        let store = access.stored.is_some();
        let base = if store { &idiom.store } else { &idiom.load };
        let offset = access.at.add.wrapping_sub(base.add) as u64;
        let element = offset >> width;
        if access.at.words() != base.words()
            || steps.of_sum(base)? != idiom.stride as i64
            || MemFlags(access.op.aux).size() != width
            || offset >= idiom.stride
            || !offset.is_multiple_of(1 << width)
            || seen[usize::from(store)] >> element & 1 != 0
        {
            return None;
        }
        seen[usize::from(store)] |= 1 << element;
        idiom.order[elements.len()] = element as u8 | if store { STORES } else { 0 };
        elements.push(element as u8);
    }
    idiom.accesses = elements.len() as u8;
    Some(elements)
}

/// Looks whether each store stores the element that was loaded for it, or always the same.
fn values(walk: &Walk<'_>, steps: &Steps, elements: &[u8], idiom: &mut Idiom) -> Option<()> {
    let mut value = None;
    for (access, element) in walk.accesses.iter().zip(elements) {
        match access.stored {
            None => {}
            Some(Holds::Load(from)) if idiom.copies && elements[from] == *element => {}
            Some(Holds::Sum(sum)) if !idiom.copies && steps.of_sum(&sum) == Some(0) => {
                if *value.get_or_insert(sum) != sum {
                    return None;
                }
            }
            _ => return None,
        }
    }
    idiom.value = value.unwrap_or_default();
    Some(())
}

/// Notes what the words hold that an iteration leaves behind.
fn results(walk: &Walk<'_>, steps: &Steps, elements: &[u8], idiom: &mut Idiom) -> Option<()> {
    use Opcode::{LoadS8, LoadS16, LoadS32};
    for word in 0..walk.rules.temps {
        let Some(holds) = walk.words[usize::from(word)] else { continue };
        match holds {
            Holds::Sum(value) => {
                steps.of_sum(&value)?;
                let step = steps.0[usize::from(word)];
                let computed = Computed {
                    word,
                    value,
                    step: step.unwrap_or(0),
                    moves: step.is_some(),
                    ..Computed::default()
                };
                *idiom.computed.get_mut(usize::from(idiom.computes))? = computed;
                idiom.computes += 1;
            }
            Holds::Load(from) => {
                let signed = matches!(walk.accesses[from].op.code, LoadS8 | LoadS16 | LoadS32);
                let loaded = Loaded { word, element: elements[from], signed, ..Loaded::default() };
                *idiom.loaded.get_mut(usize::from(idiom.loads))? = loaded;
                idiom.loads += 1;
            }
        }
    }
    Some(())
}
