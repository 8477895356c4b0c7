//! Durations, sizes and times: read from the command line, and written for a person.

use std::time::{SystemTime, UNIX_EPOCH};

/// Reads a duration such as `30s`, `15m`, `24h` or `7d` and gives seconds.
///
/// # Errors
/// A sentence that says what is expected.
pub(crate) fn parse_duration(text: &str) -> Result<u32, String> {
    let expected = || "write a whole number and a unit, for example 30s, 15m, 24h or 7d".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(expected()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let count: u32 = digits.parse().map_err(|_| "that is too long".to_owned())?;
    match count.checked_mul(unit) {
        Some(0) => Err("it must be longer than nothing".to_owned()),
        Some(seconds) => Ok(seconds),
        None => Err("that is too long".to_owned()),
    }
}

/// A span of time for a person: `40 ms`, `2.1 s`, `95 s`.
pub(crate) fn span(ms: f64) -> String {
    match ms {
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_950.0 => format!("{:.1} s", ms / 1e3),
        ms => format!("{:.0} s", ms / 1e3),
    }
}

/// Reads a moment in the past: how long ago (`24h`, `7d`), or a day in UTC (`2026-11-01`); gives milliseconds since the
/// Unix epoch.
///
/// # Errors
/// A sentence that says what is expected.
pub(crate) fn parse_since(text: &str) -> Result<i64, String> {
    if let Some(day) = day(text) {
        return Ok(day * 86_400_000);
    }
    let seconds = parse_duration(text)
        .map_err(|_| "write how long ago, for example 24h or 7d, or a day, for example 2026-11-01".to_owned())?;
    Ok(now() - i64::from(seconds) * 1_000)
}

/// Days since the Unix epoch of `YYYY-MM-DD`, by Howard Hinnant's `days_from_civil`.
fn day(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok().filter(|_| part.len() <= 4));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if parts.next().is_some() || year < 1970 || !(1..=12).contains(&month) || !(1..=most).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `at` seen from `now`, both in milliseconds since the Unix epoch: `in 5 min`, `3 h ago`, `now`.
pub(crate) fn relative(at: i64, now: i64) -> String {
    let apart = at.saturating_sub(now);
    // Rounded: an invite for 24 h should not read 23 h a moment after it was made.
    let seconds = (apart.unsigned_abs() + 500) / 1_000;
    let (count, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    match (count, apart > 0) {
        (0, _) => "now".to_owned(),
        (_, true) => format!("in {count} {unit}"),
        (_, false) => format!("{count} {unit} ago"),
    }
}

/// A size in bytes with a decimal unit, for example `2.0 MB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A size of what is limited to a power of two, in binary units: `3.3 KB` of `20 MB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn binary(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KB", "MB", "GB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let decimals = usize::from(value.fract() != 0.0);
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(parse_duration("30s"), Ok(30));
        assert_eq!(parse_duration("15m"), Ok(900));
        assert_eq!(parse_duration("24h"), Ok(86_400));
        assert_eq!(parse_duration("7d"), Ok(604_800));
    }

    #[test]
    fn a_moment_is_a_day_or_so_long_ago() {
        for (text, days) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2024-03-01", 19_783), ("2026-11-28", 20_785)]
        {
            assert_eq!(parse_since(text), Ok(days * 86_400_000), "{text}");
        }
        let since = parse_since("7d").expect("a time");
        let ago = now() - since;
        assert!((604_800_000..604_810_000).contains(&ago), "{ago}");
        for odd in ["2026-11", "2026-02-30", "2025-02-29", "1969-12-31", "2026-13-01", "2026-1-1-1", "x", ""] {
            assert!(parse_since(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn anything_else_is_not_a_duration() {
        for text in ["", "s", "5", "5 m", "-5m", "+5m", "1.5h", "5w", "٣d", "5µ", "0s", "99999999999d", "4294967295h"]
        {
            assert!(parse_duration(text).is_err(), "{text:?} was taken for a duration");
        }
    }

    #[test]
    fn times_are_told_from_now() {
        assert_eq!(relative(0, 400), "now");
        assert_eq!(relative(0, 5_000), "5 s ago");
        assert_eq!(relative(300_000, 0), "in 5 min");
        assert_eq!(relative(86_400_000, 7), "in 24 h");
        assert_eq!(relative(0, 259_200_000), "3 days ago");
        assert_eq!(relative(i64::MIN, i64::MAX), "106751991167 days ago");
    }

    #[test]
    fn spans_are_short() {
        assert_eq!([0.4, 40.0, 999.6, 2_140.0, 95_000.0].map(span), ["0 ms", "40 ms", "1.0 s", "2.1 s", "95 s"]);
    }

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(2_000_000), "2.0 MB");
        assert_eq!(size(999_950), "1.0 MB");
        assert_eq!(size(u64::MAX), "18446744.1 TB");
    }

    #[test]
    fn what_is_limited_to_a_power_of_two_is_told_in_such() {
        assert_eq!(binary(1_023), "1023 B");
        assert_eq!(binary(3_400), "3.3 KB");
        assert_eq!(binary((1 << 20) - 1), "1.0 MB");
        assert_eq!(binary(20 << 20), "20 MB");
        assert_eq!(binary(u64::MAX), "17179869184 GB");
    }
}
