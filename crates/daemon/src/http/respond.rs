//! Answers.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::error::Failure;

/// What a handler answers with.
pub(crate) type Answer = Result<Response<Body>, Failure>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) fn status(status: StatusCode) -> Response<Body> {
    with_body(status, Body::empty())
}

pub(crate) fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

pub(crate) fn no_content() -> Answer {
    Ok(status(StatusCode::NO_CONTENT))
}

/// JSON as dockerd writes it: one line, with its end.
pub(crate) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    // Wire types are maps with string keys: they always serialize.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

pub(crate) fn json(code: StatusCode, value: &impl Serialize) -> Response<Body> {
    typed(code, JSON, Body::full(json_bytes(value)))
}

pub(crate) fn ok(value: &impl Serialize) -> Answer {
    Ok(json(StatusCode::OK, value))
}

pub(crate) fn typed(code: StatusCode, media_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = with_body(code, body);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// A stream of JSON values.
pub(crate) fn json_stream(body: Body) -> Response<Body> {
    typed(StatusCode::OK, JSON, body)
}

/// What every client is told when its request was not served.
pub(crate) fn failure(failure: &Failure) -> Response<Body> {
    if failure.status() == StatusCode::NOT_MODIFIED {
        return status(StatusCode::NOT_MODIFIED);
    }
    let body = api::wire::ErrorResponse {
        message: failure.message().to_owned(),
    };
    json(failure.status(), &body)
}

/// The headers of every answer.
pub(crate) fn sign(response: &mut Response<Body>) {
    const SERVER: HeaderValue =
        HeaderValue::from_static(concat!("Brig/", env!("CARGO_PKG_VERSION"), " (linux)"));
    let headers = response.headers_mut();
    // MAX of `api::Version`; a test holds the two together.
    headers.insert(
        HeaderName::from_static("api-version"),
        HeaderValue::from_static("1.55"),
    );
    headers.insert(
        HeaderName::from_static("docker-experimental"),
        HeaderValue::from_static("false"),
    );
    headers.insert(
        HeaderName::from_static("ostype"),
        HeaderValue::from_static("linux"),
    );
    headers.insert(hyper::header::SERVER, SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_signed_with_the_newest_version() {
        let mut response = status(StatusCode::OK);
        sign(&mut response);
        assert_eq!(
            response.headers()["api-version"].to_str().unwrap(),
            api::Version::MAX.to_string()
        );
        assert!(
            response.headers()["server"]
                .to_str()
                .unwrap()
                .starts_with("Brig/")
        );
    }

    #[test]
    fn not_modified_has_no_body() {
        let failed = Failure::new(types::ErrorKind::NotModified, "it runs");
        let response = failure(&failed);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(hyper::body::Body::is_end_stream(response.body()));
    }
}
