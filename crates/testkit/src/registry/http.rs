//! As much of HTTP/1.1 as a misbehaving server needs: one request a connection, every header in hand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// With its query: `/v2/a/tags/list?n=2`.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whatever way it came; what has come of it when the client cut it.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Reads one. None when the client closed before it.
    pub(super) fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let (line, headers) = head(stream)?;
        let mut words = line.split(' ');
        let mut request = Self {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            headers,
            body: Vec::new(),
        };
        request.body = body(stream, &request.headers, false);
        Some(request)
    }
}

/// How a reply's body comes.
#[derive(Debug, Clone)]
pub enum Body {
    /// As it should.
    Whole(Vec<u8>),
    /// The length of all is announced, and the connection closed after so many bytes.
    Cut(Vec<u8>, usize),
    /// The length of all is announced, and nothing comes after so many bytes, until the client goes.
    Stalled(Vec<u8>, usize),
    /// So many bytes at a time, with so many milliseconds between.
    Slow(Vec<u8>, usize, u64),
    /// The same bytes again and again, until the client goes.
    Endless(Vec<u8>),
    /// A length is announced, and so many zeros sent.
    Zeros(u64),
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers; the length of the body is added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// A reply with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(body.into()),
        }
    }

    /// And with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// And with another body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The bytes, of one that was forwarded.
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Whole(bytes)
            | Body::Cut(bytes, _)
            | Body::Stalled(bytes, _)
            | Body::Slow(bytes, ..)
            | Body::Endless(bytes) => bytes,
            Body::Zeros(_) => &[],
        }
    }

    /// A header's value.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Writes it; the client may go at any moment.
    pub(super) fn write(&self, stream: &mut TcpStream, head_only: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Reply\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match &self.body {
            Body::Endless(_) => head += "Transfer-Encoding: chunked\r\n",
            Body::Zeros(length) => head += &format!("Content-Length: {length}\r\n"),
            // The length of what is not sent is the forwarded one's.
            _ if head_only && self.value("content-length").is_some() => {}
            _ if self.status == 204 => {}
            _ => head += &format!("Content-Length: {}\r\n", self.bytes().len()),
        }
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        if head_only {
            return Ok(());
        }
        self.write_body(stream)
    }

    fn write_body(&self, stream: &mut TcpStream) -> io::Result<()> {
        match &self.body {
            Body::Whole(bytes) => stream.write_all(bytes),
            Body::Cut(bytes, at) => stream.write_all(&bytes[..*at]),
            Body::Stalled(bytes, at) => {
                stream.write_all(&bytes[..*at])?;
                // Returns when the client closes.
                io::copy(&mut stream.try_clone()?, &mut io::sink()).map(drop)
            }
            Body::Slow(bytes, size, pause) => bytes.chunks(*size).try_for_each(|chunk| {
                stream.write_all(chunk)?;
                thread::sleep(Duration::from_millis(*pause));
                Ok(())
            }),
            Body::Endless(bytes) => loop {
                write!(stream, "{:x}\r\n", bytes.len())?;
                stream.write_all(bytes)?;
                stream.write_all(b"\r\n")?;
            },
            Body::Zeros(length) => io::copy(&mut io::repeat(0).take(*length), stream).map(drop),
        }
    }

    /// Reads a server's answer.
    pub(super) fn read(stream: TcpStream, head_only: bool) -> Option<Self> {
        let mut stream = BufReader::new(stream);
        let (line, headers) = head(&mut stream)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let nothing = head_only || status == 204;
        let bytes = if nothing {
            Vec::new()
        } else {
            body(&mut stream, &headers, true)
        };
        let framing = ["transfer-encoding", "connection"];
        let own = |name: &str| framing.contains(&name) || (!head_only && name == "content-length");
        Some(Self {
            status,
            headers: headers.into_iter().filter(|(name, _)| !own(name)).collect(),
            body: Body::Whole(bytes),
        })
    }
}

type Headers = Vec<(String, String)>;

fn head(stream: &mut BufReader<TcpStream>) -> Option<(String, Headers)> {
    let mut line = || {
        let mut line = String::new();
        let read = stream.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = Vec::new();
    loop {
        let next = line()?;
        let Some((name, value)) = next.split_once(':') else {
            return Some((first, headers));
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

/// `to_end` for an answer without a length.
fn body(stream: &mut BufReader<TcpStream>, headers: &Headers, to_end: bool) -> Vec<u8> {
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|v| v == "chunked") {
        while chunk(stream, &mut body).is_some() {}
        return body;
    }
    let length = header("content-length").and_then(|v| v.parse().ok());
    let most = length.unwrap_or(if to_end { u64::MAX } else { 0 });
    let _ = stream.take(most).read_to_end(&mut body);
    body
}

/// One chunk; none for the last one or a cut.
fn chunk(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Option<()> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let size = u64::from_str_radix(line.trim(), 16).ok()?;
    let read = stream.take(size).read_to_end(body).ok()?;
    stream.read_line(&mut String::new()).ok()?;
    (size > 0 && read as u64 == size).then_some(())
}
