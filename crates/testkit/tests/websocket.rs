//! `attach/ws`: a container's streams by WebSocket.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use testkit::{Brig, root};

/// A connection that has been upgraded.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(brig: &Brig, target: &str) -> Self {
        let mut stream = UnixStream::connect(brig.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        write!(
            stream,
            "GET {target} HTTP/1.1\r\nHost: brig\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut client = Self(BufReader::new(stream));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        client
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        head
    }

    fn send(&mut self, kind: u8, bytes: &[u8]) {
        let mask = [1, 2, 3, 4];
        let masked = bytes.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
        let length = u8::try_from(bytes.len()).unwrap();
        let mut frame = vec![0x80 | kind, 0x80 | length];
        frame.extend(mask);
        frame.extend(masked);
        self.0.get_mut().write_all(&frame).unwrap();
    }

    /// Kind and bytes of a short frame.
    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut bytes = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut bytes).unwrap();
        (head[0] & 0x0f, bytes)
    }
}

#[test]
fn streams_pass_by_websocket() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "-di", "--name", "echoer", "bb", "cat"])
        .ok();
    let attach = "/v1.55/containers/echoer/attach/ws?stream=1&stdin=1&stdout=1&stderr=1";
    let mut client = Client::connect(&brig, attach);
    client.send(1, b"hello\n");
    assert_eq!(client.receive(), (2, b"hello\n".to_vec()));
    client.send(9, b"are you there");
    assert_eq!(client.receive(), (10, b"are you there".to_vec()));
    // Another one, while the first listens; who says goodbye leaves the container alone.
    let mut other = Client::connect(&brig, attach);
    other.send(2, b"both\n");
    assert_eq!(other.receive(), (2, b"both\n".to_vec()));
    assert_eq!(client.receive(), (2, b"both\n".to_vec()));
    other.send(8, &1000_u16.to_be_bytes());
    assert_eq!(other.receive().0, 8);
    assert_eq!(brig.inspect("echoer")["State"]["Running"], true);
    brig.brig(&["kill", "echoer"]).ok();
    assert_eq!(client.receive(), (8, 1000_u16.to_be_bytes().to_vec()));

    let plain = brig.http(
        "GET /v1.55/containers/echoer/attach/ws HTTP/1.1\r\nHost: brig\r\nConnection: close\r\n\r\n",
    );
    assert!(plain.starts_with("HTTP/1.1 400 "), "{plain}");
    brig.finish();
}
