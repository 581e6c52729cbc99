//! Changes of an image's configuration, written as instructions of a Dockerfile.

use super::config::{Empty, Healthcheck, RunConfig};
use crate::error::Error;

mod words;

use words::{expand, words};

type Problem = String;

/// Applies instructions: the lines of a Dockerfile, with comments and with backslashes at their ends.
pub(super) fn apply(config: &mut RunConfig, changes: &[String]) -> Result<(), Error> {
    let mut commanded = false;
    let found = instructions(changes);
    if let (Some(change), true) = (changes.first(), found.is_empty()) {
        return Err(Error::Change {
            change: change.clone(),
            problem: "there is no instruction in it".to_owned(),
        });
    }
    for change in found {
        instruction(config, &change, &mut commanded)
            .map_err(|problem| Error::Change { change, problem })?;
    }
    Ok(())
}

/// One instruction each.
fn instructions(changes: &[String]) -> Vec<String> {
    let lines = changes.iter().flat_map(|change| change.lines());
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in lines.map(str::trim_end) {
        let start = line.trim_start();
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        let whole = match open.take() {
            Some(begun) => begun + line,
            None => start.to_owned(),
        };
        match whole.strip_suffix('\\') {
            Some(begun) => open = Some(begun.to_owned()),
            None => found.push(whole),
        }
    }
    found.extend(open);
    found
}

/// Applies one. A new entry point drops the command, which was written for the old one, unless these
/// very changes have said it.
fn instruction(config: &mut RunConfig, change: &str, commanded: &mut bool) -> Result<(), Problem> {
    let (name, rest) = change
        .split_once(char::is_whitespace)
        .unwrap_or((change, ""));
    let name = name.to_ascii_uppercase();
    let rest = rest.trim();
    let known = [
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "ONBUILD",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    if !known.contains(&name.as_str()) {
        return Err(format!("{name:?} is not one of {}", known.join(", ")));
    }
    // CMD and ENTRYPOINT may be emptied: `CMD []`.
    if rest.is_empty() {
        return Err(format!("{name} requires an argument"));
    }
    match name.as_str() {
        "CMD" => {
            config.cmd = Some(command(rest));
            *commanded = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(rest));
            config.cmd.take_if(|_| !*commanded);
        }
        "ENV" => {
            for (key, value) in pairs(&name, rest, &config.env)? {
                set_env(&mut config.env, &key, &value);
            }
        }
        "EXPOSE" => expose(config, rest)?,
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        "LABEL" => config.labels.extend(pairs(&name, rest, &config.env)?),
        "ONBUILD" => onbuild(config, rest)?,
        "STOPSIGNAL" => {
            let signal = expand(rest, &config.env)?;
            signal
                .parse::<types::Signal>()
                .map_err(|error| error.to_string())?;
            config.stop_signal = signal;
        }
        "USER" => config.user = expand(rest, &config.env)?,
        "VOLUME" => volume(config, rest)?,
        _ => workdir(config, rest)?,
    }
    Ok(())
}

/// `["a", "b"]` as it is, anything else for the shell.
fn command(text: &str) -> Vec<String> {
    json_array(text).unwrap_or_else(|| ["/bin/sh", "-c", text].map(str::to_owned).to_vec())
}

fn json_array(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// `key=value key="other value"`, or the old `key value` with one of each.
fn pairs(name: &str, text: &str, env: &[String]) -> Result<Vec<(String, String)>, Problem> {
    let list = words(text)?;
    if !list.first().is_some_and(|word| word.contains('=')) {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{name} must have two arguments"))?;
        return Ok(vec![(expand(key, env)?, expand(value.trim_start(), env)?)]);
    }
    list.iter()
        .map(|word| {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("can't find = in {word:?}: {name} key=value is expected"))?;
            let key = expand(key, env)?;
            if key.is_empty() {
                return Err(format!("{name} names can not be blank"));
            }
            Ok((key, expand(value, env)?))
        })
        .collect()
}

fn set_env(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    let same = |e: &&mut String| e.split_once('=').map_or(e.as_str(), |(k, _)| k) == key;
    match env.iter_mut().find(same) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

fn expose(config: &mut RunConfig, text: &str) -> Result<(), Problem> {
    for word in words(text)? {
        let word = expand(&word, &config.env)?;
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(format!(
                "invalid protocol {protocol:?}: tcp, udp or sctp is expected"
            ));
        }
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        match (port(from), port(to)) {
            (Some(from), Some(to)) if from <= to => {
                let port = |port| (format!("{port}/{protocol}"), Empty {});
                config.exposed_ports.extend((from..=to).map(port));
            }
            _ => return Err(format!("invalid containerPort: {word}")),
        }
    }
    Ok(())
}

fn volume(config: &mut RunConfig, text: &str) -> Result<(), Problem> {
    let list = match json_array(text) {
        Some(list) => list,
        None => words(text)?,
    };
    for word in list {
        let path = expand(&word, &config.env)?;
        if path.is_empty() {
            return Err("VOLUME specified can not be an empty string".to_owned());
        }
        config.volumes.insert(path, Empty {});
    }
    Ok(())
}

fn workdir(config: &mut RunConfig, text: &str) -> Result<(), Problem> {
    let path = expand(text, &config.env)?;
    let base = if path.starts_with('/') {
        ""
    } else {
        config.working_dir.as_str()
    };
    let mut parts = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    config.working_dir = format!("/{}", parts.join("/"));
    Ok(())
}

fn onbuild(config: &mut RunConfig, text: &str) -> Result<(), Problem> {
    let trigger = text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    match trigger.as_str() {
        "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "FROM" | "MAINTAINER" => Err(format!("{trigger} isn't allowed as an ONBUILD trigger")),
        _ => {
            config.on_build.push(text.to_owned());
            Ok(())
        }
    }
}

fn healthcheck(text: &str) -> Result<Healthcheck, Problem> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| format!("the flag --{flag} needs a value"))?;
        match name {
            "interval" => check.interval = duration(name, value)?,
            "timeout" => check.timeout = duration(name, value)?,
            "start-period" => check.start_period = duration(name, value)?,
            "start-interval" => check.start_interval = duration(name, value)?,
            "retries" => {
                let number = value.parse().ok().filter(|n| *n >= 0);
                check.retries = number.ok_or_else(|| {
                    format!("--retries must be a number, not negative: {value:?}")
                })?;
            }
            _ => return Err(format!("unknown flag: --{name}")),
        }
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = match (kind.to_ascii_uppercase().as_str(), command) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("NONE", _) => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        ("CMD", "") => return Err("Missing command after HEALTHCHECK CMD".to_owned()),
        ("CMD", command) => match json_array(command) {
            Some(list) => [vec!["CMD".to_owned()], list].concat(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        (kind, _) => {
            return Err(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"));
        }
    };
    Ok(check)
}

/// As Go writes durations, `1m30s` or `500ms`, in nanoseconds; zero or at least a millisecond.
fn duration(name: &str, text: &str) -> Result<i64, Problem> {
    match types::go::parse_duration(text) {
        Ok(nanos) if nanos == 0 || nanos >= 1_000_000 => Ok(nanos),
        _ => Err(format!(
            "--{name}: invalid duration {text:?}: 30s or 1m30s is expected"
        )),
    }
}

#[cfg(test)]
mod tests;
