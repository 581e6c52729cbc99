//! A point in time as text.

use std::time::{SystemTime, UNIX_EPOCH};

/// In UTC with nanoseconds, as runc writes it: `2026-01-02T03:04:05.000000006Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = since.subsec_nanos();
    format!("{}.{nanos:09}Z", to_the_second(since.as_secs()))
}

/// In UTC without a fraction, as runc's log has it.
pub(crate) fn rfc3339_seconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    to_the_second(since.as_secs()) + "Z"
}

fn to_the_second(since: u64) -> String {
    let (days, seconds) = (since / 86_400, since % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day since 1970-01-01, by counting in 400-year cycles that begin on a
/// first of March, so that the leap day is a cycle's and a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let text = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(text(1_709_251_199), "2024-02-29T23:59:59.000000000Z");
        assert_eq!(text(1_709_251_200), "2024-03-01T00:00:00.000000000Z");
        let plain = rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(951_782_400_999));
        assert_eq!(plain, "2000-02-29T00:00:00Z");
        assert_eq!(text(4_102_444_799), "2099-12-31T23:59:59.000000000Z");
    }
}
