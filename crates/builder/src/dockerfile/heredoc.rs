//! `<<NAME` in a statement: which words are heredocs, and what they say of their bodies.

use super::lines::Statement;
use super::words;
use crate::expand::{Env, Expander};

/// A document inside a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Variables in it are expanded: the word was not quoted.
    pub expand: bool,
    /// Tabs at the head of its lines do not count: `<<-`.
    pub chomp: bool,
    /// Its lines, as they stand.
    pub data: String,
}

impl Heredoc {
    /// The body without the tabs that `<<-` takes away.
    pub fn content(&self) -> String {
        if self.chomp {
            let lines = self.data.split_inclusive('\n');
            lines.map(|line| line.trim_start_matches('\t')).collect()
        } else {
            self.data.clone()
        }
    }
}

/// Instructions that may have documents.
const TAKERS: [&str; 3] = ["add", "copy", "run"];

/// The heredocs that a statement names: none in JSON form, or in an instruction that takes none.
pub(super) fn named(statement: &Statement) -> Result<Vec<Heredoc>, String> {
    if !statement.text.contains("<<") || !takes(&statement.text) {
        return Ok(Vec::new());
    }
    let lexer = Expander {
        keep_quotes: true,
        keep_escapes: true,
        keep_unset: true,
        ..Expander::new('\\')
    };
    // An open quote is the shell's to complain about.
    let Ok(line) = lexer.expand(&statement.text, &Env::new()) else {
        return Ok(Vec::new());
    };
    let found: Result<Vec<_>, _> = line.words.iter().map(|word| parse(word)).collect();
    Ok(found?.into_iter().flatten().collect())
}

fn takes(text: &str) -> bool {
    let parts = words::split_statement(text);
    if parts.keyword.eq_ignore_ascii_case("onbuild") {
        return takes_plain(parts.rest(text));
    }
    takes_plain(text)
}

fn takes_plain(text: &str) -> bool {
    let parts = words::split_statement(text);
    let keyword = parts.keyword.to_ascii_lowercase();
    TAKERS.contains(&keyword.as_str()) && !matches!(words::json(parts.rest(text)), Some(Ok(_)))
}

/// A word that names a heredoc: digits, `<<`, perhaps `-`, and one word without `<`.
pub(crate) fn parse(word: &str) -> Result<Option<Heredoc>, String> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = rest.strip_prefix("<<") else {
        return Ok(None);
    };
    let (rest, chomp) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let plain = Expander {
        keep_unset: true,
        ..Expander::new('\\')
    };
    let quoted = Expander {
        keep_quotes: true,
        ..plain
    };
    let words = plain.expand(rest, &Env::new()).map_err(|e| e.to_string())?;
    let raw = quoted
        .expand(rest, &Env::new())
        .map_err(|e| e.to_string())?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let [name] = words.words.as_slice() else {
        return Ok(None);
    };
    Ok(Some(Heredoc {
        expand: quotes(name) == raw.words.iter().map(|word| quotes(word)).sum::<usize>(),
        name: name.clone(),
        chomp,
        data: String::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_name_documents() {
        let show = |word: &str| {
            parse(word)
                .unwrap()
                .map(|h| format!("{} {} {}", h.name, h.expand, h.chomp))
        };
        for (word, wanted) in [
            ("<<EOF", Some("EOF true false")),
            ("3<<-EOF", Some("EOF true true")),
            ("<<'EOF'", Some("EOF false false")),
            ("<<-\"E F\"", Some("E F false true")),
            ("<<E\"O\"F", Some("EOF false false")),
            ("<<$X", Some("$X true false")),
            ("<<", None),
            ("<<-", None),
            ("<<<x", None),
            ("a<<x", None),
            ("<x", None),
        ] {
            assert_eq!(show(word).as_deref(), wanted, "{word}");
        }
    }

    #[test]
    fn tabs_are_taken_away() {
        let heredoc = Heredoc {
            name: "E".into(),
            expand: true,
            chomp: true,
            data: "\t\ta\n \tb\n\n\tc".into(),
        };
        assert_eq!(heredoc.content(), "a\n \tb\n\nc");
    }
}
