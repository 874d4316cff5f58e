//! User-mode networking: a small private network for one guest, with gateway, DHCP and DNS, whose
//! connections leave through ordinary sockets of this process. It needs no privileges and no set-up, and lets
//! nothing in but what is forwarded.
//!
//! What goes on is the same as in QEMU's `-netdev user`: the gateway stands for the host (its loopback), all
//! other addresses are reached as the host reaches them. It is IPv4 only, and pings get no further than the
//! gateway.
//!
//! Everything from the guest is hostile until checked: `link` and `packet` check frames, `policy` says
//! where traffic may go, `stack` fences the TCP library, and every table is bounded.

mod config;
mod dhcp;
mod dns;
mod exchange;
mod forward;
mod fragments;
mod link;
mod packet;
mod parse;
mod phy;
mod policy;
mod relay;
mod stack;
mod tcp;
mod thread;
mod udp;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::backend::{NetBackend, NetMetrics};

pub use config::{ConfigError, DHCP_POOL, HostForward, Proto, Subnet, UserNetConfig};
pub use parse::{Netdev, NetdevError, NetdevKind, WordError, netdev};

use dns::Resolvers;
use exchange::{Exchange, Order};
use forward::Forwards;
use thread::Network;

/// Why a user-mode network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum UserNetError {
    /// Its description is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A forward cannot listen.
    #[error("cannot listen for forward {forward}: {source}")]
    Bind {
        /// The forward.
        forward: HostForward,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// The host lacks a descriptor or a thread.
    #[error("cannot start the network: {0}")]
    Host(#[from] io::Error),
}

/// A user-mode network, running on its own thread until dropped.
pub struct UserNet {
    exchange: Arc<Exchange>,
    forwards: Vec<(HostForward, SocketAddr)>,
    thread: Option<JoinHandle<()>>,
}

impl UserNet {
    /// Starts the network. Its forwards listen from now on.
    pub fn new(config: &UserNetConfig) -> Result<Self, UserNetError> {
        Self::with_resolvers(config, Resolvers::of_host())
    }

    fn with_resolvers(config: &UserNetConfig, resolvers: Resolvers) -> Result<Self, UserNetError> {
        config.validate()?;
        let exchange = Arc::new(Exchange::new()?);
        let listeners = Forwards::bind(config)?;
        let forwards = listeners.bound();
        let network = Network::new(config, exchange.clone(), listeners, resolvers);
        let thread = std::thread::Builder::new().name("user-net".into()).spawn(move || network.run())?;
        Ok(Self { exchange, forwards, thread: Some(thread) })
    }

    /// The forwards and the addresses on which they listen, in the configuration's order. The port is the
    /// one which the host chose if 0 was asked for.
    pub fn forwards(&self) -> &[(HostForward, SocketAddr)] {
        &self.forwards
    }

    #[cfg(test)]
    fn turns(&self) -> u64 {
        self.exchange.counters.turns.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl NetBackend for UserNet {
    fn transmit(&mut self, frame: &[u8]) {
        self.exchange.send(frame);
    }

    fn receive(&mut self, buf: &mut Vec<u8>) -> bool {
        match self.exchange.fetch() {
            Some(frame) => {
                *buf = frame;
                true
            }
            None => false,
        }
    }

    fn set_notify(&mut self, notify: Box<dyn Fn() + Send + Sync>) {
        self.exchange.set_notify(Arc::from(notify));
    }

    fn quiesce(&mut self) {
        self.exchange.order(Order::Pause);
    }

    fn resume(&mut self) {
        self.exchange.order(Order::Run);
    }

    fn metrics(&self) -> NetMetrics {
        self.exchange.metrics()
    }
}

impl Drop for UserNet {
    fn drop(&mut self) {
        self.exchange.order(Order::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the network's thread had failed");
        }
    }
}
