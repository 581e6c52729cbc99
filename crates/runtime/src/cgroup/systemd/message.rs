//! Messages of D-Bus (the D-Bus specification, "Message Format"): little-endian, without descriptors.

use super::value::{Property, Value};

/// Puts values into bytes, each aligned as its type wants it.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// A number, aligned to its own size.
    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.fixed(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.raw(text.as_bytes());
        self.raw(&[0]);
    }

    fn signature(&mut self, signature: &str) {
        self.raw(&[u8::try_from(signature.len()).unwrap_or(u8::MAX)]);
        self.raw(signature.as_bytes());
        self.raw(&[0]);
    }

    /// The length of an array counts neither itself nor what aligns its first element.
    pub(super) fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len();
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let count = length(self.0.len() - start).to_le_bytes();
        self.0[at - 4..at].copy_from_slice(&count);
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        value.write(self);
    }

    /// `a(sv)`
    pub(super) fn properties(&mut self, properties: &[Property]) {
        self.array(8, |to| {
            for (name, value) in properties {
                to.align(8);
                to.text(name);
                to.variant(value);
            }
        });
    }
}

/// Nothing here comes near the limit of 64 MB for arrays.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A method to call.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    /// Of the body.
    pub(super) signature: &'a str,
    pub(super) body: Writer,
}

impl Call<'_> {
    /// The whole message.
    pub(super) fn bytes(&self, serial: u32) -> Vec<u8> {
        let mut to = Writer::default();
        // Little-endian, a method call, no flags, version 1.
        to.raw(&[b'l', 1, 0, 1]);
        to.u32(length(self.body.0.len()));
        to.u32(serial);
        to.array(8, |to| {
            let fields = [
                (1, "o", self.path),
                (2, "s", self.interface),
                (3, "s", self.member),
                (6, "s", self.destination),
                (8, "g", self.signature),
            ];
            for (code, kind, text) in fields.into_iter().filter(|(.., text)| !text.is_empty()) {
                to.align(8);
                to.raw(&[code]);
                to.signature(kind);
                match kind {
                    "g" => to.signature(text),
                    _ => to.text(text),
                }
            }
        });
        to.align(8);
        to.raw(&self.body.0);
        to.0
    }
}

/// A message that came, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) reply_to: u32,
    pub(super) member: String,
    pub(super) error: String,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) const REPLY: u8 = 2;
    pub(super) const ERROR: u8 = 3;
    pub(super) const SIGNAL: u8 = 4;

    /// From the fixed part, see [`Message::lengths`], and what follows.
    pub(super) fn parse(fixed: &[u8; 16], rest: &[u8]) -> Option<Self> {
        let (fields, _) = Self::lengths(fixed)?;
        let mut message = Self {
            kind: fixed[1],
            ..Self::default()
        };
        let mut from = Reader { bytes: rest, at: 0 };
        while from.at < fields {
            // The array of fields begins at a multiple of eight, 16, so alignment here is right.
            from.align(8);
            let code = from.byte()?;
            match (code, from.signature()?) {
                (5, "u") => message.reply_to = from.u32()?,
                (3, "s") => message.member = from.text()?.to_owned(),
                (4, "s") => message.error = from.text()?.to_owned(),
                (_, "s" | "o") => drop(from.text()?),
                (_, "g") => drop(from.signature()?),
                (_, "u") => drop(from.u32()?),
                _ => return None,
            }
        }
        message.body = rest.get(fields.next_multiple_of(8)..)?.to_owned();
        Some(message)
    }

    /// Of the header's fields and of the body, whose sum with what aligns the body is what follows
    /// the fixed part. None for what is not little-endian, or larger than anything expected here.
    pub(super) fn lengths(fixed: &[u8; 16]) -> Option<(usize, usize)> {
        const MOST: usize = 16 << 20;
        let number = |at: usize| {
            let bytes = fixed.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (body, fields) = (number(4)?, number(12)?);
        (fixed[0] == b'l' && body <= MOST && fields <= MOST).then_some((fields, body))
    }
}

/// Takes values out of bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A string or the path of an object.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        let text = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }

    pub(super) fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        let text = self.take(length.into())?;
        self.take(1)?;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Message> {
        let (fixed, rest) = bytes.split_first_chunk::<16>()?;
        Message::parse(fixed, rest)
    }

    #[test]
    fn a_call_is_read_back() {
        let mut body = Writer::default();
        body.text("x.scope");
        body.properties(&[
            ("Delegate".to_owned(), Value::Bool(true)),
            ("PIDs".to_owned(), Value::U32s(vec![7])),
            ("AllowedCPUs".to_owned(), Value::Bytes(vec![3])),
            (
                "DeviceAllow".to_owned(),
                Value::Pairs(vec![("char-*".to_owned(), "m".to_owned())]),
            ),
        ]);
        let call = Call {
            destination: "org.example",
            path: "/org/example",
            interface: "org.example.I",
            member: "Do",
            signature: "sa(sv)",
            body,
        };
        let bytes = call.bytes(9);
        let message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_str()), (1, "Do"));
        assert_eq!(message.body, call.body.0);
        let mut body = Reader {
            bytes: &message.body,
            at: 0,
        };
        assert_eq!(body.text(), Some("x.scope"));
        assert_eq!(
            body.u32(),
            Some(u32::try_from(message.body.len() - 16).unwrap())
        );
        for cut in 0..bytes.len() {
            // Nothing that is cut short is taken for more than it is.
            let _ = parse(&bytes[..cut]);
        }
    }

    #[test]
    fn nonsense_is_no_message() {
        assert_eq!(parse(&[0; 16]), None);
        assert_eq!(parse(&[255; 64]), None);
        let mut huge = [0; 16];
        huge[0] = b'l';
        huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parse(&huge), None);
    }
}
