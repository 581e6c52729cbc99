//! What a file offers, for `--call=targets` and `--call=outline`: its stages, and what they can be given.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::dockerfile::{Dockerfile, Instruction, MountKind, Stage, Verb};
use crate::source::{Source, Span};

/// The stages that can be built, as JSON: those with names, and the last one.
pub fn targets(file: &Dockerfile, source: &Source) -> String {
    let last = file.stages.len().saturating_sub(1);
    let stages = file.stages.iter().enumerate();
    let targets: Vec<Value> = stages
        .filter(|(index, stage)| stage.name.is_some() || *index == last)
        .map(|(index, stage)| {
            let mut target = Map::new();
            let mut text = |key: &str, value: &str| {
                if !value.is_empty() {
                    target.insert(key.to_owned(), value.into());
                }
            };
            text("name", stage.name.as_deref().unwrap_or_default());
            text(
                "description",
                &described(&stage.comments, stage.name.as_deref()),
            );
            text("base", &stage.base);
            text("platform", stage.platform.as_deref().unwrap_or_default());
            if index == last {
                target.insert("default".to_owned(), true.into());
            }
            target.insert("location".to_owned(), location(stage.span));
            target.into()
        })
        .collect();
    let document = json!({ "targets": targets, "sources": [text(source)] });
    format!("{document:#}")
}

/// What a stage can be given, and those it is built on, as JSON; none when there is no such stage.
pub fn outline(file: &Dockerfile, source: &Source, target: Option<&str>) -> Option<String> {
    let target = match target {
        None => file.stages.len().checked_sub(1)?,
        Some(name) => find(file, name)?,
    };
    let needed = needed(file, target);
    let mut found = Found::default();
    for instruction in &file.args {
        found.take(instruction);
    }
    for index in &needed {
        for instruction in &file.stages[*index].instructions {
            found.take(instruction);
        }
    }
    let stage = &file.stages[target];
    let mut document = json!({ "sources": [text(source)] });
    let lists = [
        ("args", found.args),
        ("secrets", found.secrets),
        ("ssh", found.ssh),
        ("cache", found.caches),
    ];
    for (key, list) in lists {
        if !list.is_empty() {
            document[key] = list.into();
        }
    }
    if let Some(name) = &stage.name {
        document["name"] = name.as_str().into();
    }
    let description = described(&stage.comments, stage.name.as_deref());
    if !description.is_empty() {
        document["description"] = description.into();
    }
    Some(format!("{document:#}"))
}

/// A stage by its name, or its number.
fn find(file: &Dockerfile, name: &str) -> Option<usize> {
    let named = |stage: &Stage| stage.name.as_deref() == Some(&name.to_lowercase());
    let found = file.stages.iter().rposition(named);
    found.or_else(|| name.parse().ok().filter(|n| *n < file.stages.len()))
}

/// A stage and those it is built on.
fn needed(file: &Dockerfile, target: usize) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut ahead = vec![target];
    while let Some(index) = ahead.pop() {
        if !needed.insert(index) {
            continue;
        }
        let stage = &file.stages[index];
        let mut names = vec![stage.base.as_str()];
        for instruction in &stage.instructions {
            match &instruction.verb {
                Verb::Copy(copy) => names.extend(copy.from.as_deref()),
                Verb::Run(run) => names.extend(run.mounts.iter().filter_map(|m| m.from())),
                _ => {}
            }
        }
        let before = names.into_iter().filter_map(|name| find(file, name));
        ahead.extend(before.filter(|other| *other < index));
    }
    needed
}

