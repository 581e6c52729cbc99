//! What `--check` shows: text for people, JSON for programs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Finding;
use crate::dockerfile::Error;
use crate::source::{Source, Span};

/// The findings of one file.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The file.
    pub source: &'a Source,
    /// What was found.
    pub findings: &'a [Finding],
    /// Why the file cannot be built, if so.
    pub error: Option<&'a Error>,
}

impl Report<'_> {
    /// 0 when there is nothing to say.
    pub fn status(&self) -> u8 {
        u8::from(!self.findings.is_empty() || self.error.is_some())
    }

    /// Each finding with its lines.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for finding in self.findings {
            let (rule, detail) = (finding.rule, &finding.detail);
            let _ = write!(
                out,
                "\nWARNING: {} - {}\n{detail}\n{}",
                rule.name(),
                rule.url(),
                self.source.excerpt(finding.span)
            );
        }
        out
    }

    /// The error with its lines; empty without one.
    pub fn error_text(&self) -> String {
        let Some(error) = self.error else {
            return String::new();
        };
        format!("{error}\n{}", self.source.excerpt(error.span()))
    }

    /// The document that `result.json` of the subrequest holds.
    pub fn json(&self) -> String {
        let warnings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "ruleName": finding.rule.name(),
                    "description": finding.rule.description(),
                    "url": finding.rule.url(),
                    "detail": finding.detail,
                    "location": location(finding.span),
                })
            })
            .collect();
        let mut document = json!({
            "warnings": if warnings.is_empty() { Value::Null } else { warnings.into() },
            "sources": [{
                "filename": self.source.name(),
                "language": "Dockerfile",
                "data": BASE64_STANDARD.encode(self.source.text()),
            }],
        });
        if let Some(error) = self.error {
            document["buildError"] =
                json!({ "message": error.to_string(), "location": location(error.span()) });
        }
        format!("{document:#}")
    }
}

/// Lines only: what clients draw.
fn location(span: Span) -> Value {
    if span.start.line == 0 {
        return json!({});
    }
    json!({ "ranges": [{ "start": { "line": span.start.line }, "end": { "line": span.end.line } }] })
}
