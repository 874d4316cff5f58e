//! The window's icons, drawn as lines on a 16-point grid so that they are sharp at every scale factor.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, epaint::PathShape, pos2, vec2};

/// An icon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icon {
    /// Switch on or off.
    Power,
    /// Start, go on.
    Play,
    /// Stand still.
    Pause,
    /// Start anew.
    Reset,
    /// Keep the state.
    Save,
    /// Back.
    Back,
    /// Settings.
    Gear,
    /// New.
    Plus,
    /// More commands.
    More,
    /// Remove, close.
    Close,
    /// Search.
    Search,
    /// Good to know.
    Info,
    /// Take care.
    Warning,
    /// It failed.
    Error,
    /// A terminal.
    Terminal,
    /// A CPU.
    Chip,
    /// A disk.
    Disk,
    /// A network.
    Network,
    /// Done, valid.
    Check,
    /// A folder.
    Folder,
    /// Down.
    Down,
    /// Panels round a middle.
    Panels,
}

struct Pen<'a> {
    painter: &'a Painter,
    origin: Pos2,
    scale: f32,
    stroke: Stroke,
}

impl Pen<'_> {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.origin + vec2(x, y) * self.scale
    }

    fn line(&self, points: &[(f32, f32)]) {
        let points = points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        self.painter.add(Shape::Path(PathShape::line(points, self.stroke)));
    }

    fn closed(&self, points: &[(f32, f32)], filled: bool) {
        let points = points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        let fill = if filled { self.stroke.color } else { Color32::TRANSPARENT };
        self.painter.add(Shape::Path(PathShape { points, closed: true, fill, stroke: self.stroke.into() }));
    }

    fn rect(&self, x0: f32, y0: f32, x1: f32, y1: f32, round: f32, filled: bool) {
        let rect = Rect::from_min_max(self.at(x0, y0), self.at(x1, y1));
        if filled {
            self.painter.rect_filled(rect, round * self.scale, self.stroke.color);
        } else {
            self.painter.rect_stroke(rect, round * self.scale, self.stroke, egui::StrokeKind::Middle);
        }
    }

    fn circle(&self, x: f32, y: f32, r: f32, filled: bool) {
        let (centre, radius) = (self.at(x, y), r * self.scale);
        if filled {
            self.painter.circle_filled(centre, radius, self.stroke.color);
        } else {
            self.painter.circle_stroke(centre, radius, self.stroke);
        }
    }

    /// An arc from `from` to `to` degrees, clockwise from the right.
    fn arc(&self, x: f32, y: f32, r: f32, from: f32, to: f32) {
        let points: Vec<_> = (0_u8..=24)
            .map(|i| {
                let a = (from + (to - from) * f32::from(i) / 24.0).to_radians();
                (x + r * a.cos(), y + r * a.sin())
            })
            .collect();
        self.line(&points);
    }
}