#[derive(Default)]
struct Found {
    known: BTreeSet<(&'static str, String)>,
    args: Vec<Value>,
    secrets: Vec<Value>,
    ssh: Vec<Value>,
    caches: Vec<Value>,
}

impl Found {
    fn take(&mut self, instruction: &Instruction) {
        let place = location(instruction.span);
        match &instruction.verb {
            Verb::Arg(args) => {
                for arg in args {
                    if !self.known.insert(("arg", arg.name.clone())) {
                        continue;
                    }
                    let mut value = json!({ "name": arg.name });
                    let description = described(&instruction.comments, Some(&arg.name));
                    if !description.is_empty() {
                        value["description"] = description.into();
                    }
                    if let Some(default) = &arg.value {
                        value["value"] = default.as_str().into();
                    }
                    value["location"] = place.clone();
                    self.args.push(value);
                }
            }
            Verb::Run(run) => {
                for spec in &run.mounts {
                    // One with variables is judged by the build.
                    let Ok(mount) = spec.resolve(|value| Ok(value.to_owned())) else {
                        continue;
                    };
                    self.mount(&mount, &place);
                }
            }
            _ => {}
        }
    }

    fn mount(&mut self, mount: &crate::dockerfile::Mount, place: &Value) {
        let (kind, list) = match mount.kind {
            MountKind::Secret => ("secret", &mut self.secrets),
            MountKind::Ssh => ("ssh", &mut self.ssh),
            MountKind::Cache => ("cache", &mut self.caches),
            _ => return,
        };
        let id = if mount.id.is_empty() {
            mount.target.rsplit('/').next().unwrap_or_default()
        } else {
            &mount.id
        };
        if !self.known.insert((kind, id.to_owned())) {
            return;
        }
        let name = if kind == "cache" { "ID" } else { "name" };
        let mut value = json!({ name: id, "location": place });
        if mount.required {
            value["required"] = true.into();
        }
        list.push(value);
    }
}

/// The comment above something, when it begins with its name.
fn described(comments: &[String], name: Option<&str>) -> String {
    let Some(name) = name else {
        return String::new();
    };
    let lines = comments.iter().filter_map(|line| {
        let rest = line.trim().strip_prefix(name)?;
        rest.strip_prefix(' ')
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn text(source: &Source) -> String {
    BASE64_STANDARD.encode(source.text())
}

fn location(span: Span) -> Value {
    json!({ "ranges": [{ "start": { "line": span.start.line }, "end": { "line": span.end.line } }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::parse;

    const FILE: &str = "\
# version of the tool
ARG version=1
# base has the tools
FROM debian AS base
# mode fast or slow
ARG mode
RUN --mount=type=secret,id=token,required=true true
FROM scratch AS other
ARG unused
FROM base
RUN --mount=type=cache,target=/c --mount=type=ssh true
";

    fn file() -> (Dockerfile, Source) {
        let source = Source::new("Dockerfile", FILE.as_bytes());
        (parse(&source).unwrap(), source)
    }

    #[test]
    fn stages_with_names_and_the_last_are_targets() {
        let (file, source) = file();
        let list: Value = serde_json::from_str(&targets(&file, &source)).unwrap();
        let list = list["targets"].as_array().unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list[0]["name"], "base");
        assert_eq!(list[0]["description"], "has the tools");
        assert_eq!(list[2]["default"], true);
        assert_eq!(list[2]["base"], "base");
    }

    #[test]
    fn an_outline_is_of_what_is_needed() {
        let (file, source) = file();
        let document: Value =
            serde_json::from_str(&outline(&file, &source, None).unwrap()).unwrap();
        let names = |key: &str| -> Vec<String> {
            let list = document[key].as_array().unwrap().iter();
            list.map(|one| one["name"].as_str().unwrap_or("-").to_owned())
                .collect()
        };
        assert_eq!(names("args"), ["version", "mode"]);
        assert_eq!(document["args"][1]["description"], "fast or slow");
        assert_eq!(names("secrets"), ["token"]);
        assert_eq!(names("ssh").len(), 1);
        assert_eq!(names("cache").len(), 1);
        assert!(outline(&file, &source, Some("nobody")).is_none());
        let other: Value =
            serde_json::from_str(&outline(&file, &source, Some("OTHER")).unwrap()).unwrap();
        assert_eq!(other["args"].as_array().unwrap().len(), 2);
    }
}
