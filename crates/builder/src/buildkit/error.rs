//! Errors as BuildKit's clients understand them: a status of gRPC with details, of which one says what
//! lines of which file are at fault. Clients print those lines.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buildkit::Any;
use serde_json::{Value, json};

use crate::source::{Source, Span};

fn detail(name: &str, value: &Value) -> Any {
    Any {
        type_url: format!("github.com/moby/buildkit/errdefs.{name}+json"),
        value: value.to_string().into_bytes(),
    }
}

/// The lines that are at fault.
pub fn source(source: &Source, spans: &[Span]) -> Any {
    let place = |position: crate::Position| json!({ "line": position.line });
    let ranges: Vec<Value> = spans
        .iter()
        .map(|span| json!({ "start": place(span.start), "end": place(span.end) }))
        .collect();
    detail(
        "Source",
        &json!({
            "info": {
                "filename": source.name(),
                "data": BASE64_STANDARD.encode(source.text()),
                "language": "Dockerfile",
            },
            "ranges": ranges,
        }),
    )
}

/// The step that failed.
pub fn vertex(digest: &str) -> Any {
    detail("Vertex", &json!({ "digest": digest }))
}

/// Something that a frontend is asked for and does not do.
pub fn subrequest(name: &str) -> Any {
    detail("Subrequest", &json!({ "name": name }))
}

/// Something that a frontend must be able to do and cannot.
pub fn capability(name: &str) -> Any {
    detail("FrontendCap", &json!({ "name": name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_at_fault_are_told_in_json() {
        let file = Source::new("Dockerfile", b"FROM a\nRUN b\n");
        let any = source(&file, &[Span::lines(2, 2)]);
        assert_eq!(any.type_url, "github.com/moby/buildkit/errdefs.Source+json");
        assert_eq!(
            String::from_utf8(any.value).unwrap(),
            r#"{"info":{"filename":"Dockerfile","data":"RlJPTSBhClJVTiBiCg==","language":"Dockerfile"},"ranges":[{"start":{"line":2},"end":{"line":2}}]}"#
        );
    }
}
