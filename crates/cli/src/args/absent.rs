//! Flags of what only swarms, plugins and checkpoints have: one line each, as `-s/--long=type`.

use clap::{Arg, ArgAction, Command};

/// Adds the flags of a line, and the words; `help` stands beside each flag.
pub fn flags(command: Command, line: &'static str, help: &'static str) -> Command {
    let words = line.split(' ').filter(|word| !word.is_empty());
    let command = words.fold(command, |command, word| command.arg(flag(word).help(help)));
    command.arg(
        Arg::new("names")
            .hide(true)
            .num_args(0..)
            .action(ArgAction::Append),
    )
}

fn flag(word: &'static str) -> Arg {
    let (short, long) = match word.split_once("/--") {
        Some((short, long)) => (short.chars().nth(1), long),
        None => (None, word.trim_start_matches('-')),
    };
    let (long, kind) = match long.split_once('=') {
        Some((long, kind)) => (long, Some(kind)),
        None => (long, None),
    };
    let arg = Arg::new(long).long(long);
    let arg = match short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    match kind {
        Some(kind) => arg.value_name(kind).action(ArgAction::Append),
        None => arg.action(ArgAction::SetTrue),
    }
}
