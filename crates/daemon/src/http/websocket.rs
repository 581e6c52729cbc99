//! WebSockets (RFC 6455), as far as `attach/ws` needs them: the handshake, and what passes between a
//! client's frames and a container's plain bytes.

use std::io;
use std::os::unix::net::UnixStream as Socket;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::body::Body;
use super::respond;

/// What a server adds to a client's key, RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// The longest frame that is taken; what somebody types is shorter.
const LONGEST: u64 = 1 << 20;

const PIECE: usize = 32 << 10;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The answer to a handshake; none if it is no such.
pub(crate) fn accept(headers: &HeaderMap) -> Option<Response<Body>> {
    let key = headers.get(KEY)?.to_str().ok()?;
    let asked = headers.get(UPGRADE)?.to_str().ok()?;
    if !asked.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let digest = STANDARD.encode(sha1(format!("{key}{GUID}").as_bytes()));
    let mut response = respond::status(StatusCode::SWITCHING_PROTOCOLS);
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(ACCEPT, HeaderValue::from_str(&digest).ok()?);
    Some(response)
}

/// A socket for the container's shim, whose bytes are the client's frames.
pub(crate) async fn take(upgrade: OnUpgrade) -> io::Result<Socket> {
    let upgraded = upgrade.await.map_err(io::Error::other)?;
    let (ours, theirs) = UnixStream::pair()?;
    // It ends with either of its two connections.
    tokio::spawn(pass(TokioIo::new(upgraded), ours));
    let socket = theirs.into_std()?;
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// Passes both ways until the client closes or goes away, or the container has no more to say.
async fn pass(client: impl AsyncRead + AsyncWrite, container: UnixStream) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_container, to_container) = container.into_split();
    let (answers, queue) = mpsc::channel(4);
    tokio::select! {
        () = input(from_client, to_container, answers) => {}
        () = output(from_container, to_client, queue) => {}
    }
}

/// Ends when the client is gone.
async fn input(
    mut client: impl AsyncRead + Unpin,
    mut container: OwnedWriteHalf,
    answers: mpsc::Sender<Vec<u8>>,
) {
    while let Ok(Some(frame)) = read(&mut client).await {
        let passed = match frame.kind {
            // Whoever says goodbye is answered so; that ends the output.
            CLOSE => answers.send(encode(CLOSE, &frame.bytes)).await.is_ok(),
            PING => answers.send(encode(PONG, &frame.bytes)).await.is_ok(),
            PONG => true,
            _ => container.write_all(&frame.bytes).await.is_ok(),
        };
        // Output may go on where nobody takes input any more.
        if !passed && frame.kind != BINARY && frame.kind != TEXT {
            return;
        }
    }
}

/// Ends when all is said.
async fn output(
    mut container: OwnedReadHalf,
    mut client: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
) {
    let mut piece = vec![0; PIECE];
    loop {
        let frame = tokio::select! {
            read = container.read(&mut piece) => match read {
                Ok(length) if length > 0 => encode(BINARY, &piece[..length]),
                // 1000: there is no more.
                _ => encode(CLOSE, &1000_u16.to_be_bytes()),
            },
            answer = queue.recv() => match answer {
                Some(answer) => answer,
                None => return,
            },
        };
        let last = frame.first() == Some(&(0x80 | CLOSE));
        // A client that is gone does not want to know.
        if client.write_all(&frame).await.is_err() || last {
            let _ = client.shutdown().await;
            return;
        }
    }
}

/// A frame of a client's.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    bytes: Vec<u8>,
}

/// The next frame, unmasked; none at the end, and where somebody does not speak the protocol.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 2];
    if from.read_exact(&mut head).await.is_err() {
        return Ok(None);
    }
    let masked = head[1] & 0x80 != 0;
    let length = match head[1] & 0x7f {
        126 => u64::from(from.read_u16().await?),
        127 => from.read_u64().await?,
        length => u64::from(length),
    };
    // Section 5.1: a client masks whatever it sends.
    if !masked || length > LONGEST {
        return Ok(None);
    }
    let mut mask = [0; 4];
    from.read_exact(&mut mask).await?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    from.read_exact(&mut bytes).await?;
    for (byte, key) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    Ok(Some(Frame {
        kind: head[0] & 0x0f,
        bytes,
    }))
}

/// A whole message of a server's, in one frame.
fn encode(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
        (Ok(length @ ..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((bytes.len() as u64).to_be_bytes());
        }
    }
    frame.extend(bytes);
    frame
}

/// SHA-1 (FIPS 180-4, section 6.1): here it proves that a server has read the key, and no more.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for t in 16..80 {
            words[t] = (words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (t, word) in words.iter().enumerate() {
            let (mix, constant) = match t {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mix)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_that_of_the_specification() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        // Section 1.3.
        headers.insert(KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let response = accept(&headers).unwrap();
        assert_eq!(response.headers()[ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
        assert!(accept(&headers).is_none());
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        let hex = |text: &str| {
            let digest = sha1(text.as_bytes());
            digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
    }

    #[tokio::test]
    async fn frames_are_read_and_written() {
        // Section 5.7: "Hello", masked.
        let hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        let frame = read(&mut &hello[..]).await.unwrap().unwrap();
        assert_eq!((frame.kind, frame.bytes.as_slice()), (1, &b"Hello"[..]));
        assert_eq!(
            read(&mut &encode(BINARY, b"unmasked")[..]).await.unwrap(),
            None
        );
        assert_eq!(encode(BINARY, b"Hi"), [0x82, 2, b'H', b'i']);
        assert_eq!(encode(BINARY, &[7; 300])[..4], [0x82, 126, 1, 44]);
        assert_eq!(
            encode(BINARY, &[7; 70_000])[..10],
            [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]
        );
    }
}
