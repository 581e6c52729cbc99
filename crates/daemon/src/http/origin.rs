//! Requests of web pages. A browser lets any page send some to a daemon that listens on this machine's
//! addresses, without being able to read the answers; it says which page it was in `Origin` (RFC 6454).

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};
use types::ErrorKind;

use super::error::Failure;
use crate::access::{Peer, Who};

/// Refuses what a page of somebody else asks for. By a socket in the file system no page can.
pub(crate) fn check(peer: &Peer, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    if matches!(peer.who, Who::Process { .. } | Who::Unknown) {
        return Ok(());
    }
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| is_own(origin, host)) {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::Forbidden,
        format!("requests of the page {origin:?} are not served"),
    ))
}

/// Whether a page is the daemon's own, as clients say that are no browsers. A name would not tell: whoever
/// owns one may have it mean this machine.
fn is_own(origin: &str, host: &str) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority == Some(host) && is_address(host)
}

/// Whether it is an address, or the name that is always this machine; a port may follow.
fn is_address(host: &str) -> bool {
    let end = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let name = &host[..end.unwrap_or(host.len())];
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_are_told_from_ones_own() {
        for (origin, host, own) in [
            ("http://127.0.0.1:2375", "127.0.0.1:2375", true),
            ("http://[::1]:2375", "[::1]:2375", true),
            ("http://localhost", "localhost", true),
            ("http://evil.example", "127.0.0.1:2375", false),
            ("http://evil.example:2375", "evil.example:2375", false),
            ("null", "127.0.0.1:2375", false),
            ("http://127.0.0.1:3000", "127.0.0.1:2375", false),
        ] {
            assert_eq!(is_own(origin, host), own, "{origin} {host}");
        }
    }
}
