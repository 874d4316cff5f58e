//! The time axis that all plots of a machine share, and what was seen on it.

use crate::watch::{Between, Column, Moment, Watcher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The shown time at first.
const SPAN_NS: u64 = 60_000_000_000;
/// The least that can be shown.
const SPAN_MIN_NS: u64 = 5_000_000_000;
/// The most that can be shown.
const SPAN_MAX_NS: u64 = 3_600_000_000_000;
/// Widths of columns, in milliseconds of guest time: the first one with few enough columns is used.
const WIDTHS_MS: [u64; 10] = [250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000];
/// Columns that are shown at most.
const COLUMNS_MAX: u64 = 320;
/// Time between two pictures.
const INTERVAL: Duration = Duration::from_millis(250);
/// Numbers beside plots are of this time.
const LATELY: Duration = Duration::from_secs(1);

/// Which time is shown, and which moment is pointed at.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Axis {
    span_ns: u64,
    /// Its right edge; `None` follows the guest.
    end_ns: Option<u64>,
    /// The moment under the pointer, in whichever plot it is.
    hover_ns: Option<u64>,
    next_hover_ns: Option<u64>,
}

impl Default for Axis {
    fn default() -> Axis {
        Axis { span_ns: SPAN_NS, end_ns: None, hover_ns: None, next_hover_ns: None }
    }
}

/// The picture that all plots are drawn from. It changes at most four times a second by itself.
#[derive(Default)]
pub struct Scene {
    axis: Axis,
    columns: Vec<Column>,
    now_ns: u64,
    lately: Option<(Arc<Moment>, Arc<Moment>)>,
    decisions_end: u64,
    version: u64,
    taken: Option<Instant>,
    /// The axis was changed by hand.
    moved: bool,
}

impl Scene {
    /// Takes another picture if there is something new and it is time, or if the axis was moved. Ends the hovering of the frame before;
    /// whether another moment is pointed at than was drawn.
    pub fn refresh(&mut self, watcher: &Watcher, now: Instant) {
        let due = self.taken.is_none_or(|t| now.duration_since(t) >= INTERVAL);
        if !due && !self.moved {
            return;
        }
        let rings = watcher.rings();
        if !self.moved && self.taken.is_some() && rings.version == self.version {
            return;
        }
        if due {
            self.version = rings.version;
            self.taken = Some(now);
            self.now_ns = rings.history.last().map_or(0, |m| m.guest_ns);
            self.lately = rings.history.lately(LATELY);
            self.decisions_end = rings.decisions.end();
        }
        self.moved = false;
        let first = rings.history.first().map_or(0, |m| m.guest_ns);
        if self.axis.end_ns.is_some_and(|end| end < first) {
            self.axis.end_ns = Some(first.saturating_add(self.axis.span_ns).min(self.now_ns));
        }
        let (from, to) = self.range();
        self.columns = rings.history.columns(from, to, self.width_ns());
    }

    /// The moment under the pointer that plots have noted is drawn in the next frame. Whether it has changed.
    pub fn end_frame(&mut self) -> bool {
        let next = self.axis.next_hover_ns.take();
        std::mem::replace(&mut self.axis.hover_ns, next) != next
    }

    fn width_ns(&self) -> u64 {
        let fits = |ms: &u64| self.axis.span_ns / (ms * 1_000_000) <= COLUMNS_MAX;
        WIDTHS_MS.into_iter().find(fits).unwrap_or(WIDTHS_MS[WIDTHS_MS.len() - 1]) * 1_000_000
    }

    /// Guest time of the edges.
    pub fn range(&self) -> (u64, u64) {
        let end = self.end_ns();
        (end.saturating_sub(self.axis.span_ns), end)
    }

    /// Guest time of the right edge.
    pub fn end_ns(&self) -> u64 {
        self.axis.end_ns.unwrap_or(self.now_ns).min(self.now_ns)
    }

    /// Guest time of the picture.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// How much time is shown.
    pub fn span_ns(&self) -> u64 {
        self.axis.span_ns
    }

    /// Whether the right edge is now.
    pub fn follows(&self) -> bool {
        self.axis.end_ns.is_none()
    }

