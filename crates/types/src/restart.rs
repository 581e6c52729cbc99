//! When a container that has ended is started again by itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A restart policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, unless somebody stopped it; and then too when the daemon is started anew.
    Always,
    /// Whenever it ends, unless somebody stopped it.
    UnlessStopped,
    /// When its exit code is not zero.
    OnFailure {
        /// So often; zero is no limit.
        times: u32,
    },
}

impl RestartPolicy {
    /// Docker's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure { .. } => "on-failure",
        }
    }

    /// How often at most; zero is no limit.
    pub fn times(self) -> u32 {
        match self {
            Self::OnFailure { times } => times,
            Self::No | Self::Always | Self::UnlessStopped => 0,
        }
    }

    /// Docker's word and number.
    ///
    /// # Errors
    /// In Docker's words when there is no such policy, or it takes no number.
    pub fn from_parts(name: &str, times: i64) -> Result<Self, InvalidRestartPolicy> {
        let policy = match name {
            "" | "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => {
                return match u32::try_from(times) {
                    Ok(times) => Ok(Self::OnFailure { times }),
                    Err(_) => Err(InvalidRestartPolicy(
                        "invalid restart policy: maximum retry count cannot be negative".to_owned(),
                    )),
                };
            }
            unknown => {
                return Err(InvalidRestartPolicy(format!(
                    "invalid restart policy: unknown policy '{unknown}'; use one of 'no', 'always', 'on-failure', or \
                     'unless-stopped'"
                )));
            }
        };
        let mut problem =
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
                .to_owned();
        if times < 0 {
            problem.push_str(" and cannot be negative");
        }
        match times {
            0 => Ok(policy),
            _ => Err(InvalidRestartPolicy(problem)),
        }
    }

    /// Whether it is started again after an end with this code, which came `restarts` times by itself
    /// already; `stopped` is whether somebody asked for the end.
    pub fn again(self, code: i32, restarts: u32, stopped: bool) -> bool {
        match self {
            Self::No => false,
            Self::Always | Self::UnlessStopped => !stopped,
            Self::OnFailure { times } => !stopped && code != 0 && (times == 0 || restarts < times),
        }
    }

    /// Whether one that does not run is started by a daemon that has just been started.
    pub fn at_start(self, code: i32, restarts: u32, stopped: bool) -> bool {
        match self {
            Self::Always => true,
            Self::No | Self::UnlessStopped | Self::OnFailure { .. } => {
                self.again(code, restarts, stopped)
            }
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnFailure { times } if *times > 0 => write!(f, "on-failure:{times}"),
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = InvalidRestartPolicy;

    /// `always`, `on-failure:3`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, times) = match text.split_once(':') {
            None => (text, 0),
            Some((_, times)) if times.contains(':') => {
                return Err(InvalidRestartPolicy(
                    "invalid restart policy format: maximum retry count must be an integer"
                        .to_owned(),
                ));
            }
            Some((name, times)) => {
                let number = times.parse::<i64>().map_err(|_| {
                    InvalidRestartPolicy(
                        "invalid restart policy format: maximum retry count must be an integer"
                            .to_owned(),
                    )
                })?;
                (name, number)
            }
        };
        if name.is_empty() && text.contains(':') {
            return Err(InvalidRestartPolicy(
                "invalid restart policy format: no policy provided before colon".to_owned(),
            ));
        }
        Self::from_parts(name, times)
    }
}

/// Why a text is no restart policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRestartPolicy(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let show = |text: &str| match text.parse::<RestartPolicy>() {
            Ok(policy) => format!("{text} -> {policy}"),
            Err(error) => format!("{text} -> {error}"),
        };
        let lines = [
            "no",
            "",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:3",
            "on-failure:x",
            "on-failure:-1",
            "always:2",
            "never",
            ":3",
            "on-failure:1:2",
        ]
        .map(show);
        assert_eq!(
            lines,
            [
                "no -> no",
                " -> no",
                "always -> always",
                "unless-stopped -> unless-stopped",
                "on-failure -> on-failure",
                "on-failure:3 -> on-failure:3",
                "on-failure:x -> invalid restart policy format: maximum retry count must be an integer",
                "on-failure:-1 -> invalid restart policy: maximum retry count cannot be negative",
                "always:2 -> invalid restart policy: maximum retry count can only be used with 'on-failure'",
                "never -> invalid restart policy: unknown policy 'never'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
                ":3 -> invalid restart policy format: no policy provided before colon",
                "on-failure:1:2 -> invalid restart policy format: maximum retry count must be an integer",
            ]
        );
    }

    #[test]
    fn when_it_is_started_again() {
        let policies = [
            "no",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:2",
        ];
        // Ended well; failed; failed for the third time; stopped by somebody.
        let ends = [(0, 0, false), (1, 0, false), (1, 2, false), (1, 0, true)];
        let rows = policies.map(|text| {
            let policy: RestartPolicy = text.parse().unwrap();
            let again = ends.map(|(code, restarts, stopped)| policy.again(code, restarts, stopped));
            let start =
                ends.map(|(code, restarts, stopped)| policy.at_start(code, restarts, stopped));
            let mark = |on: bool| if on { 'x' } else { '-' };
            format!(
                "{text}: {} {}",
                again.map(mark).iter().collect::<String>(),
                start.map(mark).iter().collect::<String>()
            )
        });
        assert_eq!(
            rows,
            [
                "no: ---- ----",
                "always: xxx- xxxx",
                "unless-stopped: xxx- xxx-",
                "on-failure: -xx- -xx-",
                "on-failure:2: -x-- -x--",
            ]
        );
    }
}
