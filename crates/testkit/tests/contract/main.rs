//! The Engine API as its specification has it: every operation, asked for what is not there, with
//! arguments that make no sense, and as it should be. The same questions are put to a Docker of
//! Debian's, so that they are known to be the right ones.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

mod daemon;
mod docker;
mod http;
mod schema;
mod stories;
mod table;

use daemon::{Daemon, Objects};
use table::{Operation, operations};
use testkit::{Brig, root};

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
    all(&Daemon::new(&brig.socket(), false));
    brig.finish();
}

#[test]
fn docker_keeps_the_contract() {
    let Some(docker) = docker::Docker::start() else {
        return;
    };
    all(&Daemon::new(docker.socket(), true));
}

fn all(daemon: &Daemon) {
    let mut wrong = Vec::new();
    let table = operations();
    for operation in &table {
        wrong.extend(missing(daemon, operation));
    }
    let objects = Objects::make(daemon);
    for operation in &table {
        wrong.extend(senseless(daemon, operation, &objects));
    }
    objects.remove(daemon);
    wrong.extend(stories::tell(daemon, &table));
    wrong.extend(daemon.never_asked(&table));
    wrong.extend(daemon.misshapen.borrow().iter().cloned());
    if !daemon.docker {
        let never = daemon.never_answered().into_iter();
        let never = never.filter(|name| !UNREACHED.iter().any(|(known, _)| known == name));
        wrong.extend(never.map(|name| format!("never answered: {name}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the specification says may be answered, and no request here brings about; and why.
const UNREACHED: [(&str, &str); 10] = [
    (
        "GET /containers/{id}/attach/ws 200",
        "a client that asks for no socket is refused, as Docker does",
    ),
    (
        "DELETE /containers/{id} 400",
        "no flag of it makes no sense",
    ),
    (
        "POST /images/create 404",
        "a registry is asked: the tests of registries",
    ),
    (
        "GET /images/{name}/attestations 200",
        "an image with attestations: the tests of builds",
    ),
    ("GET /images/{name}/attestations 400", "the same"),
    (
        "GET /images/{name}/attestations 501",
        "there is one store, which can",
    ),
    (
        "POST /images/{name}/push 404",
        "told in the stream, as Docker does",
    ),
    ("POST /images/{name}/tag 409", "a name that is taken moves"),
    (
        "POST /networks/{id}/connect 403",
        "only networks of a swarm, of which there is none",
    ),
    ("POST /networks/{id}/disconnect 403", "the same"),
];

/// Operations that ask others than the daemon, or would change what it is.
pub(crate) const OTHERS: [(&str, &str); 7] = [
    ("POST", "/auth"),
    ("GET", "/distribution/{name}/json"),
    ("GET", "/images/search"),
    ("GET", "/plugins/privileges"),
    ("POST", "/plugins/pull"),
    ("POST", "/plugins/create"),
    // The door of a builder's session: it has tests of its own.
    ("POST", "/session"),
];

fn asks_others(operation: &Operation) -> bool {
    OTHERS.contains(&(&operation.method, &operation.path))
}

/// What is not there.
fn missing(daemon: &Daemon, operation: &Operation) -> Option<String> {
    if !operation.path.contains('{') || asks_others(operation) {
        return None;
    }
    let path = operation.path.as_str();
    // Docker 28 does not know what came with 1.55, and looks at arguments before it looks for a plugin.
    let other = path.ends_with("/attestations") || path.starts_with("/plugins");
    if daemon.docker && other {
        return None;
    }
    let target = operation.target("nobody-knows");
    let answer = daemon.ask(&operation.method, &target, operation.body());
    // There is no swarm.
    let no_swarm = operation.statuses.contains(&503);
    let mut expected = vec![if no_swarm { 503 } else { 404 }];
    // By the specification; Docker, and so Brig, says it in the stream.
    if path.ends_with("/push") {
        expected.push(200);
    }
    (!expected.contains(&answer.status)).then(|| {
        format!(
            "missing: {} {target}: {answer}, not {expected:?}",
            operation.method
        )
    })
}

/// Numbers that are none, filters that nobody knows, bodies that are no JSON: of what is there.
fn senseless(daemon: &Daemon, operation: &Operation, objects: &Objects) -> Vec<String> {
    let path = operation.path.as_str();
    // An object of a swarm is nowhere, and so is a plugin.
    let absent = operation.statuses.contains(&503) || path.starts_with("/plugins/");
    if asks_others(operation) || absent {
        return Vec::new();
    }
    let Some(base) = operation.target_of(objects) else {
        return vec![format!("there is no object for {path}")];
    };
    let mut questions: Vec<(String, Option<&str>)> = Vec::new();
    let with = |argument: &str| {
        let glue = if base.contains('?') { '&' } else { '?' };
        format!("{base}{glue}{argument}")
    };
    // Docker takes any filter of events.
    let any_filter = daemon.docker && path == "/events";
    for (name, kind) in &operation.arguments {
        if name == "filters" && !any_filter {
            for filters in ["%7B", "%5B%5Dx", "%7B%22colour%22%3A%5B%22red%22%5D%7D"] {
                questions.push((with(&format!("filters={filters}")), operation.body()));
            }
        }
        // What a build may use is read leniently.
        if kind.starts_with("int") && path != "/build" {
            let bare = base.replace(&format!("{name}=10"), &format!("{name}=x"));
            let target = if bare == base {
                with(&format!("{name}=x"))
            } else {
                bare
            };
            questions.push((target, operation.body()));
        }
    }
    if operation.body && operation.wants_json() {
        questions.push((base.clone(), Some("{")));
        questions.push((
            base.clone(),
            Some(r#"{"Cmd": 3, "Container": {}, "Memory": "x", "Detach": 7, "Name": 3}"#),
        ));
    }
    let ask = |(target, body): (String, Option<&str>)| {
        let answer = daemon.ask(&operation.method, &target, body);
        let right = answer.status == 400 || daemon.docker && answer.status == 500;
        (!right).then(|| {
            format!(
                "senseless: {} {target} {}: {answer}",
                operation.method,
                body.unwrap_or_default()
            )
        })
    };
    questions.into_iter().filter_map(ask).collect()
}
