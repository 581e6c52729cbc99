//! `GET /events`

use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::{Version, wire};
use bytes::Bytes;
use engine::event::{self, Event, Kind, Reader};
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::event_filter::{Filter, SCOPE};
use crate::access::Peer;
use crate::app::App;
use crate::clock;
use crate::http::body::{Body, Then};
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Events that are rendered and not yet sent; what a slow client has not read stays in the ring.
const RENDERED: usize = 16;

/// Which events, and how they are written.
struct Stream {
    since: Option<i64>,
    until: Option<i64>,
    filter: Filter,
    /// What is there for whoever asks.
    peer: Arc<Peer>,
    version: Version,
    form: Form,
    /// Everything until then has been told by the daemon before this one.
    after: Option<i64>,
}

/// How one event is told from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// JSON objects, a line each.
    Lines(&'static str),
    /// RFC 7464.
    Sequence,
}

pub(super) fn events(app: &App, call: &Call) -> Answer {
    let (since, until) = (call.query.time("since")?, call.query.time("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Failure::bad_request(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            seconds(since),
            seconds(until)
        )));
    }
    let stream = Stream {
        since,
        until,
        filter: Filter::read(call.query.filters()?)?,
        peer: call.peer.clone(),
        version: call.version,
        form: Form::of(call.request.headers(), call.version),
        after: call.resumes_at().and_then(|time| time.parse().ok()),
    };
    let media_type = HeaderValue::from_static(stream.form.media_type());
    // Without either it begins with the next one.
    let past = since.is_some() || until.is_some() || stream.after.is_some();
    let reader = event::subscribe(&app.engine, past);
    let position = match (stream.after, since) {
        (Some(after), _) => after,
        (None, Some(since)) => since.saturating_sub(1),
        (None, None) => event::last(&app.engine),
    };
    let (send, mut receive) = mpsc::channel(RENDERED);
    app.spawn_endless(async move { stream.run(reader, &send).await });
    let body = Body::endless(position.to_string(), move |context| {
        receive.poll_recv(context)
    });
    Ok(respond::typed(StatusCode::OK, media_type, body))
}

fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000_000)
}

impl Stream {
    /// Until its time is over, nobody listens any more, or the client has fallen behind.
    async fn run(&self, mut reader: Reader, send: &mpsc::Sender<io::Result<(Bytes, Then)>>) {
        let end = self.until.map(|until| {
            let left = until.saturating_sub(clock::now());
            Instant::now() + Duration::from_nanos(left.try_into().unwrap_or(0))
        });
        let over = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let next = tokio::select! {
                // What has happened already comes before the end.
                biased;
                next = reader.next() => next,
                () = &mut over => return,
                () = send.closed() => return,
            };
            let event = match next {
                Ok(event) => event,
                Err(missed) => {
                    tracing::warn!("the end of a stream of events: {missed}");
                    // The connection breaks, so that the client knows.
                    let _ = send.send(Err(io::Error::other(missed))).await;
                    return;
                }
            };
            if self.until.is_some_and(|until| event.time > until) {
                return;
            }
            if self.takes(&event) {
                let then = Then::At(event.time.to_string());
                if send.send(Ok((self.render(&event), then))).await.is_err() {
                    return;
                }
            }
        }
    }

    fn takes(&self, event: &Arc<Event>) -> bool {
        let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
        self.since.is_none_or(|since| event.time >= since)
            && self.after.is_none_or(|after| event.time > after)
            && self.peer.door.policy.sees_labels(attribute)
            && self.filter.takes(event)
    }

    fn render(&self, event: &Event) -> Bytes {
        let line = respond::json_bytes(&message(event, self.version));
        match self.form {
            Form::Lines(_) => line.into(),
            Form::Sequence => [&b"\x1e"[..], &line].concat().into(),
        }
    }
}

/// As the API writes it.
fn message(event: &Event, version: Version) -> wire::Event {
    let old = !version.has(52) && matches!(event.kind, Kind::Container | Kind::Image);
    let text = |text: &str| if old { text.to_owned() } else { String::new() };
    let from = match event.kind {
        Kind::Container => event.attributes.get("image").map_or("", String::as_str),
        _ => "",
    };
    wire::Event {
        status: text(&event.action),
        id: text(&event.id),
        from: text(from),
        r#type: event.kind.name().to_owned(),
        action: event.action.clone().into_owned(),
        actor: wire::EventActor {
            id: event.id.clone(),
            attributes: event.attributes.clone(),
        },
        scope: SCOPE.to_owned(),
        time: seconds(event.time),
        time_nano: event.time,
    }
}

impl Form {
    /// What the client would rather have, of what its version knows.
    fn of(headers: &HeaderMap, version: Version) -> Self {
        const PLAIN: &str = "application/json";
        const LINES: &str = "application/x-ndjson";
        const NEWEST: &str = "application/jsonl";
        const SEQUENCE: &str = "application/json-seq";
        if !version.has(52) {
            return Self::Lines(PLAIN);
        }
        let accepted = headers.get_all(ACCEPT).iter();
        let mut accepted = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next())
            .map(|range| range.trim().to_ascii_lowercase());
        let known = accepted.find_map(|range| match range.as_str() {
            SEQUENCE => Some(Self::Sequence),
            LINES => Some(Self::Lines(LINES)),
            NEWEST if version.has(53) => Some(Self::Lines(NEWEST)),
            PLAIN => Some(Self::Lines(PLAIN)),
            _ => None,
        });
        let usual = if version.has(53) { NEWEST } else { LINES };
        known.unwrap_or(Self::Lines(usual))
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Lines(media_type) => media_type,
            Self::Sequence => "application/json-seq",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind) -> Event {
        Event {
            kind,
            action: "start".into(),
            id: "ab".to_owned(),
            attributes: [("image".to_owned(), "bb".to_owned())].into(),
            time: 1_700_000_000_000_000_009,
        }
    }

    #[test]
    fn fields_of_old_versions_are_there_for_them_only() {
        let show = |kind, minor| {
            let message = message(&event(kind), Version::new(1, minor));
            serde_json::to_string(&message).unwrap()
        };
        let rest = r#""Action":"start","Actor":{"ID":"ab","Attributes":{"image":"bb"}},"scope":"local","time":1700000000,"timeNano":1700000000000000009}"#;
        assert_eq!(
            show(Kind::Container, 51),
            format!(r#"{{"status":"start","id":"ab","from":"bb","Type":"container",{rest}"#)
        );
        assert_eq!(
            show(Kind::Image, 44),
            format!(r#"{{"status":"start","id":"ab","Type":"image",{rest}"#)
        );
        let new = format!(r#"{{"Type":"container",{rest}"#);
        assert_eq!(show(Kind::Container, 52), new);
        assert_eq!(show(Kind::Network, 30), new.replace("container", "network"));
    }

    #[test]
    fn clients_choose_the_form() {
        let form = |accept: &str, minor| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            Form::of(&headers, Version::new(1, minor)).media_type()
        };
        assert_eq!(form("application/json-seq", 51), "application/json");
        assert_eq!(
            form("application/json-seq, */*", 52),
            "application/json-seq"
        );
        assert_eq!(form("*/*", 52), "application/x-ndjson");
        assert_eq!(form("*/*", 55), "application/jsonl");
        assert_eq!(form("application/x-ndjson;q=1", 55), "application/x-ndjson");
    }
}
