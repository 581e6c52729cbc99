//! What listings are filtered by: patterns as Docker's, and labels.

use std::collections::BTreeMap;

use types::pattern::in_class;
pub(crate) use types::pattern::matches as pattern;

/// Whether a label filter, `key` or `key=value`, takes these labels.
pub(crate) fn label(filter: &str, labels: &BTreeMap<String, String>) -> bool {
    match filter.split_once('=') {
        None => labels.contains_key(filter),
        Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
    }
}

/// Go's `path.Match`: `*` and `?` stay within a segment, `[a-z]` and `[^a]` are classes.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    glob_at(&pattern, &text)
}

fn glob_at(pattern: &[char], text: &[char]) -> bool {
    // The place to come back to when what follows the last star does not fit: one is enough, as a
    // later star takes over.
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        if p < pattern.len() {
            if pattern[p] == '*' {
                back = Some((p + 1, t));
                p += 1;
                continue;
            }
            if t < text.len()
                && let Some(length) = one(&pattern[p..], text[t])
            {
                p += length;
                t += 1;
                continue;
            }
        }
        match back {
            Some((star, from)) if from < text.len() && text[from] != '/' => {
                back = Some((star, from + 1));
                (p, t) = (star, from + 1);
            }
            _ => return false,
        }
    }
    true
}

/// How much of the pattern one character uses up, if it fits.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => (c != '/').then_some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', rest @ ..] => {
            let (negated, class) = match rest {
                ['^', class @ ..] => (true, class),
                class => (false, class),
            };
            let end = class.iter().position(|c| *c == ']')?;
            let length = end + 2 + usize::from(negated);
            (in_class(&class[..end], c) != negated).then_some(length)
        }
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_gos() {
        for (p, t, fits) in [
            ("debian", "debian", true),
            ("deb*", "debian", true),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("d?b*n", "debian", true),
            ("[a-d]*:1[0-9]", "debian:12", true),
            ("[^d]*", "debian", false),
            ("deb", "debian", false),
            ("*ian:*", "debian:12", true),
            ("[", "[", false),
            ("", "", true),
        ] {
            assert_eq!(glob(p, t), fits, "{p} {t}");
        }
    }

    #[test]
    fn labels() {
        let labels = [("a".to_owned(), "b".to_owned())].into();
        assert!(label("a", &labels) && label("a=b", &labels));
        assert!(!label("a=c", &labels) && !label("b", &labels));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(p in "\\PC{0,12}", t in "\\PC{0,12}") {
            let _ = (pattern(&p, &t), glob(&p, &t));
        }
    }
}
