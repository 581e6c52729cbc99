//! One line of the log -> bytes.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Line, Stream};

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// What a line of the file says; `None` if it is torn or none of ours.
pub fn decode(line: &[u8]) -> Option<Line> {
    let object: Object<'_> = serde_json::from_slice(line).ok()?;
    let stream = match object.stream.as_ref() {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => return None,
    };
    let time = types::parse_rfc3339(&object.time)?;
    Some(Line {
        stream,
        time,
        bytes: object.log.into_owned().into_bytes(),
    })
}
