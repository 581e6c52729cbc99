//! Spans as OTLP 1 has them (opentelemetry/proto/trace/v1/trace.proto), in Protocol Buffers and in JSON.

use prost::Message;
use serde_json::json;

use super::Encoding;
use super::span::{Ended, Value};

/// `SpanKind`: a part of something, and the answer to a request.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;

/// `StatusCode`.
const ERROR: i32 = 2;

/// `SpanFlags`: sampled, and whether it is known where the parent is, and that it is elsewhere.
const SAMPLED: u32 = 1;
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

/// Who made the spans.
const SCOPE: &str = "brigd";

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(int64, tag = "3")]
    Int(i64),
}

/// The body of one delivery.
pub(super) fn encode(
    encoding: Encoding,
    resource: &[(String, String)],
    spans: &[Ended],
) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => protobuf(resource, spans),
        Encoding::Json => json(resource, spans),
    }
}

fn protobuf(resource: &[(String, String)], spans: &[Ended]) -> Vec<u8> {
    let about = resource.iter().map(|(key, value)| KeyValue {
        key: key.clone(),
        value: Some(any(&Value::Text(value.clone()))),
    });
    let scope = Scope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: about.collect(),
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.iter().map(span).collect(),
            }],
        }],
    }
    .encode_to_vec()
}

fn span(ended: &Ended) -> SpanMessage {
    let attributes = ended.attributes.iter().map(|(key, value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(any(value)),
    });
    SpanMessage {
        trace_id: ended.trace.0.to_vec(),
        span_id: ended.id.0.to_vec(),
        trace_state: ended.state.clone(),
        parent_span_id: ended.parent.map(|id| id.0.to_vec()).unwrap_or_default(),
        name: ended.name.clone(),
        kind: kind(ended),
        start_time_unix_nano: ended.began,
        end_time_unix_nano: ended.ended,
        attributes: attributes.collect(),
        status: ended.error.as_ref().map(|message| Status {
            message: message.clone(),
            code: ERROR,
        }),
        flags: flags(ended),
    }
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Text(text) => Any::String(text.clone()),
        Value::Number(number) => Any::Int(*number),
    };
    AnyValue { value: Some(value) }
}

fn kind(ended: &Ended) -> i32 {
    if ended.is_request { SERVER } else { INTERNAL }
}

fn flags(ended: &Ended) -> u32 {
    match ended.remote {
        true => SAMPLED | PARENT_IS_KNOWN | PARENT_IS_REMOTE,
        false => SAMPLED | PARENT_IS_KNOWN,
    }
}

/// As OTLP maps it: ids in hexadecimal digits, numbers of 64 bits as text.
fn json(resource: &[(String, String)], spans: &[Ended]) -> Vec<u8> {
    let about = resource.iter();
    let about: Vec<_> = about
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    let spans: Vec<_> = spans.iter().map(json_span).collect();
    let scope = json!({"name": SCOPE, "version": env!("CARGO_PKG_VERSION")});
    let whole = json!({"resourceSpans": [{
        "resource": {"attributes": about},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    whole.to_string().into_bytes()
}

fn json_span(ended: &Ended) -> serde_json::Value {
    let attributes = ended.attributes.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => json!({"stringValue": text}),
            Value::Number(number) => json!({"intValue": number.to_string()}),
        };
        json!({"key": key, "value": value})
    });
    let mut span = json!({
        "traceId": ended.trace.to_string(),
        "spanId": ended.id.to_string(),
        "name": ended.name,
        "kind": kind(ended),
        "startTimeUnixNano": ended.began.to_string(),
        "endTimeUnixNano": ended.ended.to_string(),
        "attributes": attributes.collect::<Vec<_>>(),
        "flags": flags(ended),
    });
    if let Some(parent) = ended.parent {
        span["parentSpanId"] = json!(parent.to_string());
    }
    if !ended.state.is_empty() {
        span["traceState"] = json!(ended.state);
    }
    if let Some(message) = &ended.error {
        span["status"] = json!({"code": ERROR, "message": message});
    }
    span
}

#[cfg(test)]
mod tests {
    use super::super::span::{SpanId, TraceId};
    use super::*;

    fn ended() -> Ended {
        Ended {
            trace: TraceId([1; 16]),
            id: SpanId([2; 8]),
            parent: Some(SpanId([3; 8])),
            remote: true,
            state: "a=1".to_owned(),
            name: "GET /_ping".to_owned(),
            is_request: true,
            began: 1,
            ended: 2,
            attributes: vec![("http.response.status_code", Value::Number(500))],
            error: Some("no".to_owned()),
        }
    }

    #[test]
    fn protobuf_is_as_the_specification_has_it() {
        // By hand, from the encoding's rules: each field is its number and type, its length, its bytes.
        let inner = |tag: u8, bytes: &[u8]| {
            let length = u8::try_from(bytes.len()).unwrap();
            // Lengths of more than seven bits take two bytes.
            let length = match length {
                0..128 => vec![length],
                _ => vec![length, 1],
            };
            [&[tag], length.as_slice(), bytes].concat()
        };
        let status = [inner(0x12, b"no"), vec![0x18, 2]].concat();
        let value = inner(0x12, &[0x18, 0xf4, 0x03]);
        let attribute = [inner(0x0a, b"http.response.status_code"), value].concat();
        let span = [
            inner(0x0a, &[1; 16]),
            inner(0x12, &[2; 8]),
            inner(0x1a, b"a=1"),
            inner(0x22, &[3; 8]),
            inner(0x2a, b"GET /_ping"),
            vec![0x30, 2],
            vec![0x39, 1, 0, 0, 0, 0, 0, 0, 0],
            vec![0x41, 2, 0, 0, 0, 0, 0, 0, 0],
            inner(0x4a, &attribute),
            inner(0x7a, &status),
            vec![0x85, 0x01, 0x01, 0x03, 0, 0],
        ];
        assert_eq!(super::span(&ended()).encode_to_vec(), span.concat());
        let resource = [("service.name".to_owned(), "brigd".to_owned())];
        let whole = encode(Encoding::Protobuf, &resource, &[ended()]);
        let whole = Request::decode(whole.as_slice()).unwrap();
        let scope = &whole.resource_spans[0].scope_spans[0];
        assert_eq!(scope.spans, [super::span(&ended())]);
    }

    #[test]
    fn json_is_as_the_specification_has_it() {
        let resource = [("service.name".to_owned(), "brigd".to_owned())];
        let text = encode(Encoding::Json, &resource, &[ended()]);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let span = &value["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        let expected = json!({
            "traceId": "01".repeat(16),
            "spanId": "02".repeat(8),
            "parentSpanId": "03".repeat(8),
            "traceState": "a=1",
            "name": "GET /_ping",
            "kind": 2,
            "startTimeUnixNano": "1",
            "endTimeUnixNano": "2",
            "attributes": [{"key": "http.response.status_code", "value": {"intValue": "500"}}],
            "status": {"code": 2, "message": "no"},
            "flags": 0x301,
        });
        assert_eq!(*span, expected);
    }
}
