//! Plots over time: one axis for all of them, and the one widget that draws lines and areas on it.

mod curve;
mod scale;
mod scene;
mod time_plot;

pub use scene::Scene;
pub use time_plot::{Form, Series, TimePlot, moments, shared_time, time_labels};