    /// Number behind the newest decision of the picture.
    pub fn decisions_end(&self) -> u64 {
        self.decisions_end
    }

    /// What happened, in columns of time.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The moment that is pointed at.
    pub fn hover_ns(&self) -> Option<u64> {
        self.axis.hover_ns
    }

    /// A plot is pointed at at this moment.
    pub fn hover(&mut self, at_ns: u64) {
        self.axis.next_hover_ns = Some(at_ns);
    }

    /// What numbers beside plots are about: the moment that is pointed at, or the last second.
    pub fn focus(&self) -> Option<Between<'_>> {
        match self.axis.hover_ns {
            Some(at) => self.columns.iter().find(|c| c.start_ns <= at && at < c.end_ns)?.between(),
            None => self.lately(),
        }
    }

    /// What happened in the last second.
    pub fn lately(&self) -> Option<Between<'_>> {
        self.lately.as_ref().map(|(from, to)| Between { from, to })
    }

    /// Where a moment lies between the left edge (0) and the right one (1).
    pub fn part(&self, at_ns: u64) -> f64 {
        1.0 - (self.end_ns() as f64 - at_ns as f64) / self.axis.span_ns as f64
    }

    /// The moment at a part of the axis.
    pub fn at(&self, part: f64) -> u64 {
        (self.end_ns() as f64 - (1.0 - part) * self.axis.span_ns as f64).max(0.0) as u64
    }

    /// Moves the axis by a part of its span; to the right of now it follows again.
    pub fn pan(&mut self, by: f64) {
        let end = (self.end_ns() as f64 + by * self.axis.span_ns as f64).max(0.0) as u64;
        self.axis.end_ns = (end < self.now_ns).then_some(end);
        self.moved = true;
    }

    /// Shows `factor` times as much time; the moment at `part` stays where it is, or now if it is followed.
    pub fn zoom(&mut self, factor: f64, part: f64) {
        let anchor = self.at(part) as f64;
        let span = (self.axis.span_ns as f64 * factor) as u64;
        self.axis.span_ns = span.clamp(SPAN_MIN_NS, SPAN_MAX_NS);
        self.moved = true;
        if !self.follows() {
            let end = (anchor + (1.0 - part) * self.axis.span_ns as f64).max(0.0) as u64;
            self.axis.end_ns = (end < self.now_ns).then_some(end);
        }
    }

    /// Shows the newest again.
    pub fn follow(&mut self) {
        self.axis.end_ns = None;
        self.moved = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn scene() -> Scene {
        Scene { now_ns: 100 * S, ..Scene::default() }
    }

    #[test]
    fn the_axis_follows_pans_and_zooms_within_bounds() {
        let mut s = scene();
        assert_eq!((s.range(), s.follows()), ((40 * S, 100 * S), true));
        assert_eq!((s.part(100 * S), s.part(70 * S), s.at(0.5)), (1.0, 0.5, 70 * S));
        s.zoom(0.5, 0.5);
        assert_eq!(s.range(), (70 * S, 100 * S), "now stays at the edge");
        s.pan(-1.0);
        assert_eq!((s.range(), s.follows()), ((40 * S, 70 * S), false));
        s.zoom(2.0, 0.0);
        assert_eq!(s.range(), (40 * S, 100 * S), "what was pointed at stays");
        s.pan(-10.0);
        assert_eq!(s.range(), (0, 0));
        s.pan(1e9);
        assert!(s.follows());
        s.zoom(1e-9, 0.5);
        assert_eq!(s.span_ns(), SPAN_MIN_NS);
        s.zoom(1e12, 0.5);
        assert_eq!((s.span_ns(), s.range().0), (SPAN_MAX_NS, 0));
        assert!(SPAN_MAX_NS / s.width_ns() <= COLUMNS_MAX);
    }

    #[test]
    fn hovering_reaches_all_plots_in_the_next_frame() {
        let mut s = scene();
        s.hover(50 * S);
        assert!(s.end_frame());
        assert_eq!(s.hover_ns(), Some(50 * S));
        s.hover(50 * S);
        assert!(!s.end_frame());
        assert!(s.end_frame(), "the pointer has left");
        assert_eq!(s.hover_ns(), None);
    }
}
