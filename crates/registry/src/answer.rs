//! Answers: bodies read within bounds, and what an error's body says.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};

use crate::manifest::shorten;

/// An error's body is read so far.
const MAX_REFUSAL: u64 = 64 << 10;
/// A document has to be here after so many times the time that a stalled transfer is given.
const PATIENCE: u32 = 10;

/// Why a body did not come whole.
#[derive(Debug)]
pub(crate) enum Unread {
    /// More bytes than allowed.
    TooLong,
    /// Nothing came for too long, or it comes too slowly for a document.
    Stalled,
    /// The connection broke.
    Broken(String),
}

/// A whole body of at most `most` bytes.
pub(crate) async fn read(
    response: &mut Response,
    most: u64,
    stall: Duration,
) -> Result<Bytes, Unread> {
    if response
        .content_length()
        .is_some_and(|length| length > most)
    {
        return Err(Unread::TooLong);
    }
    let end = Instant::now() + stall * PATIENCE;
    let mut whole = BytesMut::new();
    loop {
        let next = timeout_at(end, timeout(stall, response.chunk())).await;
        let Ok(Ok(chunk)) = next else {
            return Err(Unread::Stalled);
        };
        match chunk.map_err(|e| Unread::Broken(why(e)))? {
            None => return Ok(whole.freeze()),
            Some(chunk) if whole.len() as u64 + chunk.len() as u64 > most => {
                return Err(Unread::TooLong);
            }
            Some(chunk) => whole.extend_from_slice(&chunk),
        }
    }
}

/// The errors of an answer, as the registry says them (distribution specification, "Error Codes").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Codes, as written: `MANIFEST_UNKNOWN`.
    pub codes: Vec<String>,
    /// As people read it: `manifest unknown: manifest unknown`.
    pub text: String,
}

impl Said {
    pub(crate) fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|c| c == code)
    }
}

/// What an answer that means no says. Never fails: without words its status is what it says.
pub(crate) async fn said(mut response: Response, stall: Duration) -> Said {
    let status = response.status();
    let body = read(&mut response, MAX_REFUSAL, stall)
        .await
        .unwrap_or_default();
    let mut said = parse(&body);
    if said.text.is_empty() {
        said.text = status.to_string();
    }
    said
}

#[derive(Debug, Deserialize)]
struct Document {
    errors: Option<Vec<Entry>>,
    /// Of token servers and proxies.
    message: Option<String>,
    details: Option<serde_json::Value>,
    error_description: Option<String>,
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    code: Option<String>,
    message: Option<String>,
}

/// Reads an error document. Empty when it is none.
pub(crate) fn parse(body: &[u8]) -> Said {
    const MOST: usize = 5;
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return Said::default();
    };
    let mut said = Said::default();
    let mut sentences = Vec::new();
    for entry in document.errors.unwrap_or_default().into_iter().take(MOST) {
        let code = clean(&entry.code.unwrap_or_default());
        let words = code.to_lowercase().replace('_', " ");
        let message = clean(&entry.message.unwrap_or_default());
        let both = [words, message].into_iter().filter(|part| !part.is_empty());
        sentences.push(both.collect::<Vec<_>>().join(": "));
        said.codes.push(code);
    }
    let other = document
        .error_description
        .or(document.message)
        .or(document.details.as_ref().and_then(text))
        .or(document.error.as_ref().and_then(text));
    if sentences.is_empty() {
        sentences.extend(other.map(|text| clean(&text)).filter(|t| !t.is_empty()));
    }
    said.text = sentences.join("; ");
    said
}

fn text(value: &serde_json::Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A stranger's words for one line of a terminal.
fn clean(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    shorten(line.trim())
}

/// The innermost reason of a failed request, without the address, which is in the sentence around it.
pub(crate) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = clean(&innermost.to_string());
    if text.contains("InvalidContentType") {
        return "server gave HTTP response to HTTPS client; plain http is used with hosts that the \
                configuration calls insecure"
            .to_owned();
    }
    if text.contains("UnknownIssuer") || text.contains("certificate: BadSignature") {
        return "its certificate is signed by an unknown authority; give the authority's \
                certificate in the configuration"
            .to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_said_in_dockers_words() {
        let table = [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"a":1}}]}"#,
                "manifest unknown: manifest unknown",
            ),
            (
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b down"},{"code":"DENIED"}]}"#,
                "toomanyrequests: slow  down; denied",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                "expired",
            ),
            (r#"{"message":"no"}"#, "no"),
            (r#"{"errors":null}"#, ""),
            ("<html>", ""),
            ("", ""),
        ];
        for (body, text) in table {
            assert_eq!(parse(body.as_bytes()).text, text, "{body}");
        }
        assert!(parse(br#"{"errors":[{"code":"DENIED"}]}"#).has("DENIED"));
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()), Said::default());
    }
}
