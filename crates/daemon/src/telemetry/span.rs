//! One request as it is traced, and the parts of it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::Passed;
use hyper::Method;
use hyper::header::{HeaderMap, USER_AGENT};
use types::ContainerId;

/// The longest that is kept of what clients say about themselves.
const LONGEST: usize = 256;

/// The most that is kept of a client's own trace state, Trace Context section 3.3.1.5.
const LONGEST_STATE: usize = 512;

macro_rules! id {
    ($name:ident, $length:expr, $what:expr) => {
        #[doc = $what]
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) [u8; $length]);

        impl $name {
            /// None where the machine has no random bytes.
            pub(super) fn random() -> Option<Self> {
                sys::random::bytes().ok().map(Self)
            }

            /// Small hexadecimal digits, not all of them 0.
            pub(super) fn parse(text: &str) -> Option<Self> {
                let small = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if text.len() != 2 * $length || !text.bytes().all(small) {
                    return None;
                }
                let mut bytes = [0; $length];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
                }
                (bytes != [0; $length]).then_some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(TraceId, 16, "What belongs together.");
id!(SpanId, 8, "One part of it.");

impl TraceId {
    /// Whether it is in that share of all, by its last 56 bits, which are the random ones.
    #[expect(
        clippy::cast_precision_loss,
        reason = "56 bits: what is lost is less than one in 2^53"
    )]
    pub(super) fn is_below(self, ratio: f64) -> bool {
        let last = self.0[9..].iter();
        let number = last.fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        number as f64 / (1u64 << 56) as f64 <= ratio && ratio > 0.0
    }
}

/// The client's own span, as its headers say (W3C Trace Context).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) sampled: bool,
    pub(super) state: String,
}

impl Parent {
    /// None if there is none, or what there is makes no sense: then the trace begins here.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all("traceparent").iter();
        let text = all.next()?.to_str().ok().filter(|_| all.next().is_none())?;
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hexadecimal = |text: &str| text.len() == 2 && !text.contains('+');
        // Later versions may have more behind it.
        let more = parts.next().is_some();
        if version == "ff"
            || !hexadecimal(version)
            || !hexadecimal(flags)
            || (version == "00" && more)
        {
            return None;
        }
        u8::from_str_radix(version, 16).ok()?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let state = headers.get_all("tracestate").iter();
        let state: Vec<&str> = state.filter_map(|value| value.to_str().ok()).collect();
        let state = Some(state.join(",")).filter(|state| state.len() <= LONGEST_STATE);
        Some(Self {
            trace: TraceId::parse(trace)?,
            span: SpanId::parse(span)?,
            sampled: flags & 1 == 1,
            state: state.unwrap_or_default(),
        })
    }
}

/// What a span says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    /// Whether the parent is on the other side of the connection.
    pub(super) remote: bool,
    pub(super) state: String,
    pub(super) name: String,
    /// Whether it is a request, not a part of one.
    pub(super) is_request: bool,
    /// Nanoseconds since the Unix epoch.
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Why it failed, where that was the daemon's fault.
    pub(super) error: Option<String>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Span {
    trace: TraceId,
    id: SpanId,
    parent: Option<Parent>,
    method: String,
    path: String,
    agent: Option<String>,
    began: (SystemTime, Instant),
    // A std lock: held for a push.
    known: Mutex<Known>,
}

/// What comes to be known of it on the way.
#[derive(Debug, Default)]
struct Known {
    route: Option<&'static str>,
    container: Option<ContainerId>,
    stages: Vec<Stage>,
}

#[derive(Debug)]
struct Stage {
    name: &'static str,
    began: Instant,
    ended: Instant,
}

