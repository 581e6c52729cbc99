//! As much of DER (X.690) as keys and certificates need: values of definite length, one after the other.

/// Tags that are read here.
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const BOOLEAN: u8 = 0x01;

/// What is left of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next value and its tag; none at the end, and when it is cut short.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Four bytes of length are more than anything that is read here.
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0, |sum, d| sum << 8 | usize::from(*d));
                (length, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value if it is of this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == tag).then_some(value)
    }

    /// What is inside the next value of this tag.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Reader)
    }

    /// Whether the next value is of this tag.
    pub(super) fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_whole_or_not_at_all() {
        let mut reader = Reader(&[0x30, 3, 0x06, 1, 7, 0x04, 0x81, 1, 9, 0x04, 5, 0]);
        assert_eq!(reader.inside(SEQUENCE).unwrap().take(OID), Some(&[7][..]));
        assert_eq!(reader.take(OCTET_STRING), Some(&[9][..]));
        assert_eq!(reader.next(), None);
        for bad in [
            &[0x30][..],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 1],
        ] {
            assert_eq!(Reader(bad).next(), None, "{bad:?}");
        }
    }
}
