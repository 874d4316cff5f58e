//! Save and restore. Requests under way are saved as the driver described them and start again after a restore.

use super::device::{Blk, QUEUE_SIZE};
use super::request::Request;
use crate::state::{Saved, StateError};
use crate::virtio::Io;
use serde::{Deserialize, Serialize};

pub(crate) const KIND: &str = "virtio-blk";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct State {
    /// Bytes; a disk of another size is another disk.
    size: u64,
    write_back: bool,
    requests: Vec<Request>,
}

pub(super) fn save(blk: &Blk) -> Saved {
    let requests = blk.requests.values().cloned().collect();
    let state = State { size: blk.limits().size, write_back: blk.write_back, requests };
    Saved::pack(KIND, VERSION, &state)
}

/// Takes the state and gives the requests to start again, in their old order.
pub(super) fn restore(blk: &mut Blk, saved: &Saved, io: &Io) -> Result<Vec<Request>, StateError> {
    let state: State = saved.unpack(KIND, VERSION)?;
    let limits = blk.limits();
    if state.size != limits.size {
        let text = format!("the disk had {} bytes and has {} now", state.size, limits.size);
        return Err(StateError::Machine(text));
    }
    if state.requests.len() > QUEUE_SIZE as usize {
        return Err(StateError::damaged(KIND, "more requests under way than the queue has"));
    }
    if !state.requests.iter().all(|r| r.is_sound(io.ram(), limits)) {
        return Err(StateError::damaged(KIND, "a request under way makes no sense"));
    }
    blk.write_back = state.write_back;
    Ok(state.requests)
}
