//! The time of day, for what is added and for what documents say.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A time in nanoseconds since the Unix epoch, as RFC 3339 writes it, in UTC.
pub fn rfc3339(nanos: i64) -> String {
    const DAY: i64 = 86_400;
    let (seconds, fraction) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let time = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: 400 years have
/// 146,097 days; a year is counted from March, so that the leap day is its last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_calendar() {
        let day = |seconds: i64| rfc3339(seconds * 1_000_000_000);
        assert_eq!(day(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(day(951_782_400), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(day(1_709_251_199), "2024-02-29T23:59:59.000000000Z");
        assert_eq!(day(4_107_542_400), "2100-03-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
