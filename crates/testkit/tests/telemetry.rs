//! Traces of requests for OpenTelemetry, and collectors that are slow, gone or come back.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::registry::{Authority, Reply, Server};
use testkit::{Brig, Setup, address, clients, root, until};

/// Takes what it is sent.
struct Collector(Server);

impl Collector {
    fn start() -> Self {
        Self(Server::start(|_| Reply::new(200, "{}")))
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// All spans so far.
    fn spans(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for request in self.0.requests() {
            assert_eq!(request.path(), "/v1/traces");
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            all.extend(spans.as_array().unwrap().iter().cloned());
        }
        all
    }

    /// The first that fits, once it is there.
    fn span(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || self.spans().into_iter().find(|span| fits(span)))
    }
}

/// What a span says of itself.
fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let all = span["attributes"].as_array()?;
    let found = all.iter().find(|attribute| attribute["key"] == name)?;
    let value = &found["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str())
}

/// A daemon with these lines in its table, and no patience.
fn traced(lines: &str, variables: &[(&str, &str)]) -> Brig {
    let mut environment = vec![("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "50".to_owned())];
    for (name, value) in variables {
        environment.push(((*name).to_owned(), (*value).to_owned()));
    }
    let mut brig = Brig::prepare(Setup {
        environment,
        ..Setup::default()
    });
    let mut text = fs::read_to_string(brig.config_file()).unwrap();
    text.push_str(&format!("\n[telemetry]\n{lines}\n"));
    fs::write(brig.config_file(), text).unwrap();
    brig.start_daemon();
    brig
}

fn json_to(endpoint: &str) -> String {
    format!("endpoint = \"{endpoint}\"\nprotocol = \"http/json\"")
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn asks(brig: &Brig, path: &str, sampled: u8) -> String {
    brig.http(&format!(
        "GET {path} HTTP/1.1\r\nHost: brig\r\nConnection: close\r\ntracestate: a=1\r\n\
         traceparent: 00-{TRACE}-b7ad6b7169203331-0{sampled}\r\n\r\n"
    ))
}

#[test]
fn requests_are_traced_with_the_stages_of_a_start() {
    if !root() {
        return;
    }
    let collector = Collector::start();
    let lines = json_to(&collector.endpoint());
    let brig = traced(&format!("{lines}\nheaders = {{ x-who = \"me\" }}"), &[]);
    brig.import_busybox();
    for client in clients() {
        brig.with(
            client,
            &["run", "-d", "--name", "web", "bb", "sleep", "1000"],
        )
        .ok();
        let id = brig.inspect("web")["Id"].as_str().unwrap().to_owned();
        let of = |name: &str, status: &str| {
            collector.span(name, |span| {
                span["name"] == name
                    && attribute(span, "container.id") == Some(&id)
                    && attribute(span, "http.response.status_code") == Some(status)
            })
        };
        let created = of("POST /containers/create", "201");
        assert_eq!(
            attribute(&created, "http.route"),
            Some("/containers/create")
        );
        let start = of("POST /containers/{name}/start", "204");
        assert_eq!(attribute(&start, "http.request.method"), Some("POST"));
        for stage in [
            "start.claim",
            "start.launch",
            "start.create",
            "start.start",
            "start.record",
        ] {
            let part = collector.span(stage, |span| {
                span["name"] == stage && span["parentSpanId"] == start["spanId"]
            });
            assert_eq!(part["traceId"], start["traceId"]);
        }
        brig.with(client, &["rm", "-f", "web"]).ok();
        of("DELETE /containers/{name}", "204");
    }
    // A mistake of the client's is none of the daemon's.
    brig.brig(&["inspect", "nobody"]).fails(1);
    let missing = collector.span("404", |span| {
        attribute(span, "url.path").is_some_and(|path| path.ends_with("/containers/nobody/json"))
    });
    assert_eq!(missing["status"], Value::Null);
    let first = collector.0.requests().swap_remove(0);
    assert_eq!(first.header("x-who"), Some("me"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    brig.finish();
}

#[test]
fn the_clients_own_trace_goes_on() {
    if !root() {
        return;
    }
    let collector = Collector::start();
    let brig = traced(&json_to(&collector.endpoint()), &[]);
    // What a client does not trace is not traced, and comes first: its span would be here.
    assert!(asks(&brig, "/version", 0).starts_with("HTTP/1.1 200"));
    assert!(asks(&brig, "/info", 1).starts_with("HTTP/1.1 200"));
    let span = collector.span("GET /info", |span| span["name"] == "GET /info");
    assert_eq!(span["traceId"], TRACE);
    assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(span["traceState"], "a=1");
    let spans = collector.spans();
    let version = |span: &&Value| span["name"] == "GET /version";
    assert_eq!(spans.iter().find(version), None);
    brig.finish();
}

#[test]
fn a_collector_that_is_gone_holds_up_nothing() {
    if !root() {
        return;
    }
    let place = address();
    let mut brig = traced(
        &json_to(&format!("http://{place}")),
        &[("OTEL_BSP_MAX_QUEUE_SIZE", "16")],
    );
    for _ in 0..100 {
        assert!(asks(&brig, "/info", 1).starts_with("HTTP/1.1 200"));
    }
    let told = || brig.daemon_log().matches("traces do not reach").count();
    until("it is told of", || (told() > 0).then_some(()));
    assert_eq!(told(), 1);
    // Listens, and says nothing.
    let listener = TcpListener::bind(place).unwrap();
    for _ in 0..100 {
        assert!(asks(&brig, "/info", 1).starts_with("HTTP/1.1 200"));
    }
    assert_eq!(told(), 1);
    // Nor is the daemon kept from ending.
    brig.stop_daemon();
    drop(listener);
    brig.start_daemon();
    brig.finish();
}

#[test]
fn what_waits_is_sent_when_the_daemon_ends() {
    if !root() {
        return;
    }
    let collector = Collector::start();
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let variables = [
        (base.0, base.1.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ("OTEL_SERVICE_NAME", "engine-7"),
    ];
    let mut brig = traced("", &variables);
    asks(&brig, "/info", 1);
    brig.stop_daemon();
    let sent = collector.0.requests().pop().unwrap();
    assert_eq!(sent.header("content-type"), Some("application/x-protobuf"));
    for text in ["GET /info", "engine-7"] {
        let mut parts = sent.body.windows(text.len());
        assert!(parts.any(|part| part == text.as_bytes()), "{text}");
    }
    brig.start_daemon();
    brig.finish();
}

#[test]
fn what_is_said_to_others_keeps_nobody_from_starting() {
    if !root() {
        return;
    }
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let brig = traced("", &variables);
    let log = brig.daemon_log();
    let told = "requests are not traced: OTEL_EXPORTER_OTLP_PROTOCOL=\"grpc\"";
    assert!(log.contains(told), "{log}");
    brig.finish();
}

#[test]
fn traces_go_by_tls() {
    let (Some(authority), true) = (Authority::new(), root()) else {
        return;
    };
    let place = address();
    let shown = authority.server_at(*place.ip());
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    // Prints what it is sent, and answers nothing.
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-naccept",
            "8",
            "-accept",
            &place.to_string(),
        ])
        .args(["-cert", &write("certificate.pem", &shown.certificate)])
        .args(["-key", &write("key.pem", &shown.key)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = format!(
        "{}\ncertificate = \"{}\"",
        json_to(&format!("https://{place}")),
        write("authority.pem", authority.certificate())
    );
    let brig = traced(&lines, &[]);
    asks(&brig, "/info", 1);
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(line.trim_end(), "POST /v1/traces HTTP/1.1");
    brig.finish();
}
