//! Helpers shared by the integration tests.

pub mod guest;
pub mod oracle;
pub mod tiers;
