//! Numbers and times in words.

use std::time::Duration;

/// A count as a coordinate; counts beyond 2^24 lose precision, which no screen shows.
#[expect(clippy::cast_precision_loss, reason = "coordinates of a screen")]
pub fn lossy(n: usize) -> f32 {
    n as f32
}

/// A rate of at most three significant digits ("0.00", "7.31", "42.0", "315", "1 240").
pub fn three_digits(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "–".to_owned();
    }
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v if v < 999.5 => format!("{v:.0}"),
        v => {
            // From four digits on the last ones are noise.
            let scale = 10f64.powf(v.log10().floor() - 2.0);
            thousands(&format!("{:.0}", (v / scale).round() * scale))
        }
    }
}

/// Groups the digits of a whole number by thin spaces.
pub fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(c);
    }
    out
}

/// A running time as h:mm:ss or m:ss.
pub fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// A running time with tenths of seconds.
pub fn clock_tenths(nanoseconds: u64) -> String {
    format!("{}.{}", clock(nanoseconds), nanoseconds / 100_000_000 % 10)
}

/// A whole number with its digits in groups.
pub fn grouped(n: u64) -> String {
    thousands(&n.to_string())
}

/// How long ago something was, in words.
pub fn ago(elapsed: Duration) -> String {
    let minutes = elapsed.as_secs() / 60;
    let plural = |n: u64, unit: &str| format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" });
    match minutes {
        0 => "just now".to_owned(),
        1..=59 => plural(minutes, "minute"),
        60..=1439 => plural(minutes / 60, "hour"),
        1440..=2879 => "yesterday".to_owned(),
        _ => plural(minutes / 1440, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_significant_digits() {
        let of = |v: f64| three_digits(v);
        assert_eq!((of(0.0), of(7.314), of(42.04)), ("0.00".into(), "7.31".into(), "42.0".into()));
        assert_eq!((of(99.96), of(314.9), of(999.6)), ("100".into(), "315".into(), "1\u{2009}000".into()));
        assert_eq!(of(12_345.0), "12\u{2009}300");
        assert_eq!(of(f64::NAN), "–");
    }

    #[test]
    fn times_are_words() {
        assert_eq!(clock(59_999_999_999), "0:59");
        assert_eq!((clock_tenths(61_250_000_000), grouped(1_234)), ("1:01.2".into(), "1\u{2009}234".into()));
        assert_eq!(clock(3_723_000_000_000), "1:02:03");
        assert_eq!(ago(Duration::from_secs(30)), "just now");
        assert_eq!(ago(Duration::from_secs(60)), "1 minute ago");
        assert_eq!(ago(Duration::from_secs(7_300)), "2 hours ago");
        assert_eq!(ago(Duration::from_secs(90_000)), "yesterday");
    }
}
