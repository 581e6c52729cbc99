//! `--help` in the layout that users of Docker know: name, short form and type of each flag in one
//! column, its meaning wrapped beside it at 80 columns.

use std::fmt::Write as _;

use clap::Command;

use super::{GROUPS, Group, Verb};

const WIDTH: usize = 80;
/// A line may run over by this much rather than leave a short word alone on the next.
const SLOP: usize = 5;

/// `brig run --help`.
pub fn verb_help(verb: &Verb, called: &str) -> String {
    let mut text = format!("Usage:  brig {}\n\n{}\n", usage(verb, called), verb.about);
    if verb.names.len() > 1 {
        let names: Vec<String> = verb.names.iter().map(|n| format!("brig {n}")).collect();
        let _ = write!(text, "\nAliases:\n  {}\n", names.join(", "));
    }
    let flags = flags(&verb.command());
    if !flags.is_empty() {
        let _ = write!(text, "\nOptions:\n{flags}");
    }
    text
}

/// The usage line without the program: "ps [OPTIONS]".
pub(super) fn usage(verb: &Verb, called: &str) -> String {
    format!("{called} {}", verb.usage)
}

/// `brig --help`.
pub fn top_help(verbs: &[Verb], top: &Command) -> String {
    const COMMON: [&str; 6] = ["run", "exec", "ps", "images", "version", "info"];
    let mut text = "Usage:  brig [OPTIONS] COMMAND\n\nRuns containers; a drop-in for Docker\n\n\
                    Common Commands:\n"
        .to_owned();
    let width = 12;
    let line = |text: &mut String, name: &str, about: &str| {
        let _ = writeln!(text, "  {name:width$}{about}");
    };
    let by_name = |name: &str| verbs.iter().find(|verb| verb.names.contains(&name));
    for verb in COMMON.iter().filter_map(|name| by_name(name)) {
        line(&mut text, verb.name(), verb.about);
    }
    text.push_str("\nManagement Commands:\n");
    for group in GROUPS.iter().filter(|group| group.verbs.is_none()) {
        line(&mut text, group.name, group.about);
    }
    text.push_str("\nCommands:\n");
    let mut rest: Vec<&Verb> = verbs
        .iter()
        .filter(|verb| !verb.name().contains(' ') && !COMMON.contains(&verb.name()))
        .collect();
    rest.sort_by_key(|verb| verb.name());
    for verb in rest {
        line(&mut text, verb.name(), verb.about);
    }
    let _ = write!(
        text,
        "\nGlobal Options:\n{}\nRun 'brig COMMAND --help' for more information on a command.\n",
        flags(top)
    );
    text
}

/// `brig container --help`.
pub fn group_help(verbs: &[Verb], group: &Group) -> String {
    let mut text = format!(
        "Usage:  brig {} COMMAND\n\n{}\n\nCommands:\n",
        group.name, group.about
    );
    let mut lines: Vec<(&str, &str)> = verbs
        .iter()
        .filter_map(|verb| {
            let inside = verb.names[0].strip_prefix(group.name)?.strip_prefix(' ')?;
            Some((inside, verb.about))
        })
        .collect();
    lines.sort_unstable();
    for (name, about) in lines {
        let _ = writeln!(text, "  {name:12}{about}");
    }
    let _ = write!(
        text,
        "\nRun 'brig {} COMMAND --help' for more information on a command.\n",
        group.name
    );
    text
}

/// The two columns.
fn flags(command: &Command) -> String {
    let mut rows: Vec<(String, String)> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && arg.get_long().is_some())
        .map(|arg| {
            let short = arg
                .get_short()
                .map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
            let mut left = format!("  {short}--{}", arg.get_long().unwrap_or_default());
            if let Some([kind, ..]) = arg.get_value_names().filter(|_| takes_value(arg)) {
                let _ = write!(left, " {kind}");
            }
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            (left, help)
        })
        .collect();
    rows.sort_by(|a, b| a.0[6..].cmp(&b.0[6..]));
    let indent = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0) + 3;
    rows.iter().fold(String::new(), |mut text, (left, help)| {
        let _ = writeln!(text, "{left:indent$}{}", wrap(help, indent));
        text
    })
}

fn takes_value(arg: &clap::Arg) -> bool {
    arg.get_num_args().is_none_or(|n| n.min_values() > 0)
        && !matches!(
            arg.get_action(),
            clap::ArgAction::SetTrue | clap::ArgAction::Help
        )
}

/// Breaks `text` into lines of what is left of the width; a newline in it stands.
fn wrap(text: &str, indent: usize) -> String {
    let width = WIDTH.saturating_sub(indent).max(24);
    let margin = format!("\n{}", " ".repeat(indent));
    text.split('\n')
        .map(|paragraph| break_lines(paragraph, width).join(&margin))
        .collect::<Vec<_>>()
        .join(&margin)
}

fn break_lines(mut text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    while text.len() > width {
        let Some(at) = text[..width - SLOP].rfind(' ').filter(|at| *at > 0) else {
            break;
        };
        lines.push(&text[..at]);
        text = &text[at + 1..];
    }
    lines.push(text);
    lines
}
