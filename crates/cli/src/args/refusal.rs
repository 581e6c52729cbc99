//! Command lines that cannot be understood, and the words for it. Scripts look for some of these
//! words, so they are Docker's where Docker has words for the case.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Arity, Verb, help, unsupported};

/// Why a command line was refused. `Display` is the whole text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What to print.
    pub text: String,
    /// 125 for flags, 1 for the rest.
    pub code: u8,
}

impl Refusal {
    /// Too many words, or too few.
    pub(super) fn arity(verb: &Verb, called: &str, (count, says): (usize, &str)) -> Self {
        // The one command of Docker's that says so in the words of its library.
        if let ("context use", Arity::Exactly(wanted)) = (verb.names[0], verb.arity) {
            return Self {
                text: format!("accepts {wanted} arg(s), received {count}"),
                code: 1,
            };
        }
        let see = match verb.arity {
            Arity::AtLeast(_) => "See",
            _ => "Run",
        };
        Self {
            text: format!(
                "brig: 'brig {called}' {says}\n\nUsage:  brig {}\n\n\
                 {see} 'brig {called} --help' for more information",
                help::usage(verb, called)
            ),
            code: 1,
        }
    }
}

/// A verb nobody knows.
pub fn unknown_command(verbs: &'static [Verb], group: Option<&str>, word: &str) -> Refusal {
    let known = verbs
        .iter()
        .flat_map(|verb| verb.names)
        .filter_map(|name| match group {
            Some(group) => name.strip_prefix(group)?.strip_prefix(' '),
            None => Some(*name).filter(|name| !name.contains(' ')),
        });
    let known = known.chain(
        super::GROUPS
            .iter()
            .map(|group| group.name)
            .filter(|_| group.is_none()),
    );
    let prefix = group.map(|group| format!("{group} ")).unwrap_or_default();
    let usage = group
        .map(|group| format!("Usage:  brig {group}\n\n"))
        .unwrap_or_default();
    let guess = similar_command(known, word)
        .map(|name| format!("\n\nDid you mean 'brig {prefix}{name}'?"))
        .unwrap_or_default();
    Refusal {
        text: format!(
            "brig: unknown command: brig {prefix}{word}{guess}\n\n{usage}\
             Run 'brig {prefix}--help' for more information"
        ),
        code: 1,
    }
}

/// Lets clap find the name that is spelled most alike.
fn similar_command(known: impl Iterator<Item = &'static str>, word: &str) -> Option<String> {
    let command = Command::new("brig")
        .no_binary_name(true)
        .disable_help_subcommand(true)
        .subcommands(known.map(Command::new));
    let error = command.try_get_matches_from([word]).err()?;
    suggestion(&error, ContextKind::SuggestedSubcommand)
}

fn suggestion(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        // The most alike comes last.
        ContextValue::Strings(texts) => texts.last().cloned(),
        _ => None,
    }
}

/// A flag before the verb.
pub(super) fn of_top(error: &clap::Error, top: &Command, words: &[String]) -> Refusal {
    Refusal {
        text: format!(
            "{}\n\nUsage:  brig [OPTIONS] COMMAND [ARG...]\n\n\
             Run 'brig --help' for more information",
            says(error, "", top, words)
        ),
        code: 125,
    }
}

/// A flag of a verb.
pub(super) fn of_verb(
    error: &clap::Error,
    verb: &Verb,
    called: &str,
    command: &Command,
    words: &[String],
) -> Refusal {
    Refusal {
        text: format!(
            "{}\n\nUsage:  brig {}\n\nRun 'brig {called} --help' for more information",
            says(error, verb.name(), command, words),
            help::usage(verb, called)
        ),
        code: 125,
    }
}

fn says(error: &clap::Error, verb: &str, command: &Command, words: &[String]) -> String {
    let arg = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_flag(error, verb, &arg, words),
        ErrorKind::InvalidValue if value.is_empty() => missing_value(&arg, words),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map_or_else(
                || "it is none of those that --help lists".to_owned(),
                ToString::to_string,
            );
            format!(
                "invalid argument {value:?} for {:?} flag: {why}",
                typed(command, &arg, words)
            )
        }
        _ => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    }
}

fn unknown_flag(error: &clap::Error, verb: &str, arg: &str, words: &[String]) -> String {
    let bare = arg.split('=').next().unwrap_or(arg);
    if let Some(why) = unsupported::why_missing(verb, bare) {
        return format!("unsupported flag: {bare}: {why}");
    }
    if let (false, Some(letter)) = (arg.starts_with("--"), arg.chars().nth(1)) {
        return format!(
            "unknown shorthand flag: {letter:?} in {}",
            cluster(letter, words)
        );
    }
    let guess = suggestion(error, ContextKind::SuggestedArg)
        .map(|flag| format!("\n\nDid you mean '{flag}'?"))
        .unwrap_or_default();
    format!("unknown flag: {bare}{guess}")
}

/// The word in which a short flag stood: `-itz`.
fn cluster(letter: char, words: &[String]) -> String {
    words
        .iter()
        .find(|w| w.starts_with('-') && !w.starts_with("--") && w.contains(letter))
        .cloned()
        .unwrap_or_else(|| format!("-{letter}"))
}

fn missing_value(arg: &str, words: &[String]) -> String {
    let long = arg.split([' ', '=']).next().unwrap_or(arg);
    match words.last() {
        Some(last) if last.starts_with('-') && !last.starts_with("--") => {
            let letter = last.chars().next_back().unwrap_or('-');
            format!("flag needs an argument: {letter:?} in {last}")
        }
        _ => format!("flag needs an argument: {long}"),
    }
}

/// A flag as it is told of: by the other name, if that is how it was typed.
fn typed(command: &Command, arg: &str, words: &[String]) -> String {
    let long = bare(arg);
    let known = command.get_arguments();
    let mut named = known.filter(|a| a.get_long() == Some(long));
    let aliases = named.next().and_then(clap::Arg::get_all_aliases);
    let other = aliases.unwrap_or_default().into_iter().find(|alias| {
        let flag = format!("--{alias}");
        let mut words = words.iter();
        words.any(|word| word.split('=').next() == Some(flag.as_str()))
    });
    match other {
        Some(alias) => format!("--{alias}"),
        None => both_forms(command, arg),
    }
}

/// `memory` from `--memory <bytes>`.
fn bare(arg: &str) -> &str {
    let long = arg.split([' ', '=', '[']).next().unwrap_or(arg);
    long.trim_start_matches('-')
}

/// `-m, --memory` from `--memory <bytes>`.
fn both_forms(command: &Command, arg: &str) -> String {
    let long = bare(arg);
    let short = command
        .get_arguments()
        .find(|a| a.get_long() == Some(long))
        .and_then(clap::Arg::get_short)
        .map(|c| format!("-{c}, "))
        .unwrap_or_default();
    format!("{short}--{long}")
}
