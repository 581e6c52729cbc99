//! `GET /containers/{id}/logs`

use std::task::Poll;

use api::stream::{self, Source};
use bytes::Bytes;
use engine::container::{self, LogLine, LogQuery};
use hyper::StatusCode;

use super::log_details;
use crate::app::App;
use crate::http::body::Body;
use crate::http::error::Failure;
use crate::http::hijack::Framing;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) fn logs(app: &App, call: &Call) -> Answer {
    let query = read_query(call)?;
    let follow = query.follow;
    let view = container::inspect(&app.engine, &call.name)?;
    let framing = Framing::new(view.spec.tty, call.version);
    let mut lines = container::logs(&app.engine, &call.name, query)?;
    let mut writer = Writer {
        framed: framing.framed,
        timestamps: call.query.flag("timestamps"),
        details: call.query.flag("details").then(|| log_details::text(&view)),
        inside: [false; 2],
    };
    let body = Body::pieces(move |context| match lines.poll_recv(context) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(None) => Poll::Ready(None),
        Poll::Ready(Some(Ok(batch))) => Poll::Ready(Some(Ok(writer.write(&batch)))),
        Poll::Ready(Some(Err(error))) => {
            // The status is out: the client is told in the stream.
            tracing::error!("reading a log failed: {}", error.chain());
            lines.close();
            Poll::Ready(Some(Ok(framing.sentence(&error.chain()).into())))
        }
    });
    // Who follows would keep a shutdown waiting for ever.
    let body = if follow {
        body
    } else {
        body.keep_busy(app.busy.enter())
    };
    Ok(respond::typed(StatusCode::OK, framing.media_type(), body))
}

fn read_query(call: &Call) -> Result<LogQuery, Failure> {
    let query = &call.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(Failure::bad_request(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let (since, until) = (query.time("since")?, query.time("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Failure::bad_request(
            "invalid value for \"until\": it is before \"since\"",
        ));
    }
    Ok(LogQuery {
        follow: query.flag("follow"),
        stdout,
        stderr,
        since,
        until,
        // Anything but a number means all, as with Docker.
        tail: query.get("tail").and_then(|tail| tail.parse().ok()),
    })
}

/// Renders lines as the client wants them.
struct Writer {
    framed: bool,
    timestamps: bool,
    /// What the driver was told to keep of the container, if that is wanted.
    details: Option<String>,
    /// Whether the last piece of stdout and stderr was no whole line: the next goes on with it.
    inside: [bool; 2],
}

impl Writer {
    fn write(&mut self, lines: &[LogLine]) -> Bytes {
        let mut out = Vec::new();
        for line in lines {
            self.write_line(line, &mut out);
        }
        out.into()
    }

    fn write_line(&mut self, line: &LogLine, out: &mut Vec<u8>) {
        let inside = &mut self.inside[usize::from(line.stderr)];
        let mut prefix = String::new();
        if !*inside && self.timestamps {
            prefix.push_str(&fixed_rfc3339(line.time));
            prefix.push(' ');
        }
        if let (false, Some(details)) = (*inside, &self.details) {
            prefix.push_str(details);
            prefix.push(' ');
        }
        *inside = !line.bytes.ends_with(b"\n");
        if !self.framed {
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(&line.bytes);
            return;
        }
        let source = if line.stderr {
            Source::Stderr
        } else {
            Source::Stdout
        };
        if prefix.is_empty() {
            stream::encode(source, &line.bytes, out);
        } else {
            stream::encode(source, &[prefix.as_bytes(), &line.bytes].concat(), out);
        }
    }
}

/// RFC 3339 in UTC with all nine decimals, so that columns line up.
fn fixed_rfc3339(nanoseconds: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default();
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stderr: bool, text: &str) -> LogLine {
        LogLine {
            stderr,
            time: 1_700_000_000_500_000_000,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_long_line_has_one_time() {
        let mut writer = Writer {
            framed: false,
            timestamps: true,
            details: None,
            inside: [false; 2],
        };
        let text = writer.write(&[
            line(false, "par"),
            line(false, "tial\n"),
            line(false, "x\n"),
        ]);
        assert_eq!(
            String::from_utf8(text.to_vec()).unwrap(),
            "2023-11-14T22:13:20.500000000Z partial\n2023-11-14T22:13:20.500000000Z x\n"
        );
    }

    #[test]
    fn streams_are_framed_apart() {
        let mut writer = Writer {
            framed: true,
            timestamps: false,
            details: Some(String::new()),
            inside: [false; 2],
        };
        assert_eq!(
            writer.write(&[line(false, "a\n"), line(true, "b\n")]),
            b"\x01\0\0\0\0\0\0\x03 a\n\x02\0\0\0\0\0\0\x03 b\n".to_vec()
        );
    }
}
