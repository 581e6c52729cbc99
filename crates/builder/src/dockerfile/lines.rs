//! Lines -> statements: comments, directives, continuations and the bodies of heredocs.

use super::error::Error;
use super::heredoc::Heredoc;
use crate::source::{Position, Source, Span};

/// Longer files are no Dockerfiles.
const MOST_BYTES: usize = 64 << 20;

/// `# name=value` at the head of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// `syntax`, `escape` or `check`.
    pub name: String,
    /// What follows the `=`.
    pub value: String,
    /// Its line.
    pub line: usize,
}

const DIRECTIVES: [&str; 3] = ["syntax", "escape", "check"];

/// `# name = value`, whatever the name.
fn assignment(line: &str) -> Option<(String, &str)> {
    let rest = line.strip_prefix('#')?.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (name, rest) = rest.split_at(end);
    let value = rest.trim_start().strip_prefix('=')?.trim();
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic());
    (named && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

fn directive(line: &str, number: usize) -> Option<Directive> {
    let (name, value) = assignment(line)?;
    DIRECTIVES.contains(&name.as_str()).then(|| Directive {
        name,
        value: value.to_owned(),
        line: number,
    })
}

/// The directives at the head of a file, whatever is behind them: asked before anything is parsed, to find
/// a frontend or the checks wanted. A first line `#!` is passed over.
pub fn directives(source: &Source) -> Vec<Directive> {
    let skip = usize::from(source.text().starts_with("#!"));
    let lines = source.text().lines().enumerate().skip(skip);
    let mut found: Vec<Directive> = Vec::new();
    for (index, line) in lines {
        match directive(line, index + 1) {
            Some(directive) if found.iter().all(|known| known.name != directive.name) => {
                found.push(directive);
            }
            _ => break,
        }
    }
    found
}

/// One instruction's text, its continuations joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    /// Where the text's parts come from: an offset in it, and the place of what stands there.
    parts: Vec<(usize, Position)>,
    /// From its first character to the last of its last line, a heredoc's end included.
    pub(super) span: Span,
    /// The comment lines right above.
    pub(super) comments: Vec<String>,
    pub(super) heredocs: Vec<Heredoc>,
}

impl Statement {
    /// Where in the file a byte of the text stands.
    pub(super) fn position(&self, offset: usize) -> Position {
        let index = self.parts.partition_point(|(at, _)| *at <= offset);
        let Some((at, place)) = self.parts.get(index.saturating_sub(1)) else {
            return self.span.start;
        };
        let between = self.text.get(*at..offset).unwrap_or_default();
        Position {
            line: place.line,
            column: place.column + between.chars().count(),
        }
    }
}

/// Reads statements one after the other.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: &'a str,
    /// How many lines were taken.
    number: usize,
    escape: char,
    /// None when the directives are over.
    seen: Option<Vec<Directive>>,
    pub(super) directives: Vec<Directive>,
    comments: Vec<String>,
    /// Where a continuation had an empty line in it: the statement's last line.
    pub(super) empty_continuations: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a Source) -> Result<Self, Error> {
        let text = source.text();
        if text.is_empty() {
            return Err(Error::new(
                Span::default(),
                "the Dockerfile cannot be empty",
            ));
        }
        if text.len() > MOST_BYTES {
            let message = format!(
                "the Dockerfile has {} bytes: {MOST_BYTES} are read",
                text.len()
            );
            return Err(Error::new(Span::default(), message));
        }
        Ok(Self {
            rest: text,
            number: 0,
            escape: '\\',
            seen: Some(Vec::new()),
            directives: Vec::new(),
            comments: Vec::new(),
            empty_continuations: Vec::new(),
        })
    }

    pub(super) fn escape(&self) -> char {
        self.escape
    }

    /// How many lines were taken.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The next line with its end.
    fn line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number += 1;
        Some(line)
    }

    /// The next statement, none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Statement>, Error> {
        while let Some(line) = self.line() {
            let line = line.trim_end_matches(['\r', '\n']);
            let text = line.trim_start();
            self.directive(text)?;
            if let Some(comment) = text.strip_prefix('#') {
                self.comment(comment);
                continue;
            }
            if text.is_empty() {
                self.comments.clear();
                continue;
            }
            let column = line[..line.len() - text.len()].chars().count() + 1;
            let start = Position {
                line: self.number,
                column,
            };
            let (head, continues) = continuation(text, self.escape);
            if head.is_empty() && !continues {
                continue;
            }
            return Ok(Some(self.statement(start, head, continues)));
        }
        Ok(None)
    }

    /// Joins a first line with those that continue it.
    fn statement(&mut self, start: Position, head: &str, mut continues: bool) -> Statement {
        let mut text = head.to_owned();
        let mut parts = vec![(0, start)];
        let mut empty = false;
        let mut width = start.column + head.chars().count();
        while continues {
            let Some(line) = self.line() else { break };
            let line = line.trim_end_matches(['\r', '\n']);
            let shown = line.trim_start();
            if shown.starts_with('#') {
                continue;
            }
            if shown.is_empty() {
                empty = true;
                continue;
            }
            let place = Position {
                line: self.number,
                column: 1,
            };
            parts.push((text.len(), place));
            let more;
            (more, continues) = continuation(line, self.escape);
            text.push_str(more);
            width = more.chars().count() + 1;
        }
        if empty {
            self.empty_continuations.push(self.number);
        }
        let end = Position {
            line: self.number,
            column: width.saturating_sub(1).max(1),
        };
        Statement {
            text,
            parts,
            span: Span { start, end },
            comments: std::mem::take(&mut self.comments),
            heredocs: Vec::new(),
        }
    }

    fn comment(&mut self, comment: &str) {
        match comment.trim() {
            "" => self.comments.clear(),
            comment => self.comments.push(comment.to_owned()),
        }
    }

    fn directive(&mut self, text: &str) -> Result<(), Error> {
        let Some(seen) = &mut self.seen else {
            return Ok(());
        };
        let Some(directive) = directive(text, self.number) else {
            self.directives = self.seen.take().unwrap_or_default();
            return Ok(());
        };
        let span = Span::lines(self.number, self.number);
        if seen.iter().any(|known| known.name == directive.name) {
            let message = format!("only one {} parser directive can be used", directive.name);
            return Err(Error::new(span, message));
        }
        if directive.name == "escape" {
            self.escape = match directive.value.as_str() {
                "\\" => '\\',
                "`" => '`',
                other => {
                    let message = format!("invalid escape token '{other}' does not match ` or \\");
                    return Err(Error::new(span, message));
                }
            };
        }
        seen.push(directive);
        Ok(())
    }

    /// Reads the bodies of the heredocs that a statement has named.
    pub(super) fn heredocs(
        &mut self,
        statement: &mut Statement,
        named: Vec<Heredoc>,
    ) -> Result<(), Error> {
        for mut heredoc in named {
            loop {
                let Some(line) = self.line() else {
                    return Err(Error::new(statement.span, "unterminated heredoc"));
                };
                let mut word = line.trim_end_matches(['\r', '\n']);
                if heredoc.chomp {
                    word = word.trim_start_matches('\t');
                }
                if word == heredoc.name {
                    statement.span.end = Position {
                        line: self.number,
                        column: word.chars().count().max(1),
                    };
                    break;
                }
                heredoc.data.push_str(line);
            }
            statement.heredocs.push(heredoc);
        }
        Ok(())
    }
}

