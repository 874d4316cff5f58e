//! Save and restore: what the driver agreed to. Frames under way are lost, as networks lose frames.

use super::device::Net;
use crate::state::{Saved, StateError};

pub(crate) const KIND: &str = "virtio-net";
const VERSION: u32 = 1;

pub(super) fn save(n: &Net) -> Saved {
    Saved::pack(KIND, VERSION, &n.mergeable)
}

pub(super) fn restore(n: &mut Net, saved: &Saved) -> Result<(), StateError> {
    n.mergeable = saved.unpack(KIND, VERSION)?;
    Ok(())
}