/// Draws an icon in the middle of `rect`, `size` points large.
pub fn paint(painter: &Painter, icon: Icon, rect: Rect, size: f32, color: Color32) {
    let origin = rect.center() - vec2(size, size) / 2.0;
    let scale = size / 16.0;
    let p = Pen { painter, origin: pos2(origin.x, origin.y), scale, stroke: Stroke::new(1.5 * scale, color) };
    match icon {
        Icon::Power => {
            p.arc(8.0, 8.5, 5.5, -55.0, 235.0);
            p.line(&[(8.0, 1.5), (8.0, 7.5)]);
        }
        Icon::Play => p.closed(&[(4.5, 3.0), (12.5, 8.0), (4.5, 13.0)], true),
        Icon::Pause => {
            p.rect(4.0, 3.0, 6.5, 13.0, 0.5, true);
            p.rect(9.5, 3.0, 12.0, 13.0, 0.5, true);
        }
        Icon::Reset => {
            p.arc(8.0, 8.0, 5.5, 10.0, 290.0);
            p.closed(&[(9.1, 5.0), (10.7, 0.6), (12.7, 3.8)], true);
        }
        Icon::Save => {
            p.line(&[(8.0, 2.0), (8.0, 9.5)]);
            p.line(&[(4.8, 6.6), (8.0, 9.8), (11.2, 6.6)]);
            p.line(&[(2.5, 10.5), (2.5, 13.5), (13.5, 13.5), (13.5, 10.5)]);
        }
        Icon::Back => p.line(&[(10.0, 3.0), (5.0, 8.0), (10.0, 13.0)]),
        Icon::Down => p.line(&[(3.5, 6.0), (8.0, 10.5), (12.5, 6.0)]),
        Icon::Panels => {
            p.rect(1.5, 2.5, 14.5, 13.5, 1.5, false);
            p.line(&[(10.0, 2.5), (10.0, 13.5)]);
            p.line(&[(1.5, 9.5), (10.0, 9.5)]);
        }
        Icon::Gear => gear(&p),
        Icon::Plus => {
            p.line(&[(8.0, 2.5), (8.0, 13.5)]);
            p.line(&[(2.5, 8.0), (13.5, 8.0)]);
        }
        Icon::More => [3.0, 8.0, 13.0].iter().for_each(|x| p.circle(*x, 8.0, 1.4, true)),
        Icon::Close => {
            p.line(&[(4.0, 4.0), (12.0, 12.0)]);
            p.line(&[(12.0, 4.0), (4.0, 12.0)]);
        }
        Icon::Search => {
            p.circle(7.0, 7.0, 4.5, false);
            p.line(&[(10.4, 10.4), (14.0, 14.0)]);
        }
        Icon::Info => {
            p.circle(8.0, 8.0, 6.3, false);
            p.line(&[(8.0, 7.2), (8.0, 11.5)]);
            p.circle(8.0, 4.8, 0.9, true);
        }
        Icon::Warning => {
            p.closed(&[(8.0, 1.8), (14.6, 13.6), (1.4, 13.6)], false);
            p.line(&[(8.0, 6.0), (8.0, 9.6)]);
            p.circle(8.0, 11.6, 0.9, true);
        }
        Icon::Error => {
            p.circle(8.0, 8.0, 6.3, false);
            p.line(&[(5.7, 5.7), (10.3, 10.3)]);
            p.line(&[(10.3, 5.7), (5.7, 10.3)]);
        }
        Icon::Terminal => {
            p.rect(1.5, 2.5, 14.5, 13.5, 1.5, false);
            p.line(&[(4.2, 5.8), (6.6, 8.0), (4.2, 10.2)]);
            p.line(&[(8.2, 10.4), (11.6, 10.4)]);
        }
        Icon::Chip => chip(&p),
        Icon::Disk => {
            p.rect(2.0, 3.0, 14.0, 13.0, 1.5, false);
            p.line(&[(2.0, 9.0), (14.0, 9.0)]);
            p.circle(11.4, 11.0, 0.9, true);
        }
        Icon::Network => {
            p.rect(5.5, 1.8, 10.5, 5.6, 0.8, false);
            p.rect(1.5, 10.4, 6.0, 14.2, 0.8, false);
            p.rect(10.0, 10.4, 14.5, 14.2, 0.8, false);
            p.line(&[(8.0, 5.6), (8.0, 8.0)]);
            p.line(&[(3.75, 10.4), (3.75, 8.0), (12.25, 8.0), (12.25, 10.4)]);
        }
        Icon::Check => p.line(&[(2.8, 8.4), (6.4, 12.0), (13.4, 4.4)]),
        Icon::Folder => {
            p.closed(&[(1.8, 3.4), (6.4, 3.4), (8.0, 5.2), (14.2, 5.2), (14.2, 13.0), (1.8, 13.0)], false)
        }
    }
}

fn gear(p: &Pen<'_>) {
    p.circle(8.0, 8.0, 2.2, false);
    let teeth: Vec<_> = (0_u8..32)
        .map(|i| {
            let a = (f32::from(i) + 0.5) / 32.0 * std::f32::consts::TAU;
            let r = if (i / 2) % 2 == 0 { 6.6 } else { 4.9 };
            (8.0 + r * a.cos(), 8.0 + r * a.sin())
        })
        .collect();
    p.closed(&teeth, false);
}

fn chip(p: &Pen<'_>) {
    p.rect(4.0, 4.0, 12.0, 12.0, 1.0, false);
    for at in [6.0, 10.0] {
        p.line(&[(at, 1.4), (at, 4.0)]);
        p.line(&[(at, 12.0), (at, 14.6)]);
        p.line(&[(1.4, at), (4.0, at)]);
        p.line(&[(12.0, at), (14.6, at)]);
    }
}