/// A line without the sign that continues it, and whether there was one: an escape character at its end,
/// none before it, spaces behind it.
fn continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(head) if !head.ends_with(escape) => (head, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<String> {
        let source = Source::new("Dockerfile", text.as_bytes());
        let mut lines = Lines::new(&source).unwrap();
        let mut out = Vec::new();
        while let Some(statement) = lines.next().unwrap() {
            let Span { start, end } = statement.span;
            out.push(format!("{start}-{end} {:?}", statement.text));
        }
        out
    }

    #[test]
    fn lines_are_joined() {
        let text = "FROM a\r\n  RUN b \\  \n  # no\n\n c\\\n\\\nd\nRUN e\\\\\nRUN f\\";
        assert_eq!(
            statements(text),
            [
                "1:1-1:6 \"FROM a\"",
                "2:3-7:1 \"RUN b  cd\"",
                "8:1-8:7 \"RUN e\\\\\\\\\"",
                "9:1-9:5 \"RUN f\"",
            ]
        );
    }

    #[test]
    fn a_byte_is_found_again() {
        let source = Source::new("x", b"RUN a \\\n  b\n");
        let mut lines = Lines::new(&source).unwrap();
        let statement = lines.next().unwrap().unwrap();
        assert_eq!(statement.text, "RUN a   b");
        assert_eq!(statement.position(4).to_string(), "1:5");
        assert_eq!(statement.position(8).to_string(), "2:3");
    }

    #[test]
    fn directives_end_with_the_first_line_that_is_none() {
        let all = |text: &str| {
            let source = Source::new("x", text.as_bytes());
            let found = directives(&source);
            found
                .into_iter()
                .map(|d| format!("{}:{}={}", d.line, d.name, d.value))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            all("#!/bin/x\n# Syntax = a/b:1 \n#check=skip=all;error=true\nFROM a\n# escape=`\n"),
            ["2:syntax=a/b:1", "3:check=skip=all;error=true"]
        );
        assert!(all("# what=1\n# syntax=a\n").is_empty());
        assert!(all("\n# syntax=a\n").is_empty());
        assert_eq!(statements("# escape=`\nRUN a `\n b\\\nRUN c\n").len(), 2);
    }

    #[test]
    fn bad_directives_are_refused() {
        let error = |text: &str| {
            let source = Source::new("x", text.as_bytes());
            let mut lines = Lines::new(&source).unwrap();
            lines.next().unwrap_err().to_string()
        };
        assert_eq!(
            error("# escape=x\nFROM a\n"),
            "invalid escape token 'x' does not match ` or \\"
        );
        assert_eq!(
            error("# syntax=a\n# syntax=b\nFROM a\n"),
            "only one syntax parser directive can be used"
        );
    }
}
