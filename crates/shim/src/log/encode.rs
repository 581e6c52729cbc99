//! Bytes -> one line of the log.

use super::Stream;

/// Appends the object for `bytes`, with its newline. `time` is the text of the time.
pub fn encode(bytes: &[u8], stream: Stream, time: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + time.len() + 48);
    out.extend_from_slice(b"{\"log\":\"");
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid().as_bytes(), out);
        // Go's encoder writes one replacement character for each byte that belongs to none.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    out.extend_from_slice(b"\",\"time\":\"");
    out.extend_from_slice(time);
    out.extend_from_slice(b"\"}\n");
}

/// Copies runs of ordinary bytes whole.
fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
    while let Some(at) = text.iter().position(special) {
        out.extend_from_slice(&text[..at]);
        escape_one(text[at], out);
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
}

fn escape_one(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{Line, decode};

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(bytes, Stream::Stderr, b"T", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_written_as_docker_writes_them() {
        let expected =
            "{\"log\":\"a \\\"b\\\\\\t\\u001b[0m é\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n";
        assert_eq!(text("a \"b\\\t\x1b[0m é\n".as_bytes()), expected);
        let expected = "{\"log\":\"x\\ufffd\\ufffdy\",\"stream\":\"stderr\",\"time\":\"T\"}\n";
        assert_eq!(text(b"x\xe2\x82y"), expected);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in ".{0,200}", nanos in 0..i64::MAX) {
            let (mut time, mut out) = (Vec::new(), Vec::new());
            crate::log::format_time(nanos, &mut time);
            encode(text.as_bytes(), Stream::Stdout, &time, &mut out);
            prop_assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
            let expected = Line { stream: Stream::Stdout, time: nanos, bytes: text.into_bytes() };
            prop_assert_eq!(decode(&out), Some(expected));
        }

        #[test]
        fn any_bytes_make_a_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            encode(&bytes, Stream::Stdout, b"1970-01-01T00:00:00Z", &mut out);
            let line = decode(&out).unwrap();
            let replaced: String = bytes
                .utf8_chunks()
                .flat_map(|c| c.valid().chars().chain(c.invalid().iter().map(|_| '\u{fffd}')).collect::<Vec<_>>())
                .collect();
            prop_assert_eq!(String::from_utf8(line.bytes).unwrap(), replaced);
        }
    }
}
