//! Where code that has been lifted or translated is kept and found again.

pub mod code;
pub mod jump;
pub mod local;
