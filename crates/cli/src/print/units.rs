//! Sizes and times as Docker's listings show them.

/// `1.24GB`: three significant digits, powers of 1000.
pub fn size(bytes: i64) -> String {
    decimal(bytes, 3)
}

/// The same with four digits.
pub fn exact_size(bytes: i64) -> String {
    decimal(bytes, 4)
}

/// `1.23MB`: two digits behind the point, bytes without.
pub fn two_digits(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "few digits are shown")]
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

fn decimal(bytes: i64, digits: usize) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    #[expect(clippy::cast_precision_loss, reason = "few digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), UNITS[unit])
}

/// `7.637GiB`: four significant digits, powers of 1024.
pub fn binary_size(bytes: i64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{}{}", significant(value, 4), UNITS[unit])
}

/// As printf's `%.{digits}g`, for what is at least 1 or zero.
fn significant(value: f64, digits: usize) -> String {
    let mut whole: usize = 1;
    while value.abs() >= 10_f64.powi(i32::try_from(whole).unwrap_or(i32::MAX)) {
        whole += 1;
    }
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else if text.trim_start_matches('-').len() > digits {
        // 999.9 rounds to four digits, which the format shows with an exponent.
        "1e+03".to_owned()
    } else {
        text
    }
}

/// `2 hours`: how long, in the largest unit that says enough.
pub fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Hours are rounded, the rest is cut.
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// `2 hours ago`; the clock's now comes in.
pub fn ago(created: i64, now: i64) -> String {
    if created == 0 {
        return "N/A".to_owned();
    }
    format!("{} ago", duration(now - created))
}

/// `2024-05-30 12:07:14 +0000 UTC`, in local time.
pub fn timestamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S %z %Z")
                .to_string()
        },
    )
}

/// Cut to `width` characters, the last one an ellipsis.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// The twelve digits that listings show of an id, without its algorithm.
pub fn short_id(id: &str) -> &str {
    let bare = id.split_once(':').map_or(id, |(_, bare)| bare);
    bare.get(..12).unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let shown = [
            0,
            999,
            1000,
            8_310_000,
            117_000_000,
            1_240_000_000,
            999_900,
            49_160_000,
        ]
        .map(size)
        .join(" ");
        assert_eq!(shown, "0B 999B 1kB 8.31MB 117MB 1.24GB 1e+03kB 49.2MB");
        assert_eq!(binary_size(8_199_999_488), "7.637GiB");
        assert_eq!(binary_size(512), "512B");
    }

    #[test]
    fn durations() {
        let hour = 3600;
        let day = 24 * hour;
        let shown = [
            0,
            1,
            59,
            60,
            119,
            120,
            59 * 60,
            hour,
            90 * 60,
            47 * hour,
            2 * day,
            14 * day,
            60 * day,
            729 * day,
            730 * day,
        ]
        .map(duration)
        .join("\n");
        insta::assert_snapshot!(shown, @r#"
        Less than a second
        1 second
        59 seconds
        About a minute
        About a minute
        2 minutes
        59 minutes
        About an hour
        2 hours
        47 hours
        2 days
        2 weeks
        2 months
        24 months
        2 years
        "#);
    }

    #[test]
    fn texts_are_cut() {
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("012"), "012");
    }
}
