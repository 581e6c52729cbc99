//! What was typed, by Go's rules, which runc's callers rely on: a long flag may have one dash, a
//! value may follow `=` or be the next word, switches are not bundled and may be given a truth value.
//!
//! Verbs and flags are tables, so that a short-lived command spends no time on building a parser.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use crate::Outcome;
use crate::failure::Failure;
use crate::global::Global;

/// A flag of a verb or of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// After two dashes; also how [`Words`] is asked for it.
    pub(crate) name: &'static str,
    /// One letter after one dash.
    pub(crate) short: Option<&'static str>,
    pub(crate) takes_value: bool,
    /// Accepted, but not shown: what only old callers use.
    pub(crate) hidden: bool,
    pub(crate) help: &'static str,
}

impl Flag {
    /// Which is there or not.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            short: None,
            takes_value: false,
            hidden: false,
            help,
        }
    }

    /// Which takes a value.
    pub(crate) const fn value(name: &'static str, help: &'static str) -> Self {
        Self {
            takes_value: true,
            ..Self::switch(name, help)
        }
    }

    pub(crate) const fn short(self, letter: &'static str) -> Self {
        Self {
            short: Some(letter),
            ..self
        }
    }

    pub(crate) const fn hidden(self) -> Self {
        Self {
            hidden: true,
            ..self
        }
    }
}

/// A verb of the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// The words after the flags, for the help.
    pub(crate) usage: &'static str,
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [Flag],
    /// The least and the most words it takes.
    pub(crate) arguments: (usize, usize),
    /// Whether flags may stand after the first word. Not where the words may be another program's.
    pub(crate) interleaved: bool,
    /// Whether a copy of this program enters a container.
    pub(crate) enters: bool,
    pub(crate) run: fn(&Global, &Words) -> Outcome,
}

/// Any number of words.
pub(crate) const MANY: usize = usize::MAX;

/// Flags and words as they were typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    flags: Vec<(&'static str, OsString)>,
    pub(crate) arguments: Vec<OsString>,
}

/// What a list of words turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Words(Words),
    /// They ask for help.
    Help,
}

/// Reads words by a table of flags. Without `interleaved` everything after the first word that is no
/// flag is left as it is.
pub(crate) fn read(
    table: &'static [Flag],
    interleaved: bool,
    typed: impl IntoIterator<Item = OsString>,
) -> Result<Read, Failure> {
    let mut words = Words::default();
    let mut typed = typed.into_iter();
    while let Some(word) = typed.next() {
        let Some(body) = flag_body(&word) else {
            words.arguments.push(word);
            if interleaved {
                continue;
            }
            break;
        };
        if body.is_empty() {
            break;
        }
        let (name, value) = split_value(body);
        if let Some(flag) = find(table, name) {
            let value = flag_value(flag, value, &mut typed)?;
            words.flags.push((flag.name, value));
        } else if matches!(name, b"help" | b"h") {
            return Ok(Read::Help);
        } else {
            let name = String::from_utf8_lossy(name).into_owned();
            let message = format!("flag provided but not defined: -{name}");
            return Err(Failure::Usage(message));
        }
    }
    words.arguments.extend(typed);
    Ok(Read::Words(words))
}

/// What follows the dashes; empty for the two dashes that end the flags. A lone dash is a word.
fn flag_body(word: &OsStr) -> Option<&[u8]> {
    let bytes = word.as_bytes();
    let body = bytes.strip_prefix(b"-")?;
    if body.is_empty() {
        return None;
    }
    Some(body.strip_prefix(b"-").unwrap_or(body))
}

fn split_value(body: &[u8]) -> (&[u8], Option<&OsStr>) {
    match body.iter().position(|byte| *byte == b'=') {
        Some(at) => (&body[..at], Some(OsStr::from_bytes(&body[at + 1..]))),
        None => (body, None),
    }
}

