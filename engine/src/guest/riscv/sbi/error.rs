//! SBI error codes (SBI specification, "Binary Encoding").

/// An error; its discriminant is the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i64)]
pub enum Error {
    /// The implementation could not do it.
    Failed = -1,
    /// No such extension or function.
    NotSupported = -2,
    /// An argument is wrong.
    InvalidParam = -3,
    /// An address is not usable.
    InvalidAddress = -5,
    /// The hart runs, or is about to.
    AlreadyAvailable = -6,
    /// The counter counts already.
    AlreadyStarted = -7,
    /// The counter does not count.
    AlreadyStopped = -8,
}
