//! Log drivers and their options, in Docker's words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parse_bytes;

/// A log driver and its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// One of [`DRIVERS`].
    pub driver: String,
    /// The driver's options, as `--log-opt` takes them.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            driver: "json-file".to_owned(),
            options: BTreeMap::new(),
        }
    }
}

/// The drivers there are.
pub const DRIVERS: [&str; 7] = [
    "fluentd",
    "gelf",
    "journald",
    "json-file",
    "local",
    "none",
    "syslog",
];

/// The most files of a log: each of them is looked at when one begins.
const MOST_FILES: u32 = 10_000;

/// The longest template of a tag, in bytes: it is told with each line.
const LONGEST_TAG: usize = 4096;

/// Options that say what is told of the container beside each line.
const ATTRIBUTES: [&str; 5] = ["env", "env-regex", "labels", "labels-regex", "tag"];

/// Options of what is kept here of logs that go elsewhere.
const CACHE: [&str; 4] = [
    "cache-compress",
    "cache-disabled",
    "cache-max-file",
    "cache-max-size",
];

/// When nobody says how much is kept.
const MAX_SIZE: u64 = 20 << 20;
const MAX_FILES: u32 = 5;

/// Facilities of syslog(3), the first being 0; some numbers have no name.
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// An option that the driver does not have or cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLog(String);

fn invalid<T>(text: String) -> Result<T, InvalidLog> {
    Err(InvalidLog(text))
}

/// How much of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of one file; zero is no limit.
    pub max_size: u64,
    /// Files, the one that is written counted.
    pub max_files: u32,
}

impl LogConfig {
    /// Whether lines are sent elsewhere; what is kept here is a cache then.
    pub fn is_remote(&self) -> bool {
        matches!(
            self.driver.as_str(),
            "fluentd" | "gelf" | "journald" | "syslog"
        )
    }

    /// Whether lines are written here, be it only on their way elsewhere.
    pub fn writes(&self) -> bool {
        self.driver != "none"
    }

    /// Whether lines are kept here to be read.
    pub fn keeps(&self) -> bool {
        self.writes() && !(self.is_remote() && self.flag("cache-disabled"))
    }

    /// Whether files that are put aside are packed.
    pub fn compresses(&self) -> bool {
        match (self.is_remote(), self.driver.as_str()) {
            (true, _) => self
                .option("cache-compress")
                .and_then(crate::go::parse_bool)
                .unwrap_or(true),
            (false, "local") => self
                .option("compress")
                .and_then(crate::go::parse_bool)
                .unwrap_or(true),
            (false, _) => self.flag("compress"),
        }
    }

    /// An option that is said and not empty.
    pub fn option(&self, name: &str) -> Option<&str> {
        let value = self.options.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Whether an option is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.option(name)
            .and_then(crate::go::parse_bool)
            .unwrap_or(false)
    }

    /// How much is kept: 20 MiB five times when nobody says, as much as there is when `-1` is said.
    pub fn limits(&self) -> LogLimits {
        let (size, files) = match self.is_remote() {
            true => ("cache-max-size", "cache-max-file"),
            false => ("max-size", "max-file"),
        };
        let files = self.option(files).and_then(|text| text.parse().ok());
        let size = self.option(size);
        LogLimits {
            max_size: match size {
                None => MAX_SIZE,
                Some("-1") => 0,
                Some(text) => parse_bytes(text)
                    .ok()
                    .and_then(|size| size.try_into().ok())
                    .unwrap_or(MAX_SIZE),
            },
            // Who says a size and no number wants one file, as Docker has it.
            max_files: files.unwrap_or(match size {
                Some(_) if self.driver == "json-file" => 1,
                _ => MAX_FILES,
            }),
        }
    }

    /// The number of syslog's facility.
    pub fn facility(&self) -> u8 {
        let text = self.option("syslog-facility").unwrap_or("daemon");
        facility(text).unwrap_or(3)
    }

