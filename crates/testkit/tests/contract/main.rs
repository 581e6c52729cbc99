//! The Engine API as its specification has it: every operation, asked for what is not there, with
//! arguments that make no sense, and as it should be. The same questions are put to a Docker of
//! Debian's, so that they are known to be the right ones.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

mod docker;
mod http;
mod stories;
mod table;

use std::path::Path;

use http::ask;
use table::{Operation, operations};
use testkit::{Brig, root};

/// A daemon that is asked.
pub(crate) struct Daemon<'a> {
    pub(crate) socket: &'a Path,
    /// Whether it is Docker.
    pub(crate) docker: bool,
}

#[test]
fn every_operation_is_in_the_table() {
    assert_eq!(operations().len(), 108);
}

#[test]
fn brig_keeps_the_contract() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let socket = brig.socket();
    all(&Daemon {
        socket: &socket,
        docker: false,
    });
    brig.finish();
}

#[test]
fn docker_keeps_the_contract() {
    let Some(docker) = docker::Docker::start() else {
        return;
    };
    all(&Daemon {
        socket: docker.socket(),
        docker: true,
    });
}

fn all(daemon: &Daemon<'_>) {
    let mut wrong = Vec::new();
    for operation in &operations() {
        wrong.extend(missing(daemon, operation));
        wrong.extend(senseless(daemon, operation));
    }
    wrong.extend(stories::tell(daemon));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What this version says it does not do.
const NOT_YET: [&str; 3] = [
    "/containers/{id}/attach/ws",
    "/images/{name}/attestations",
    // Nothing is kept of builds, whatever the filter.
    "/build/prune",
];

/// Operations that ask others than the daemon, or that this daemon has not.
fn asks_others(operation: &Operation) -> bool {
    let of = |part: &str| operation.path.starts_with(part);
    of("/distribution") || of("/images/search") || of("/auth") || of("/plugins/p")
}

/// What is not there.
fn missing(daemon: &Daemon<'_>, operation: &Operation) -> Option<String> {
    if !operation.path.contains('{') || asks_others(operation) {
        return None;
    }
    let target = operation.target("nobody-knows");
    let answer = ask(daemon.socket, &operation.method, &target, operation.body());
    let expected: &[u16] = match operation.path.as_str() {
        // There is no swarm.
        _ if operation.statuses.contains(&503) => &[503],
        // The specification forgets it.
        "/images/{name}/get" | "/images/{name}/push" => &[404, 200],
        // Volumes that are not there are gone already where that is said.
        _ => &[404],
    };
    let path = operation.path.as_str();
    let other = match daemon.docker {
        // Docker 28 does not know what came with 1.55, and looks at arguments before it looks for a
        // plugin.
        true => path.ends_with("/attestations") || path.starts_with("/plugins"),
        false => NOT_YET.contains(&path) && answer.status == 501,
    };
    (!other && !expected.contains(&answer.status)).then(|| {
        format!(
            "missing: {} {target}: {answer}, not {expected:?}",
            operation.method
        )
    })
}

/// Numbers that are none, filters that nobody knows, bodies that are no JSON.
fn senseless(daemon: &Daemon<'_>, operation: &Operation) -> Vec<String> {
    let mut wrong = Vec::new();
    // Docker takes any filter of events.
    let lenient = daemon.docker && operation.path == "/events";
    let absent = !daemon.docker && NOT_YET.contains(&operation.path.as_str());
    if asks_others(operation) || operation.statuses.contains(&503) || lenient || absent {
        return wrong;
    }
    let mut tell = |target: &str, body: Option<&str>| {
        let answer = ask(daemon.socket, &operation.method, target, body);
        // Whether an object is looked for first is nobody's promise.
        let looks = operation.path.contains('{') && answer.status == 404;
        if answer.status != 400 && !looks {
            wrong.push(format!(
                "senseless: {} {target}: {answer}",
                operation.method
            ));
        }
    };
    let base = operation.target("nobody-knows");
    let glue = if base.contains('?') { '&' } else { '?' };
    if operation
        .arguments
        .iter()
        .any(|(name, _)| name == "filters")
    {
        for filters in ["{", "[]x", r#"{"colour":["red"]}"#] {
            let text = filters
                .replace('"', "%22")
                .replace('{', "%7B")
                .replace('}', "%7D");
            let text = text.replace('[', "%5B").replace(']', "%5D");
            tell(&format!("{base}{glue}filters={text}"), operation.body());
        }
    }
    if operation.body && operation.wants_json() {
        tell(&base, Some("{"));
        tell(
            &base,
            Some(
                r#"{"HostConfig": 3, "Image": [], "Cmd": 3, "Name": {}, "Container": {}, "Memory": "x"}"#,
            ),
        );
    }
    wrong
}
