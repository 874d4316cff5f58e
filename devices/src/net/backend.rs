//! The contract between a network card and the network behind it, and the network that is not there.
//!
//! A card and its network run on different threads. Frames are therefore handed over, never lent, and
//! neither side waits for the other: a full queue drops the frame and counts it, as a real wire does.

use serde::{Deserialize, Serialize};

/// Counters of a network back end since it was made. Frames and bytes are seen from the guest: `tx` is what
/// the guest sent, `rx` what it received. Lengths are those of Ethernet frames without FCS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetMetrics {
    /// Frames which the guest sent and the back end took.
    pub tx_frames: u64,
    /// Bytes in `tx_frames`.
    pub tx_bytes: u64,
    /// Frames which the guest sent and the back end could not take.
    pub tx_dropped: u64,
    /// Frames handed to the guest.
    pub rx_frames: u64,
    /// Bytes in `rx_frames`.
    pub rx_bytes: u64,
    /// Frames for the guest which were lost because its queue was full or its hardware address unknown.
    pub rx_dropped: u64,
    /// Frames of the guest which were malformed, spoofed or of an unsupported kind, and ignored.
    pub rejected: u64,
    /// Connections and datagram flows refused: no free flow, forbidden destination, or host refusal.
    pub refused: u64,
    /// TCP connections open now.
    pub tcp_flows: u64,
    /// UDP flows open now.
    pub udp_flows: u64,
    /// Times the protocol stack failed on its own account and was started anew (all connections lost).
    pub stack_faults: u64,
}

/// What a network card talks to. Frames are whole Ethernet II frames without FCS.
pub trait NetBackend: Send {
    /// Takes a frame that the guest sent. Never blocks; drops (and counts) when it cannot keep up.
    fn transmit(&mut self, frame: &[u8]);

    /// Puts the next frame for the guest in `buf` (replacing its content) and returns true; returns false and
    /// leaves `buf` alone when there is none.
    fn receive(&mut self, buf: &mut Vec<u8>) -> bool;

    /// Sets what is called, from the back end's own thread, when `receive` would yield a frame. Calls may come
    /// when the frame has already been fetched. The callee must not wait for a lock which is held by someone
    /// who calls `quiesce`, and had best only set a flag or wake a thread.
    fn set_notify(&mut self, notify: Box<dyn Fn() + Send + Sync>);

    /// Stops all activity; after it returns nothing is delivered and no callback runs until `resume`.
    fn quiesce(&mut self);

    /// Goes on after `quiesce`.
    fn resume(&mut self);

    /// The counters.
    fn metrics(&self) -> NetMetrics;
}

/// A cable that is not plugged in: takes every frame, delivers none. This is `-nic none`.
#[derive(Debug, Default)]
pub struct NullNet {
    metrics: NetMetrics,
}

impl NullNet {
    /// An unplugged cable.
    pub fn new() -> Self {
        Self::default()
    }
}

impl NetBackend for NullNet {
    fn transmit(&mut self, _frame: &[u8]) {
        self.metrics.tx_dropped += 1;
    }

    fn receive(&mut self, _buf: &mut Vec<u8>) -> bool {
        false
    }

    fn set_notify(&mut self, _notify: Box<dyn Fn() + Send + Sync>) {}

    fn quiesce(&mut self) {}

    fn resume(&mut self) {}

    fn metrics(&self) -> NetMetrics {
        self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_net_swallows_and_counts() {
        let mut net = NullNet::new();
        net.transmit(&[0; 60]);
        net.transmit(&[]);
        let mut buf = vec![1, 2, 3];
        assert!(!net.receive(&mut buf));
        assert_eq!(buf, [1, 2, 3]);
        assert_eq!(net.metrics(), NetMetrics { tx_dropped: 2, ..NetMetrics::default() });
    }
}
