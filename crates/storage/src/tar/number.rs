//! Numbers in headers and in extended headers.

/// A numeric field of a header: octal digits among blanks, nothing at all for zero, or two's
/// complement in base 256 marked by the first bit.
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base_256(bytes),
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = bytes[..end].trim_ascii();
    text.iter().try_fold(0_i64, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn base_256(bytes: &[u8]) -> Option<i64> {
    let negative = bytes[0] & 0x40 != 0;
    let start: i128 = if negative { -1 } else { 0 };
    let sum = bytes.iter().enumerate().try_fold(start, |sum, (i, byte)| {
        let byte = match (i, negative) {
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        sum.checked_mul(256)?.checked_add(i128::from(byte))
    })?;
    i64::try_from(sum).ok()
}

/// A decimal number without a sign.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.starts_with('+') {
        None
    } else {
        text.parse().ok()
    }
}

/// Seconds with a fraction, as PAX writes times, split so that the nanoseconds are never negative.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanos: u32 = digits.parse().ok()?;
    if whole.starts_with('-') && nanos > 0 {
        Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos))
    } else {
        Some((seconds, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_all_dialects() {
        assert_eq!(field(b"0000644\0"), Some(0o644));
        assert_eq!(field(b"   644 \0"), Some(0o644));
        assert_eq!(field(b"\0\0\0\0"), Some(0));
        assert_eq!(field(b"        "), Some(0));
        assert_eq!(field(b"77777777777"), Some(0o77_777_777_777));
        assert_eq!(field(b"\x80\0\0\0\0\0\0\0\x02\0\0\0"), Some(0x0200_0000));
        assert_eq!(field(b"\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        for bad in [
            b"9".as_slice(),
            b"12a",
            b"-1",
            b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(field(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn times_keep_their_fraction_and_sign() {
        assert_eq!(
            time(b"1350244992.023960108"),
            Some((1_350_244_992, 23_960_108))
        );
        assert_eq!(time(b"5"), Some((5, 0)));
        assert_eq!(time(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time(b"-0.25"), Some((-1, 750_000_000)));
        assert_eq!(time(b"1.0000000019"), Some((1, 1)));
        for bad in [b"".as_slice(), b".", b"1.x", b"x", b"1.-2"] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
    }
}
