//! A daemon that is asked, and what has been asked of it; objects that questions are about.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::OTHERS;
use super::http::{Answer, send};
use super::schema::Shapes;
use super::stories::SLEEP;
use super::table::{Operation, operations};

/// A daemon.
pub(crate) struct Daemon {
    socket: PathBuf,
    /// Whether it is Docker.
    pub(crate) docker: bool,
    /// Methods and paths.
    asked: RefCell<BTreeSet<(String, String)>>,
    table: Vec<Operation>,
    shapes: Shapes,
    /// Operations and how they were answered.
    pub(crate) answered: RefCell<BTreeSet<String>>,
    /// What was otherwise in bodies than it should be.
    pub(crate) misshapen: RefCell<BTreeSet<String>>,
}

impl Daemon {
    pub(crate) fn new(socket: &Path, docker: bool) -> Self {
        Self {
            socket: socket.to_owned(),
            docker,
            asked: RefCell::default(),
            table: operations(),
            shapes: Shapes::read(),
            answered: RefCell::default(),
            misshapen: RefCell::default(),
        }
    }

    /// With a body of JSON, if there is one.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&str>) -> Answer {
        let kind = "Content-Type: application/json\r\n";
        self.send(method, target, kind, body.map(str::as_bytes))
    }

    /// With an archive.
    pub(crate) fn put(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.send(
            method,
            target,
            "Content-Type: application/x-tar\r\n",
            Some(body),
        )
    }

    /// With further headers.
    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        body: Option<&[u8]>,
    ) -> Answer {
        let path = target.split('?').next().unwrap_or_default();
        let what = (method.to_owned(), path.to_owned());
        self.asked.borrow_mut().insert(what);
        let answer = send(&self.socket, method, target, headers, body);
        let same = |operation: &&Operation| operation.is(method, path);
        if let Some(operation) = self.table.iter().find(same) {
            let name = format!("{method} {} {}", operation.path, answer.status);
            if answer.json {
                let wrong = self.shapes.differences(&name, &answer.body);
                let wrong = wrong.iter().map(|what| format!("{name}: {what}"));
                self.misshapen.borrow_mut().extend(wrong);
            }
            self.answered.borrow_mut().insert(name);
        }
        answer
    }

    /// What the specification says may be answered and nobody was.
    pub(crate) fn never_answered(&self) -> Vec<String> {
        let answered = self.answered.borrow();
        let all = self.table.iter().flat_map(|operation| {
            let statuses = operation.statuses.iter();
            // There is no swarm, and no request makes the daemon's own mistakes.
            let swarm = operation.statuses.contains(&503);
            let wanted = statuses.filter(move |status| !swarm || **status == 503);
            wanted
                .filter(|status| **status != 500)
                .map(|status| format!("{} {} {status}", operation.method, operation.path))
        });
        let plugins = |name: &String| name.split(' ').nth(1).unwrap().starts_with("/plugins/");
        let others = |name: &String| {
            let mut words = name.split(' ');
            let what = (words.next().unwrap(), words.next().unwrap());
            OTHERS.contains(&what)
        };
        all.filter(|name| !answered.contains(name) && !plugins(name) && !others(name))
            .collect()
    }

    /// Operations of the table that nobody has put to it.
    pub(crate) fn never_asked(&self, table: &[Operation]) -> Vec<String> {
        let asked = self.asked.borrow();
        let was = |operation: &Operation| {
            OTHERS.contains(&(&operation.method, &operation.path))
                || asked
                    .iter()
                    .any(|(method, path)| operation.is(method, path))
        };
        // Docker would form a swarm, and does not know what is new or looks at arguments first.
        let spared = |path: &str| {
            let swarm = ["/swarm/init", "/swarm/join"].contains(&path);
            self.docker
                && (swarm || path.ends_with("/attestations") || path.starts_with("/plugins"))
        };
        table
            .iter()
            .filter(|operation| !was(operation) && !spared(&operation.path))
            .map(|operation| format!("never asked: {} {}", operation.method, operation.path))
            .collect()
    }
}

/// What is there to be asked for.
pub(crate) struct Objects {
    exec: String,
}

const NAME: &str = "fixed";

impl Objects {
    /// A running container with an exec session, a network, a volume; the image is there.
    pub(crate) fn make(daemon: &Daemon) -> Self {
        let post = |target: &str, body: Option<&str>, status: u16| {
            let answer = daemon.ask("POST", target, body);
            assert_eq!(answer.status, status, "{target}: {answer}");
            answer
        };
        post("/containers/create?name=fixed", Some(SLEEP), 201);
        post("/containers/fixed/start", None, 204);
        post("/networks/create", Some(r#"{"Name": "fixed"}"#), 201);
        post("/volumes/create", Some(r#"{"Name": "fixed"}"#), 201);
        let exec = r#"{"Cmd": ["sleep", "1000"]}"#;
        Self {
            exec: post("/containers/fixed/exec", Some(exec), 201).field("Id"),
        }
    }

    pub(crate) fn remove(&self, daemon: &Daemon) {
        for target in [
            "/containers/fixed?force=1",
            "/networks/fixed",
            "/volumes/fixed",
        ] {
            let answer = daemon.ask("DELETE", target, None);
            assert_eq!(answer.status, 204, "{target}: {answer}");
        }
    }

    /// The name of the object in a path.
    pub(crate) fn name(&self, path: &str) -> Option<&str> {
        let kind = path.split('/').nth(1)?;
        match kind {
            "exec" => Some(&self.exec),
            "images" => Some("bb"),
            "containers" | "networks" | "volumes" => Some(NAME),
            _ => None,
        }
    }
}
