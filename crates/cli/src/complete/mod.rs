//! Completion of command lines: shells ask `brig __complete WORD...`, where the last word is the one that is
//! being typed, and get a candidate a line with its meaning behind a tab.
//!
//! What can be known without the daemon comes from the tables of verbs and flags. Names of containers,
//! images, networks, secrets and volumes are asked for; a daemon that is not there is neither started nor
//! complained about.

mod names;
mod scripts;

use clap::Command;

use crate::args::{GROUPS, Globals, Verb, top_command};
use crate::contexts::Store;
use names::Kind;

pub(crate) use scripts::script;

/// A candidate and its meaning.
type Candidate = (String, String);

/// Candidates for the last of some words, a line each.
pub(crate) fn complete(verbs: &'static [Verb], words: &[String]) -> String {
    let (current, before) = match words.split_last() {
        Some((current, before)) => (current.as_str(), before),
        None => ("", &[][..]),
    };
    let mut all = candidates(verbs, before, current);
    all.retain(|(word, _)| word.starts_with(current));
    all.sort();
    all.dedup_by(|a, b| a.0 == b.0);
    let lines = all
        .into_iter()
        .map(|(word, meaning)| match meaning.as_str() {
            "" => format!("{word}\n"),
            meaning => format!("{word}\t{meaning}\n"),
        });
    lines.collect()
}

fn candidates(verbs: &'static [Verb], before: &[String], current: &str) -> Vec<Candidate> {
    let top = top_command();
    let Before {
        globals,
        rest,
        open,
    } = leading(&top, before);
    match open.as_deref() {
        Some("context") => return contexts(),
        Some(_) => return Vec::new(),
        None => {}
    }
    let Some(first) = rest.first() else {
        if current.starts_with('-') {
            return flags(&top);
        }
        let groups = GROUPS.iter();
        let groups = groups.map(|group| (group.name.to_owned(), group.about.to_owned()));
        let own = verbs
            .iter()
            .flat_map(|verb| verb.names.iter().map(move |name| (name, verb)));
        let own = own.filter(|(name, _)| !name.contains(' '));
        let own = own.map(|(name, verb)| ((*name).to_owned(), verb.about.to_owned()));
        return groups.chain(own).collect();
    };
    let group = GROUPS.iter().find(|group| group.name == first.as_str());
    let Some(group) = group else {
        let verb = verbs
            .iter()
            .find(|verb| verb.names.contains(&first.as_str()));
        return verb.map_or(Vec::new(), |verb| {
            within(verb, &globals, &rest[1..], current)
        });
    };
    let verbs = group.verbs.unwrap_or(verbs);
    match rest.get(1) {
        None => inside(verbs, group.name),
        Some(second) => {
            let name = format!("{} {second}", group.name);
            let verb = verbs
                .iter()
                .find(|verb| verb.names.contains(&name.as_str()));
            verb.map_or(Vec::new(), |verb| {
                within(verb, &globals, &rest[2..], current)
            })
        }
    }
}

/// What stands before the verb.
struct Before {
    globals: Globals,
    /// The verb and what follows it.
    rest: Vec<String>,
    /// The flag whose value is being typed.
    open: Option<String>,
}

fn leading(top: &Command, words: &[String]) -> Before {
    let mut globals = Globals::default();
    let mut words = words.iter().peekable();
    while let Some(word) = words.peek() {
        if !word.starts_with('-') {
            break;
        }
        let word = words.next().map_or("", String::as_str);
        let (name, given) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let Some((long, takes)) = known(top, name) else {
            continue;
        };
        if !takes {
            continue;
        }
        let Some(value) = given.or_else(|| words.next().cloned()) else {
            return Before {
                globals,
                rest: Vec::new(),
                open: Some(long),
            };
        };
        match long.as_str() {
            "host" => globals.host = Some(value),
            "context" => globals.context = Some(value),
            "config" => crate::credentials::use_directory(value),
            _ => {}
        }
    }
    Before {
        globals,
        rest: words.cloned().collect(),
        open: None,
    }
}

/// A flag's long name, and whether it takes a value.
fn known(command: &Command, name: &str) -> Option<(String, bool)> {
    let arg = command.get_arguments().find(|arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        let others = arg.get_all_aliases().unwrap_or_default();
        long.as_deref() == Some(name)
            || short.as_deref() == Some(name)
            || others
                .iter()
                .any(|other| name.strip_prefix("--") == Some(*other))
    })?;
    Some((arg.get_long()?.to_owned(), takes_value(arg)))
}

fn takes_value(arg: &clap::Arg) -> bool {
    let none = matches!(
        arg.get_action(),
        clap::ArgAction::SetTrue | clap::ArgAction::Help
    );
    !none && arg.get_num_args().is_none_or(|n| n.min_values() > 0)
}

fn flags(command: &Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let shown = shown.filter_map(|arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let first = help.lines().next().unwrap_or_default().to_owned();
        Some((format!("--{}", arg.get_long()?), first))
    });
    shown.collect()
}

/// The verbs of a group.
fn inside(verbs: &'static [Verb], group: &str) -> Vec<Candidate> {
    let all = verbs.iter().flat_map(|verb| {
        let names = verb.names.iter();
        names.filter_map(move |name| {
            let inner = name.strip_prefix(group)?.strip_prefix(' ')?;
            Some((inner.to_owned(), verb.about.to_owned()))
        })
    });
    all.collect()
}

/// Behind a verb.
fn within(verb: &Verb, globals: &Globals, words: &[String], current: &str) -> Vec<Candidate> {
    let command = verb.command();
    let mut count = 0;
    let mut open = None;
    for word in words {
        if open.take().is_some() {
            continue;
        }
        match known(&command, word) {
            Some((long, true)) => open = Some(long),
            Some((_, false)) => {}
            None if word.starts_with('-') => {}
            None => count += 1,
        }
    }
    if let Some(flag) = open {
        return plain(names::ask(globals, Kind::of_flag(&flag)));
    }
    if current.starts_with('-') {
        return flags(&command);
    }
    match Kind::of_word(verb.name(), count) {
        Kind::Contexts => contexts(),
        kind => plain(names::ask(globals, kind)),
    }
}

fn plain(names: Vec<String>) -> Vec<Candidate> {
    names
        .into_iter()
        .map(|name| (name, String::new()))
        .collect()
}

fn contexts() -> Vec<Candidate> {
    let stored = Store::find(&|name| std::env::var(name).ok()).and_then(|store| store.list());
    let stored = stored.unwrap_or_default().into_iter();
    let stored = stored.map(|one| (one.name.clone(), one.description().to_owned()));
    let default = (crate::contexts::DEFAULT.to_owned(), String::new());
    stored.chain([default]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::VERBS;

    fn shown(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let text = complete(&VERBS, &words);
        let words: Vec<&str> = text
            .lines()
            .map(|line| line.split('\t').next().unwrap_or_default())
            .collect();
        words.join(" ")
    }

    #[test]
    fn verbs_and_flags() {
        for (line, expected) in [
            ("vers", "version"),
            ("volume r", "remove rename restore rm"),
            ("-H unix:///x ren", "rename"),
            ("--contex", "--context"),
            ("run --cpu-s", "--cpu-shares"),
            ("container ls --no", "--no-trunc"),
            ("swarm le", "leave"),
            ("swarm leave --f", "--force"),
            ("nosuch x", ""),
            ("completion ", "bash fish zsh"),
            ("completion z", "zsh"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
        assert!(shown("").contains("context") && shown("").contains("ps"));
    }
}
