//! Box-drawing and block characters as shapes, so that frames join without seams whatever the font and the cell's size.
//! (Unicode charts "Box Drawing" U+2500 and "Block Elements" U+2580.)

use super::paint::Canvas;
use egui::{Color32, Pos2, Rect, Shape, Stroke, epaint::PathShape, pos2};

/// Arms of U+2500 to U+257F as left, right, up, down: 0 none, 1 light, 2 heavy, 3 double. Dashes, arcs and diagonals are zero here.
const ARMS: &str = "\
1100 2200 0011 0022 0000 0000 0000 0000 0000 0000 0000 0000 0101 0201 0102 0202 \
1001 2001 1002 2002 0110 0210 0120 0220 1010 2010 1020 2020 0111 0211 0121 0112 \
0122 0221 0212 0222 1011 2011 1021 1012 1022 2021 2012 2022 1101 2101 1201 2201 \
1102 2102 1202 2202 1110 2110 1210 2210 1120 2120 1220 2220 1111 2111 1211 2211 \
1121 1112 1122 2121 1221 2112 1212 2221 2212 2122 1222 2222 0000 0000 0000 0000 \
3300 0033 0301 0103 0303 3001 1003 3003 0310 0130 0330 3010 1030 3030 0311 0133 \
0333 3011 1033 3033 3301 1103 3303 3310 1130 3330 3311 1133 3333 0000 0000 0000 \
0000 0000 0000 0000 1000 0010 0100 0001 2000 0020 0200 0002 1200 0012 2100 0021 ";

fn arms(index: usize) -> [u8; 4] {
    let at = index * 5;
    ARMS.as_bytes().get(at..at + 4).map_or([0; 4], |d| [d[0] - b'0', d[1] - b'0', d[2] - b'0', d[3] - b'0'])
}

/// Whether [`paint`] draws this character.
pub fn is_drawn(c: char) -> bool {
    matches!(c, '\u{2500}'..='\u{259f}')
}

/// Draws `c` into its cell. `pixel` is the size of one physical pixel in points; the cell's edges lie on pixels.
pub fn paint(canvas: &mut Canvas<'_>, c: char, cell: Rect, color: Color32, pixel: f32) {
    let code = u32::from(c) as usize;
    if code >= 0x2580 {
        blocks(canvas, code - 0x2580, cell, color, pixel);
        return;
    }
    let index = code - 0x2500;
    let mut pen = Pen::new(canvas, cell, color, pixel);
    match index {
        0x04..=0x0b | 0x4c..=0x4f => pen.dashed(index),
        0x6d..=0x70 => pen.arc(index),
        0x71..=0x73 => pen.diagonals(index),
        _ => pen.arms(arms(index)),
    }
}

struct Pen<'a, 'p> {
    canvas: &'a mut Canvas<'p>,
    cell: Rect,
    color: Color32,
    pixel: f32,
    /// Thickness of a light line.
    light: f32,
    centre: Pos2,
}

/// One line along an axis: from and to along it, place across it, thickness.
struct Bar {
    horizontal: bool,
    from: f32,
    to: f32,
    across: f32,
    thick: f32,
}

impl<'a, 'p> Pen<'a, 'p> {
    fn new(canvas: &'a mut Canvas<'p>, cell: Rect, color: Color32, pixel: f32) -> Pen<'a, 'p> {
        let light = ((cell.width() / 8.0) / pixel).round().max(1.0) * pixel;
        // The middle of the light line, with its edges on pixels.
        let middle = |min: f32, max: f32| {
            let start = ((max - min - light) / 2.0 / pixel).floor() * pixel;
            min + start + light / 2.0
        };
        let centre = pos2(middle(cell.min.x, cell.max.x), middle(cell.min.y, cell.max.y));
        Pen { canvas, cell, color, pixel, light, centre }
    }

    fn bar(&mut self, bar: Bar) {
        let (a, b) = (bar.from.min(bar.to), bar.from.max(bar.to));
        let half = bar.thick / 2.0;
        let rect = if bar.horizontal {
            Rect::from_min_max(pos2(a, bar.across - half), pos2(b, bar.across + half))
        } else {
            Rect::from_min_max(pos2(bar.across - half, a), pos2(bar.across + half, b))
        };
        self.canvas.rect(rect, self.color);
    }

