//! Instructions whose arguments are pairs, names or one string.

use super::flags::{Flags, Kind};
use super::{Request, Wrong, command};
use crate::dockerfile::instruction::{Arg, Healthcheck, Pair};
use crate::dockerfile::words::{SPACES, Word, quoted_words};
use crate::go;

/// `ENV` and `LABEL`.
pub(super) fn pairs(request: &Request) -> Result<Vec<Pair>, Wrong> {
    request.flags(&[])?;
    let (keyword, rest) = (&request.keyword, request.rest());
    let words = quoted_words(rest, request.parts.start, request.escape);
    let Some(first) = words.first() else {
        return Err(request.at_least_one());
    };
    if !first.text.contains('=') {
        let (name, value) = rest
            .split_once(SPACES)
            .ok_or_else(|| format!("{keyword} must have two arguments"))?;
        return Ok(vec![Pair {
            name: name.to_owned(),
            value: value.trim_start_matches(SPACES).to_owned(),
            spaced: true,
        }]);
    }
    words.iter().map(|word| pair(keyword, word)).collect()
}

fn pair(keyword: &str, word: &Word) -> Result<Pair, Wrong> {
    let wrong = |message| Wrong {
        message,
        at: Some(word.at),
    };
    let (name, value) = word.text.split_once('=').ok_or_else(|| {
        wrong(format!(
            "Syntax error - can't find = in {}. Must be of the form: name=value",
            go::quote(&word.text)
        ))
    })?;
    if name.is_empty() {
        return Err(wrong(format!("{keyword} names can not be blank")));
    }
    Ok(Pair {
        name: name.to_owned(),
        value: value.to_owned(),
        spaced: false,
    })
}

pub(super) fn arg(request: &Request) -> Result<Vec<Arg>, Wrong> {
    request.flags(&[])?;
    let words = quoted_words(request.rest(), request.parts.start, request.escape);
    if words.is_empty() {
        return Err(request.at_least_one());
    }
    let args = words.into_iter().map(|word| {
        let (name, value) = match word.text.split_once('=') {
            Some(("", _)) => {
                return Err(Wrong {
                    message: "ARG names can not be blank".to_owned(),
                    at: Some(word.at),
                });
            }
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.text, None),
        };
        Ok(Arg { name, value })
    });
    args.collect()
}

pub(super) fn expose(request: &Request) -> Result<Vec<String>, Wrong> {
    request.flags(&[])?;
    let words = crate::dockerfile::words::plain_words(request.rest(), 0);
    let mut ports: Vec<String> = words.into_iter().map(|word| word.text).collect();
    if ports.is_empty() {
        return Err(request.at_least_one());
    }
    ports.sort();
    Ok(ports)
}

/// `MAINTAINER`, `STOPSIGNAL`, `USER` and `WORKDIR`: all that follows is one argument.
pub(super) fn single(request: &Request) -> Result<String, Wrong> {
    request.flags(&[])?;
    match request.rest() {
        "" => Err(format!("{} requires exactly one argument", request.keyword).into()),
        text => Ok(text.to_owned()),
    }
}

pub(super) fn shell(request: &Request) -> Result<Vec<String>, Wrong> {
    request.flags(&[])?;
    let line = request.command()?;
    if line.args.is_empty() {
        return Err(request.at_least_one());
    }
    if line.shell {
        return Err("SHELL requires the arguments to be in JSON form".into());
    }
    Ok(line.args)
}

pub(super) fn volume(request: &Request) -> Result<Vec<String>, Wrong> {
    request.flags(&[])?;
    let list = request.list()?;
    if list.is_empty() {
        return Err(request.at_least_one());
    }
    let trimmed: Vec<String> = list.iter().map(|text| text.trim().to_owned()).collect();
    if trimmed.iter().any(String::is_empty) {
        return Err("VOLUME specified can not be an empty string".into());
    }
    Ok(trimmed)
}

/// The shortest time between two checks.
const SHORTEST: i64 = 1_000_000;

pub(super) fn healthcheck(request: &Request) -> Result<Healthcheck, Wrong> {
    let rest = request.rest();
    let (kind, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    let rest = rest.trim_start();
    match kind.to_uppercase().as_str() {
        "" => Err(request.at_least_one()),
        "NONE" if rest.is_empty() => Ok(Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        }),
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" => probe(request, rest),
        other => Err(format!("Unknown type {} in HEALTHCHECK (try CMD)", go::quote(other)).into()),
    }
}

fn probe(request: &Request, rest: &str) -> Result<Healthcheck, Wrong> {
    let mut flags = request.flags(&[
        ("interval", Kind::Text),
        ("timeout", Kind::Text),
        ("start-period", Kind::Text),
        ("start-interval", Kind::Text),
        ("retries", Kind::Text),
    ])?;
    let line = command(rest)?;
    if line.args.is_empty() {
        return Err("Missing command after HEALTHCHECK CMD".into());
    }
    let kind = if line.shell { "CMD-SHELL" } else { "CMD" };
    let mut test = vec![kind.to_owned()];
    test.extend(line.args);
    Ok(Healthcheck {
        test,
        interval: time(&mut flags, "interval")?,
        timeout: time(&mut flags, "timeout")?,
        start_period: time(&mut flags, "start-period")?,
        start_interval: time(&mut flags, "start-interval")?,
        retries: retries(&mut flags)?,
    })
}

fn time(flags: &mut Flags, name: &str) -> Result<i64, Wrong> {
    let text = flags.text(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    match go::parse_duration(&text)? {
        0 => Ok(0),
        nanos if nanos < SHORTEST => Err(format!(
            "Interval {} cannot be less than {}",
            go::quote(name),
            go::duration(SHORTEST)
        )
        .into()),
        nanos => Ok(nanos),
    }
}

fn retries(flags: &mut Flags) -> Result<i64, Wrong> {
    let text = flags.text("retries").unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    let number: i32 = text
        .parse()
        .map_err(|_| format!("--retries takes a whole number, not {}", go::quote(&text)))?;
    if number < 0 {
        return Err(format!("--retries cannot be negative ({number})").into());
    }
    Ok(number.into())
}