    /// Whether the driver is there and takes the options.
    ///
    /// # Errors
    /// In Docker's words.
    pub fn check(&self) -> Result<(), InvalidLog> {
        if !DRIVERS.contains(&self.driver.as_str()) {
            return invalid(format!(
                "logger: no log driver named '{}' is registered",
                self.driver
            ));
        }
        if self.driver == "none" && !self.options.is_empty() {
            return invalid("invalid logging opts for driver none".to_owned());
        }
        for name in self.options.keys() {
            self.check_name(name)?;
        }
        self.check_mode()?;
        self.check_numbers()?;
        match self.driver.as_str() {
            "gelf" => self.check_gelf(),
            "syslog" => self.check_syslog(),
            "fluentd" => self.check_address("fluentd-address", &["tcp", "unix"]),
            _ => self.check_rotation(),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), InvalidLog> {
        let own: &[&str] = match self.driver.as_str() {
            "json-file" | "local" => &["compress", "max-file", "max-size"],
            "syslog" => &[
                "syslog-address",
                "syslog-facility",
                "syslog-format",
                "syslog-tls-ca-cert",
                "syslog-tls-cert",
                "syslog-tls-key",
                "syslog-tls-skip-verify",
            ],
            "gelf" => &[
                "gelf-address",
                "gelf-compression-level",
                "gelf-compression-type",
                "gelf-tcp-max-reconnect",
                "gelf-tcp-reconnect-delay",
            ],
            "fluentd" => &[
                "fluentd-address",
                "fluentd-async",
                "fluentd-async-reconnect-interval",
                "fluentd-buffer-limit",
                "fluentd-max-retries",
                "fluentd-request-ack",
                "fluentd-retry-wait",
                "fluentd-sub-second-precision",
                "fluentd-write-timeout",
            ],
            _ => &[],
        };
        let known = matches!(name, "mode" | "max-buffer-size")
            || own.contains(&name)
            || (self.driver != "local" && ATTRIBUTES.contains(&name))
            || (self.is_remote() && CACHE.contains(&name));
        if known {
            return Ok(());
        }
        invalid(match self.driver.as_str() {
            "local" => format!("unknown log opt '{name}' for log driver local"),
            driver => format!("unknown log opt '{name}' for {driver} log driver"),
        })
    }

    fn check_mode(&self) -> Result<(), InvalidLog> {
        let mode = self.option("mode");
        if let Some(other) = mode.filter(|mode| !matches!(*mode, "blocking" | "non-blocking")) {
            return invalid(format!("logger: logging mode not supported: {other}"));
        }
        match self.option("max-buffer-size") {
            None => Ok(()),
            Some(_) if mode != Some("non-blocking") => invalid(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
                    .to_owned(),
            ),
            Some(text) if parse_bytes(text).is_ok() => Ok(()),
            Some(text) => invalid(format!(
                "error parsing option max-buffer-size: invalid size: '{text}'"
            )),
        }
    }

    fn check_numbers(&self) -> Result<(), InvalidLog> {
        for (name, value) in &self.options {
            let fits = match name.as_str() {
                "max-size" | "cache-max-size" | "fluentd-buffer-limit" => {
                    value == "-1" || parse_bytes(value).is_ok_and(|n| n > 0)
                }
                "max-file" | "cache-max-file" => value
                    .parse::<u32>()
                    .is_ok_and(|n| (1..=MOST_FILES).contains(&n)),
                "tag" => value.len() <= LONGEST_TAG,
                "compress"
                | "cache-compress"
                | "cache-disabled"
                | "fluentd-async"
                | "fluentd-request-ack"
                | "fluentd-sub-second-precision" => crate::go::parse_bool(value).is_some(),
                "fluentd-max-retries" | "gelf-tcp-max-reconnect" | "gelf-tcp-reconnect-delay" => {
                    value.parse::<u32>().is_ok()
                }
                _ => true,
            };
            if !fits {
                return invalid(format!("invalid value '{value}' for log opt '{name}'"));
            }
        }
        Ok(())
    }

    fn check_rotation(&self) -> Result<(), InvalidLog> {
        let unlimited = matches!(self.option("max-size"), None | Some("-1"));
        let rotates = self.option("max-file").is_some_and(|files| files != "1");
        let packs = self.driver == "json-file" && self.flag("compress");
        if packs && (unlimited || !rotates) {
            return invalid(
                "compress cannot be true when max-file is less than 2 or max-size is not set"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_address(&self, name: &str, schemes: &[&str]) -> Result<(), InvalidLog> {
        let Some(address) = self.option(name) else {
            return Ok(());
        };
        let (scheme, rest) = match address.split_once("://") {
            Some(parts) => parts,
            // Fluentd's may do without.
            None if schemes[0] == "tcp" => ("tcp", address),
            None => ("", ""),
        };
        match schemes.contains(&scheme) && !rest.is_empty() {
            true => Ok(()),
            false => invalid(format!(
                "invalid {name} {address:?}: {} is expected",
                schemes
                    .iter()
                    .map(|s| format!("{s}://..."))
                    .collect::<Vec<_>>()
                    .join(" or ")
            )),
        }
    }

    fn check_gelf(&self) -> Result<(), InvalidLog> {
        if self.option("gelf-address").is_none() {
            return invalid("gelf: gelf-address is a required parameter".to_owned());
        }
        self.check_address("gelf-address", &["udp", "tcp"])?;
        let tcp = self
            .option("gelf-address")
            .is_some_and(|a| a.starts_with("tcp:"));
        let packs = |name: &&String| name.starts_with("gelf-compression");
        if tcp && self.options.keys().any(|name| packs(&name)) {
            return invalid("compression is only supported on UDP".to_owned());
        }
        if let Some(name) = self
            .options
            .keys()
            .find(|n| n.starts_with("gelf-tcp-") && !tcp)
        {
            return invalid(format!("\"{name}\" option is only supported on TCP"));
        }
        let level = self.option("gelf-compression-level");
        if let Some(level) = level
            && !level
                .parse::<i32>()
                .is_ok_and(|level| (-1..=9).contains(&level))
        {
            return invalid(format!(
                "unknown value {level} for log opt 'gelf-compression-level' for gelf log driver"
            ));
        }
        match self.option("gelf-compression-type") {
            None | Some("gzip" | "zlib" | "none") => Ok(()),
            Some(kind) => invalid(format!(
                "unknown value {kind:?} for log opt 'gelf-compression-type' for gelf log driver"
            )),
        }
    }

    fn check_syslog(&self) -> Result<(), InvalidLog> {
        let schemes = ["udp", "unix", "unixgram", "tcp", "tcp+tls"];
        self.check_address("syslog-address", &schemes)?;
        let has = |name| self.option(name).is_some();
        if has("syslog-tls-cert") != has("syslog-tls-key") {
            return invalid("syslog-tls-cert and syslog-tls-key belong together".to_owned());
        }
        if let Some(text) = self.option("syslog-facility")
            && facility(text).is_none()
        {
            return invalid("invalid syslog facility".to_owned());
        }
        match self.option("syslog-format") {
            None | Some("rfc3164" | "rfc5424" | "rfc5424micro") => Ok(()),
            Some(_) => invalid("Invalid syslog format".to_owned()),
        }
    }
}

fn facility(text: &str) -> Option<u8> {
    let named = FACILITIES.iter().find(|(name, _)| *name == text);
    let number = || text.parse().ok().filter(|number| *number <= 23);
    named.map(|(_, number)| *number).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> LogConfig {
        let mut words = text.split(' ');
        LogConfig {
            driver: words.next().unwrap().to_owned(),
            options: words
                .map(|word| word.split_once('=').unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    #[test]
    fn options_are_refused_in_dockers_words() {
        let table = [
            (
                "json-file max-size=10m max-file=3 compress=false labels=a env=b tag=x",
                "ok",
            ),
            ("json-file mode=non-blocking max-buffer-size=4m", "ok"),
            ("local max-size=1m max-file=2 compress=false", "ok"),
            (
                "awslogs",
                "logger: no log driver named 'awslogs' is registered",
            ),
            (
                "json-file colour=red",
                "unknown log opt 'colour' for json-file log driver",
            ),
            ("local tag=x", "unknown log opt 'tag' for log driver local"),
            ("none max-size=1m", "invalid logging opts for driver none"),
            (
                "json-file mode=often",
                "logger: logging mode not supported: often",
            ),
            (
                "json-file max-buffer-size=4m",
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                "json-file max-size=many",
                "invalid value 'many' for log opt 'max-size'",
            ),
            (
                "json-file max-file=0",
                "invalid value '0' for log opt 'max-file'",
            ),
            (
                "json-file max-file=4294967295",
                "invalid value '4294967295' for log opt 'max-file'",
            ),
            ("json-file max-file=3", "ok"),
            ("json-file max-size=1m max-file=2 compress=true", "ok"),
            (
                "json-file max-size=1m compress=true",
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
            ("local compress=true", "ok"),
            (
                "syslog syslog-address=udp://h:514 syslog-format=rfc5424 tag=x",
                "ok",
            ),
            ("syslog syslog-facility=most", "invalid syslog facility"),
            ("gelf", "gelf: gelf-address is a required parameter"),
            (
                "gelf gelf-address=udp://h:12201 gelf-compression-type=zlib",
                "ok",
            ),
            (
                "gelf gelf-address=tcp://h:12201 gelf-compression-type=zlib",
                "compression is only supported on UDP",
            ),
            ("fluentd fluentd-address=h:24224 fluentd-async=true", "ok"),
            ("journald labels=a cache-disabled=true", "ok"),
            (
                "journald max-size=1m",
                "unknown log opt 'max-size' for journald log driver",
            ),
        ];
        for (text, expected) in table {
            let told = config(text).check().map_err(|error| error.to_string());
            assert_eq!(told.err().unwrap_or("ok".to_owned()), expected, "{text}");
        }
    }

    #[test]
    fn every_log_has_an_end() {
        let limits = |text: &str| {
            let limits = config(text).limits();
            (limits.max_size >> 20, limits.max_files)
        };
        assert_eq!(limits("json-file"), (20, 5));
        assert_eq!(limits("json-file max-size=10m"), (10, 1));
        assert_eq!(limits("json-file max-size=10m max-file=3"), (10, 3));
        assert_eq!(limits("json-file max-size=-1"), (0, 1));
        assert_eq!(limits("local max-size=10m"), (10, 5));
        assert_eq!(limits("syslog cache-max-size=1m cache-max-file=2"), (1, 2));
        assert!(config("json-file").keeps() && config("gelf").keeps());
        assert!(!config("none").keeps() && !config("gelf cache-disabled=true").keeps());
        assert_eq!(config("syslog syslog-facility=local3").facility(), 19);
    }
}