    fn heavy(&self) -> f32 {
        self.light + 2.0 * self.pixel * (self.light / self.pixel / 2.0).ceil()
    }

    /// Distance of a double line's two strokes from the middle.
    fn gap(&self) -> f32 {
        self.light + self.pixel * (self.light / self.pixel / 2.0).floor()
    }

    fn thickness(&self, weight: u8) -> f32 {
        if weight == 2 { self.heavy() } else { self.light }
    }

    fn arms(&mut self, [left, right, up, down]: [u8; 4]) {
        let (c, r) = (self.centre, self.cell);
        self.arm(true, left, right, up, down, c.x, r.min.x, c.y);
        self.arm(true, right, left, up, down, c.x, r.max.x, c.y);
        self.arm(false, up, down, left, right, c.y, r.min.y, c.x);
        self.arm(false, down, up, left, right, c.y, r.max.y, c.x);
    }

    /// One arm from the cell's `edge` to about the `middle`; `before` and `after` are the arms across it, on the smaller and the larger side.
    #[expect(clippy::too_many_arguments, reason = "the arm, its three neighbours and its three coordinates")]
    fn arm(
        &mut self,
        horizontal: bool,
        weight: u8,
        opposite: u8,
        before: u8,
        after: u8,
        middle: f32,
        edge: f32,
        across: f32,
    ) {
        if weight == 0 {
            return;
        }
        // From the middle towards the edge.
        let out = if edge < middle { -1.0 } else { 1.0 };
        let (half, gap) = (self.light / 2.0, self.gap());
        if weight != 3 {
            let both_double = before == 3 && after == 3;
            let to = match (before == 3 || after == 3, opposite != 0) {
                (true, false) if both_double => middle + out * gap,
                (true, false) => middle - out * (gap + half),
                _ => {
                    let widest = self.thickness(before.max(after));
                    middle - out * widest.max(self.thickness(weight)).min(self.heavy()) / 2.0
                }
            };
            let thick = self.thickness(weight);
            self.bar(Bar { horizontal, from: edge, to, across, thick });
            return;
        }
        for (side, near, far) in [(-1.0, before, after), (1.0, after, before)] {
            let to = match (near, far) {
                (3, _) => middle + out * (gap - half),
                (0, 3) if opposite == 0 => middle - out * (gap + half),
                _ => middle - out * half,
            };
            let across = across + side * gap;
            self.bar(Bar { horizontal, from: edge, to, across, thick: self.light });
        }
    }

    fn dashed(&mut self, index: usize) {
        let (dashes, horizontal, heavy) = match index {
            0x04..=0x07 => (3_u8, index < 0x06, index % 2 == 1),
            0x08..=0x0b => (4, index < 0x0a, index % 2 == 1),
            _ => (2, index < 0x4e, index % 2 == 1),
        };
        let (from, length, across) = if horizontal {
            (self.cell.min.x, self.cell.width(), self.centre.y)
        } else {
            (self.cell.min.y, self.cell.height(), self.centre.x)
        };
        let step = length / f32::from(dashes);
        let thick = self.thickness(if heavy { 2 } else { 1 });
        for i in 0..dashes {
            let from = from + step * (f32::from(i) + 0.2);
            self.bar(Bar { horizontal, from, to: from + step * 0.6, across, thick });
        }
    }

    fn arc(&self, index: usize) {
        let (c, r) = (self.centre, self.cell);
        // From the arm's end left or right, to the one above or below.
        let x = if matches!(index, 0x6d | 0x70) { r.max.x } else { r.min.x };
        let y = if matches!(index, 0x6d | 0x6e) { r.max.y } else { r.min.y };
        let points = (0_u8..=12)
            .map(|i| {
                let t = f32::from(i) / 12.0;
                // A quadratic curve with the middle as its control point.
                let along = |from: f32, control: f32, to: f32| {
                    from * (1.0 - t) * (1.0 - t) + 2.0 * control * t * (1.0 - t) + to * t * t
                };
                pos2(along(x, c.x, c.x), along(c.y, c.y, y))
            })
            .collect();
        self.canvas.painter.add(Shape::Path(PathShape::line(points, Stroke::new(self.light, self.color))));
    }

