//! Names of the guest's own kernel for hot spots and stacks.

use super::hot::{Named, Namer};
use crate::symbols::Place;
use crate::symbols::table::Table;
use std::sync::Arc;

/// Names by one table.
pub struct TableNamer(pub Arc<Table>);

impl Namer for TableNamer {
    fn name(&self, pa: Option<u64>, pc: Option<u64>) -> Option<Named> {
        // Where code was seen running is sure; its physical address names what lies in the kernel's image.
        let place = match pc {
            Some(pc) => self.0.at(pc),
            None => self.0.at_physical(pa?),
        };
        place.map(|Place { symbol, offset }| (symbol.name.into(), offset))
    }
}
