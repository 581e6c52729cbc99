//! `Content-Range` of a partial answer (RFC 9110 section 14.4), and `Range` as upload sessions answer it
//! (distribution specification, "Pushing a blob in chunks").

/// Which bytes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte.
    pub last: u64,
    /// Size of the whole, if it is known.
    pub size: Option<u64>,
}

/// `bytes 0-9/100`, `bytes 0-9/*`.
pub(crate) fn content_range(header: &str) -> Option<ContentRange> {
    let rest = header.trim().strip_prefix("bytes")?.trim_start();
    let (range, size) = rest.split_once('/')?;
    let (first, last) = bounds(range)?;
    let size = match size.trim() {
        "*" => None,
        digits => Some(number(digits)?),
    };
    if size.is_some_and(|size| last >= size) {
        return None;
    }
    Some(ContentRange { first, last, size })
}

/// How many bytes an upload session holds: `0-1023` is 1024. None when it cannot be told: registries
/// write `0-0` for nothing as well as for one byte.
pub(crate) fn received(header: &str) -> Option<u64> {
    let text = header.trim();
    let range = text.strip_prefix("bytes=").unwrap_or(text);
    match bounds(range)? {
        (0, 0) => None,
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

fn bounds(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    (first <= last).then_some((first, last))
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        let range = |first, last, size| Some(ContentRange { first, last, size });
        let table = [
            ("bytes 5-9/10", range(5, 9, Some(10))),
            ("bytes 0-0/*", range(0, 0, None)),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("bytes -1-5/10", None),
            ("bytes +1-5/10", None),
            ("items 0-1/2", None),
            ("bytes 0-18446744073709551616/*", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_session_holds_is_read() {
        let table = [
            ("0-1023", Some(1024)),
            ("bytes=0-1", Some(2)),
            ("0-0", None),
            ("1-5", None),
            ("0-18446744073709551615", None),
            ("x", None),
        ];
        for (text, expected) in table {
            assert_eq!(received(text), expected, "{text}");
        }
    }
}
