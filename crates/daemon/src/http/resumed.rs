//! Answers that the daemon before this one has begun: they go on where it has stopped.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::header::ACCEPT;
use tokio::sync::watch;

use super::body::Body;
use super::line::{Line, Phase, Recalled, Socket};
use super::respond::Answer;
use super::serve::{self, Left};
use super::unread::Sent;
use crate::access::Peer;
use crate::app::App;

/// Where the answer to a request is gone on with, in words of its handler.
#[derive(Debug, Clone)]
pub(crate) struct Resume(pub(crate) String);

/// Goes on with a connection, whether an answer was under way or not.
pub(crate) async fn go_on(app: Arc<App>, left: Left, stop: watch::Receiver<bool>) -> Option<Left> {
    let Left {
        socket,
        peer,
        recalled,
    } = left;
    if let Some(recalled) = recalled {
        let chunked = recalled.chunked;
        match finish(&app, &socket, &peer, recalled, stop.clone()).await {
            Ok(None) if chunked => {}
            Ok(Some(recalled)) => {
                return Some(Left {
                    socket,
                    peer,
                    recalled: Some(recalled),
                });
            }
            // A client that is gone, or an answer that ends with its connection.
            Ok(None) | Err(_) => return None,
        }
    }
    serve::socket(app, socket, peer, stop).await
}

/// The rest of an answer; what is left of it if it has to go on elsewhere once more.
async fn finish(
    app: &Arc<App>,
    socket: &Arc<Socket>,
    peer: &Arc<Peer>,
    recalled: Recalled,
    mut stop: watch::Receiver<bool>,
) -> io::Result<Option<Recalled>> {
    let line = app.lines.enter(peer, socket);
    let mut phase = app.lines.changes();
    // Of a container that is gone there is no more: its answer ends as it would have.
    if let Ok(response) = again(app, peer, &recalled).await {
        let mut body = response.into_body();
        body.on(&line);
        loop {
            let piece = tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase == Phase::Leave) => {
                    return Ok(line.position().map(|position| Recalled { position, ..recalled }));
                }
                _ = stop.wait_for(|stop| *stop) => return Err(io::ErrorKind::Interrupted.into()),
                piece = next(&mut body, &line) => piece,
            };
            match piece {
                None => break,
                Some(piece) => socket.write_all(&framed(&piece?, recalled.chunked)).await?,
            }
        }
    }
    if recalled.chunked {
        socket.write_all(b"0\r\n\r\n").await?;
    }
    Ok(None)
}

/// The next piece. What came before has been written: one that waits, waits at its place.
async fn next(body: &mut Body, line: &Arc<Line>) -> Option<io::Result<Bytes>> {
    let mut frame = std::pin::pin!(body.frame());
    let frame = std::future::poll_fn(|context| {
        let polled = frame.as_mut().poll(context);
        line.flushed();
        polled
    });
    let frame = frame.await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Asks the handler again.
async fn again(app: &Arc<App>, peer: &Arc<Peer>, recalled: &Recalled) -> Answer {
    let mut request = Request::builder()
        .method(recalled.method.as_str())
        .uri(recalled.uri.as_str())
        .extension(Resume(recalled.position.clone()));
    if let Some(accept) = &recalled.accept {
        request = request.header(ACCEPT, accept);
    }
    let request = request.body(Sent::empty()).map_err(|error| {
        super::error::Failure::bad_request(format!(
            "a request that was handed over is none: {error}"
        ))
    })?;
    serve::dispatch(app.clone(), peer.clone(), request).await
}

/// A chunk, RFC 9112 section 7.1. An empty one would be the end.
fn framed(piece: &Bytes, chunked: bool) -> Vec<u8> {
    match (chunked, piece.is_empty()) {
        (false, _) => piece.to_vec(),
        (true, true) => Vec::new(),
        (true, false) => {
            let head = format!("{:x}\r\n", piece.len());
            [head.as_bytes(), piece, b"\r\n"].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_chunks() {
        assert_eq!(
            framed(&Bytes::from("hello world, 17 b"), true),
            b"11\r\nhello world, 17 b\r\n"
        );
        assert_eq!(framed(&Bytes::new(), true), b"");
        assert_eq!(framed(&Bytes::from("x"), false), b"x");
    }
}
