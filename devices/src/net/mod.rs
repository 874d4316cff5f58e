//! What is at the other end of a network card's cable: the trait between card and network, and its
//! implementations. Cards themselves are devices and live elsewhere.

mod backend;
pub mod user;

pub use backend::{NetBackend, NetMetrics, NullNet};
pub use user::{UserNet, UserNetConfig};
