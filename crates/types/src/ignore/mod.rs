//! `.dockerignore`: which files of a context are left out.
//!
//! The last pattern that matches decides; `!` takes back in. A pattern that matches a directory matches
//! all below it. `*` and `?` stop at slashes, `**` does not.

mod pattern;
#[cfg(test)]
mod tests;

use pattern::Pattern;

/// A pattern is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// `!` alone.
    #[error("illegal exclusion pattern: \"!\"")]
    Exclusion,
    /// Brackets or escapes.
    #[error(
        "syntax error in pattern {0:?}: brackets must close and an escape must guard something"
    )]
    Syntax(String),
}

/// The names under which the ignore file of `dockerfile` is looked for, best first.
pub fn candidates(dockerfile: &str) -> [String; 2] {
    [
        format!("{dockerfile}.dockerignore"),
        ".dockerignore".to_owned(),
    ]
}

/// The patterns in an ignore file: comments and blank lines dropped, slashes made plain.
pub fn read(text: &[u8]) -> Vec<String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    // A comment begins in the first column: ` #` is a name.
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| one_line(line.trim())).collect()
}

fn one_line(line: &str) -> Option<String> {
    if line.is_empty() {
        return None;
    }
    let (sign, rest) = match line.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", line),
    };
    if rest.is_empty() {
        return Some(sign.to_owned());
    }
    let cleaned = clean(rest);
    let path = match cleaned.strip_prefix('/') {
        Some(below) if !below.is_empty() => below,
        _ => &cleaned,
    };
    Some(format!("{sign}{path}"))
}

/// A path without `.`, `..` and doubled slashes, as Go's `path.Clean`.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !rooted => parts.push(".."),
                _ => {
                    parts.pop();
                }
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Patterns in their order.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    patterns: Vec<Pattern>,
}

/// What is known of a directory, for those below it.
#[derive(Debug, Clone, Default)]
pub struct Above {
    matched: Vec<bool>,
}

impl Matcher {
    /// Takes patterns as [`read`] gives them.
    ///
    /// # Errors
    /// When one is `!` alone, or has an open bracket or a lone escape.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let mut matcher = Self::default();
        for text in patterns {
            let text = text.trim();
            if !text.is_empty() {
                matcher.patterns.push(Pattern::parse(&clean(text))?);
            }
        }
        Ok(matcher)
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a pattern takes back in: then a directory that is left out may hold files that are not.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.takes_back)
    }

    /// Whether a pattern is for all of the context's root: `*`, `**` or `**/*`.
    pub fn names_everything(&self) -> bool {
        self.patterns
            .iter()
            .any(|p| !p.takes_back && ["*", "**", "**/*"].contains(&p.text.as_str()))
    }

    /// Whether a path, relative to the context, is left out. Every directory above it is asked too.
    pub fn matches(&self, path: &str) -> bool {
        let path = clean(path);
        let mut out = false;
        for pattern in &self.patterns {
            // What is out cannot be put out again, nor what is in be taken back.
            if pattern.takes_back == out && pattern.matches_or_above(&path) {
                out = !pattern.takes_back;
            }
        }
        out
    }

    /// The same for a walk from the top: `above` is what this function gave for the directory the path is
    /// in, the default for the context's root. Each pattern is asked once a path. As in Docker's clients a
    /// pattern that could change nothing at a directory is not asked there, so that what an exception
    /// took back below it stays, whatever comes behind the exception.
    pub fn walk(&self, path: &str, above: &Above) -> (bool, Above) {
        let mut out = false;
        let mut matched = Vec::with_capacity(self.patterns.len());
        for (index, pattern) in self.patterns.iter().enumerate() {
            let from_above = above.matched.get(index).copied().unwrap_or(false);
            let hit = from_above || pattern.takes_back == out && pattern.matches(path);
            matched.push(hit);
            if hit {
                out = !pattern.takes_back;
            }
        }
        (out, Above { matched })
    }

    /// Whether nothing below a directory that is left out can be taken back, so that a walk may turn round.
    pub fn prunes(&self, directory: &str) -> bool {
        !self
            .patterns
            .iter()
            .any(|pattern| pattern.takes_back && pattern.may_match_below(directory))
    }
}
