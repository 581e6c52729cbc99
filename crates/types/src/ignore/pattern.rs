//! One pattern of an ignore file.

use super::InvalidPattern;

/// A pattern, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// As written, without `!`, cleaned.
    pub(super) text: String,
    /// It begins with `!`.
    pub(super) takes_back: bool,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The character itself.
    Is(char),
    /// `?`: one character, no slash.
    One,
    /// `*`: any characters, no slash.
    Name,
    /// Anything: `**` at an end.
    All,
    /// What follows may be passed over: `**` between names is this and [`Part::Through`].
    Maybe,
    /// Anything that ends in a slash.
    Through,
    /// `[a-z]`: a character of these, or of the others.
    Set {
        inverted: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let (text, takes_back) = match text.strip_prefix('!') {
            Some("") => return Err(InvalidPattern::Exclusion),
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let parts = parts(text).ok_or_else(|| InvalidPattern::Syntax(text.to_owned()))?;
        Ok(Self {
            text: text.to_owned(),
            takes_back,
            parts,
        })
    }

    /// Whether it matches the whole path.
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut states = self.start();
        path.chars().all(|c| self.advance(&mut states, c)) && self.done(&states)
    }

    /// Whether it matches the path or a directory above it.
    pub(super) fn matches_or_above(&self, path: &str) -> bool {
        let mut states = self.start();
        for c in path.chars() {
            if c == '/' && self.done(&states) {
                return true;
            }
            if !self.advance(&mut states, c) {
                return false;
            }
        }
        self.done(&states)
    }

    /// Whether it could match something below a directory, or all of it.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let mut states = self.start();
        for c in directory.chars().chain(['/']) {
            if c == '/' && self.done(&states) {
                return true;
            }
            if !self.advance(&mut states, c) {
                return false;
            }
        }
        true
    }

    /// State `i` holds when the parts before `i` have matched what came so far.
    fn start(&self) -> Vec<bool> {
        let mut states = vec![false; self.parts.len() + 1];
        states[0] = true;
        self.skip(&mut states);
        states
    }

    fn done(&self, states: &[bool]) -> bool {
        states[self.parts.len()]
    }

    /// Takes one character; false when nothing can match any more.
    fn advance(&self, states: &mut [bool], c: char) -> bool {
        // From behind, so that each state is read before it is written.
        let mut end = false;
        for (at, part) in self.parts.iter().enumerate().rev() {
            let (stays, moves) = match part {
                Part::Is(wanted) => (false, *wanted == c),
                Part::One => (false, c != '/'),
                Part::Set { inverted, ranges } => {
                    let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                    (false, within != *inverted)
                }
                Part::Name => (c != '/', false),
                Part::All => (true, false),
                Part::Maybe => (false, false),
                Part::Through => (true, c == '/'),
            };
            let here = states[at];
            states[at + 1] = here && moves || at + 1 < self.parts.len() && states[at + 1] && end;
            end = stays;
        }
        states[0] = states[0] && end;
        self.skip(states);
        states.iter().any(|state| *state)
    }

    /// Passes the parts that may match nothing.
    fn skip(&self, states: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            if !states[at] {
                continue;
            }
            match part {
                Part::Name | Part::All => states[at + 1] = true,
                Part::Maybe => {
                    states[at + 1] = true;
                    states[at + 2] = true;
                }
                _ => {}
            }
        }
    }
}

/// None when brackets or escapes are wrong.
fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                let slash = chars.next_if_eq(&'/').is_some();
                if chars.peek().is_none() || !slash && is_tail(text) {
                    parts.push(Part::All);
                } else {
                    parts.extend([Part::Maybe, Part::Through]);
                }
            }
            '*' => parts.push(Part::Name),
            '?' => parts.push(Part::One),
            '[' => parts.push(set(&mut chars)?),
            '\\' => parts.push(Part::Is(chars.next()?)),
            c => parts.push(Part::Is(c)),
        }
    }
    Some(parts)
}

/// `**` and plain text: every path that ends so matches. With another sign in it, the text has to begin
/// behind a slash.
fn is_tail(text: &str) -> bool {
    let rest = text.strip_prefix("**");
    rest.is_some_and(|rest| !rest.contains(['*', '?', '[', ']', '\\']))
}

/// What is between brackets, behind the first.
fn set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let inverted = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let from = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Set { inverted, ranges }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let to = match chars.next_if_eq(&'-') {
            None => from,
            Some(_) => match chars.next()? {
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            },
        };
        ranges.push((from, to));
    }
}
