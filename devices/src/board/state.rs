//! Saved state of all devices of a board, by name.

use super::virt::Slot;
use crate::state::{Saved, StateError};
use serde::{Deserialize, Serialize};

/// Sections by device name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BoardState {
    devices: Vec<(String, Saved)>,
}

impl BoardState {
    pub(super) fn of(slots: &[Slot]) -> BoardState {
        let saved = |s: &Slot| Some((s.name.clone(), s.cell.with(|d| d.save())?));
        BoardState { devices: slots.iter().filter_map(saved).collect() }
    }

    /// Restores each device. The two must have the same devices.
    pub(super) fn apply(&self, slots: &[Slot]) -> Result<(), StateError> {
        for (name, _) in &self.devices {
            if !slots.iter().any(|s| s.name == *name) {
                return Err(StateError::Machine(format!("the machine has no {name}")));
            }
        }
        // The interrupt controller comes last: its levels are the saved ones, whatever lines did on the way.
        let last = |s: &&Slot| s.cell.with(|d| d.kind()) == Some(crate::plic::KIND);
        let (late, early): (Vec<_>, Vec<_>) = slots.iter().partition(last);
        for slot in early.into_iter().chain(late) {
            let Some((_, saved)) = self.devices.iter().find(|(name, _)| *name == slot.name) else {
                return Err(StateError::Machine(format!("{} was not saved", slot.name)));
            };
            let busy = || StateError::Machine(format!("{} is in use", slot.name));
            slot.cell.with(|d| d.restore(saved)).ok_or_else(busy)??;
        }
        Ok(())
    }
}
