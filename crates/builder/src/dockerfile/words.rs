//! A statement's parts: keyword, flags, and arguments as words, pairs or JSON.

use serde_json::Value;

/// Spaces between arguments. Other white space belongs to a word.
pub(super) const SPACES: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// A word and where it begins in its statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: usize,
}

/// A statement taken apart once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) keyword: &'a str,
    pub(super) flags: Vec<Word>,
    /// Where the arguments begin and end.
    pub(super) start: usize,
    end: usize,
}

impl Parts<'_> {
    /// The arguments, without spaces around them.
    pub(super) fn rest<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Splits off the keyword and the flags.
pub(super) fn split_statement(text: &str) -> Parts<'_> {
    let end = text.trim_end().len();
    let head = text.len() - text.trim_start().len();
    let body = text.get(head..end).unwrap_or_default();
    let keyword_end = body.find(SPACES).unwrap_or(body.len());
    let keyword = &body[..keyword_end];
    let (flags, start) = flags(text, head + keyword_end, end);
    let rest = text.get(start..end).unwrap_or_default();
    let start = start + (rest.len() - rest.trim_start().len());
    Parts {
        keyword,
        flags,
        start,
        end,
    }
}

/// Words that begin with `--`, up to the first that does not, or to a `--` alone. Quotes and back slashes
/// in them are taken away.
fn flags(text: &str, from: usize, end: usize) -> (Vec<Word>, usize) {
    let mut flags = Vec::new();
    let mut at = from;
    loop {
        let rest = text.get(at..end).unwrap_or_default();
        at += rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        if !rest.starts_with("--") {
            return (flags, at);
        }
        let (word, length) = flag(rest);
        if word == "--" {
            return (flags, at + length);
        }
        flags.push(Word { text: word, at });
        at += length;
    }
}

/// One flag at the head of `rest`, and how many bytes it takes there.
fn flag(rest: &str) -> (String, usize) {
    let (mut word, mut quote) = (String::new(), None);
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            c if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if c.is_whitespace() && quote.is_none() => return (word, at),
            c => word.push(c),
        }
    }
    (word, rest.len())
}

/// Words at spaces that are not quoted; quotes and escapes stay in them, for expansion to take away.
pub(super) fn quoted_words(rest: &str, base: usize, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut chars = rest.char_indices().peekable();
    let (mut word, mut began, mut quote) = (String::new(), None, None);
    while let Some((at, c)) = chars.next() {
        if began.is_none() && c.is_whitespace() {
            continue;
        }
        if quote.is_none() && c.is_whitespace() {
            push(&mut words, &mut word, began.take(), base);
            continue;
        }
        began.get_or_insert(at);
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
        } else if c == escape && quote != Some('\'') {
            // An escape character at the very end is nothing.
            let Some((_, guarded)) = chars.next() else {
                break;
            };
            word.push(c);
            word.push(guarded);
            continue;
        }
        word.push(c);
    }
    push(&mut words, &mut word, began, base);
    words
}

fn push(words: &mut Vec<Word>, word: &mut String, began: Option<usize>, base: usize) {
    if let (Some(at), false) = (began, word.is_empty()) {
        words.push(Word {
            text: std::mem::take(word),
            at: base + at,
        });
    }
}

/// Words at spaces, nothing quoted.
pub(super) fn plain_words(rest: &str, base: usize) -> Vec<Word> {
    let mut at = 0;
    rest.split(SPACES)
        .filter_map(|text| {
            let began = at;
            at += text.len() + 1;
            (!text.is_empty()).then(|| Word {
                text: text.to_owned(),
                at: base + began,
            })
        })
        .collect()
}

/// A JSON array: none if it is something else, an error if not all of it is strings.
pub(super) fn json(rest: &str) -> Option<Result<Vec<String>, String>> {
    let rest = rest.trim_start();
    if !rest.starts_with('[') {
        return None;
    }
    let list: Vec<Value> = serde_json::from_str(rest).ok()?;
    let strings = list.into_iter().map(|value| match value {
        Value::String(text) => Ok(text),
        _ => {
            Err("when using JSON array syntax, arrays must be comprised of strings only".to_owned())
        }
    });
    Some(strings.collect())
}

/// One record of comma separated values; quotes as in RFC 4180. The error says at which character.
pub(super) fn csv(record: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut chars = record.char_indices().peekable();
    loop {
        let mut field = String::new();
        if chars.next_if(|(_, c)| *c == '"').is_some() {
            loop {
                match chars.next() {
                    Some((_, '"')) if chars.next_if(|(_, c)| *c == '"').is_some() => {
                        field.push('"');
                    }
                    Some((_, '"')) => break,
                    Some((_, c)) => field.push(c),
                    None => {
                        return Err(csv_error(
                            record.len(),
                            "extraneous or missing \" in quoted-field",
                        ));
                    }
                }
            }
        } else {
            while let Some((at, c)) = chars.next_if(|(_, c)| *c != ',') {
                if c == '"' {
                    return Err(csv_error(at, "bare \" in non-quoted-field"));
                }
                field.push(c);
            }
        }
        fields.push(field);
        match chars.next() {
            None => return Ok(fields),
            Some((_, ',')) => {}
            Some((at, _)) => {
                return Err(csv_error(at, "extraneous or missing \" in quoted-field"));
            }
        }
    }
}

fn csv_error(at: usize, what: &str) -> String {
    format!("parse error on line 1, column {}: {what}", at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[Word]) -> Vec<&str> {
        words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn a_statement_is_taken_apart() {
        let text = "  RUN --a=b\t--c='d e'\\ f  --  --x y ";
        let parts = split_statement(text);
        assert_eq!(parts.keyword, "RUN");
        assert_eq!(texts(&parts.flags), ["--a=b", "--c=d e f"]);
        assert_eq!((parts.flags[1].at, parts.rest(text)), (12, "--x y"));
        let parts = split_statement("FROM");
        assert_eq!((parts.keyword, parts.rest("FROM")), ("FROM", ""));
    }

    #[test]
    fn quotes_hold_words_together() {
        let words = quoted_words("a='b c' \"d\\\" e\"f  g\\ h ''  i\\", 5, '\\');
        assert_eq!(
            texts(&words),
            ["a='b c'", "\"d\\\" e\"f", "g\\ h", "''", "i"]
        );
        assert_eq!(words[1].at, 13);
    }

    #[test]
    fn arrays_are_of_strings() {
        assert_eq!(
            json(" [\"a\", \"\\u00e9\"] "),
            Some(Ok(vec!["a".into(), "\u{e9}".into()]))
        );
        assert_eq!(json("[]"), Some(Ok(Vec::new())));
        assert!(json("[\"a\", 1]").unwrap().is_err());
        assert!(json("['a']").is_none() && json("[ -f x ] && y").is_none() && json("a").is_none());
    }

    #[test]
    fn records() {
        assert_eq!(csv("a,\"b,\"\"c\"\"\",").unwrap(), ["a", "b,\"c\"", ""]);
        assert_eq!(
            csv("a,b\"c").unwrap_err(),
            "parse error on line 1, column 4: bare \" in non-quoted-field"
        );
        assert!(csv("\"a").is_err() && csv("\"a\"b").is_err());
    }
}
