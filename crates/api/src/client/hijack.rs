//! Connections that stop being HTTP: attach and exec.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::request::{Answer, Call, segment};
use super::{Client, Error};
use crate::stream;

/// What an attaching client wants.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// What was written before.
    pub logs: bool,
    /// What is written from now on.
    pub stream: bool,
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Keys that detach, as in `ctrl-p,ctrl-q`; none means the daemon's default.
    pub detach_keys: Option<String>,
}

/// A connection that belongs to the container's streams from now on.
#[derive(Debug)]
pub struct Hijacked {
    /// The connection.
    pub stream: Stream,
    /// What came over it together with the answer's head: the first bytes of output.
    pub early: Bytes,
    /// Whether output is framed; none when the daemon is too old to say.
    pub framed: Option<bool>,
}

/// A connection, of either kind.
#[derive(Debug)]
pub enum Stream {
    /// To a unix socket.
    Unix(UnixStream),
    /// To a TCP port.
    Tcp(TcpStream),
}

impl Attach {
    /// As parameters of a request.
    pub(super) fn ask(&self, call: Call) -> Call {
        call.query_flag("logs", self.logs)
            .query_flag("stream", self.stream)
            .query_flag("stdin", self.stdin)
            .query_flag("stdout", self.stdout)
            .query_flag("stderr", self.stderr)
            .query_some("detachKeys", self.detach_keys.as_ref())
    }
}

impl Client {
    /// Attaches to a container's streams.
    ///
    /// # Errors
    /// When there is no such container or the daemon cannot be reached.
    pub async fn container_attach(&self, who: &str, attach: &Attach) -> Result<Hijacked, Error> {
        let call = Call::post(format!("/containers/{}/attach", segment(who)));
        self.hijack(attach.ask(call)).await
    }

    pub(super) async fn hijack(&self, call: Call) -> Result<Hijacked, Error> {
        let answer = self.send(call.upgrade()).await?;
        Self::taken(answer).await
    }

    /// The connection that an answer leaves.
    pub(super) async fn taken(answer: Answer) -> Result<Hijacked, Error> {
        let framed = framed(&answer);
        let mut response = answer.into_response();
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::NotUpgraded(response.status().as_u16()));
        }
        let upgraded = hyper::upgrade::on(&mut response).await?;
        let upgraded = match upgraded.downcast::<TokioIo<UnixStream>>() {
            Ok(parts) => {
                return Ok(Hijacked {
                    stream: Stream::Unix(parts.io.into_inner()),
                    early: parts.read_buf,
                    framed,
                });
            }
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => Ok(Hijacked {
                stream: Stream::Tcp(parts.io.into_inner()),
                early: parts.read_buf,
                framed,
            }),
            // Connections are made of these two kinds only.
            Err(_) => Err(Error::NotUpgraded(101)),
        }
    }
}

fn framed(answer: &Answer) -> Option<bool> {
    match answer.header("content-type") {
        stream::MULTIPLEXED => Some(true),
        // The name of both kinds before API 1.42.
        _ => None,
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// Closes the writing half: the container's standard input ends, its output goes on.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
