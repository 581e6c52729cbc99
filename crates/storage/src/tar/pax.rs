//! Extended headers (POSIX.1-2001 pax): `length key=value\n`, the length counting itself, the value
//! any bytes.

/// The records of one extended header.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    /// A key and its value, or that the grammar is broken.
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some writers pad the header with zeros to its block.
        if self.0.iter().all(|b| *b == 0) {
            return None;
        }
        let record = record(self.0);
        self.0 = record.map_or(&[], |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)))
    }
}

type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let space = bytes.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(super::number::decimal(&bytes[..space])?).ok()?;
    let (line, rest) = bytes.split_at_checked(length)?;
    let body = line.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    (equals > 0).then(|| (&body[..equals], &body[equals + 1..], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_any_byte() {
        let text = b"12 path=a\nb\n17 SCHILY.x=\0=\n \n";
        let records: Vec<_> = Records(text).collect();
        assert_eq!(
            records,
            [
                Some((b"path".as_slice(), b"a\nb".as_slice())),
                Some((b"SCHILY.x", b"\0=\n "))
            ]
        );
    }

    #[test]
    fn broken_grammar_is_told_once() {
        for bad in [
            b"x".as_slice(),
            b"5 a=b\n\n",
            b"99 a=b\n",
            b"6 a b\n",
            b"5 =b\n",
            b"3 \n",
            b"-1 a=b\n",
        ] {
            let records: Vec<_> = Records(bad).take(5).collect();
            assert_eq!(records.last(), Some(&None), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            assert!(Records(&bytes).count() <= bytes.len());
        }
    }
}
