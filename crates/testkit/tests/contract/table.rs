//! The table of operations.

use super::daemon::Objects;

/// An operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) statuses: Vec<u16>,
    /// Names and types of what the query takes; `!` says that it must be there.
    pub(crate) arguments: Vec<(String, String)>,
    /// Whether there is a body.
    pub(crate) body: bool,
}

pub(crate) fn operations() -> Vec<Operation> {
    include_str!("operations.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(read)
        .collect()
}

fn read(line: &str) -> Operation {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let (method, path, statuses) = (word(), word(), word());
    let rest: Vec<&str> = words.collect();
    let is_body = |word: &&&str| matches!(**word, "body" | "body!");
    Operation {
        method,
        path,
        statuses: statuses.split(',').map(|n| n.parse().unwrap()).collect(),
        body: rest.iter().any(|word| is_body(&word)),
        arguments: rest
            .iter()
            .filter_map(|word| word.split_once(':'))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect(),
    }
}

impl Operation {
    /// The path of an object, with all that the query must have.
    pub(crate) fn target(&self, name: &str) -> String {
        let mut target = self.path.replace("{id}", name).replace("{name}", name);
        let needed = self
            .arguments
            .iter()
            .filter(|(_, kind)| kind.ends_with('!'));
        for (n, (argument, kind)) in needed.enumerate() {
            let value = match argument.as_str() {
                "path" => "/x",
                _ if kind.starts_with("int") => "10",
                _ => "xx",
            };
            target.push(if n == 0 { '?' } else { '&' });
            target.push_str(&format!("{argument}={value}"));
        }
        if self.path.ends_with("/tag") {
            target.push_str("?repo=x&tag=y");
        }
        if self.path.ends_with("/logs") {
            target.push_str("?stdout=1");
        }
        target
    }

    /// The same for an object that is there, or for none; nothing where no such object can be.
    pub(crate) fn target_of(&self, objects: &Objects) -> Option<String> {
        match self.path.contains('{') {
            true => Some(self.target(objects.name(&self.path)?)),
            false => Some(self.target("")),
        }
    }

    /// Whether a request is for this operation.
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (self.path.split('/').collect(), path.split('/').collect());
        self.method == method
            && ours.len() == theirs.len()
            && ours
                .iter()
                .zip(&theirs)
                .all(|(o, t)| o == t || (o.starts_with('{') && !t.is_empty()))
    }

    /// A body that says nothing wrong.
    pub(crate) fn body(&self) -> Option<&'static str> {
        let says = match self.path.as_str() {
            "/containers/{id}/exec" => r#"{"Cmd": ["true"]}"#,
            "/networks/{id}/connect" | "/networks/{id}/disconnect" => {
                r#"{"Container": "nobody-knows"}"#
            }
            "/plugins/{name}/set" | "/plugins/{name}/upgrade" => "[]",
            _ => "{}",
        };
        (self.body && self.wants_json()).then_some(says)
    }

    /// Others take archives.
    pub(crate) fn wants_json(&self) -> bool {
        let archives = [
            "/build",
            "/images/load",
            "/images/create",
            "/plugins/create",
        ];
        !archives.contains(&self.path.as_str()) && !self.path.ends_with("/archive")
    }
}
