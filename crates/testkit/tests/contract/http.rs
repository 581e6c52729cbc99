//! One request, and how it is answered: the head, and of errors the sentence.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the body is whole, and JSON.
    pub(crate) json: bool,
    pub(crate) body: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.body.trim())
    }
}

impl Answer {
    /// A field of the JSON in the body.
    pub(crate) fn field(&self, name: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        value[name].as_str().unwrap_or_default().to_owned()
    }
}

/// With further headers.
pub(crate) fn send(
    socket: &Path,
    method: &str,
    target: &str,
    headers: &str,
    body: Option<&[u8]>,
) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    // Only a daemon that hangs is cut off.
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let body = body.unwrap_or_default();
    let connection = match headers.contains("Upgrade") {
        true => "",
        false => "Connection: close\r\n",
    };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: test\r\n{connection}{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    // Who answers early may not read to the end.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
    // Whoever leaves a build before its end takes it back.
    let whole = ["/build?", "/images/create", "/images/load"]
        .iter()
        .any(|path| target.starts_with(path));
    read(method, BufReader::new(stream), whole)
}

fn read(method: &str, mut stream: BufReader<UnixStream>, whole: bool) -> Answer {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {line:?}"));
    let (mut length, mut chunked, mut json) = (0, false, false);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).unwrap();
        let lower = header.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        chunked |= lower.trim_end() == "transfer-encoding: chunked";
        json |= lower.trim_end() == "content-type: application/json";
        if header.trim().is_empty() {
            break;
        }
    }
    // A stream has no length, and may have no end.
    let mut body = Vec::new();
    if whole {
        stream.read_to_end(&mut body).unwrap();
    } else if json && chunked {
        body = chunks(&mut stream);
    } else if method != "HEAD" && length > 0 {
        body.resize(length, 0);
        stream.read_exact(&mut body).unwrap();
    }
    Answer {
        status,
        json: json && !whole,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// A body in chunks, to its end.
fn chunks(stream: &mut BufReader<UnixStream>) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let begin = body.len();
        body.resize(begin + length, 0);
        stream.read_exact(&mut body[begin..]).unwrap();
        stream.read_line(&mut line).unwrap();
        if length == 0 {
            return body;
        }
    }
}