impl Span {
    pub(super) fn begin(
        trace: TraceId,
        parent: Option<Parent>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let agent = headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok());
        Some(Self {
            trace,
            id: SpanId::random()?,
            parent,
            method: method.to_string(),
            path: path.chars().take(LONGEST).collect(),
            agent: agent.map(|agent| agent.chars().take(LONGEST).collect()),
            began: (SystemTime::now(), Instant::now()),
            known: Mutex::default(),
        })
    }

    /// Which operation it is, as `/containers/{}/start`.
    pub(crate) fn routed(&self, route: &'static str) {
        self.known().route = Some(route);
    }

    /// Which container it is about.
    pub(crate) fn about(&self, container: ContainerId) {
        self.known().container = Some(container);
    }

    /// Steps that work for it has passed, which began at `began`: each lasted from the one before.
    pub(crate) fn passed(&self, mut began: Instant, steps: &[Passed]) {
        let mut known = self.known();
        for step in steps {
            known.stages.push(Stage {
                name: step.step,
                began,
                ended: step.at,
            });
            began = step.at;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It, and the parts of it.
    pub(super) fn end(&self, status: u16, error: Option<&str>) -> Vec<Ended> {
        let known = std::mem::take(&mut *self.known());
        let name = match known.route {
            Some(route) => format!("{} {}", self.method, shown(route)),
            None => self.method.clone(),
        };
        let fault = error.filter(|_| status >= 500);
        let request = Ended {
            trace: self.trace,
            id: self.id,
            parent: self.parent.as_ref().map(|parent| parent.span),
            remote: self.parent.is_some(),
            state: self.state(),
            name,
            is_request: true,
            began: self.at(self.began.1),
            ended: self.at(Instant::now()),
            attributes: self.attributes(&known, status),
            error: fault.map(str::to_owned),
        };
        let stages = known.stages.iter().filter_map(|stage| {
            Some(Ended {
                trace: self.trace,
                id: SpanId::random()?,
                parent: Some(self.id),
                remote: false,
                state: self.state(),
                name: stage.name.to_owned(),
                is_request: false,
                began: self.at(stage.began),
                ended: self.at(stage.ended),
                attributes: Vec::new(),
                error: None,
            })
        });
        std::iter::once(request).chain(stages).collect()
    }

    /// By OpenTelemetry's conventions for servers of HTTP.
    fn attributes(&self, known: &Known, status: u16) -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut all = vec![
            ("http.request.method", text(&self.method)),
            ("url.path", text(&self.path)),
            ("http.response.status_code", Value::Number(status.into())),
        ];
        if let Some(route) = known.route {
            all.push(("http.route", Value::Text(shown(route))));
        }
        if let Some(agent) = &self.agent {
            all.push(("user_agent.original", text(agent)));
        }
        if let Some(container) = &known.container {
            all.push(("container.id", Value::Text(container.to_string())));
        }
        if status >= 500 {
            all.push(("error.type", Value::Text(status.to_string())));
        }
        all
    }

    fn state(&self) -> String {
        let state = self.parent.as_ref().map(|parent| parent.state.clone());
        state.unwrap_or_default()
    }

    /// Clocks may be set meanwhile: only the beginning is read from one.
    fn at(&self, when: Instant) -> u64 {
        let (clock, began) = self.began;
        let since = clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        let then = since.saturating_add(when.saturating_duration_since(began));
        u64::try_from(then.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A route as others write them.
fn shown(route: &str) -> String {
    route.replace("{}", "{name}").replace("{*}", "{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(text: &str) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text.parse().unwrap());
        headers.insert("tracestate", "a=1,b=2".parse().unwrap());
        Parent::of(&headers)
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn parents_are_read() {
        let read = parent(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(read.trace.to_string(), TRACE);
        assert_eq!(read.span.to_string(), SPAN);
        assert_eq!((read.sampled, read.state.as_str()), (true, "a=1,b=2"));
        assert!(!parent(&format!("00-{TRACE}-{SPAN}-00")).unwrap().sampled);
        // Of a version to come.
        assert!(parent(&format!("cc-{TRACE}-{SPAN}-01-more")).is_some());
        for wrong in [
            "",
            "00",
            &format!("00-{TRACE}-{SPAN}"),
            &format!("00-{TRACE}-{SPAN}-1"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("zz-{TRACE}-{SPAN}-01"),
            &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            &format!("00-{}-{SPAN}-01", "0".repeat(32)),
            &format!("00-{TRACE}-{}-01", "0".repeat(16)),
            &format!("00-{TRACE}-{SPAN}-+1"),
        ] {
            assert_eq!(parent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_ends_with_its_parts() {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, "Docker-Client/28".parse().unwrap());
        let trace = TraceId::parse(TRACE).unwrap();
        let path = "/v1.51/containers/web/start";
        let span = Span::begin(trace, None, &Method::POST, path, &headers).unwrap();
        let began = Instant::now();
        span.routed("/containers/{}/start");
        let steps = ["start.claim", "start.launch"].map(|step| Passed {
            step,
            at: Instant::now(),
        });
        span.passed(began, &steps);
        let ended = span.end(500, Some("it failed"));
        let names: Vec<_> = ended.iter().map(|span| span.name.as_str()).collect();
        let expected = [
            "POST /containers/{name}/start",
            "start.claim",
            "start.launch",
        ];
        assert_eq!(names, expected);
        assert_eq!(ended[0].error.as_deref(), Some("it failed"));
        assert!(
            ended[1..]
                .iter()
                .all(|part| part.parent == Some(ended[0].id))
        );
        assert_eq!(ended[1].ended, ended[2].began);
        assert!(ended.iter().all(|span| span.began <= span.ended));
        // Who asked for nonsense has made the mistake.
        let span = Span::begin(trace, None, &Method::GET, "/x", &headers).unwrap();
        let ended = span.end(404, Some("page not found"));
        assert_eq!((ended[0].name.as_str(), &ended[0].error), ("GET", &None));
    }
}
