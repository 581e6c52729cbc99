//! Regular expressions as people write them in filters.

/// Docker's filters are regular expressions that may match anywhere. Those that people write are
/// understood: `^` and `$` at the ends, `.`, `.*`, `?`, `+`, classes, `|` between
/// alternatives. The rest stands for itself.
pub fn matches(expression: &str, text: &str) -> bool {
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

/// Whether a character is in a class, written without its brackets.
pub fn in_class(class: &[char], c: char) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(matches(p, t), fits, "{p} {t}");
        }
    }

    #[test]
    fn a_costly_pattern_ends() {
        let text = "a".repeat(200);
        assert!(!matches("a*a*a*a*a*a*a*a*b", &text));
    }
}
