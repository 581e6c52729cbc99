//! GELF: JSON by UDP, packed and in chunks, or by TCP with a zero byte behind each message.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Map, Value, json};
use types::LogConfig;

use super::sink::{About, Line, Message};

pub(super) const PORT: u16 = 12201;

/// Longest datagram, and what of it a chunk's head takes.
const DATAGRAM: usize = 1420;
const HEAD: usize = 12;

/// A message has this many chunks at most.
const CHUNKS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zlib,
    None,
}

/// How a GELF server is spoken to.
#[derive(Debug)]
pub(super) struct Gelf {
    /// Otherwise there is a stream.
    datagrams: bool,
    packing: Packing,
    level: Compression,
    sent: u64,
}

impl Gelf {
    pub(super) fn new(log: &LogConfig, datagrams: bool) -> Self {
        let level = log.option("gelf-compression-level");
        Self {
            datagrams,
            packing: match log.option("gelf-compression-type") {
                Some("zlib") => Packing::Zlib,
                Some("none") => Packing::None,
                _ => Packing::Gzip,
            },
            // As Docker: the fastest, unless it is said.
            level: match level.and_then(|level| level.parse().ok()) {
                Some(level) => Compression::new(level),
                None => Compression::fast(),
            },
            sent: 0,
        }
    }

    pub(super) fn message(&mut self, about: &About, line: &Line<'_>) -> Message {
        let mut text = message(about, line).to_string().into_bytes();
        if !self.datagrams {
            text.push(0);
            return Message::of(text);
        }
        self.sent += 1;
        let id = line.time.cast_unsigned() ^ (u64::from(std::process::id()) << 32) ^ self.sent;
        // Memory to memory: nothing fails but memory itself.
        let packed = pack(text, self.packing, self.level).unwrap_or_default();
        Message {
            parts: chunks(&packed, id),
            receipt: None,
        }
    }
}

fn message(about: &About, line: &Line<'_>) -> Value {
    let mut fields = Map::new();
    let millis = line.time.div_euclid(1_000_000);
    let text = String::from_utf8_lossy(line.text);
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this age are far below what a float holds exactly"
    )]
    let seconds = millis as f64 / 1000.0;
    let own = [
        ("version", json!("1.1")),
        ("host", json!(about.host)),
        ("short_message", json!(text)),
        ("timestamp", json!(seconds)),
        ("level", json!(line.priority())),
        ("_command", json!(about.command)),
        ("_container_id", json!(about.id)),
        ("_container_name", json!(about.name)),
        ("_created", json!(about.created)),
        ("_image_id", json!(about.image_id)),
        ("_image_name", json!(about.image)),
        ("_tag", json!(about.tag)),
    ];
    fields.extend(own.map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in &about.extra {
        fields.insert(format!("_{name}"), json!(value));
    }
    Value::Object(fields)
}

fn pack(text: Vec<u8>, packing: Packing, level: Compression) -> io::Result<Vec<u8>> {
    match packing {
        Packing::None => Ok(text),
        Packing::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(&text)?;
            encoder.finish()
        }
        Packing::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(&text)?;
            encoder.finish()
        }
    }
}

/// One datagram, or so many as it takes. What does not fit into the most there may be is left out, as
/// nobody would take it.
fn chunks(packed: &[u8], id: u64) -> Vec<Vec<u8>> {
    if packed.len() <= DATAGRAM {
        return vec![packed.to_vec()];
    }
    let parts: Vec<&[u8]> = packed.chunks(DATAGRAM - HEAD).collect();
    let Some(count) = u8::try_from(parts.len())
        .ok()
        .filter(|n| usize::from(*n) <= CHUNKS)
    else {
        return Vec::new();
    };
    let numbered = parts.into_iter().zip(0_u8..);
    numbered
        .map(|(part, number)| {
            [&[0x1e, 0x0f][..], &id.to_be_bytes(), &[number, count], part].concat()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::{about, line};
    use super::*;

    #[test]
    fn messages_say_all_that_dockers_do() {
        let message = message(&about(), &line(b"hello"));
        assert_eq!(message["short_message"], "hello");
        assert_eq!(message["timestamp"], 1_700_000_000.123);
        assert_eq!(
            (&message["level"], &message["_tier"]),
            (&6.into(), &"front".into())
        );
        let names: Vec<_> = message.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names.len(), 13);
    }

    #[test]
    fn long_ones_go_in_chunks() {
        assert_eq!(chunks(b"short", 7), [b"short"]);
        let long = vec![b'x'; 3000];
        let parts = chunks(&long, 7);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() <= DATAGRAM));
        assert_eq!(parts[2][..12], [0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 0, 7, 2, 3]);
        let whole: Vec<u8> = parts
            .iter()
            .flat_map(|part| part[HEAD..].to_vec())
            .collect();
        assert_eq!(whole, long);
        assert!(chunks(&vec![0; 200 * DATAGRAM], 7).is_empty());
    }
}
