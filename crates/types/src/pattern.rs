//! Regular expressions as people write them in filters.

/// How much work one question may be: states times characters.
const WORK: usize = 1 << 24;

/// Docker's filters are regular expressions that may match anywhere. Those that people write are
/// understood: `^` and `$` at the ends, `.`, `.*`, `?`, `+`, classes, `|` between
/// alternatives. The rest stands for itself. An expression that is much too long for its text matches
/// nothing: clients may ask for a bounded amount of work only.
pub fn matches(expression: &str, text: &str) -> bool {
    if expression.len().saturating_mul(text.len()) > WORK {
        return false;
    }
    expression.split('|').any(|alternative| {
        let pattern: Vec<char> = alternative.chars().collect();
        Machine::new(&pattern).finds(text)
    })
}

/// How often a character of a kind may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    AtMostOnce,
    AnyNumber,
}

/// What stands for one character.
#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    Any,
    This(char),
    Class { within: &'a [char], negated: bool },
}

impl Kind<'_> {
    fn fits(self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::This(this) => this == c,
            Self::Class { within, negated } => in_class(within, c) != negated,
        }
    }
}

/// One alternative: what follows what. It is run by keeping all places that can have been reached, so that
/// neither time nor memory grows with how often things may repeat.
#[derive(Debug)]
struct Machine<'a> {
    steps: Vec<(Kind<'a>, Repeat)>,
    /// Whether it begins at the text's beginning only, and ends at its end only.
    begins: bool,
    ends: bool,
}

impl<'a> Machine<'a> {
    fn new(pattern: &'a [char]) -> Self {
        let (begins, mut rest) = match pattern {
            ['^', rest @ ..] => (true, rest),
            _ => (false, pattern),
        };
        let mut steps = Vec::new();
        while !rest.is_empty() && rest != ['$'] {
            let (kind, length) = kind(rest);
            rest = &rest[length..];
            let repeats: &[Repeat] = match rest.first() {
                Some('?') => &[Repeat::AtMostOnce],
                Some('*') => &[Repeat::AnyNumber],
                Some('+') => &[Repeat::Once, Repeat::AnyNumber],
                _ => {
                    steps.push((kind, Repeat::Once));
                    continue;
                }
            };
            steps.extend(repeats.iter().map(|repeat| (kind, *repeat)));
            rest = &rest[1..];
        }
        let ends = rest == ['$'];
        Self {
            steps,
            begins,
            ends,
        }
    }

    fn finds(&self, text: &str) -> bool {
        let mut reached = vec![false; self.steps.len() + 1];
        self.reach(&mut reached, 0);
        for c in text.chars() {
            if self.done(&reached) && !self.ends {
                return true;
            }
            let mut next = vec![false; reached.len()];
            for (at, (kind, repeat)) in self.steps.iter().enumerate() {
                if reached[at] && kind.fits(c) {
                    let stays = *repeat == Repeat::AnyNumber;
                    self.reach(&mut next, if stays { at } else { at + 1 });
                }
            }
            if !self.begins {
                self.reach(&mut next, 0);
            }
            reached = next;
        }
        self.done(&reached)
    }

    /// Marks a place, and those that follow it without a character.
    fn reach(&self, reached: &mut [bool], place: usize) {
        for (at, reached) in reached.iter_mut().enumerate().skip(place) {
            if std::mem::replace(reached, true) {
                return;
            }
            let optional = |(_, repeat): &(_, Repeat)| *repeat != Repeat::Once;
            if !self.steps.get(at).is_some_and(optional) {
                return;
            }
        }
    }

    fn done(&self, reached: &[bool]) -> bool {
        reached.last().is_some_and(|reached| *reached)
    }
}

/// One thing that stands for one character, and how long it is in the pattern, which is not empty.
fn kind(pattern: &[char]) -> (Kind<'_>, usize) {
    match pattern {
        ['.', ..] | [] => (Kind::Any, 1),
        ['\\', escaped, ..] => (Kind::This(*escaped), 2),
        ['[', rest @ ..] if rest.contains(&']') => {
            let (negated, class) = match rest {
                ['^', class @ ..] => (true, class),
                class => (false, class),
            };
            let end = class.iter().position(|c| *c == ']').unwrap_or(0);
            let within = &class[..end];
            let length = end + 2 + usize::from(negated);
            (Kind::Class { within, negated }, length)
        }
        [plain, ..] => (Kind::This(*plain), 1),
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
            ("", "", true),
            ("$", "", true),
            ("a?b", "b", true),
            ("^a?b$", "aab", false),
            ("^ab+$", "a", false),
            ("x$|y", "xy", true),
            ("x$", "xa", false),
            ("[^a-c]", "abc", false),
            ("[", "a[", true),
        ] {
            assert_eq!(matches(p, t), fits, "{p} {t}");
        }
    }

    #[test]
    fn costly_patterns_end() {
        let text = "a".repeat(200);
        assert!(!matches("a*a*a*a*a*a*a*a*b", &text));
        let long = "b*".repeat(30_000);
        assert!(matches(&long, "a"));
        assert!(!matches(&format!("^{long}$"), "a"));
        assert!(!matches(&long, &"b".repeat(1 << 20)));
    }
}
