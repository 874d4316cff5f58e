//! Tier 1 by tier 2's compiler: single blocks with Cranelift, behind the trait of the direct emitter.
//!
//! It takes some fifty times as long, so nobody would choose it for speed. It is what a host without an emitter of its own would
//! begin with, and it is a second opinion: both compilers and the interpreter must agree on each block.

use super::block::{BlockCompiler, BlockInput, Failed};
use super::emitted::Emitted;
use super::region::{ANYWHERE, GuestRules, Region, RegionBlock};
use super::tier2::{Form, HostError, Tier2};
use crate::guest::HelperDesc;
use crate::ir::Op;

/// Most ops of a block.
const OPS: usize = 4096;

/// The compiler.
pub struct Single {
    tier2: Tier2,
    helper: fn(u16) -> Option<&'static HelperDesc>,
}

impl Single {
    /// A compiler for the CPU that we run on, and a guest with these helpers.
    pub fn new(helper: fn(u16) -> Option<&'static HelperDesc>) -> Result<Single, HostError> {
        Ok(Single { tier2: Tier2::new()?, helper })
    }
}

impl BlockCompiler for Single {
    fn compile_into(&mut self, input: &BlockInput<'_>, out: &mut Emitted) -> Result<(), Failed> {
        if !input.one_page {
            // Its exits must not be linked, nor come back to itself, and regions have no such blocks.
            return Err(Failed::TwoPages);
        }
        if input.bounds.len() > 255 || input.ops.len() > OPS {
            return Err(Failed::TooLong);
        }
        let insns = input.bounds.len() as u32;
        let Some((last, body)) = input.ops.split_last() else { return Err(Failed::Malformed) };
        if !last.ends() || insns == 0 || body.iter().any(Op::ends) {
            return Err(Failed::Malformed);
        }
        let rules = GuestRules {
            traps_misaligned: input.traps_misaligned,
            alone: input.alone,
            zero: input.zero,
            temps: input.temps,
            helper: self.helper,
            state_moves: input.state_moves,
        };
        let (ops, bounds) = (input.ops.into(), input.bounds.into());
        let block =
            RegionBlock { context: ANYWHERE, guess: Default::default(), offset: 0, ops, bounds, insns };
        let region = Region {
            blocks: vec![block],
            contexts: Vec::new(),
            counts: Default::default(),
            page_offset: input.page_offset,
            pages: Default::default(),
            rules,
        };
        *out = self.tier2.compile_as(&region, Form::Block { profile: input.profile }).map_err(|e| {
            tracing::debug!("a block was not compiled: {e}");
            Failed::Internal
        })?;
        Ok(())
    }
}
