//! A look by a command in the container: an exec session like any other.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream as Stream;
use types::{ExecId, Signal};

use super::{Answer, FAILED, LONGEST, too_long};
use crate::table::Container;
use crate::{Engine, Error, exec, supervise};

/// Between two questions for how a command ended whose output has ended.
const AGAIN: Duration = Duration::from_millis(5);

/// Runs a command and reads what it says.
pub(super) async fn run(
    engine: &Engine,
    container: &Arc<Container>,
    command: Vec<String>,
    limit: Duration,
) -> Answer {
    let id = container.id().to_string();
    let request = exec::Request {
        command,
        attach: [false, true, true],
        ..exec::Request::default()
    };
    let begin = move |engine: &Engine| {
        let exec = exec::create(engine, &id, request)?;
        let (ours, theirs) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        exec::start(engine, exec.as_str(), [0; 2], Some((theirs, Vec::new())))?;
        Ok((exec, ours))
    };
    let (exec, ours) = match engine.blocking(begin).await {
        Ok(begun) => begun,
        Err(error) => return Err(error.chain()),
    };
    let mut output = Output::default();
    let told = async {
        output.read(ours).await?;
        ended(engine, &exec).await.map_err(|error| error.chain())
    };
    let told = tokio::time::timeout(limit, told).await;
    let answer = match told {
        Ok(told) => told.map(|code| (code, output.text())),
        Err(_) => {
            end(engine, &exec);
            Ok((FAILED, too_long(limit, &output.text())))
        }
    };
    exec::discard(engine, container, &exec);
    answer
}

/// How it ended: its output ends a moment before that is known.
async fn ended(engine: &Engine, exec: &ExecId) -> Result<i32, Error> {
    loop {
        let id = exec.clone();
        let ask = move |engine: &Engine| exec::inspect(engine, id.as_str());
        if let exec::State::Exited(code) = engine.blocking(ask).await?.state {
            return Ok(code);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn end(engine: &Engine, exec: &ExecId) {
    let view = exec::inspect(engine, exec.as_str());
    if let Ok(exec::State::Running(process)) = view.map(|view| view.state)
        && let Err(error) = supervise::signal_process(process, Signal::KILL)
    {
        tracing::warn!(error = %error.chain(), "cannot end a look that takes too long");
    }
}

/// What a command says on both its streams.
#[derive(Debug, Default)]
struct Output {
    /// Without the heads of frames; no more than is kept.
    kept: Vec<u8>,
    /// Whether there was more.
    more: bool,
    frames: Frames,
}

/// Where in Docker's frames the reader is.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    /// Bytes of this frame that are still to come.
    left: usize,
}

impl Output {
    async fn read(&mut self, stream: UnixStream) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot read what was said: {error}");
        stream.set_nonblocking(true).map_err(failed)?;
        let mut stream = Stream::from_std(stream).map_err(failed)?;
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await.map_err(failed)? {
                0 => return Ok(()),
                length => self.take(&buffer[..length]),
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            if self.frames.left == 0 {
                self.frames.head.push(*first);
                bytes = &bytes[1..];
                if let [_, _, _, _, length @ ..] = self.frames.head.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.frames.left = u32::from_be_bytes(length) as usize;
                    self.frames.head.clear();
                }
                continue;
            }
            let (here, rest) = bytes.split_at(self.frames.left.min(bytes.len()));
            let room = LONGEST - self.kept.len();
            self.kept.extend_from_slice(&here[..room.min(here.len())]);
            self.more |= here.len() > room;
            self.frames.left -= here.len();
            bytes = rest;
        }
    }

    /// With dots where there was more, as Docker has it.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let dots = if self.more { "..." } else { "" };
        format!("{text}{dots}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_any_pieces_come_to_their_text() {
        let bytes = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x04 two";
        for piece in 1..bytes.len() {
            let mut output = Output::default();
            bytes.chunks(piece).for_each(|bytes| output.take(bytes));
            assert_eq!(output.text(), "one two", "in pieces of {piece}");
        }
        let mut long = Output::default();
        long.take(&[&b"\x01\0\0\0\0\0\x20\0"[..], &[b'x'; 0x2000]].concat());
        assert_eq!(long.text().len(), LONGEST + 3);
    }
}
