//! What listings are filtered by: patterns as Docker's, and labels.

use std::collections::BTreeMap;

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

fn in_class(class: &[char], c: char) -> bool {
    let mut rest = class;
    loop {
        rest = match rest {
            [] => return false,
            [low, '-', high, rest @ ..] => {
                if (*low..=*high).contains(&c) {
                    return true;
                }
                rest
            }
            [single, rest @ ..] => {
                if *single == c {
                    return true;
                }
                rest
            }
        };
    }
}

/// Docker's `name` and `id` filters are regular expressions that may match anywhere. Those that
/// people write are understood: `^` and `$` at the ends, `.`, `.*`, `?`, `+`, classes, `|` between
/// alternatives. The rest stands for itself.
pub(crate) fn pattern(expression: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut budget = 1 << 16;
    expression.split('|').any(|alternative| {
        let (anchored, rest) = match alternative.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, alternative),
        };
        let pattern: Vec<char> = rest.chars().collect();
        let last = if anchored { 0 } else { text.len() };
        (0..=last).any(|from| here(&pattern, &text[from..], &mut budget))
    })
}

/// Whether the pattern matches at the text's beginning. `budget` bounds the work a client can ask for.
fn here(pattern: &[char], text: &[char], budget: &mut u32) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return false;
    }
    match pattern {
        [] => return true,
        ['$'] => return text.is_empty(),
        _ => {}
    }
    let (length, fits): (usize, Box<dyn Fn(char) -> bool>) = atom(pattern);
    let rest = &pattern[length..];
    let first = text.first().is_some_and(|c| fits(*c));
    match rest.first() {
        Some('?') => {
            (first && here(&rest[1..], &text[1..], budget)) || here(&rest[1..], text, budget)
        }
        Some(repeat @ ('*' | '+')) => {
            let most = text.iter().take_while(|c| fits(**c)).count();
            let least = usize::from(*repeat == '+');
            (least..=most)
                .rev()
                .any(|count| here(&rest[1..], &text[count..], budget))
        }
        _ => first && here(rest, &text[1..], budget),
    }
}

/// One thing that stands for one character, and how long it is in the pattern.
fn atom(pattern: &[char]) -> (usize, Box<dyn Fn(char) -> bool>) {
    match pattern {
        ['.', ..] => (1, Box::new(|_| true)),
        ['\\', escaped, ..] => {
            let escaped = *escaped;
            (2, Box::new(move |c| c == escaped))
        }
        ['[', rest @ ..] if rest.contains(&']') => {
            let (negated, class) = match rest {
                ['^', class @ ..] => (true, class),
                class => (false, class),
            };
            let end = class.iter().position(|c| *c == ']').unwrap_or(0);
            let class = class[..end].to_vec();
            let length = end + 2 + usize::from(negated);
            (length, Box::new(move |c| in_class(&class, c) != negated))
        }
        [plain, ..] => {
            let plain = *plain;
            (1, Box::new(move |c| c == plain))
        }
        [] => (0, Box::new(|_| false)),
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
    fn patterns_match_anywhere_unless_anchored() {
        for (p, t, fits) in [
            ("eb", "web", true),
            ("^/?web$", "/web", true),
            ("^/?web$", "web", true),
            ("^web$", "web1", false),
            ("w.b", "web", true),
            ("^w.*3$", "web-123", true),
            ("^[a-f0-9]+$", "abc123", true),
            ("^[a-f0-9]+$", "abcxyz", false),
            ("db|web", "my-web", true),
            ("a.b", "axb", true),
            (r"a\.b", "axb", false),
            ("", "x", true),
        ] {
            assert_eq!(pattern(p, t), fits, "{p} {t}");
        }
    }

    #[test]
    fn a_costly_pattern_ends() {
        let text = "a".repeat(200);
        assert!(!pattern("a*a*a*a*a*a*a*a*b", &text));
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
