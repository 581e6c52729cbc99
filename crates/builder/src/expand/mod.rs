//! Variables and quotes in the words of a Dockerfile, as a shell would take them.
//!
//! `$v`, `${v}`, `${v:-w}` `${v-w}` `${v:+w}` `${v+w}` `${v:?w}` `${v?w}`, `${v#p}` `${v##p}` `${v%p}`
//! `${v%%p}`, `${v/p/r}` `${v//p/r}`; `'` and `"`; the escape character of the file. Time and memory are
//! bounded: values that double with every line end in an error, not in the machine's.

mod env;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

pub use env::Env;
use pattern::Pattern;

use crate::go;

/// No word expands to more.
const MOST_BYTES: usize = 16 << 20;
/// `${a:-${b:-...}}` so deep.
const DEEPEST: usize = 64;

/// A word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {}: {problem}", go::quote(&shorten(.word)))]
pub struct ExpandError {
    word: String,
    problem: Problem,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("unexpected end of statement while looking for matching {0}")]
    Open(&'static str),
    #[error("syntax error: missing '}}'")]
    Brace,
    #[error("syntax error: missing '/' in ${{}}")]
    Slash,
    #[error("syntax error: bad substitution")]
    Substitution,
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    #[error("{name}: {message}")]
    Missing { name: String, message: String },
    #[error("substitutions are nested more than {DEEPEST} deep")]
    TooDeep,
    #[error("the value would be longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("{0}")]
    Text(String),
}

/// An error shows no more of a word than can be read.
fn shorten(word: &str) -> String {
    const SHOWN: usize = 400;
    match word.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &word[..end]),
        None => word.to_owned(),
    }
}

/// How words are taken.
#[derive(Debug, Clone, Copy)]
pub struct Expander {
    /// The escape character, `\` or a back quote.
    pub escape: char,
    /// Quotes stay in the text.
    pub keep_quotes: bool,
    /// Escape characters stay in the text.
    pub keep_escapes: bool,
    /// Quotes mean nothing: the text of a heredoc.
    pub ignore_quotes: bool,
    /// What names a variable that is not set stays as it is.
    pub keep_unset: bool,
}

impl Expander {
    /// One that replaces variables and takes quotes and escapes away.
    pub fn new(escape: char) -> Self {
        Self {
            escape,
            keep_quotes: false,
            keep_escapes: false,
            ignore_quotes: false,
            keep_unset: false,
        }
    }

    /// One for the text of heredocs.
    pub fn heredoc() -> Self {
        Self {
            ignore_quotes: true,
            ..Self::new('\\')
        }
    }

    /// Expands one word.
    ///
    /// # Errors
    /// When a quote or brace is open, a form is unknown, `?` found no value, or the result is too long.
    pub fn expand(&self, word: &str, env: &Env) -> Result<Expanded, ExpandError> {
        let mut run = Run {
            how: self,
            env,
            rest: word.chars().peekable(),
            depth: 0,
            matched: BTreeSet::new(),
            unmatched: BTreeSet::new(),
        };
        match run.until(None, self.keep_escapes) {
            Ok((text, words)) => Ok(Expanded {
                text,
                words,
                matched: run.matched,
                unmatched: run.unmatched,
            }),
            Err(problem) => Err(ExpandError {
                word: word.to_owned(),
                problem,
            }),
        }
    }
}

/// A word after expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// As one word.
    pub text: String,
    /// Split at spaces that are not quoted.
    pub words: Vec<String>,
    /// Variables that were set.
    pub matched: BTreeSet<String>,
    /// Variables that were not.
    pub unmatched: BTreeSet<String>,
}

/// Collects words while the text grows.
#[derive(Debug, Default)]
struct Words {
    word: String,
    words: Vec<String>,
}

impl Words {
    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        self.words
    }
}

struct Run<'a> {
    how: &'a Expander,
    env: &'a Env,
    rest: Peekable<Chars<'a>>,
    depth: usize,
    matched: BTreeSet<String>,
    unmatched: BTreeSet<String>,
}

