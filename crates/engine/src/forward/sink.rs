//! One server, whatever it speaks.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use types::LogConfig;

use super::tls::Tls;
use super::wire::{Address, Wire};
use super::{fluentd, gelf, journald, syslog};
use crate::Engine;
use crate::container::{self, LogLine, log_attributes, log_tag};
use crate::table::Container;

/// How long lines may take to be sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tag when nobody says one.
const TAG: &str = "{{.ID}}";

/// What is said of a container beside each of its lines.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) command: String,
    pub(super) created: String,
    pub(super) tag: String,
    pub(super) host: String,
    /// What `labels`, `env` and the like keep.
    pub(super) extra: Vec<(String, String)>,
}

impl About {
    pub(super) fn of(engine: &Engine, container: &Container) -> Self {
        let view = container::view(engine, container);
        let created = jiff::Timestamp::from_nanosecond(i128::from(view.created));
        let extra = log_attributes(&view).into_iter();
        let words = [&view.resolved.entrypoint[..], &view.resolved.command].concat();
        Self {
            id: view.id.to_string(),
            name: view.name.as_str().to_owned(),
            image: view.spec.image.clone(),
            image_id: view.image.to_string(),
            command: words.join(" "),
            created: created.unwrap_or_default().to_string(),
            tag: log_tag(&view, view.spec.log.option("tag").unwrap_or(TAG)),
            host: engine.host().name.clone(),
            extra: extra.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        }
    }
}

/// One line, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) stderr: bool,
    /// Nanoseconds since the Unix epoch.
    pub(super) time: i64,
    /// Without its newline.
    pub(super) text: &'a [u8],
    /// Whether more of it follows.
    pub(super) partial: bool,
}

impl<'a> Line<'a> {
    pub(super) fn of(line: &'a LogLine) -> Self {
        let text = line.bytes.strip_suffix(b"\n");
        Self {
            stderr: line.stderr,
            time: line.time,
            text: text.unwrap_or(&line.bytes),
            partial: text.is_none(),
        }
    }

    /// syslog(3)'s.
    pub(super) fn priority(&self) -> u8 {
        if self.stderr { 3 } else { 6 }
    }
}

/// A line as it travels.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Datagrams, or what goes into a stream.
    pub(super) parts: Vec<Vec<u8>>,
    /// What the server says when it has it.
    pub(super) receipt: Option<Vec<u8>>,
}

impl Message {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self {
            parts: vec![bytes],
            receipt: None,
        }
    }
}

/// What is still to be sent.
pub(super) type Messages = VecDeque<Message>;

#[derive(Debug)]
enum Language {
    Fluentd(fluentd::Fluentd),
    Gelf(gelf::Gelf),
    Journald,
    Syslog(syslog::Syslog),
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Sink {
    language: Language,
    wire: Wire,
}

impl Sink {
    /// None of a log that stays here.
    pub(super) fn new(log: &LogConfig) -> Option<Self> {
        let address = |option: &str, usual: &str, port| {
            Address::parse(log.option(option).unwrap_or(usual), port)
        };
        let (language, address) = match log.driver.as_str() {
            "fluentd" => (
                Language::Fluentd(fluentd::Fluentd::new(log)),
                address("fluentd-address", fluentd::LOCAL, fluentd::PORT),
            ),
            "gelf" => {
                let address = address("gelf-address", "", gelf::PORT);
                (
                    Language::Gelf(gelf::Gelf::new(log, matches!(address, Address::Udp(_)))),
                    address,
                )
            }
            "journald" => (
                Language::Journald,
                Address::Datagrams(journald::SOCKET.to_owned()),
            ),
            "syslog" => (
                Language::Syslog(syslog::Syslog::new(log)),
                address("syslog-address", syslog::LOCAL, syslog::PORT),
            ),
            _ => return None,
        };
        Some(Self {
            language,
            wire: Wire::new(address, Tls::of(log)),
        })
    }

    /// A line in the server's language.
    pub(super) fn message(&mut self, about: &About, line: &Line<'_>) -> Message {
        match &mut self.language {
            Language::Fluentd(fluentd) => fluentd.message(about, line),
            Language::Gelf(gelf) => gelf.message(about, line),
            Language::Journald => Message::of(journald::message(about, line)),
            Language::Syslog(syslog) => Message::of(syslog.message(about, line)),
        }
    }

    /// Sends all, and leaves what could not be sent. What had gone into a stream that broke is sent
    /// again: nobody knows how much of it arrived.
    pub(super) async fn send(&mut self, messages: &mut Messages) -> io::Result<()> {
        match tokio::time::timeout(PATIENCE, self.try_send(messages)).await {
            Ok(sent) => sent,
            Err(_) => {
                self.wire.close();
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    async fn try_send(&mut self, messages: &mut Messages) -> io::Result<()> {
        let acknowledged = messages.iter().any(|message| message.receipt.is_some());
        if self.wire.is_stream() && !acknowledged {
            let parts = messages.iter().flat_map(|message| &message.parts);
            let all: Vec<u8> = parts.flatten().copied().collect();
            if !all.is_empty() {
                self.wire.send(&all).await?;
            }
            messages.clear();
            return Ok(());
        }
        while let Some(message) = messages.front() {
            for part in &message.parts {
                self.wire.send(part).await?;
            }
            if let Some(receipt) = &message.receipt {
                self.wire.expect(receipt).await?;
            }
            messages.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn about() -> About {
        About {
            id: "ab".repeat(32),
            name: "web".to_owned(),
            image: "bb".to_owned(),
            image_id: "sha256:01".to_owned(),
            command: "sh -c x".to_owned(),
            created: "2023-11-14T22:13:20Z".to_owned(),
            tag: "the-tag".to_owned(),
            host: "box".to_owned(),
            extra: vec![("tier".to_owned(), "front".to_owned())],
        }
    }

    pub(crate) fn line(text: &[u8]) -> Line<'_> {
        Line {
            stderr: false,
            time: 1_700_000_000_123_456_789,
            text,
            partial: false,
        }
    }
}