    fn diagonals(&self, index: usize) {
        let stroke = Stroke::new(self.light, self.color);
        if index != 0x72 {
            self.canvas.painter.line_segment([self.cell.left_bottom(), self.cell.right_top()], stroke);
        }
        if index != 0x71 {
            self.canvas.painter.line_segment([self.cell.left_top(), self.cell.right_bottom()], stroke);
        }
    }
}

fn blocks(canvas: &mut Canvas<'_>, index: usize, cell: Rect, color: Color32, pixel: f32) {
    let snap = |v: f32| (v / pixel).round() * pixel;
    // Fractions of the cell, in eighths: x0, y0, x1, y1.
    let mut fill = |x0: f32, y0: f32, x1: f32, y1: f32| {
        let x = |e: f32| cell.min.x + snap(cell.width() * e / 8.0);
        let y = |e: f32| cell.min.y + snap(cell.height() * e / 8.0);
        canvas.rect(Rect::from_min_max(pos2(x(x0), y(y0)), pos2(x(x1), y(y1))), color);
    };
    let eighths = |n: usize| f32::from(u8::try_from(n).unwrap_or(0));
    match index {
        0x00 => fill(0.0, 0.0, 8.0, 4.0),
        0x01..=0x08 => fill(0.0, 8.0 - eighths(index), 8.0, 8.0),
        0x09..=0x0f => fill(0.0, 0.0, 8.0 - eighths(index - 8), 8.0),
        0x10 => fill(4.0, 0.0, 8.0, 8.0),
        0x11..=0x13 => {
            let shade = color.gamma_multiply(eighths(index - 0x10) / 4.0);
            canvas.rect(cell, shade);
        }
        0x14 => fill(0.0, 0.0, 8.0, 1.0),
        0x15 => fill(7.0, 0.0, 8.0, 8.0),
        _ => {
            // Quadrants: upper left 1, upper right 2, lower left 4, lower right 8.
            const QUADRANTS: [u8; 10] =
                [4, 8, 1, 1 | 4 | 8, 1 | 8, 1 | 2 | 4, 1 | 2 | 8, 2, 2 | 4, 2 | 4 | 8];
            let set = QUADRANTS.get(index.wrapping_sub(0x16)).copied().unwrap_or(0);
            for (bit, x, y) in [(1, 0.0, 0.0), (2, 4.0, 0.0), (4, 0.0, 4.0), (8, 4.0, 4.0)] {
                if set & bit != 0 {
                    fill(x, y, x + 4.0, y + 4.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_arms_of_the_unicode_charts() {
        let of = |c: char| arms(u32::from(c) as usize - 0x2500);
        assert_eq!(ARMS.len(), 128 * 5);
        assert_eq!(of('─'), [1, 1, 0, 0]);
        assert_eq!(of('┌'), [0, 1, 0, 1]);
        assert_eq!(of('┛'), [2, 0, 2, 0]);
        assert_eq!(of('╋'), [2, 2, 2, 2]);
        assert_eq!(of('╂'), [1, 1, 2, 2]);
        assert_eq!(of('┼'), [1, 1, 1, 1]);
        assert_eq!(of('╔'), [0, 3, 0, 3]);
        assert_eq!(of('╖'), [1, 0, 0, 3]);
        assert_eq!(of('╪'), [3, 3, 1, 1]);
        assert_eq!(of('╬'), [3, 3, 3, 3]);
        assert_eq!(of('╴'), [1, 0, 0, 0]);
        assert_eq!(of('╿'), [0, 0, 2, 1]);
    }

    /// The mirror image of a frame's corner is the other corner: every character's arms, mirrored, are another character's.
    #[test]
    fn the_table_is_closed_under_mirroring() {
        let drawn: Vec<_> = (0..128).map(arms).filter(|a| *a != [0; 4]).collect();
        for [l, r, u, d] in &drawn {
            assert!(drawn.contains(&[*r, *l, *u, *d]), "{l}{r}{u}{d} left-right");
            assert!(drawn.contains(&[*l, *r, *d, *u]), "{l}{r}{u}{d} up-down");
        }
        let mut unique = drawn.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), drawn.len());
    }
}
