//! Round upper ends of vertical scales.

/// The next round number (1, 2 or 5 times a power of ten) that is not less than a value.
pub fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|top| *top >= value * 0.999_999)
        .unwrap_or(value)
}

/// The upper end for values up to `most`, when it was `before`: it grows at once and shrinks only when most of the room is empty, so that
/// a scale does not flutter.
pub fn top(most: f64, before: Option<f64>) -> f64 {
    let wanted = round_up(most);
    match before {
        Some(before) if wanted <= before && most > before * 0.3 => before,
        _ => wanted,
    }
}

/// Lower ends of scales that end at 100.
const FLOORS: [f64; 6] = [99.0, 95.0, 90.0, 80.0, 50.0, 0.0];

/// The lower end of a scale up to 100 for values down to `least`, when it was `before`: it sinks at once and rises only when there is room
/// to spare.
pub fn floor(least: f64, before: Option<f64>) -> f64 {
    let wanted = FLOORS.into_iter().find(|f| *f <= least).unwrap_or(0.0);
    match before {
        // As much again below the values as above them.
        Some(before) if wanted > before && least < 100.0 - (100.0 - wanted) * 0.8 => before,
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers_and_stay() {
        assert_eq!([0.0, 0.3, 1.0, 1.1, 37.0, 501.0].map(round_up), [1.0, 0.5, 1.0, 2.0, 50.0, 1000.0]);
        assert_eq!((round_up(f64::NAN), round_up(f64::INFINITY), round_up(-3.0)), (1.0, 1.0, 1.0));
        assert_eq!(top(90.0, Some(200.0)), 200.0);
        assert_eq!(top(210.0, Some(200.0)), 500.0);
        assert_eq!(top(50.0, Some(200.0)), 50.0);
    }

    #[test]
    fn floors_lie_below_what_is_seen() {
        assert_eq!(
            [100.0, 99.3, 97.0, 12.0, -1.0, f64::NAN].map(|v| floor(v, None)),
            [99.0, 99.0, 95.0, 0.0, 0.0, 0.0]
        );
        assert_eq!(floor(94.0, Some(99.0)), 90.0);
        assert_eq!((floor(95.5, Some(90.0)), floor(98.0, Some(90.0))), (90.0, 95.0));
    }
}
