//! Save and restore: the request that waits. Its bytes are asked for anew; the rate starts a new period.

use super::device::Rng;
use crate::state::{Saved, StateError};
use crate::virtio::Io;
use crate::virtio::chain::Chain;

pub(crate) const KIND: &str = "virtio-rng";
const VERSION: u32 = 1;

pub(super) fn save(r: &Rng) -> Saved {
    Saved::pack(KIND, VERSION, &r.waiting)
}

pub(super) fn restore(r: &mut Rng, saved: &Saved, io: &Io) -> Result<(), StateError> {
    let waiting: Option<Chain> = saved.unpack(KIND, VERSION)?;
    if let Some(chain) = &waiting {
        chain.check(io.ram()).map_err(|e| StateError::damaged(KIND, e.to_string()))?;
    }
    r.restored = waiting.is_some();
    r.waiting = waiting;
    Ok(())
}
