//! Points in time as `logs --since` and `--until` take them.

use jiff::civil;
use jiff::tz::TimeZone;
use types::go;

use crate::error::CliError;

/// Seconds since the epoch with nanoseconds, as the API takes them, from a time or from how long
/// ago it was; `now` in nanoseconds.
pub fn point(text: &str, now: i128) -> Result<String, CliError> {
    // Zero is the first moment there was, as Docker takes it.
    if let (Ok(nanos), false) = (go::parse_duration(text), text == "0") {
        return Ok(seconds(now - i128::from(nanos)));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && !text[1..].contains(['-', 'T', ':']) {
        let number: bool = text.parse::<f64>().is_ok();
        if number {
            return Ok(text.to_owned());
        }
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(seconds(at.as_nanosecond()));
    }
    let local = text
        .parse::<civil::DateTime>()
        .or_else(|_| civil::DateTime::strptime("%Y-%m-%dT%H:%M", text))
        .or_else(|_| civil::DateTime::strptime("%Y-%m-%dT%H", text))
        .or_else(|_| {
            text.parse::<civil::Date>()
                .map(|day| day.to_datetime(civil::Time::midnight()))
        })
        .and_then(|at| at.to_zoned(TimeZone::system()));
    match local {
        Ok(at) => Ok(seconds(at.timestamp().as_nanosecond())),
        Err(_) => Err(CliError::Invalid(format!(
            "failed to parse value as time or duration: {text:?}"
        ))),
    }
}

fn seconds(nanos: i128) -> String {
    let whole = nanos.div_euclid(1_000_000_000);
    let rest = nanos.rem_euclid(1_000_000_000);
    format!("{whole}.{rest:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations() {
        let show = |text: &str| match point(text, 1_000_000_000_000_000) {
            Ok(at) => format!("{text} -> {at}"),
            Err(error) => format!("{text} -> {error}"),
        };
        let lines = [
            "42m",
            "1h30m",
            "1.5s",
            "300ms",
            "1136073600",
            "1136073600.000000001",
            "2013-01-02T13:23:37Z",
            "2013-01-02T13:23:37.5+01:00",
            "yesterday",
            "5x",
        ]
        .map(show);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        42m -> 997480.000000000
        1h30m -> 994600.000000000
        1.5s -> 999998.500000000
        300ms -> 999999.700000000
        1136073600 -> 1136073600
        1136073600.000000001 -> 1136073600.000000001
        2013-01-02T13:23:37Z -> 1357133017.000000000
        2013-01-02T13:23:37.5+01:00 -> 1357129417.500000000
        yesterday -> failed to parse value as time or duration: "yesterday"
        5x -> failed to parse value as time or duration: "5x"
        "#);
        for local in [
            "2013-01-02T13:23:37",
            "2013-01-02T13:23",
            "2013-01-02T13",
            "2013-01-02",
        ] {
            assert!(point(local, 0).is_ok(), "{local}");
        }
    }
}