impl Run<'_> {
    /// Up to and with `stop`, or to the end.
    fn until(
        &mut self,
        stop: Option<char>,
        keep_escapes: bool,
    ) -> Result<(String, Vec<String>), Problem> {
        let (mut text, mut words) = (String::new(), Words::default());
        while let Some(c) = self.rest.peek().copied() {
            if stop == Some(c) {
                self.rest.next();
                return Ok((text, words.finish()));
            }
            if text.len() > MOST_BYTES {
                return Err(Problem::TooLong);
            }
            match c {
                '$' => {
                    let value = self.dollar(keep_escapes)?;
                    value.chars().for_each(|c| words.push(c));
                    text.push_str(&value);
                }
                '\'' | '"' if !self.how.ignore_quotes => {
                    let quoted = self.quoted(c, keep_escapes)?;
                    words.word.push_str(&quoted);
                    text.push_str(&quoted);
                }
                _ => self.plain(keep_escapes, &mut text, &mut words),
            }
        }
        match stop {
            Some('/') => Err(Problem::Slash),
            Some(_) => Err(Problem::Brace),
            None if text.len() > MOST_BYTES => Err(Problem::TooLong),
            None => Ok((text, words.finish())),
        }
    }

    /// One character, or an escape character and what it guards.
    fn plain(&mut self, keep_escapes: bool, text: &mut String, words: &mut Words) {
        let Some(c) = self.rest.next() else { return };
        if c != self.how.escape {
            words.push(c);
            text.push(c);
            return;
        }
        if keep_escapes {
            words.word.push(c);
            text.push(c);
        }
        if let Some(c) = self.rest.next() {
            words.word.push(c);
            text.push(c);
        }
    }

    fn quoted(&mut self, quote: char, keep_escapes: bool) -> Result<String, Problem> {
        let mut text = String::new();
        self.rest.next();
        if self.how.keep_quotes {
            text.push(quote);
        }
        loop {
            let name = if quote == '"' {
                "double-quote"
            } else {
                "single-quote"
            };
            let c = *self.rest.peek().ok_or(Problem::Open(name))?;
            if c == '$' && quote == '"' {
                text.push_str(&self.dollar(keep_escapes)?);
                if text.len() > MOST_BYTES {
                    return Err(Problem::TooLong);
                }
                continue;
            }
            self.rest.next();
            if c == quote {
                if self.how.keep_quotes {
                    text.push(quote);
                }
                return Ok(text);
            }
            if c == self.how.escape && quote == '"' {
                self.guarded(c, keep_escapes, &mut text);
            } else {
                text.push(c);
            }
        }
    }

    /// What follows an escape character inside double quotes: it guards `"`, `$` and itself only.
    fn guarded(&mut self, escape: char, keep_escapes: bool, text: &mut String) {
        if keep_escapes {
            text.push(escape);
        }
        match self.rest.peek().copied() {
            None => {}
            Some(c) if c == '"' || c == '$' || c == escape => {
                self.rest.next();
                text.push(c);
            }
            Some(_) => text.push(escape),
        }
    }

    /// What stands for `$...`.
    fn dollar(&mut self, keep_escapes: bool) -> Result<String, Problem> {
        self.rest.next();
        if self.rest.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.get(&name) {
                None if self.how.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.rest.next();
        if self.depth == DEEPEST {
            return Err(Problem::TooDeep);
        }
        self.depth += 1;
        let value = self.braces(keep_escapes);
        self.depth -= 1;
        value
    }

    /// What stands for `${...}`, behind the brace.
    fn braces(&mut self, keep_escapes: bool) -> Result<String, Problem> {
        match self.rest.peek() {
            None => return Err(Problem::Brace),
            Some('{' | '}' | ':') => return Err(Problem::Substitution),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next().ok_or(Problem::Brace)? {
            '}' => Ok(match self.get(&name) {
                None if self.how.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            '/' => self.replacement(&name),
            ':' => {
                let modifier = self.rest.next().ok_or(Problem::Brace)?;
                self.modified(&name, modifier, true, keep_escapes)
            }
            c @ ('+' | '-' | '?' | '#' | '%') => self.modified(&name, c, false, keep_escapes),
            c => Err(Problem::Modifier(c.to_string())),
        }
    }

    /// `${name-word}` and its like, behind the modifier.
    fn modified(
        &mut self,
        name: &str,
        modifier: char,
        colon: bool,
        keep_escapes: bool,
    ) -> Result<String, Problem> {
        let shown = format!("{}{modifier}", if colon { ":" } else { "" });
        let trims = matches!(modifier, '#' | '%');
        let (word, _) = self.until(Some('}'), trims || keep_escapes)?;
        let value = self.get(name);
        if value.is_none() && self.how.keep_unset {
            return Ok(format!("${{{name}{shown}{word}}}"));
        }
        let usable = value
            .as_deref()
            .is_some_and(|value| !(colon && value.is_empty()));
        match modifier {
            '-' => Ok(if usable {
                value.unwrap_or_default()
            } else {
                word
            }),
            '+' => Ok(if usable { word } else { String::new() }),
            '?' if usable => Ok(value.unwrap_or_default()),
            '?' => Err(missing(name, &word, value.is_some())),
            '#' | '%' => trimmed(modifier, &word, &value.unwrap_or_default()),
            _ => Err(Problem::Modifier(shown)),
        }
    }

    /// `${name/pattern/replacement}`, behind the first slash.
    fn replacement(&mut self, name: &str) -> Result<String, Problem> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let (pattern, _) = self.until(Some('/'), true)?;
        let (with, _) = self.until(Some('}'), true)?;
        let slash = if all { "//" } else { "/" };
        match self.get(name) {
            None if self.how.keep_unset => Ok(format!("${{{name}{slash}{pattern}/{with}}}")),
            value => Pattern::parse(&pattern)?.replace(&value.unwrap_or_default(), &with, all),
        }
    }

    /// Letters, digits and `_`; digits alone; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek().copied() {
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.rest.next_if(|c| c.is_numeric()) {
                    name.push(c);
                }
            }
            Some(c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) => {
                self.rest.next();
                name.push(c);
            }
            _ => {
                while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let value = self.env.get(name).map(str::to_owned);
        let seen = if value.is_some() {
            &mut self.matched
        } else {
            &mut self.unmatched
        };
        seen.insert(name.to_owned());
        value
    }
}

fn missing(name: &str, word: &str, set: bool) -> Problem {
    let message = match (word, set) {
        ("", false) => "is not allowed to be unset",
        ("", true) => "is not allowed to be empty",
        (word, _) => word,
    };
    Problem::Missing {
        name: name.to_owned(),
        message: message.to_owned(),
    }
}

/// `#` and `%`, doubled for the longest match.
fn trimmed(modifier: char, word: &str, value: &str) -> Result<String, Problem> {
    let (pattern, longest) = match word.strip_prefix(modifier) {
        Some(pattern) => (pattern, true),
        None => (word, false),
    };
    let pattern = Pattern::parse(pattern)?;
    if modifier == '#' {
        pattern.cut_head(value, longest)
    } else {
        pattern.cut_tail(value, longest)
    }
}
