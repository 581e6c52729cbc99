//! The text of a file that is read, and places in it: what errors and checks point at.

use std::fmt;
use std::fmt::Write as _;

/// A place in a text: lines and columns count from 1, columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line, from 1; 0 is nowhere.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// From a place up to and with the line of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Where it begins.
    pub start: Position,
    /// Its last character's place.
    pub end: Position,
}

impl Span {
    /// One place.
    pub fn at(position: Position) -> Self {
        Self {
            start: position,
            end: position,
        }
    }

    /// Whole lines.
    pub fn lines(first: usize, last: usize) -> Self {
        let place = |line| Position { line, column: 1 };
        Self {
            start: place(first),
            end: place(last),
        }
    }

    fn has_line(&self, line: usize) -> bool {
        (self.start.line..=self.end.line).contains(&line)
    }
}

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Where each line begins.
    starts: Vec<usize>,
}

/// How many lines around a place are drawn.
const AROUND: usize = 2;
/// The same where only one line is meant.
const AROUND_ONE: usize = 4;

impl Source {
    /// Takes bytes as text. A byte order mark is dropped; what is not UTF-8 becomes U+FFFD, for a comment
    /// in another encoding is no reason to refuse a file.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes).into_owned();
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            name: name.into(),
            text,
            starts,
        }
    }

    /// A line without its end, counted from 1.
    fn line(&self, number: usize) -> Option<&str> {
        let start = *self.starts.get(number.checked_sub(1)?)?;
        let end = self.starts.get(number).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end)?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The file's name, as it is shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, without byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines around `span`, those it covers marked, with a name and number above: the drawing that
    /// BuildKit's clients show.
    pub fn excerpt(&self, span: Span) -> String {
        self.draw(span, false).unwrap_or_default()
    }

    /// [`Source::excerpt`] with the column in the heading and a mark below the character.
    pub fn pointing(&self, span: Span) -> String {
        self.draw(span, true).unwrap_or_default()
    }

    fn draw(&self, span: Span, column: bool) -> Option<String> {
        let (first, last) = window(span, self.starts.len())?;
        let mut out = format!("{}:{}", self.name, span.start.line);
        if column {
            let _ = write!(out, ":{}", span.start.column);
        }
        out.push_str("\n--------------------\n");
        for number in first..=last {
            let line = self.line(number)?;
            let mark = if span.has_line(number) { ">>>" } else { "   " };
            let _ = writeln!(out, " {number:3} | {mark} {line}");
            if column && number == span.start.line {
                let _ = writeln!(out, "     |     {}", caret(line, span.start.column));
            }
        }
        out.push_str("--------------------\n");
        Some(out)
    }
}

/// The first and last line to draw: two at least on both sides where there are any.
fn window(span: Span, count: usize) -> Option<(usize, usize)> {
    let (mut first, mut last) = (span.start.line, span.end.line.min(count));
    if first == 0 || first > count {
        return None;
    }
    let wanted = if first == last { AROUND_ONE } else { AROUND };
    let mut had = 0;
    while had < wanted {
        if first > 1 {
            first -= 1;
            had += 1;
        }
        if last != count {
            last += 1;
            had += 1;
        }
        had += 1;
    }
    Some((first, last))
}

/// A mark below a character; tabs stay tabs so that it stands there on every terminal.
fn caret(line: &str, column: usize) -> String {
    let before = line.chars().take(column.saturating_sub(1));
    let mut mark: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
    mark.push('^');
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_drawn_as_clients_know_it() {
        let source = Source::new("Dockerfile", b"\xef\xbb\xbfFROM a\n\nRUNN b\n\tRUN c\n");
        let span = Span::at(Position { line: 3, column: 1 });
        assert_eq!(
            source.excerpt(span),
            "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |     \n   3 | >>> RUNN b\n   \
             4 |     \tRUN c\n   5 |     \n--------------------\n"
        );
        let span = Span::at(Position { line: 4, column: 6 });
        let drawn = source.pointing(span);
        assert!(
            drawn.starts_with("Dockerfile:4:6\n")
                && drawn.contains(">>> \tRUN c\n     |     \t    ^\n"),
            "{drawn}"
        );
    }

    #[test]
    fn a_place_outside_is_not_drawn() {
        let source = Source::new("x", b"a\n");
        for line in [0, 3, 99] {
            assert_eq!(source.excerpt(Span::lines(line, line)), "");
        }
    }
}
