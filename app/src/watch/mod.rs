//! Watching a running machine: samples of its counters and of what its tiers decided, kept in bounded rings.
//!
//! A [`Watcher`] looks at its machine from a thread of its own, at most ten times a second and only while somebody [wants](Wants) it.
//! Whoever shows something reads the rings; rates are made of two moments by [`Between`], and nowhere else. All times are the guest's:
//! they stand still with the guest, so that a pause takes no room in a plot.

mod between;
mod decisions;
pub mod flame;
mod history;
pub mod hot;
pub mod inspect;
mod names;
mod spots;
mod watcher;

pub use between::Between;
pub use decisions::{Decision, Decisions};
pub use history::{Column, History, Moment};
pub use spots::{Spots, Subject, WINDOW};
pub use watcher::{Rings, Told, Wants, Watched, Watcher};
