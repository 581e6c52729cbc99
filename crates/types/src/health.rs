//! How to see whether a container works, and what was seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Images may say less than people may: nobody looks more often than this.
const SHORTEST: Duration = Duration::from_millis(1);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What is asked of a container, and how often. Times are in nanoseconds; zero means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// A word for the kind, then what it takes: `CMD`, `CMD-SHELL`, `HTTP`, `TCP`, `GRPC` or `NONE`.
    /// Empty means the image's.
    pub test: Vec<String>,
    /// From one look to the next; 30 s.
    pub interval: i64,
    /// The most that one may take; 30 s.
    pub timeout: i64,
    /// After the start, failures do not count for this long; not at all.
    pub start_period: i64,
    /// From one look to the next within that time; 5 s.
    pub start_interval: i64,
    /// So many failures in a row make it unhealthy; 3.
    pub retries: i64,
    /// What is done then.
    pub action: HealthAction,
}

/// What is done with a container that has become unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthAction {
    /// Nothing.
    #[default]
    None,
    /// It is stopped and started again.
    Restart {
        /// So often in a row at most, with no moment of health in between; zero is no limit.
        times: u32,
    },
    /// It is stopped.
    Stop,
    /// It is killed.
    Kill,
}

/// The text names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid health action {0:?}: none, restart, restart:N, stop or kill is expected")]
pub struct InvalidHealthAction(pub String);

impl std::str::FromStr for HealthAction {
    type Err = InvalidHealthAction;

    fn from_str(text: &str) -> Result<Self, InvalidHealthAction> {
        let invalid = || InvalidHealthAction(text.to_owned());
        match text.split_once(':') {
            Some(("restart", times)) => {
                let times = times.parse().map_err(|_| invalid())?;
                Ok(Self::Restart { times })
            }
            Some(_) => Err(invalid()),
            None => match text {
                "" | "none" => Ok(Self::None),
                "restart" => Ok(Self::Restart { times: 0 }),
                "stop" => Ok(Self::Stop),
                "kill" => Ok(Self::Kill),
                _ => Err(invalid()),
            },
        }
    }
}

impl std::fmt::Display for HealthAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Restart { times: 0 } => f.write_str("restart"),
            Self::Restart { times } => write!(f, "restart:{times}"),
            Self::Stop => f.write_str("stop"),
            Self::Kill => f.write_str("kill"),
        }
    }
}

