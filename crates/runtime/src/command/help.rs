//! What `--help` prints.

use std::fmt::Write;

use crate::global;
use crate::verbs;
use crate::words::{Flag, Verb};

/// The program's. The first lines have the form that scripts made for runc look for.
pub(crate) fn program() -> String {
    let mut text = String::from(
        "NAME:\n   brig-runtime in place of runc - Open Container Initiative runtime\n\n\
         USAGE:\n   brig-runtime [global options] command [command options] [arguments...]\n\n\
         COMMANDS:\n",
    );
    let rows: Vec<_> = verbs::ALL
        .iter()
        .map(|verb| (verb.name.to_owned(), verb.about))
        .chain([(
            "help, h".to_owned(),
            "Shows this, or the help of one command",
        )])
        .collect();
    columns(&mut text, &rows);
    text.push_str("\nGLOBAL OPTIONS:\n");
    options(&mut text, global::FLAGS);
    text
}

/// A verb's.
pub(crate) fn verb(verb: &Verb) -> String {
    let Verb {
        name, usage, about, ..
    } = verb;
    let options_hint = if verb.flags.is_empty() {
        ""
    } else {
        " [command options]"
    };
    let mut text = format!(
        "NAME:\n   brig-runtime {name} in place of runc {name} - {about}\n\n\
         USAGE:\n   brig-runtime {name}{options_hint} {usage}\n"
    );
    text.push_str("\nOPTIONS:\n");
    options(&mut text, verb.flags);
    text
}

fn options(text: &mut String, flags: &[Flag]) {
    let shown = flags.iter().filter(|flag| !flag.hidden);
    let mut rows: Vec<_> = shown.map(|flag| (left(flag), flag.help)).collect();
    rows.push(("--help, -h".to_owned(), "show help"));
    columns(text, &rows);
}

fn left(flag: &Flag) -> String {
    let value = if flag.takes_value { " value" } else { "" };
    match flag.short {
        Some(short) => format!("--{}{value}, -{short}{value}", flag.name),
        None => format!("--{}{value}", flag.name),
    }
}

fn columns(text: &mut String, rows: &[(String, &str)]) {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    for (left, right) in rows {
        // A String takes everything.
        let _ = writeln!(text, "   {left:<width$}  {right}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_help_and_no_flag_twice() {
        for one in verbs::ALL {
            let text = verb(one);
            assert!(text.contains(&format!("runc {} - ", one.name)), "{text}");
            let mut names: Vec<_> = one.flags.iter().map(|flag| flag.name).collect();
            names.extend(one.flags.iter().filter_map(|flag| flag.short));
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}", one.name);
        }
    }

    #[test]
    fn a_help_is_readable() {
        const FLAGS: &[Flag] = &[
            Flag::value("bundle", "where").short("b"),
            Flag::switch("keep", "leave it"),
            Flag::switch("old", "not shown").hidden(),
        ];
        let mut text = String::new();
        options(&mut text, FLAGS);
        assert_eq!(
            text,
            "   --bundle value, -b value  where\n   --keep                    leave it\n   \
             --help, -h                show help\n"
        );
    }
}
