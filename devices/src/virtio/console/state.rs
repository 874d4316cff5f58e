//! Save and restore: the size and what was typed but not read.

use super::device::{Console, MAX_PENDING};
use crate::state::{Saved, StateError};
use serde::{Deserialize, Serialize};

pub(crate) const KIND: &str = "virtio-console";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct State {
    size: (u16, u16),
    pending: Vec<u8>,
}

pub(super) fn save(c: &Console) -> Saved {
    let state = State { size: c.size, pending: c.pending.iter().copied().collect() };
    Saved::pack(KIND, VERSION, &state)
}

pub(super) fn restore(c: &mut Console, saved: &Saved) -> Result<(), StateError> {
    let state: State = saved.unpack(KIND, VERSION)?;
    if state.pending.len() > MAX_PENDING {
        return Err(StateError::damaged(KIND, "too much typed text"));
    }
    c.size = state.size;
    c.pending = state.pending.into();
    Ok(())
}
