//! Where a region begins, for a block that was found hot by sampling.
//!
//! The problem: a sample names a block in the midst of hot code, and a region is entered at its head only. A head too late
//! leaves the code before it in tier 1, and that behind it is entered seldom if the head lies before a loop that never ends. So:
//! the head of a block in a loop is where the loop is entered; of others it is the first block from which straight control
//! flow leads to it, or where the region ends that comes before. What flows where is read from the links that tier 1's code has made, which are the edges that were taken.

use super::translations::{Tier, Translations};
use crate::cache::code::Code;
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Blocks looked at in search of a loop.
const FAR: usize = 192;
/// Steps back.
const STEPS: usize = 48;

/// The flow of control between blocks, as far as it is known.
pub trait Edges {
    /// Blocks that lead to `code`.
    fn before(&self, code: &Arc<Code>) -> Vec<Arc<Code>>;
    /// Whether a region is left to `code`.
    fn is_behind_region(&self, code: &Arc<Code>) -> bool;
}

impl Edges for Translations {
    fn before(&self, code: &Arc<Code>) -> Vec<Arc<Code>> {
        self.linked_from(code, Tier::One)
    }

    fn is_behind_region(&self, code: &Arc<Code>) -> bool {
        !self.linked_from(code, Tier::Two).is_empty()
    }
}

/// The best head for a region that is to hold `code`.
pub fn head_of(edges: &dyn Edges, code: &Arc<Code>) -> Arc<Code> {
    let mut at = code.clone();
    for _ in 0..STEPS {
        if let Some(entry) = loop_entry(edges, &at) {
            // Behind another loop is where straight code begins.
            return if Arc::ptr_eq(&at, code) { entry } else { at };
        }
        if edges.is_behind_region(&at) {
            // That is where control comes from by now.
            break;
        }
        let ahead = edges.before(&at).into_iter().filter(|c| c.pa < at.pa && is_near(c, &at));
        match ahead.min_by_key(|c| c.pa) {
            Some(before) if loop_entry(edges, &before).is_none() => at = before,
            _ => break,
        }
    }
    at
}

fn is_near(a: &Code, b: &Code) -> bool {
    use crate::mem::PAGE_MASK;
    a.second_page.is_none() && a.key == b.key && a.pa & PAGE_MASK == b.pa & PAGE_MASK
}

/// Where the loop round `code` is entered; `None` if it is in none.
fn loop_entry(edges: &dyn Edges, code: &Arc<Code>) -> Option<Arc<Code>> {
    let id = |c: &Arc<Code>| Arc::as_ptr(c) as usize;
    // All that leads to the block, with what leads to each.
    let mut known: Vec<(Arc<Code>, Vec<usize>)> = Vec::new();
    let (mut stack, mut seen) = (vec![code.clone()], FxHashSet::from_iter([id(code)]));
    while let Some(block) = stack.pop() {
        let before: Vec<_> = edges.before(&block).into_iter().filter(|c| is_near(c, code)).collect();
        let ids = before.iter().map(id).collect();
        stack.extend(before.into_iter().filter(|c| known.len() + seen.len() < FAR && seen.insert(id(c))));
        known.push((block, ids));
    }
    // Of these, those that it leads to.
    let mut inside = FxHashSet::default();
    let mut grown = true;
    while std::mem::take(&mut grown) {
        for (block, before) in &known {
            if before.iter().any(|b| *b == id(code) || inside.contains(b)) {
                grown |= inside.insert(id(block));
            }
        }
    }
    if !inside.contains(&id(code)) {
        return None;
    }
    let is_entered = |before: &[usize]| before.iter().any(|b| !inside.contains(b));
    let members = known.iter().filter(|(b, _)| inside.contains(&id(b)));
    let first = members.min_by_key(|(b, before)| (!is_entered(before), b.pa));
    first.map(|(b, _)| b.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Block;

    /// Blocks, edges, and the block that a region is left to.
    struct Graph(Vec<Arc<Code>>, Vec<(usize, usize)>, usize);

    impl Edges for Graph {
        fn before(&self, code: &Arc<Code>) -> Vec<Arc<Code>> {
            let to = self.0.iter().position(|c| Arc::ptr_eq(c, code));
            self.1.iter().filter(|e| Some(e.1) == to).map(|e| self.0[e.0].clone()).collect()
        }

        fn is_behind_region(&self, code: &Arc<Code>) -> bool {
            self.0.get(self.2).is_some_and(|c| Arc::ptr_eq(c, code))
        }
    }

    /// The head for block `of` among six at ascending addresses.
    fn head(edges: &[(usize, usize)], of: usize) -> usize {
        head_behind(edges, of, usize::MAX)
    }

    fn head_behind(edges: &[(usize, usize)], of: usize, behind: usize) -> usize {
        let block = |n: u64| Block { ops: vec![], bounds: vec![], bytes: n as u32 };
        let blocks = (0..6).map(|n| Arc::new(Code::new(block(n), 0x8000_0000 + n * 16, None, 0))).collect();
        let graph = Graph(blocks, edges.to_vec(), behind);
        let head = head_of(&graph, &graph.0[of]);
        graph.0.iter().position(|c| Arc::ptr_eq(c, &head)).expect("one of them")
    }

    #[test]
    fn straight_code_begins_at_its_first_block() {
        let diamond = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)];
        assert_eq!([head(&diamond, 4), head(&diamond, 3), head(&diamond, 0)], [0, 0, 0]);
        assert_eq!(head(&[(1, 2), (4, 5)], 5), 4);
        // A region covers the beginning.
        assert_eq!(head_behind(&diamond, 4, 3), 3);
    }

    #[test]
    fn a_loop_begins_where_it_is_entered() {
        let looped = [(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (4, 5)];
        assert_eq!([head(&looped, 1), head(&looped, 2), head(&looped, 3)], [1, 1, 1]);
        // Before and behind it there is straight code.
        assert_eq!([head(&looped, 0), head(&looped, 4), head(&looped, 5)], [0, 4, 4]);
        // Entered in the middle.
        assert_eq!(head(&[(0, 3), (3, 4), (4, 2), (2, 3)], 4), 3);
        assert_eq!(head(&[(5, 5)], 5), 5);
    }
}
