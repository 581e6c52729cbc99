//! Signals by name and number (signal(7)).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text names no signal of this kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid signal: {0}")]
pub struct InvalidSignal(pub String);

/// A signal's number, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

/// Numbers 1 to 31 on x86, arm and riscv.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

const RT_MIN: i32 = 34;
const RT_MAX: i32 = 64;

impl Signal {
    /// SIGHUP.
    pub const HUP: Self = Self(1);
    /// SIGINT.
    pub const INT: Self = Self(2);
    /// SIGQUIT.
    pub const QUIT: Self = Self(3);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGPIPE.
    pub const PIPE: Self = Self(13);
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGCHLD.
    pub const CHLD: Self = Self(17);
    /// SIGWINCH.
    pub const WINCH: Self = Self(28);

    /// The number for kill(2).
    pub fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for Signal {
    type Err = InvalidSignal;

    /// `9`, `KILL`, `SIGKILL`, `RTMIN+3`, in any case.
    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let invalid = || InvalidSignal(text.to_owned());
        if let Ok(number) = text.parse::<i32>() {
            return Self::try_from(number).map_err(|_| invalid());
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let name = match name {
            "CLD" => "CHLD",
            "IOT" => "ABRT",
            "POLL" => "IO",
            other => other,
        };
        if let Some(number) = (1..)
            .zip(NAMES)
            .find_map(|(n, known)| (known == name).then_some(n))
        {
            return Ok(Self(number));
        }
        real_time(name).map(Self).ok_or_else(invalid)
    }
}

fn real_time(name: &str) -> Option<i32> {
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest
            .strip_prefix(sign)?
            .parse::<i32>()
            .ok()
            .filter(|n| *n >= 0),
    };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        RT_MIN.checked_add(offset(rest, '+')?)?
    } else {
        RT_MAX.checked_sub(offset(name.strip_prefix("RTMAX")?, '-')?)?
    };
    (RT_MIN..=RT_MAX).contains(&number).then_some(number)
}

impl TryFrom<i32> for Signal {
    type Error = InvalidSignal;

    fn try_from(number: i32) -> Result<Self, InvalidSignal> {
        if (1..=RT_MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidSignal(number.to_string()))
        }
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> Self {
        signal.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = usize::try_from(self.0 - 1).unwrap_or(usize::MAX);
        match NAMES.get(index) {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        let number = |text: &str| text.parse::<Signal>().map(Signal::number);
        let good = [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ];
        for (text, expected) in good {
            assert_eq!(number(text), Ok(expected), "{text:?}");
        }
        for bad in [
            "", "0", "65", "-1", "SIG", "FOO", "RTMIN-1", "RTMAX+1", "RTMIN+99",
        ] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Signal::WINCH.to_string(), "SIGWINCH");
    }
}
