//! Which loops are idioms that copy or fill.

use super::walk::{Holds, Steps, Walk};
use super::{Computed, Idiom, Linear, Loaded, MOST_ELEMENTS, MOST_WRITES, STORES};
use crate::ir::op::{MemFlags, Shape};
use crate::jit::region::{GuestRules, RegionBlock};

/// The idiom that `block`, whose branch leads back to its head, is.
pub fn recognise(block: &RegionBlock, rules: &GuestRules) -> Option<Idiom> {
    let (last, body) = block.ops.split_last()?;
    if last.code.shape() != Shape::Branch || last.imm != 0 {
        return None;
    }
    let mut walk = Walk::new(rules);
    walk.ops(body)?;
    let steps = Steps::of(&walk);
    let trips = steps.trips(last.code, [walk.get(last.b)?, walk.get(last.c)?])?;
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
    use crate::ir::Opcode::{LoadS8, LoadS16, LoadS32};
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
            Holds::Made(_) => return None,
        }
    }
    Some(())
}
