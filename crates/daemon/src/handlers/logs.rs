//! `GET /containers/{id}/logs`

use std::fmt;
use std::task::{Context, Poll, ready};

use api::stream::{self, Source};
use bytes::Bytes;
use engine::container::{self, LogLine, LogQuery};
use hyper::StatusCode;
use types::{Decimals, rfc3339};

use super::log_details;
use crate::app::App;
use crate::http::body::{Body, Then};
use crate::http::error::Failure;
use crate::http::hijack::Framing;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) fn logs(app: &App, call: &Call) -> Answer {
    let resumed = call.resumes();
    let place = resumed.map_or_else(Place::default, |(_, place)| Place::read(place));
    let who = resumed.map_or(call.name.as_str(), |(id, _)| id);
    let query = read_query(call, &place)?;
    let follow = query.follow;
    let view = container::inspect(&app.engine, who)?;
    let framing = Framing::new(view.spec.tty, call.version);
    let mut lines = container::logs(&app.engine, view.id.as_str(), query)?;
    let mut writer = Writer {
        framed: framing.framed,
        timestamps: call.query.flag("timestamps"),
        details: call.query.flag("details").then(|| log_details::text(&view)),
        skip: (place.time, place.lines),
        place,
    };
    let id = view.id.clone();
    let begin = format!("{id} {place}");
    let mut next = move |context: &mut Context<'_>| match ready!(lines.poll_recv(context)) {
        None => Poll::Ready(None),
        Some(Ok(batch)) => {
            let bytes = writer.write(&batch);
            Poll::Ready(Some((bytes, Then::At(format!("{id} {}", writer.place)))))
        }
        Some(Err(error)) => {
            // The status is out: the client is told in the stream.
            tracing::error!("reading a log failed: {}", error.chain());
            lines.close();
            Poll::Ready(Some((framing.sentence(&error.chain()).into(), Then::End)))
        }
    };
    // Who follows would keep a shutdown waiting for ever.
    let body = match follow {
        true => Body::endless(begin, move |context| {
            next(context).map(|piece| piece.map(Ok))
        }),
        false => Body::pieces(move |context| {
            next(context).map(|piece| piece.map(|(bytes, _)| Ok(bytes)))
        })
        .keep_busy(app.busy.enter()),
    };
    Ok(respond::typed(StatusCode::OK, framing.media_type(), body))
}

fn read_query(call: &Call, place: &Place) -> Result<LogQuery, Failure> {
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
        since: if place.lines > 0 {
            Some(place.time)
        } else {
            since
        },
        until,
        // Anything but a number means all, as with Docker.
        tail: query
            .get("tail")
            .and_then(|tail| tail.parse().ok())
            .filter(|_| place.lines == 0),
    })
}

/// Renders lines as the client wants them.
struct Writer {
    framed: bool,
    timestamps: bool,
    /// What the driver was told to keep of the container, if that is wanted.
    details: Option<String>,
    /// The time of lines that have been sent by the daemon before this one, and how many.
    skip: (i64, u64),
    place: Place,
}

/// How far a log has been sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    /// The time of the last line.
    time: i64,
    /// How many of that time have been sent; none if nothing has.
    lines: u64,
    /// Whether the last piece of stdout and stderr was no whole line: the next goes on with it.
    inside: [bool; 2],
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [out, err] = self.inside.map(u8::from);
        write!(f, "{} {} {out} {err}", self.time, self.lines)
    }
}

impl Place {
    fn read(text: &str) -> Self {
        let mut words = text.split(' ').map(str::parse::<i64>);
        let mut next = || words.next().and_then(Result::ok).unwrap_or_default();
        Self {
            time: next(),
            lines: u64::try_from(next()).unwrap_or_default(),
            inside: [next() != 0, next() != 0],
        }
    }

    fn sent(&mut self, line: &LogLine) {
        self.lines = if line.time == self.time {
            self.lines + 1
        } else {
            1
        };
        self.time = line.time;
        self.inside[usize::from(line.stderr)] = !line.bytes.ends_with(b"\n");
    }
}

impl Writer {
    fn write(&mut self, lines: &[LogLine]) -> Bytes {
        let mut out = Vec::new();
        for line in lines {
            if line.time == self.skip.0 && self.skip.1 > 0 {
                self.skip.1 -= 1;
                continue;
            }
            self.skip.1 = 0;
            self.write_line(line, &mut out);
            self.place.sent(line);
        }
        out.into()
    }

    fn write_line(&mut self, line: &LogLine, out: &mut Vec<u8>) {
        let inside = self.place.inside[usize::from(line.stderr)];
        let mut prefix = String::new();
        if !inside && self.timestamps {
            prefix.push_str(&rfc3339(line.time, Decimals::Nine).to_string());
            prefix.push(' ');
        }
        if let (false, Some(details)) = (inside, &self.details) {
            prefix.push_str(details);
            prefix.push(' ');
        }
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
            skip: (0, 0),
            place: Place::default(),
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
    fn what_was_sent_before_is_not_sent_again() {
        let mut place = Place::default();
        assert_eq!(Place::read(&place.to_string()), place);
        let lines = [line(false, "a\n"), line(true, "b"), line(false, "c\n")];
        lines[..2].iter().for_each(|line| place.sent(line));
        assert_eq!(Place::read(&place.to_string()), place);
        let mut writer = Writer {
            framed: false,
            timestamps: false,
            details: None,
            skip: (place.time, place.lines),
            place,
        };
        assert_eq!(writer.write(&lines), b"c\n".to_vec());
        assert_eq!(
            (writer.place.lines, writer.place.inside),
            (3, [false, true])
        );
    }

    #[test]
    fn streams_are_framed_apart() {
        let mut writer = Writer {
            framed: true,
            timestamps: false,
            details: Some(String::new()),
            skip: (0, 0),
            place: Place::default(),
        };
        assert_eq!(
            writer.write(&[line(false, "a\n"), line(true, "b\n")]),
            b"\x01\0\0\0\0\0\0\x03 a\n\x02\0\0\0\0\0\0\x03 b\n".to_vec()
        );
    }
}
