//! syslog: RFC 3164, RFC 5424, and what local servers have always taken.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use types::LogConfig;

use super::sink::{About, Line};

pub(super) const PORT: u16 = 514;

/// Where the local server listens.
pub(super) const LOCAL: &str = "unix:///dev/log";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Local,
    Rfc3164,
    Rfc5424,
    Rfc5424Micro,
}

/// How a syslog server is spoken to.
#[derive(Debug)]
pub(super) struct Syslog {
    format: Format,
    facility: u8,
    zone: TimeZone,
}

impl Syslog {
    pub(super) fn new(log: &LogConfig) -> Self {
        Self {
            format: match log.option("syslog-format") {
                Some("rfc3164") => Format::Rfc3164,
                Some("rfc5424") => Format::Rfc5424,
                Some("rfc5424micro") => Format::Rfc5424Micro,
                _ => Format::Local,
            },
            facility: log.facility(),
            zone: TimeZone::system(),
        }
    }

    pub(super) fn message(&self, about: &About, line: &Line<'_>) -> Vec<u8> {
        let priority = u16::from(self.facility) * 8 + u16::from(line.priority());
        let time = Timestamp::from_nanosecond(i128::from(line.time)).unwrap_or_default();
        let time = time.to_zoned(self.zone.clone());
        let stamp = time.strftime("%b %e %H:%M:%S");
        let pid = std::process::id();
        let About { tag, host, .. } = about;
        let head = match self.format {
            Format::Local => format!("<{priority}>{stamp} {tag}[{pid}]: "),
            Format::Rfc3164 => format!("<{priority}>{stamp} {host} {tag}[{pid}]: "),
            Format::Rfc5424 => {
                let time = time.strftime("%Y-%m-%dT%H:%M:%S%:z");
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - ")
            }
            Format::Rfc5424Micro => {
                let time = time.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z");
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - ")
            }
        };
        [head.as_bytes(), line.text, b"\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::{about, line};
    use super::*;

    #[test]
    fn messages() {
        let show = |format: &str| {
            let options = [("syslog-format", format), ("syslog-facility", "local0")];
            let log = LogConfig {
                driver: "syslog".to_owned(),
                options: options.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            };
            let sink = Syslog {
                zone: TimeZone::UTC,
                ..Syslog::new(&log)
            };
            let text = String::from_utf8(sink.message(&about(), &line(b"hello"))).unwrap();
            text.replace(&std::process::id().to_string(), "PID")
        };
        assert_eq!(show(""), "<134>Nov 14 22:13:20 the-tag[PID]: hello\n");
        assert_eq!(
            show("rfc3164"),
            "<134>Nov 14 22:13:20 box the-tag[PID]: hello\n"
        );
        assert_eq!(
            show("rfc5424"),
            "<134>1 2023-11-14T22:13:20+00:00 box the-tag PID the-tag - hello\n"
        );
        assert_eq!(
            show("rfc5424micro"),
            "<134>1 2023-11-14T22:13:20.123456+00:00 box the-tag PID the-tag - hello\n"
        );
    }
}
