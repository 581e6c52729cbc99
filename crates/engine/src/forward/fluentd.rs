//! Fluentd: its forward protocol, a message a line, in MessagePack.

use types::LogConfig;

use super::sink::{About, Line, Message};

pub(super) const PORT: u16 = 24224;
pub(super) const LOCAL: &str = "127.0.0.1";

/// How a Fluentd server is spoken to.
#[derive(Debug)]
pub(super) struct Fluentd {
    /// Times are exact to the nanosecond.
    exact: bool,
    /// The server has to say that it has it.
    acknowledged: bool,
    sent: u64,
}

impl Fluentd {
    pub(super) fn new(log: &LogConfig) -> Self {
        Self {
            exact: log.flag("fluentd-sub-second-precision"),
            acknowledged: log.flag("fluentd-request-ack"),
            sent: 0,
        }
    }

    pub(super) fn message(&mut self, about: &About, line: &Line<'_>) -> Message {
        self.sent += 1;
        let chunk = format!("brig-{}-{}-{}", std::process::id(), line.time, self.sent);
        let chunk = self.acknowledged.then_some(chunk);
        Message {
            parts: vec![message(about, line, self.exact, chunk.as_deref())],
            receipt: chunk.map(String::into_bytes),
        }
    }
}

fn message(about: &About, line: &Line<'_>, exact: bool, chunk: Option<&str>) -> Vec<u8> {
    let mut out = vec![0x90 | if chunk.is_some() { 4 } else { 3 }];
    text(&mut out, about.tag.as_bytes());
    time(&mut out, line.time, exact);
    let name = format!("/{}", about.name);
    let mut record: Vec<(&str, &[u8])> = vec![
        ("container_id", about.id.as_bytes()),
        ("container_name", name.as_bytes()),
        ("source", if line.stderr { b"stderr" } else { b"stdout" }),
        ("log", line.text),
    ];
    for (name, value) in &about.extra {
        record.push((name, value.as_bytes()));
    }
    if line.partial {
        record.push(("partial_message", b"true"));
    }
    out.push(0xde);
    out.extend_from_slice(
        &u16::try_from(record.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    for (name, value) in record {
        text(&mut out, name.as_bytes());
        text(&mut out, value);
    }
    if let Some(chunk) = chunk {
        out.push(0x81);
        text(&mut out, b"chunk");
        text(&mut out, chunk.as_bytes());
    }
    out
}

/// `str`, also of what is no text, as Fluentd's own clients do.
fn text(out: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(short @ ..32) => out.push(0xa0 | short),
        Ok(length) => out.extend_from_slice(&[0xd9, length]),
        Err(_) => {
            out.push(0xdb);
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// Seconds, or Fluentd's EventTime (extension 0).
fn time(out: &mut Vec<u8>, time: i64, exact: bool) {
    let seconds = u32::try_from(time.div_euclid(1_000_000_000)).unwrap_or(0);
    if exact {
        let nanos = u32::try_from(time.rem_euclid(1_000_000_000)).unwrap_or(0);
        out.extend_from_slice(&[0xd7, 0]);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&nanos.to_be_bytes());
    } else {
        out.push(0xce);
        out.extend_from_slice(&seconds.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::{about, line};
    use super::*;

    #[test]
    fn a_message_is_tag_time_record_and_option() {
        let message = message(&about(), &line(b"hello"), true, Some("c1"));
        let head = b"\x94\xa7the-tag\xd7\x00\x65\x53\xf1\x00\x07\x5b\xcd\x15\xde\x00\x05\xaccontainer_id\xd9\x40ababab";
        assert!(message.starts_with(head), "{message:?}");
        assert!(message.ends_with(b"\xa3log\xa5hello\xa4tier\xa5front\x81\xa5chunk\xa2c1"));
        let plain = super::message(&about(), &line(&[b'x'; 300]), false, None);
        assert!(plain.starts_with(b"\x93\xa7the-tag\xce\x65\x53\xf1\x00\xde"));
        let long = [&b"\xa3log\xdb\x00\x00\x01\x2cxxx"[..]].concat();
        assert!(plain.windows(long.len()).any(|part| part == long));
    }
}
