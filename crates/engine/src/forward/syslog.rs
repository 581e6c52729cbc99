//! syslog: RFC 3164, RFC 5424, and what local servers have always taken.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use types::LogConfig;

use super::sink::{About, Line};
use super::tls;

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
    /// Whether each begins with its length, RFC 5425, section 4.3.
    counted: bool,
}

impl Syslog {
    pub(super) fn new(log: &LogConfig) -> Self {
        let format = log.option("syslog-format").unwrap_or_default();
        Self {
            counted: tls::is_asked_for(log) && format.starts_with("rfc5424"),
            format: match format {
                "rfc3164" => Format::Rfc3164,
                "rfc5424" => Format::Rfc5424,
                "rfc5424micro" => Format::Rfc5424Micro,
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
        let length = head.len() + line.text.len() + 1;
        let count = Some(format!("{length} ")).filter(|_| self.counted);
        let count = count.unwrap_or_default();
        [count.as_bytes(), head.as_bytes(), line.text, b"\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::{about, line};
    use super::*;

    #[test]
    fn messages() {
        let show_at = |address: &str, format: &str| {
            let options = [
                ("syslog-address", address),
                ("syslog-format", format),
                ("syslog-facility", "local0"),
            ];
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
        let show = |format: &str| show_at("tcp://h", format);
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
        // With its length in front where TLS may have put several into one record.
        let counted = show_at("tcp+tls://h", "rfc5424");
        let (length, message) = counted.split_once(' ').unwrap();
        let pid = std::process::id().to_string().len();
        let shorter = message.len() + pid - "PID".len();
        assert_eq!(length, shorter.to_string());
        assert!(message.starts_with("<134>1 2023"), "{message}");
        assert!(show_at("tcp+tls://h", "rfc3164").starts_with("<134>Nov"));
    }
}
