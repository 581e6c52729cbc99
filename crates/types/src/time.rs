//! Points in time as text: RFC 3339, the one form that logs, images, records and states share.
//! A point in time is a count of nanoseconds since the Unix epoch everywhere in Brig.

use std::fmt;

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// How many decimals of a second are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimals {
    /// None.
    Zero,
    /// All nine, so that columns line up.
    Nine,
    /// As many as it takes, as Go's RFC3339Nano.
    Needed,
}

/// A point in time, displayed in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339 {
    nanos: i64,
    decimals: Decimals,
}

/// A time in nanoseconds since the Unix epoch, to be written.
pub fn rfc3339(nanos: i64, decimals: Decimals) -> Rfc3339 {
    Rfc3339 { nanos, decimals }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, fraction) = (self.nanos.div_euclid(NANOS), self.nanos.rem_euclid(NANOS));
        let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.decimals {
            Decimals::Nine => write!(f, ".{fraction:09}")?,
            Decimals::Needed if fraction != 0 => {
                let (mut width, mut rest) = (9, fraction);
                while rest % 10 == 0 {
                    (width, rest) = (width - 1, rest / 10);
                }
                write!(f, ".{rest:0width$}")?;
            }
            Decimals::Needed | Decimals::Zero => {}
        }
        f.write_str("Z")
    }
}

/// Nanoseconds since the Unix epoch of an RFC 3339 time, in UTC or with an offset.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone);
    let mut date = date.splitn(3, '-').map(digits);
    let days = days_of(date.next()??, date.next()??, date.next()??)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    seconds.checked_mul(NANOS)?.checked_add(nanos_of(fraction)?)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn nanos_of(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let nine = fraction.get(..9).unwrap_or(fraction);
    let scale = u32::try_from(9 - nine.len()).ok()?;
    Some(digits(nine)? * 10_i64.pow(scale))
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        (_, rest) => (-1, rest),
    };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (digits(hours)? * 3600 + digits(minutes)? * 60))
}

/// Days since the epoch of a date of the Gregorian calendar. Years begin in March here, so that the
/// day that leap years add is the last of a year, and 400 years are one cycle of 146,097 days.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(cycle * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468)
}

/// The reverse of [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(nanos: i64) -> String {
        rfc3339(nanos, Decimals::Needed).to_string()
    }

    #[test]
    fn times_read_as_gos() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (951_782_400_500_000_000, "2000-02-29T00:00:00.5Z"),
            (1_709_251_199_999_999_999, "2024-02-29T23:59:59.999999999Z"),
            (1_795_226_523_120_000_000, "2026-11-21T02:02:03.12Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ];
        for (nanos, expected) in table {
            assert_eq!(text(nanos), expected);
            assert_eq!(parse_rfc3339(expected), Some(nanos), "{expected}");
        }
        assert_eq!(parse_rfc3339("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(parse_rfc3339("1969-12-31T19:30:00-04:30"), Some(0));
        for bad in [
            "",
            "now",
            "2024-13-01T00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00Z",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn decimals_are_as_asked_for() {
        let nanos = 951_782_400_500_000_000;
        let table = [
            (Decimals::Zero, "2000-02-29T00:00:00Z"),
            (Decimals::Nine, "2000-02-29T00:00:00.500000000Z"),
            (Decimals::Needed, "2000-02-29T00:00:00.5Z"),
        ];
        for (decimals, expected) in table {
            assert_eq!(rfc3339(nanos, decimals).to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn every_time_comes_back(nanos in i64::MIN / 2..i64::MAX) {
            prop_assert_eq!(parse_rfc3339(&text(nanos)), Some(nanos));
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,40}") {
            let _ = parse_rfc3339(&text);
        }
    }
}
