//! Tiering: how hot code is, when it is worth a compile, and a record of what was decided and why.

pub mod events;
pub mod heat;
pub mod monitor;
pub mod pins;
pub mod policy;
pub mod samples;
