//! Protocol buffers as far as CRIU's messages need them: numbers, strings and messages in messages.

/// A message being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Writer(Vec<u8>);

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

impl Writer {
    pub(super) fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3 | VARINT);
        self.varint(value);
        self
    }

    /// Written only if it is set; not to be there means no.
    pub(super) fn flag(&mut self, field: u64, set: bool) -> &mut Self {
        if set {
            self.number(field, 1);
        }
        self
    }

    pub(super) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(&mut self, field: u64, message: &Writer) -> &mut Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}

/// The fields of a message in their order; none if it is broken off.
pub(super) fn fields(mut rest: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            VARINT => Value::Number(varint(&mut rest)?),
            BYTES => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?)
            }
            FIXED_64 => Value::Bytes(take(&mut rest, 8)?),
            FIXED_32 => Value::Bytes(take(&mut rest, 4)?),
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_others_read_them() {
        let mut inner = Writer::default();
        inner.text(1, "testing");
        let mut writer = Writer::default();
        writer
            .number(1, 150)
            .flag(2, true)
            .flag(3, false)
            .message(4, &inner);
        let expected = b"\x08\x96\x01\x10\x01\x22\x09\x0a\x07testing";
        assert_eq!(writer.as_bytes(), expected);
        let read = fields(writer.as_bytes()).unwrap();
        assert_eq!(
            read,
            [
                (1, Value::Number(150)),
                (2, Value::Number(1)),
                (4, Value::Bytes(inner.as_bytes()))
            ]
        );
    }

    #[test]
    fn what_is_broken_off_is_none() {
        for broken in [
            &b"\x08"[..],
            b"\x08\xff",
            b"\x22\x09\x0a",
            b"\x0b",
            &[0xff; 12],
        ] {
            assert_eq!(fields(broken), None, "{broken:?}");
        }
    }
}
