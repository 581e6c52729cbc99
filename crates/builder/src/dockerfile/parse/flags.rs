//! `--name=value` between an instruction and its arguments.

use super::Wrong;
use crate::dockerfile::words::Word;
use crate::suggest;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, `true` or `false`.
    Bool,
    /// One value.
    Text,
    /// A value each time.
    Texts,
}

/// The flags of one statement.
#[derive(Debug)]
pub(super) struct Flags {
    given: Vec<(&'static str, String, usize)>,
}

impl Flags {
    pub(super) fn parse(words: &[Word], known: &[(&'static str, Kind)]) -> Result<Self, Wrong> {
        let mut given: Vec<(&'static str, String, usize)> = Vec::new();
        for word in words {
            let text = word.text.strip_prefix("--").unwrap_or(&word.text);
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let wrong = |message| Wrong {
                message,
                at: Some(word.at),
            };
            let Some((name, kind)) = known.iter().find(|(known, _)| *known == name) else {
                let sentence = format!("unknown flag: --{name}");
                let names = known.iter().map(|(name, _)| *name);
                return Err(wrong(suggest::hint(sentence, name, names, true)));
            };
            if *kind != Kind::Texts && given.iter().any(|(had, ..)| had == name) {
                return Err(wrong(format!("duplicate flag specified: {name}")));
            }
            let value = value_of(name, *kind, value).map_err(wrong)?;
            given.push((name, value, word.at));
        }
        Ok(Self { given })
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.given.iter().position(|(given, ..)| *given == name)?;
        Some(std::mem::take(&mut self.given[at].1))
    }

    pub(super) fn truth(&mut self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text == "true")
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let named = self.given.iter().filter(|(given, ..)| *given == name);
        named.map(|(_, value, _)| value.clone()).collect()
    }

    /// Each value read; an error is about its flag.
    pub(super) fn each<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Wrong> {
        let named = self.given.iter().filter(|(given, ..)| *given == name);
        named
            .map(|(_, value, at)| {
                read(value).map_err(|message| Wrong {
                    message,
                    at: Some(*at),
                })
            })
            .collect()
    }
}

fn value_of(name: &str, kind: Kind, value: Option<&str>) -> Result<String, String> {
    let missing = || format!("missing a value on flag: {name}");
    match (kind, value) {
        (Kind::Bool, None) => Ok("true".to_owned()),
        (Kind::Bool, Some("")) => Err(missing()),
        (Kind::Bool, Some(value)) => match value.to_lowercase().as_str() {
            truth @ ("true" | "false") => Ok(truth.to_owned()),
            _ => Err(format!(
                "expecting boolean value for flag {name}, not: {value}"
            )),
        },
        (_, Some(value)) => Ok(value.to_owned()),
        (_, None) => Err(missing()),
    }
}
