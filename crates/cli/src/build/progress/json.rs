//! A build for programs: BuildKit's documents, one a line.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buildkit::Timestamp;
use buildkit::control::StatusResponse;
use buildkit::pb::Range;
use serde_json::{Map, Value, json};

/// A line.
pub(super) fn line(status: &StatusResponse) -> String {
    let mut document = Map::new();
    let mut add = |key: &str, list: Vec<Value>| {
        if !list.is_empty() {
            document.insert(key.to_owned(), list.into());
        }
    };
    add("vertexes", status.vertexes.iter().map(vertex).collect());
    add("statuses", status.statuses.iter().map(at).collect());
    let logs = status.logs.iter().map(|log| {
        fields([
            ("vertex", json!(log.vertex)),
            ("stream", json!(log.stream)),
            ("data", json!(BASE64_STANDARD.encode(&log.msg))),
            ("timestamp", time(log.timestamp)),
        ])
    });
    add("logs", logs.collect());
    let warnings = status.warnings.iter().map(|warning| {
        let detail = warning.detail.iter();
        let detail: Vec<String> = detail.map(|line| BASE64_STANDARD.encode(line)).collect();
        let info = warning.info.as_ref().map(|info| {
            json!({
                "filename": info.filename,
                "data": BASE64_STANDARD.encode(&info.data),
                "language": info.language,
            })
        });
        fields([
            ("vertex", json!(warning.vertex)),
            ("level", json!(warning.level)),
            ("short", json!(BASE64_STANDARD.encode(&warning.short))),
            ("detail", json!(detail)),
            ("url", json!(warning.url)),
            ("sourceInfo", json!(info)),
            ("range", warning.ranges.iter().map(range).collect()),
        ])
    });
    add("warnings", warnings.collect());
    format!("{}\n", Value::from(document))
}

/// Fields that hold something.
fn fields<const N: usize>(all: [(&str, Value); N]) -> Value {
    let some = all.into_iter().filter(|(_, value)| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Bool(true) | Value::Object(_) => true,
    });
    some.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn vertex(vertex: &buildkit::control::Vertex) -> Value {
    fields([
        ("digest", json!(vertex.digest)),
        ("inputs", json!(vertex.inputs)),
        ("name", json!(vertex.name)),
        ("started", time(vertex.started)),
        ("completed", time(vertex.completed)),
        ("cached", json!(vertex.cached)),
        ("error", json!(vertex.error)),
    ])
}

fn at(status: &buildkit::control::VertexStatus) -> Value {
    let mut shown = fields([
        ("id", json!(status.id)),
        ("vertex", json!(status.vertex)),
        ("name", json!(status.name)),
        ("total", json!(status.total)),
        ("timestamp", time(status.timestamp)),
        ("started", time(status.started)),
        ("completed", time(status.completed)),
    ]);
    shown["current"] = json!(status.current);
    shown
}

fn range(range: &Range) -> Value {
    let place = |place: Option<buildkit::pb::Position>| {
        place.map(|place| json!({ "line": place.line, "character": place.character }))
    };
    json!({ "start": place(range.start), "end": place(range.end) })
}

fn time(time: Option<Timestamp>) -> Value {
    let time = time.and_then(|time| jiff::Timestamp::from_nanosecond(time.as_nanos()).ok());
    time.map_or(Value::Null, |time| json!(time.to_string()))
}
