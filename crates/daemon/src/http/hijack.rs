//! Connections that stop being HTTP: their socket is handed to the container's shim, and the daemon
//! is out of the way.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Socket;

use api::Version;
use api::stream::{self, Source};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::body::Body;
use super::line::Wire;
use super::respond;
use super::unread::Sent;

const PIECE: usize = 32 << 10;
const PIECES: usize = 4;

/// A client's connection, and what it had already sent beyond its request.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: Socket,
    pub(crate) early: Vec<u8>,
}

/// What the client's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Whether each piece has a header: not with a terminal.
    pub(crate) framed: bool,
    version: Version,
}

impl Framing {
    pub(crate) fn new(tty: bool, version: Version) -> Self {
        Self {
            framed: !tty,
            version,
        }
    }

    /// The name of the kind; framed output has had its own since API 1.42.
    pub(crate) fn media_type(self) -> HeaderValue {
        let own = self.framed && self.version.has(42);
        HeaderValue::from_static(if own {
            stream::MULTIPLEXED
        } else {
            stream::RAW
        })
    }

    /// A sentence for a client that can be told in no other way any more.
    pub(crate) fn sentence(self, text: &str) -> Vec<u8> {
        let line = format!("{text}\r\n");
        if !self.framed {
            return line.into_bytes();
        }
        let mut framed = Vec::new();
        stream::encode(Source::Stderr, line.as_bytes(), &mut framed);
        framed
    }
}

/// `101 UPGRADED`, in dockerd's words.
pub(crate) fn switching(framing: Framing) -> Response<Body> {
    let mut response = respond::status(StatusCode::SWITCHING_PROTOCOLS);
    let reason = hyper::ext::ReasonPhrase::from_static(b"UPGRADED");
    response.extensions_mut().insert(reason);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    headers.insert(CONTENT_TYPE, framing.media_type());
    response
}

/// The connection, once the client has been told.
pub(crate) async fn take(upgrade: OnUpgrade) -> io::Result<Client> {
    let upgraded = upgrade.await.map_err(io::Error::other)?;
    let upgraded = match upgraded.downcast::<TokioIo<Wire>>() {
        Ok(parts) if parts.io.inner().is_unix() => {
            let socket = Socket::from(parts.io.into_inner().into_fd()?);
            socket.set_nonblocking(false)?;
            let early = parts.read_buf.to_vec();
            return Ok(Client { socket, early });
        }
        Ok(parts) => {
            let (ours, theirs) = UnixStream::pair()?;
            tokio::spawn(copy_early(parts.read_buf, parts.io.into_inner(), ours));
            return client(theirs);
        }
        Err(upgraded) => upgraded,
    };
    // Shims serve unix sockets: between one and TCP, with TLS or without, the daemon has to copy.
    let (ours, theirs) = UnixStream::pair()?;
    tokio::spawn(copy(TokioIo::new(upgraded), ours));
    client(theirs)
}

/// A container's end of a pair. What had come beyond the request is passed on by the copy.
fn client(theirs: UnixStream) -> io::Result<Client> {
    let socket = theirs.into_std()?;
    socket.set_nonblocking(false)?;
    Ok(Client {
        socket,
        early: Vec::new(),
    })
}

async fn copy_early(early: Bytes, client: Wire, mut container: UnixStream) {
    if container.write_all(&early).await.is_ok() {
        copy(client, container).await;
    }
}

/// Copies both ways until both are at their end; each end is passed on.
async fn copy(mut client: impl AsyncRead + AsyncWrite + Unpin, mut container: UnixStream) {
    // A broken connection is an end like any other.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut container).await;
}

/// For clients that do not ask for an upgrade: the request's body is standard input, the answer's
/// body is output. The socket is for the shim; the daemon copies.
pub(crate) fn through_http(body: Sent, framing: Framing) -> io::Result<(Client, Response<Body>)> {
    let (client, response, input) = relay(framing)?;
    // It ends with the connection: the body breaks off.
    tokio::spawn(feed(body, input));
    Ok((client, response))
}

/// The same for a request whose body is something else: there is no standard input.
pub(crate) fn output_only(framing: Framing) -> io::Result<(Client, Response<Body>)> {
    let (client, response, _closed) = relay(framing)?;
    Ok((client, response))
}

/// A socket for the shim, the answer that carries what is written to it, and where its input goes.
fn relay(framing: Framing) -> io::Result<(Client, Response<Body>, OwnedWriteHalf)> {
    let (ours, theirs) = UnixStream::pair()?;
    let socket = theirs.into_std()?;
    socket.set_nonblocking(false)?;
    let (output, input) = ours.into_split();
    let (send, pieces) = mpsc::channel(PIECES);
    // It ends with the connection: nobody takes the pieces any more.
    tokio::spawn(fetch(output, send));
    let client = Client {
        socket,
        early: Vec::new(),
    };
    let body = Body::breaking(pieces);
    let response = respond::typed(StatusCode::OK, framing.media_type(), body);
    Ok((client, response, input))
}

async fn fetch(mut output: OwnedReadHalf, send: mpsc::Sender<Result<Bytes, io::Error>>) {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = tokio::select! {
            read = output.read_buf(&mut piece) => read,
            () = send.closed() => return,
        };
        let piece = match read {
            Ok(0) => return,
            Ok(_) => Ok(piece.freeze()),
            Err(error) => Err(error),
        };
        let broken = piece.is_err();
        if send.send(piece).await.is_err() || broken {
            return;
        }
    }
}

async fn feed(mut body: Sent, mut input: OwnedWriteHalf) {
    while let Some(Ok(frame)) = body.frame().await {
        let data: Bytes = frame.into_data().unwrap_or_default();
        if input.write_all(&data).await.is_err() {
            return;
        }
    }
    // The end of standard input; a container that is gone does not care.
    let _ = input.shutdown().await;
}

/// Tells a client whose connection is no HTTP any more, and ends it: a process that came to nothing and stands still
/// holds the connection, too.
pub(crate) fn tell(mut socket: &Socket, framing: Framing, text: &str) {
    // A sentence fits any socket's buffer, and a client that is gone does not want to know.
    let _ = socket.write_all(&framing.sentence(text));
    let _ = socket.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_output_has_a_name_since_1_42() {
        let name = |tty, minor| {
            let framing = Framing::new(tty, Version::new(1, minor));
            framing.media_type().to_str().unwrap().to_owned()
        };
        assert_eq!(name(true, 50), "application/vnd.docker.raw-stream");
        assert_eq!(name(false, 41), "application/vnd.docker.raw-stream");
        assert_eq!(name(false, 42), "application/vnd.docker.multiplexed-stream");
    }

    #[test]
    fn a_late_error_is_framed_as_output_is() {
        let framed = Framing::new(false, Version::MAX);
        assert_eq!(framed.sentence("no"), b"\x02\0\0\0\0\0\0\x04no\r\n");
        assert_eq!(Framing::new(true, Version::MAX).sentence("no"), b"no\r\n");
    }
}
