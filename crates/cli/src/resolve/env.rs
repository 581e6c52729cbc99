//! `-e`, `--env-file`, `--label` and `--label-file`.

use std::collections::BTreeMap;

use super::Surroundings;
use crate::args::values::EnvFlag;
use crate::error::CliError;

/// The environment: files first, then flags, each in its order.
pub fn environment(
    files: &[String],
    flags: &[EnvFlag],
    around: &Surroundings<'_>,
) -> Result<Vec<String>, CliError> {
    let mut env = Vec::new();
    for path in files {
        for line in lines_of(path, "environment", around)? {
            match line {
                // A bare name in a file is passed on if the caller has it.
                Line::Bare(name) => {
                    env.extend((around.env)(&name).map(|value| format!("{name}={value}")));
                }
                Line::Pair(text) => env.push(text),
            }
        }
    }
    env.extend(flags.iter().map(|flag| match flag {
        EnvFlag::Set(text) => text.clone(),
        // A bare name that the caller has not removes the image's.
        EnvFlag::Inherit(name) => match (around.env)(name) {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        },
    }));
    Ok(env)
}

/// The labels: files first, then flags.
pub(super) fn labels(
    files: &[String],
    flags: &[String],
    around: &Surroundings<'_>,
) -> Result<BTreeMap<String, String>, CliError> {
    let mut labels = BTreeMap::new();
    let mut add = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        labels.insert(key.to_owned(), value.to_owned());
    };
    for path in files {
        for line in lines_of(path, "label", around)? {
            match line {
                Line::Bare(text) | Line::Pair(text) => add(&text),
            }
        }
    }
    flags.iter().for_each(|text| add(text));
    Ok(labels)
}

/// One line of a file that says something.
enum Line {
    /// `NAME`
    Bare(String),
    /// `NAME=value`
    Pair(String),
}

fn lines_of(path: &str, what: &str, around: &Surroundings<'_>) -> Result<Vec<Line>, CliError> {
    let text = (around.read)(path).map_err(|source| CliError::File {
        path: path.to_owned(),
        source,
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| one_line(line, path, what))
        .collect()
}

fn one_line(line: &str, path: &str, what: &str) -> Result<Line, CliError> {
    let bad = |why: String| CliError::Invalid(format!("invalid {what} file ({path}): {why}"));
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (line.trim_end(), None),
    };
    if name.is_empty() {
        return Err(bad(format!("no variable name on line '{line}'")));
    }
    if name.contains(char::is_whitespace) {
        return Err(bad(format!("variable '{name}' contains whitespaces")));
    }
    Ok(match value {
        Some(value) => Line::Pair(format!("{name}={value}")),
        None => Line::Bare(name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::with;
    use super::*;

    #[test]
    fn files_come_before_flags_and_bare_names_are_looked_up() {
        let file = "\u{feff}# a comment\n\n  A=1 # kept\nHOME\nNOT_SET\nQ=\"x y\"\n";
        let flags = [
            EnvFlag::Set("A=2".into()),
            EnvFlag::Inherit("HOME".into()),
            EnvFlag::Inherit("LANG".into()),
        ];
        let env = with(&[("f", file)], |around| {
            environment(&["f".into()], &flags, around).unwrap()
        });
        insta::assert_snapshot!(env.join("\n"), @r#"
        A=1 # kept
        HOME=/root
        Q="x y"
        A=2
        HOME=/root
        LANG
        "#);
    }

    #[test]
    fn files_that_make_no_sense_are_refused() {
        let errors = ["=x", "A B=1", "A B"].map(|line| {
            with(&[("f", line)], |around| {
                environment(&["f".into()], &[], around)
                    .unwrap_err()
                    .to_string()
            })
        });
        insta::assert_snapshot!(errors.join("\n"), @r#"
        invalid environment file (f): no variable name on line '=x'
        invalid environment file (f): variable 'A B' contains whitespaces
        invalid environment file (f): variable 'A B' contains whitespaces
        "#);
        let missing = with(&[], |around| {
            environment(&["/no".into()], &[], around).unwrap_err()
        });
        assert_eq!(missing.to_string(), "open /no: no such file or directory");
    }

    #[test]
    fn labels_may_have_no_value() {
        let labels = with(&[("f", "a=1\nb\n")], |around| {
            labels(&["f".into()], &["a=2".into(), "c".into()], around).unwrap()
        });
        assert_eq!(format!("{labels:?}"), r#"{"a": "2", "b": "", "c": ""}"#);
    }
}
