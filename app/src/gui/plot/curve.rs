//! The values of a plot as points, in runs without a gap.

use egui::{Color32, Mesh, Painter, Pos2, Rect, Shape, Stroke, pos2};

/// One column of a plot: where it is, and its values from the bottom to the top; empty where nothing was measured.
pub struct Bar {
    /// Left edge.
    pub left: f32,
    /// Right edge.
    pub right: f32,
    /// One for each series.
    pub values: Vec<Option<f64>>,
}

/// Where a value lies in a plot.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Place of the plot.
    pub rect: Rect,
    /// Value at its lower edge.
    pub bottom: f64,
    /// Value at its upper edge.
    pub top: f64,
}

impl Frame {
    fn y(&self, value: f64) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "a coordinate of a screen")]
        let part = ((value - self.bottom) / (self.top - self.bottom)).clamp(0.0, 1.0) as f32;
        self.rect.max.y - part * self.rect.height()
    }
}

/// Points of a run: the middle of each column, and the outer edges of the first and the last.
fn points(run: &[(f32, f32, f64)], frame: Frame) -> Vec<Pos2> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
    let middle = run.iter().map(|(left, right, v)| pos2((left + right) / 2.0, frame.y(*v)));
    std::iter::once(pos2(first.0, frame.y(first.2)))
        .chain(middle)
        .chain(std::iter::once(pos2(last.1, frame.y(last.2))))
        .collect()
}

/// Neighbouring columns that have a value.
fn runs(bars: &[Bar], value: impl Fn(&Bar) -> Option<f64>) -> Vec<Vec<(f32, f32, f64)>> {
    let mut all: Vec<Vec<(f32, f32, f64)>> = vec![Vec::new()];
    for bar in bars {
        match (value(bar), all.last_mut()) {
            (Some(v), Some(run)) => run.push((bar.left, bar.right, v)),
            (None, Some(run)) if !run.is_empty() => all.push(Vec::new()),
            _ => {}
        }
    }
    all
}

/// Draws one series as a line.
pub fn line(painter: &Painter, bars: &[Bar], series: usize, frame: Frame, color: Color32) {
    for run in runs(bars, |bar| bar.values.get(series).copied().flatten()) {
        let points = points(&run, frame);
        if points.len() > 1 {
            painter.add(Shape::line(points, Stroke::new(1.5, color)));
        }
    }
}

/// Draws a series as an area that stands on those before it.
pub fn area(painter: &Painter, bars: &[Bar], series: usize, frame: Frame, color: Color32) {
    let sum = |bar: &Bar, n: usize| -> Option<f64> {
        let measured = bar.values.iter().any(Option::is_some);
        measured.then(|| bar.values.iter().take(n).flatten().sum())
    };
    let (low, high) = (runs(bars, |bar| sum(bar, series)), runs(bars, |bar| sum(bar, series + 1)));
    let mut mesh = Mesh::default();
    for (low, high) in low.iter().zip(&high) {
        let (low, high) = (points(low, frame), points(high, frame));
        for (i, (low, high)) in low.iter().zip(&high).enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "a few vertices for each column of pixels")]
            let at = mesh.vertices.len() as u32;
            mesh.colored_vertex(*low, color);
            mesh.colored_vertex(*high, color);
            if i > 0 {
                mesh.add_triangle(at - 2, at - 1, at);
                mesh.add_triangle(at - 1, at, at + 1);
            }
        }
    }
    painter.add(Shape::mesh(mesh));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(n: u8, value: Option<f64>) -> Bar {
        Bar { left: f32::from(n), right: f32::from(n) + 1.0, values: vec![value] }
    }

    #[test]
    fn gaps_part_runs_and_runs_reach_their_edges() {
        let bars = [bar(0, None), bar(1, Some(1.0)), bar(2, Some(3.0)), bar(3, None), bar(4, Some(2.0))];
        let frame =
            Frame { rect: Rect::from_min_max(pos2(0.0, 0.0), pos2(5.0, 10.0)), bottom: 0.0, top: 4.0 };
        let all = runs(&bars, |b| b.values[0]);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        let first = points(&all[0], frame);
        assert_eq!(first, [pos2(1.0, 7.5), pos2(1.5, 7.5), pos2(2.5, 2.5), pos2(3.0, 2.5)]);
        assert_eq!(points(&all[1], frame).len(), 3);
        assert!(points(&[], frame).is_empty());
        assert_eq!(frame.y(9.0), 0.0, "what is too large ends at the edge");
        assert_eq!(Frame { bottom: 2.0, ..frame }.y(3.0), 5.0);
    }
}
