//! Sizes as people write them.

/// The text is no size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid size: '{0}'")]
pub struct InvalidSize(pub String);

/// Bytes from `512m`, `1.5g`, `64KiB`, `100`: powers of 1024 whatever the spelling, as Docker.
pub fn parse_bytes(text: &str) -> Result<i64, InvalidSize> {
    let invalid = || InvalidSize(text.to_owned());
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(invalid()),
    };
    let bytes = number * 1024_f64.powi(power);
    // 2^63 is exactly representable; everything below fits an i64.
    if bytes.is_finite() && bytes < 9_223_372_036_854_775_808.0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was just checked"
        )]
        Ok(bytes as i64)
    } else {
        Err(invalid())
    }
}

/// Billionths of a processor from `1.5`, as `--cpus` takes them.
pub fn parse_cpus(text: &str) -> Result<i64, InvalidSize> {
    let invalid = || InvalidSize(text.to_owned());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return Err(invalid());
    }
    if fraction.len() > 9 {
        return Err(InvalidSize(format!("{text} (value is too precise)")));
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| invalid())?
    };
    let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| invalid())?;
    whole
        .checked_mul(1_000_000_000)
        .and_then(|n| n.checked_add(nanos))
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let good = [
            ("0", 0),
            ("100", 100),
            ("4k", 4096),
            ("1.5g", 1_610_612_736),
            ("64KiB", 65536),
        ];
        for (text, bytes) in good {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text:?}");
        }
        for bad in ["", "k", "-1", "1x", "1 0k", "1..5", "99999999p", "1e3"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cpus() {
        assert_eq!(parse_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_cpus(".25"), Ok(250_000_000));
        assert_eq!(parse_cpus("2"), Ok(2_000_000_000));
        for bad in ["", ".", "-1", "1e9", "0.0000000001", "99999999999999"] {
            assert!(parse_cpus(bad).is_err(), "{bad:?}");
        }
    }
}