/// One look at a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe<'a> {
    /// A command in it, which ends with 0 if all is well.
    Command(&'a [String]),
    /// The same, for its shell.
    Shell(&'a str),
    /// A page, `http://localhost:80/health`, that is there.
    Http(&'a str),
    /// A port that takes connections, `[ADDRESS:]PORT`.
    Tcp(&'a str),
    /// A gRPC server that says it serves, `[ADDRESS:]PORT[/SERVICE]`.
    Grpc(&'a str),
}

impl HealthCheck {
    /// The request over what its image says.
    pub fn over(self, image: Option<&Self>) -> Self {
        let Some(image) = image else { return self };
        let or = |own: i64, other: i64| if own == 0 { other } else { own };
        Self {
            test: match self.test.is_empty() {
                true => image.test.clone(),
                false => self.test,
            },
            interval: or(self.interval, image.interval),
            timeout: or(self.timeout, image.timeout),
            start_period: or(self.start_period, image.start_period),
            start_interval: or(self.start_interval, image.start_interval),
            retries: or(self.retries, image.retries),
            action: self.action,
        }
    }

    /// What is looked at; none if nothing is, or nobody knows what is meant.
    pub fn probe(&self) -> Option<Probe<'_>> {
        let (kind, rest) = self.test.split_first()?;
        let first = rest.first().map(String::as_str);
        match (kind.as_str(), first) {
            ("CMD", Some(_)) => Some(Probe::Command(rest)),
            ("CMD-SHELL", Some(text)) => Some(Probe::Shell(text)),
            ("HTTP", Some(text)) => Some(Probe::Http(text)),
            ("TCP", Some(text)) => Some(Probe::Tcp(text)),
            ("GRPC", Some(text)) => Some(Probe::Grpc(text)),
            _ => None,
        }
    }

    /// From one look to the next.
    pub fn interval(&self) -> Duration {
        said(self.interval, INTERVAL)
    }

    /// The most that one may take.
    pub fn timeout(&self) -> Duration {
        said(self.timeout, TIMEOUT)
    }

    /// How long failures do not count.
    pub fn start_period(&self) -> Duration {
        said(self.start_period, Duration::ZERO)
    }

    /// From one look to the next within that time.
    pub fn start_interval(&self) -> Duration {
        said(self.start_interval, START_INTERVAL)
    }

    /// Failures in a row that make it unhealthy.
    pub fn retries(&self) -> u32 {
        match u32::try_from(self.retries) {
            Ok(0) | Err(_) => RETRIES,
            Ok(retries) => retries,
        }
    }
}

fn said(nanoseconds: i64, otherwise: Duration) -> Duration {
    match u64::try_from(nanoseconds) {
        Ok(0) | Err(_) => otherwise,
        Ok(nanoseconds) => Duration::from_nanos(nanoseconds).max(SHORTEST),
    }
}

/// How well a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthStatus {
    /// Not known yet.
    #[default]
    Starting,
    /// The last look was good, or not enough have been bad since.
    Healthy,
    /// Too many looks in a row were bad.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What came of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Nanoseconds since the Unix epoch.
    pub start: i64,
    /// Nanoseconds since the Unix epoch.
    pub end: i64,
    /// 0 if all is well; -1 if it could not be looked, or took too long.
    pub code: i32,
    /// What was said.
    pub output: String,
}

/// What was seen of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// What it comes to.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing: u32,
    /// The last looks, the oldest first.
    pub log: Vec<Probed>,
}

impl Health {
    /// So many looks are kept.
    pub const KEPT: usize = 5;

    /// After one more look; `counts` says whether a failure counts while it is starting.
    pub fn after(mut self, probed: Probed, retries: u32, counts: bool) -> Self {
        let failed = probed.code != 0;
        self.log.push(probed);
        let excess = self.log.len().saturating_sub(Self::KEPT);
        self.log.drain(..excess);
        if !failed {
            (self.failing, self.status) = (0, HealthStatus::Healthy);
        } else if counts || self.status != HealthStatus::Starting {
            self.failing = self.failing.saturating_add(1);
            if self.failing >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_make_a_status() {
        // Good, bad, and bad within the time that does not count.
        let statuses = |looks: &str| {
            let mut health = Health::default();
            let states = looks.chars().map(|look| {
                let probed = Probed {
                    start: 1,
                    end: 2,
                    code: i32::from(look != 'g'),
                    output: String::new(),
                };
                health = std::mem::take(&mut health).after(probed, 3, look != 's');
                format!("{}{}", &health.status.name()[..1], health.failing)
            });
            states.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(statuses("bbbb"), "s1 s2 u3 u4");
        assert_eq!(statuses("ssssb"), "s0 s0 s0 s0 s1");
        assert_eq!(statuses("gbbgbbb"), "h0 h1 h2 h0 h1 h2 u3");
        // Once it was healthy, failures count at once.
        assert_eq!(statuses("gsss"), "h0 h1 h2 u3");
    }

    #[test]
    fn only_the_last_looks_are_kept() {
        let probed = |start| Probed {
            start,
            end: 0,
            code: 0,
            output: String::new(),
        };
        let all = (0..9).fold(Health::default(), |health, n| {
            health.after(probed(n), 3, true)
        });
        let starts: Vec<i64> = all.log.iter().map(|probed| probed.start).collect();
        assert_eq!(starts, [4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_not_said_is_the_images() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let image = HealthCheck {
            test: words("CMD-SHELL x"),
            interval: 5,
            retries: 9,
            ..HealthCheck::default()
        };
        let own = HealthCheck {
            interval: 7,
            ..HealthCheck::default()
        };
        let both = own.clone().over(Some(&image));
        assert_eq!(
            (both.probe(), both.interval, both.retries),
            (Some(Probe::Shell("x")), 7, 9)
        );
        assert_eq!(own.over(None).probe(), None);
        let none = HealthCheck {
            test: words("NONE"),
            ..HealthCheck::default()
        };
        assert_eq!(none.over(Some(&image)).probe(), None);
        for text in ["none", "restart", "restart:3", "stop", "kill"] {
            assert_eq!(text.parse::<HealthAction>().unwrap().to_string(), text);
        }
        assert!("restart:x".parse::<HealthAction>().is_err());
    }
}
