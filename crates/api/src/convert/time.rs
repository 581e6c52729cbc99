//! Times: RFC 3339 as Go writes it, times as clients write them, durations for people.

use jiff::Timestamp;
use types::Decimals;

/// What Go's zero time looks like.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 in UTC with as many decimals as needed; none is Go's zero time.
pub fn rfc3339(nanoseconds: Option<i64>) -> String {
    nanoseconds.map_or_else(
        || NEVER.to_owned(),
        |time| types::rfc3339(time, Decimals::Needed).to_string(),
    )
}

/// Nanoseconds since the epoch from `seconds[.nanoseconds]` or RFC 3339: what `since` and `until`
/// take. `0` and the empty text are none.
pub fn parse_time(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    if text.contains(['T', 't']) {
        let time: Timestamp = text.parse().ok()?;
        return i64::try_from(time.as_nanosecond()).ok().map(Some);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: i64 = format!("{fraction:0<9}").parse().ok()?;
    let whole = seconds.checked_mul(1_000_000_000)?;
    let time = if negative {
        whole.checked_sub(nanoseconds)?
    } else {
        whole.checked_add(nanoseconds)?
    };
    Some(Some(time).filter(|time| *time != 0))
}

/// A duration as `ps` shows it, in Docker's words.
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1_800) / 3_600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3_600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_does() {
        assert_eq!(rfc3339(None), "0001-01-01T00:00:00Z");
        assert_eq!(
            rfc3339(Some(1_700_000_000_123_456_789)),
            "2023-11-14T22:13:20.123456789Z"
        );
        assert_eq!(
            rfc3339(Some(1_700_000_000_500_000_000)),
            "2023-11-14T22:13:20.5Z"
        );
        assert_eq!(rfc3339(Some(0)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn times_are_read_in_both_forms() {
        let table = [
            ("", Some(None)),
            ("0", Some(None)),
            ("1.5", Some(Some(1_500_000_000))),
            (
                "1700000000.000000001",
                Some(Some(1_700_000_000_000_000_001)),
            ),
            (
                "2023-11-14T22:13:20Z",
                Some(Some(1_700_000_000_000_000_000)),
            ),
            ("-1.5", Some(Some(-1_500_000_000))),
            ("x", None),
            ("1.0000000001", None),
            ("1.x", None),
            ("99999999999999999999", None),
        ];
        for (text, time) in table {
            assert_eq!(parse_time(text), time, "{text:?}");
        }
    }

    #[test]
    fn durations_are_dockers() {
        let table: Vec<String> = [
            0, 1, 59, 60, 119, 120, 3_599, 3_600, 5_399, 5_400, 172_799, 180_000, 1_300_000,
            6_000_000, 40_000_000, 70_000_000,
        ]
        .into_iter()
        .map(human_duration)
        .collect();
        assert_eq!(
            table.join(", "),
            "Less than a second, 1 second, 59 seconds, About a minute, About a minute, 2 minutes, \
             59 minutes, About an hour, About an hour, 2 hours, 2 days, 2 days, 2 weeks, 2 months, \
             15 months, 2 years"
        );
    }
}
