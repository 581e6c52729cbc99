//! `man`: pages of the manual, of the same tables that `--help` is made of.

use std::fmt::Write as _;
use std::path::Path;

use crate::args::containers::NamesArgs;
use crate::args::{GROUPS, Globals, Verb, top_command};
use crate::error::CliError;
use crate::print;

pub(super) fn run(args: NamesArgs, _: &Globals) -> Result<u8, CliError> {
    let into = Path::new(&args.names[0]);
    let failed = |path: &Path, source| CliError::File {
        path: path.display().to_string(),
        source,
    };
    std::fs::create_dir_all(into).map_err(|source| failed(into, source))?;
    let mut pages = vec![("brig.1".to_owned(), top())];
    pages.extend(super::VERBS.iter().map(|verb| (file(verb), page(verb))));
    for (name, text) in &pages {
        let path = into.join(name);
        let written = sys::file::replace_unsynced(&path, text.as_bytes(), 0o644);
        written.map_err(|error| failed(&path, error.into()))?;
    }
    print::complain(&format!("{} pages in {}", pages.len(), into.display()));
    Ok(0)
}

fn file(verb: &Verb) -> String {
    format!("brig-{}.1", verb.names[0].replace(' ', "-"))
}

/// Text as roff takes it.
fn plain(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = escaped
        .lines()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

fn head(name: &str, about: &str) -> String {
    format!(
        ".TH \"{}\" \"1\" \"\" \"Brig {}\" \"Brig\"\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        plain(name),
        plain(about)
    )
}

fn flags(command: &clap::Command, text: &mut String) {
    let mut all: Vec<&clap::Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && arg.get_long().is_some())
        .collect();
    all.sort_by_key(|arg| arg.get_long());
    if !all.is_empty() {
        text.push_str(".SH OPTIONS\n");
    }
    for arg in all {
        let short = arg
            .get_short()
            .map_or(String::new(), |c| format!("\\-{c}, "));
        let long = plain(&format!("--{}", arg.get_long().unwrap_or_default()));
        let takes = arg.get_num_args().is_none_or(|n| n.min_values() > 0);
        let set = matches!(
            arg.get_action(),
            clap::ArgAction::SetTrue | clap::ArgAction::Help
        );
        let kind = arg.get_value_names().filter(|_| takes && !set);
        let kind = kind.and_then(|names| names.first());
        let kind = kind.map_or(String::new(), |kind| format!(" \\fI{}\\fR", plain(kind)));
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, ".TP\n\\fB{short}{long}\\fR{kind}\n{}", plain(&help));
    }
}

fn page(verb: &Verb) -> String {
    let name = format!("brig {}", verb.names[0]);
    let mut text = head(&name.replace(' ', "-"), verb.about);
    text.push_str(".SH SYNOPSIS\n");
    for usage in verb.usage.lines() {
        let usage = usage.trim_start();
        let usage = match usage.starts_with("brig ") {
            true => usage.to_owned(),
            false => format!("{name} {usage}"),
        };
        let _ = writeln!(text, ".B {}\n.br", plain(&usage));
    }
    if verb.names.len() > 1 {
        let others: Vec<String> = verb.names[1..]
            .iter()
            .map(|n| format!("brig {n}"))
            .collect();
        let _ = writeln!(text, ".SH ALIASES\n{}", plain(&others.join(", ")));
    }
    flags(&verb.command(), &mut text);
    text.push_str(".SH SEE ALSO\nbrig(1)\n");
    text
}

fn top() -> String {
    let mut text = head("brig", "runs containers; a drop-in for Docker");
    text.push_str(".SH SYNOPSIS\n.B brig [OPTIONS] COMMAND\n");
    flags(&top_command(), &mut text);
    text.push_str(".SH COMMANDS\n");
    for verb in &super::VERBS {
        let name = plain(&format!("brig-{}", verb.names[0].replace(' ', "-")));
        let _ = writeln!(text, ".TP\n\\fB{name}\\fR(1)\n{}", plain(verb.about));
    }
    text.push_str(".SH GROUPS\n");
    for group in GROUPS.iter().filter(|group| group.verbs.is_none()) {
        let (name, about) = (plain(group.name), plain(group.about));
        let _ = writeln!(text, ".TP\n\\fB{name}\\fR\n{about}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let verb = super::super::VERBS
            .iter()
            .find(|verb| verb.name() == "port")
            .unwrap();
        insta::assert_snapshot!(page(verb).replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r#"
        .TH "BRIG-CONTAINER-PORT" "1" "" "Brig VERSION" "Brig"
        .SH NAME
        brig\-container\-port \- Show where a container's ports are published
        .SH SYNOPSIS
        .B brig container port CONTAINER [PRIVATE_PORT[/PROTO]]
        .br
        .SH ALIASES
        brig port
        .SH SEE ALSO
        brig(1)
        "#);
    }
}
