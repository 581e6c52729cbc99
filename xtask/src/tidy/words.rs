//! What no file may say: debts without an issue, paths of somebody's machine, untidy line ends.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Finding;

/// Text that means an unfinished place, unless an issue's number follows.
const DEBTS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Text that must not occur at all: it means something on one machine only, or ages by itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one developer's machine"),
    (concat!("/ho", "me/runner"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one developer's machine"),
    (
        concat!("deb.", "debian.org"),
        "a mirror's name: ask apt which mirror the machine uses",
    ),
    (
        concat!("crates", ".io/"),
        "a registry's address: name the package",
    ),
    (concat!("to", "do!("), "an unfinished place"),
    (concat!("unimple", "mented!("), "an unfinished place"),
];

/// Attributes that hide a test.
const HIDING: &[&str] = &[concat!("#[ig", "nore"), concat!("#[should", "_panic")];

/// Ends of the names of files that tools leave behind.
const LEFTOVERS: &[&str] = &[".snap.new", ".orig", ".rej"];

/// Checks every text file.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files {
        let place = file.display().to_string();
        if LEFTOVERS.iter().any(|end| place.ends_with(end)) {
            findings.push(Finding::new(&place, "left behind by a tool".to_owned()));
        }
        let bytes = std::fs::read(root.join(file))
            .with_context(|| format!("could not read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let generated = file.ends_with("Cargo.lock") || file.ends_with("LICENSE");
        if !generated {
            findings.extend(check_text(&place, &text));
        }
    }
    Ok(findings)
}

fn check_text(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{place}:{}", number + 1);
        findings.extend(complaints(line).map(|what| Finding::new(&place, what)));
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        findings.push(Finding::new(
            place,
            "ends in no newline, or in more than one",
        ));
    }
    findings
}

fn complaints(line: &str) -> impl Iterator<Item = String> {
    let debts = DEBTS
        .iter()
        .filter(|debt| names(line, debt) && !line.contains(&format!("{debt}(#")))
        .map(|debt| format!("a {debt} without the number of an issue: {debt}(#12)"));
    let forbidden = FORBIDDEN
        .iter()
        .filter(|(text, _)| line.contains(text))
        .map(|(text, why)| format!("`{text}`: {why}"));
    let hidden = HIDING
        .iter()
        .filter(|text| line.trim_start().starts_with(*text))
        .map(|text| format!("`{text}]` hides a test: skip it visibly, or assert the error"));
    let spaces = (line.ends_with([' ', '\t'])).then(|| "ends in a space".to_owned());
    debts.chain(forbidden).chain(hidden).chain(spaces)
}

/// Whether a word stands in a line by itself, not as a part of another.
fn names(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        complaints(line).count()
    }

    #[test]
    fn a_debt_needs_an_issue() {
        let debt = DEBTS[0];
        assert_eq!(found(&format!("// {debt}: later")), 1);
        assert_eq!(found(&format!("// {debt}(#12): later")), 0);
        assert_eq!(found(&format!("let {debt}S = 1;")), 0);
    }

    #[test]
    fn paths_of_a_machine_and_hidden_tests_are_found() {
        assert_eq!(found(&format!("see {}x", FORBIDDEN[0].0)), 1);
        assert_eq!(found(&format!("    {}]", HIDING[0])), 1);
        assert_eq!(found("fn plain() {} "), 1);
        assert_eq!(found("fn plain() {}"), 0);
    }

    #[test]
    fn a_file_ends_in_one_newline() {
        assert!(check_text("x", "a\n").is_empty());
        assert_eq!(check_text("x", "a").len(), 1);
        assert_eq!(check_text("x", "a\n\n").len(), 1);
    }
}
