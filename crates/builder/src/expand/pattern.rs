//! The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?`, neither of which matches a line's end.

use super::Problem;

/// So many comparisons are made before a pattern is refused.
const MOST_STEPS: usize = 1 << 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `*`
    Any,
    /// `?`
    One,
    /// The character itself.
    Is(char),
}

/// A pattern and how much of its patience is left.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    parts: Vec<Part>,
    steps: usize,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let invalid = |c: Option<char>| {
            let c = c.map(String::from).unwrap_or_default();
            Problem::Text(format!(
                "invalid pattern ({text}) in substitution: invalid escape '\\{c}'"
            ))
        };
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Part::Is(c),
                    other => return Err(invalid(other)),
                },
                c => Part::Is(c),
            });
        }
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Ok(Self {
            text: text.to_owned(),
            parts,
            steps: MOST_STEPS,
        })
    }

    /// `value` without the shortest or longest head that matches.
    pub(super) fn cut_head(mut self, value: &str, longest: bool) -> Result<String, Problem> {
        let chars: Vec<char> = value.chars().collect();
        let cut = self.head(&chars, longest)?.unwrap_or(0);
        Ok(chars[cut..].iter().collect())
    }

    /// `value` without the shortest or longest tail that matches.
    pub(super) fn cut_tail(mut self, value: &str, longest: bool) -> Result<String, Problem> {
        self.parts.reverse();
        let chars: Vec<char> = value.chars().rev().collect();
        let cut = self.head(&chars, longest)?.unwrap_or(0);
        Ok(chars[cut..].iter().rev().collect())
    }

    /// `value` with the first match replaced, or every one.
    pub(super) fn replace(mut self, value: &str, with: &str, all: bool) -> Result<String, Problem> {
        let chars: Vec<char> = value.chars().collect();
        let (mut out, mut at, mut done) = (String::new(), 0, false);
        // An empty match right behind another match is none.
        let mut behind = None;
        while at <= chars.len() {
            let found = if done {
                None
            } else {
                self.head(&chars[at..], true)?
            };
            let found = found.filter(|length| *length > 0 || behind != Some(at));
            if found.is_some() {
                out.push_str(with);
                done = !all;
                if out.len() > super::MOST_BYTES {
                    return Err(Problem::TooLong);
                }
            }
            match found {
                Some(length) if length > 0 => {
                    at += length;
                    behind = Some(at);
                }
                _ => {
                    out.extend(chars.get(at));
                    at += 1;
                }
            }
        }
        Ok(out)
    }

    /// How many of the first characters match: the fewest or the most.
    fn head(&mut self, chars: &[char], longest: bool) -> Result<Option<usize>, Problem> {
        let mut states = vec![false; self.parts.len() + 1];
        states[0] = true;
        self.skip_stars(&mut states);
        let mut best = None;
        for at in 0..=chars.len() {
            if states[self.parts.len()] {
                best = Some(at);
                if !longest {
                    break;
                }
            }
            let Some(c) = chars.get(at) else { break };
            self.steps = self.steps.saturating_sub(states.len());
            if self.steps == 0 {
                return Err(Problem::Text(format!(
                    "pattern ({}) takes too long on a value of {} characters",
                    self.text,
                    chars.len()
                )));
            }
            if !self.advance(&mut states, *c) {
                break;
            }
        }
        Ok(best)
    }

    /// Which states hold behind one more character; false when none does.
    fn advance(&self, states: &mut [bool], c: char) -> bool {
        for (at, part) in self.parts.iter().enumerate().rev() {
            let here = std::mem::replace(&mut states[at + 1], false);
            // The end of the pattern takes nothing more; a star stays where it is.
            if at + 1 < self.parts.len() && self.parts[at + 1] == Part::Any && c != '\n' {
                states[at + 1] = here;
            }
            let moves = match part {
                Part::Any => false,
                Part::One => c != '\n',
                Part::Is(wanted) => *wanted == c,
            };
            if moves && states[at] {
                states[at + 1] = true;
            }
        }
        let stays = self.parts.first() == Some(&Part::Any) && c != '\n';
        states[0] = states[0] && stays;
        self.skip_stars(states);
        states.iter().any(|state| *state)
    }

    /// A star may match nothing.
    fn skip_stars(&self, states: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            if states[at] && *part == Part::Any {
                states[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn heads_and_tails_are_cut() {
        let value = "a.b.c";
        assert_eq!(pattern("*.").cut_head(value, false).unwrap(), "b.c");
        assert_eq!(pattern("*.").cut_head(value, true).unwrap(), "c");
        assert_eq!(pattern(".*").cut_tail(value, false).unwrap(), "a.b");
        assert_eq!(pattern(".*").cut_tail(value, true).unwrap(), "a");
        assert_eq!(pattern("x*").cut_head(value, true).unwrap(), value);
        assert_eq!(pattern("?.?").cut_tail(value, true).unwrap(), "a.");
        assert_eq!(pattern("*").cut_head(value, false).unwrap(), value);
        assert_eq!(pattern("*").cut_head(value, true).unwrap(), "");
        assert_eq!(pattern("*").cut_head("a\nb", true).unwrap(), "\nb");
    }

    #[test]
    fn matches_are_replaced() {
        let replace = |p: &str, value: &str, all| pattern(p).replace(value, "-", all).unwrap();
        assert_eq!(replace("a", "banana", false), "b-nana");
        assert_eq!(replace("a", "banana", true), "b-n-n-");
        assert_eq!(replace("a*a", "banana", true), "b-");
        assert_eq!(replace("\\*", "1*2", true), "1-2");
        assert_eq!(replace("\\/", "1/2", true), "1-2");
        assert_eq!(replace("", "ab", true), "-a-b-");
        assert_eq!(replace("*", "ab", true), "-");
    }

    #[test]
    fn other_escapes_are_refused_and_patience_ends() {
        let error = Pattern::parse("a\\b").unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid pattern (a\\b) in substitution: invalid escape '\\b'"
        );
        let value = "a".repeat(100_000);
        let slow = pattern("*a*a*a*a*b").replace(&value, "", true);
        assert!(slow.unwrap_err().to_string().contains("takes too long"));
    }
}