fn find(table: &'static [Flag], name: &[u8]) -> Option<&'static Flag> {
    table.iter().find(|flag| {
        flag.name.as_bytes() == name || flag.short.is_some_and(|short| short.as_bytes() == name)
    })
}

fn flag_value(
    flag: &Flag,
    given: Option<&OsStr>,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<OsString, Failure> {
    match (flag.takes_value, given) {
        (true, Some(value)) => Ok(value.to_owned()),
        (true, None) => rest
            .next()
            .ok_or_else(|| Failure::Usage(format!("flag needs an argument: -{}", flag.name))),
        (false, None) => Ok("true".into()),
        (false, Some(value)) => match value.as_bytes() {
            b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok("true".into()),
            b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok("false".into()),
            _ => Err(Failure::Usage(format!(
                "invalid boolean value {value:?} for -{}: true or false is expected",
                flag.name
            ))),
        },
    }
}

impl Words {
    /// Whether a switch is on.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| value == "true")
    }

    /// Whether a flag was given at all.
    pub(crate) fn given(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// The value of a flag, the last one if it was given more than once.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.last(name).map(text).transpose()
    }

    /// The same as a path. An empty one is none.
    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.last(name)
            .filter(|value| !value.is_empty())
            .map(Path::new)
    }

    /// All values of a flag that may be given more than once.
    pub(crate) fn all(&self, name: &str) -> Result<Vec<&str>, Failure> {
        let given = self.flags.iter().filter(|(known, _)| *known == name);
        given.map(|(_, value)| text(value)).collect()
    }

    /// A flag's value as a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.text(name)? else {
            return Ok(None);
        };
        let wrong = || {
            let message = format!("invalid value {value:?} for flag -{name}: a number is expected");
            Failure::Usage(message)
        };
        value.parse().map(Some).map_err(|_| wrong())
    }

    /// A word by its place.
    pub(crate) fn word(&self, place: usize) -> Result<Option<&str>, Failure> {
        self.arguments
            .get(place)
            .map(|word| text(word.as_os_str()))
            .transpose()
    }

    /// The container's id, which is the first word of most verbs.
    pub(crate) fn id(&self) -> Result<&str, Failure> {
        Ok(self.word(0)?.unwrap_or_default())
    }

    fn last(&self, name: &str) -> Option<&OsStr> {
        let mut given = self.flags.iter().rev();
        given
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_os_str())
    }
}

fn text(value: &OsStr) -> Result<&str, Failure> {
    let wrong = || Failure::Usage(format!("{value:?} is no text: UTF-8 is expected"));
    value.to_str().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        Flag::switch("detach", "").short("d"),
        Flag::switch("keep", ""),
        Flag::value("bundle", "").short("b"),
        Flag::value("env", "").short("e"),
    ];

    fn words(interleaved: bool, line: &str) -> Result<Read, String> {
        let typed = line.split_whitespace().map(OsString::from);
        read(TABLE, interleaved, typed).map_err(|failure| failure.to_string())
    }

    /// Flags and words on one line each.
    fn show(interleaved: bool, line: &str) -> String {
        match words(interleaved, line) {
            Ok(Read::Help) => "help".to_owned(),
            Ok(Read::Words(words)) => {
                let flags = words
                    .flags
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.display()));
                let flags: Vec<_> = flags.collect();
                let arguments: Vec<_> = words.arguments.iter().map(|a| a.display()).collect();
                let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
                format!("{} | {}", flags.join(" "), arguments.join(" "))
            }
            Err(error) => error,
        }
    }

    #[test]
    fn flags_are_gos() {
        assert_eq!(show(false, "-d --bundle x id"), "detach=true bundle=x | id");
        assert_eq!(
            show(false, "--d -bundle=x=y -e=a -e b id"),
            "detach=true bundle=x=y env=a env=b | id"
        );
        assert_eq!(
            show(false, "-keep=F --detach=1 id"),
            "keep=false detach=true | id"
        );
        assert_eq!(show(false, "-b -d id"), "bundle=-d | id");
        assert_eq!(show(false, "- -d"), " | - -d");
        assert_eq!(show(false, "-- -d id"), " | -d id");
    }

    #[test]
    fn flags_after_words_are_the_verbs_or_the_commands() {
        assert_eq!(show(true, "id -d"), "detach=true | id");
        assert_eq!(show(true, "id -- -d"), " | id -d");
        assert_eq!(show(false, "id -d -h"), " | id -d -h");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(show(true, "--help"), "help");
        assert_eq!(show(true, "id -h"), "help");
        assert_eq!(
            show(true, "--frob=1"),
            "flag provided but not defined: -frob"
        );
        assert_eq!(show(true, "-di id"), "flag provided but not defined: -di");
        assert_eq!(show(true, "-b"), "flag needs an argument: -bundle");
        assert_eq!(
            show(true, "-d=2"),
            "invalid boolean value \"2\" for -detach: true or false is expected"
        );
    }

    #[test]
    fn values_are_asked_for_by_name() {
        let Ok(Read::Words(words)) = words(true, "-e 1 -e 2 --bundle= -keep=false id") else {
            panic!("not words")
        };
        assert_eq!(words.all("env").unwrap(), ["1", "2"]);
        assert_eq!(words.number::<u32>("env").unwrap(), Some(2));
        assert_eq!(words.path("bundle"), None);
        assert!(words.given("keep") && !words.has("keep") && !words.has("detach"));
        assert_eq!((words.id().unwrap(), words.word(1).unwrap()), ("id", None));
    }
}
