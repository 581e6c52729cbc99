//! Checks of a Dockerfile: what is not wrong, but likely not meant.
//!
//! The planner and [`file`] find; [`Checks`] keeps what the configuration does not skip; [`Report`] is what
//! `--check` shows.

mod file;
mod report;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub(crate) use file::file;
pub use report::Report;
pub use rule::Rule;

use crate::go;
use crate::source::Span;

/// Which checks are made: `# check=skip=A,B;error=true;experimental=all`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    skip_all: bool,
    skip: BTreeSet<String>,
    experimental_all: bool,
    experimental: BTreeSet<String>,
    /// A finding fails the build.
    pub error: bool,
}

/// The options of a check are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOption {
    /// Neither `skip`, `experimental` nor `error`.
    #[error("failed to parse check options: invalid check option {}", go::quote(.0))]
    Unknown(String),
    /// `error` is neither true nor false.
    #[error("failed to parse check options: failed to parse check option {}", go::quote(.0))]
    Truth(String),
}

impl Config {
    /// Reads the directive's value.
    ///
    /// # Errors
    /// When an option is none, or `error` is no truth value.
    pub fn parse(text: &str) -> Result<Self, InvalidOption> {
        let mut config = Self::default();
        if text.trim().is_empty() {
            return Ok(config);
        }
        for part in text.trim().splitn(3, ';') {
            let unknown = |text: &str| InvalidOption::Unknown(text.to_owned());
            let (key, value) = part.split_once('=').ok_or_else(|| unknown(part))?;
            let value = value.trim();
            let names = || value.split(',').map(|name| name.trim().to_owned());
            match key.trim() {
                "skip" if value == "all" => config.skip_all = true,
                "skip" => config.skip.extend(names()),
                "experimental" if value == "all" => config.experimental_all = true,
                "experimental" => config.experimental.extend(names()),
                "error" => {
                    config.error = go::parse_bool(value)
                        .ok_or_else(|| InvalidOption::Truth(part.to_owned()))?;
                }
                key => return Err(unknown(key)),
            }
        }
        Ok(config)
    }

    fn wants(&self, rule: Rule) -> bool {
        if rule.experimental() {
            self.experimental_all || self.experimental.contains(rule.name())
        } else {
            !self.skip_all && !self.skip.contains(rule.name())
        }
    }

    /// The same with what `# check=...` right above an instruction adds.
    fn with_comments(&self, comments: &[String]) -> Self {
        let mut config = self.clone();
        let options = comments
            .iter()
            .filter_map(|line| line.strip_prefix("check="));
        for more in options.filter_map(|options| Self::parse(options).ok()) {
            config.skip_all |= more.skip_all;
            config.skip.extend(more.skip);
            config.experimental_all |= more.experimental_all;
            config.experimental.extend(more.experimental);
            config.error |= more.error;
        }
        config
    }
}

/// Something a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub rule: Rule,
    /// What it says here.
    pub detail: String,
    /// Where.
    pub span: Span,
}

/// Keeps findings while a file is looked through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    config: Config,
    findings: Vec<Finding>,
}

impl Checks {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            findings: Vec::new(),
        }
    }

    /// Keeps a finding about an instruction with such comments, unless it is skipped or known.
    pub(crate) fn find(&mut self, rule: Rule, span: Span, comments: &[String], detail: String) {
        let own = comments.iter().any(|line| line.starts_with("check="));
        let wanted = if own {
            self.config.with_comments(comments).wants(rule)
        } else {
            self.config.wants(rule)
        };
        if wanted {
            self.findings.push(Finding { rule, detail, span });
        }
    }

    /// What was found, by line; the same twice is once.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings;
        findings.sort_by(|a, b| {
            (a.span.start.line, a.rule, &a.detail).cmp(&(b.span.start.line, b.rule, &b.detail))
        });
        findings.dedup();
        findings
    }
}

/// The sentence a build fails with when findings are errors.
pub fn violation(findings: &[Finding]) -> Option<String> {
    let rules: BTreeSet<&str> = findings.iter().map(|finding| finding.rule.name()).collect();
    let rules: Vec<&str> = rules.into_iter().collect();
    (!rules.is_empty()).then(|| format!("lint violation found for rules: {}", rules.join(", ")))
}

/// Words that a secret's name has.
const SECRETS: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];
/// Words that say it is none.
const NO_SECRETS: [&str; 3] = ["public", "file", "version"];

/// Whether a variable's name is that of a secret.
pub(crate) fn names_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let has = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    has(&SECRETS) && !has(&NO_SECRETS)
}
