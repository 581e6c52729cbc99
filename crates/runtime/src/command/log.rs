//! What this command says about itself: on standard error, or in the file of `--log`, where runc's
//! callers look for the reason of a failure.

use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use types::{Decimals, rfc3339};

use crate::time;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// `time="..." level=error msg="..."`
    #[default]
    Text,
    /// `{"level":"error","msg":"...","time":"..."}`
    Json,
}

/// Where lines go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// None is standard error.
    pub(crate) file: Option<PathBuf>,
    pub(crate) format: Format,
    /// Whether what is only of interest when something is amiss is said as well.
    pub(crate) debug: bool,
}

/// For the library's warnings, whose listener can hold nothing.
static WARNINGS: OnceLock<Log> = OnceLock::new();

impl Log {
    /// Takes the library's warnings in.
    pub(crate) fn take_warnings(&self) {
        // There is one log, set once.
        let _ = WARNINGS.set(self.clone());
        runtime::on_warning(|message| {
            if let Some(log) = WARNINGS.get() {
                log.warning(message);
            }
        });
    }

    /// Why the command failed: to the log, and to standard error as well, for people.
    pub(crate) fn error(&self, message: &str) {
        self.write("error", message);
        if self.file.is_some() {
            eprintln!("{message}");
        }
    }

    /// What the caller should know, though it is no failure.
    pub(crate) fn warning(&self, message: &str) {
        self.write("warning", message);
    }

    /// What is done, if anybody wants to know.
    pub(crate) fn debug(&self, message: &str) {
        if self.debug {
            self.write("debug", message);
        }
    }

    fn write(&self, level: &str, message: &str) {
        let now = rfc3339(time::now(), Decimals::Zero).to_string();
        let line = line(self.format, &now, level, message);
        let Some(path) = &self.file else {
            eprint!("{line}");
            return;
        };
        let opened = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        // There is no better place to complain than the one that an error goes to as well.
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            eprintln!("cannot write to the log {}: {error}", path.display());
        }
    }
}

fn line(format: Format, now: &str, level: &str, message: &str) -> String {
    match format {
        Format::Text => format!("time={now:?} level={level} msg={}\n", quoted(message)),
        Format::Json => {
            let object = serde_json::json!({"level": level, "msg": message, "time": now});
            format!("{object}\n")
        }
    }
}

/// Only where it is needed, as readers of this format expect it.
fn quoted(message: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !message.is_empty() && message.chars().all(plain) {
        message.to_owned()
    } else {
        format!("{message:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_runcs_form() {
        let now = "2026-01-02T03:04:05Z";
        assert_eq!(
            line(Format::Text, now, "error", "exec: \"x\": not found"),
            "time=\"2026-01-02T03:04:05Z\" level=error msg=\"exec: \\\"x\\\": not found\"\n"
        );
        assert_eq!(
            line(Format::Text, now, "debug", "done"),
            "time=\"2026-01-02T03:04:05Z\" level=debug msg=done\n"
        );
        assert_eq!(
            line(Format::Json, now, "error", "a \"b\""),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\",\"time\":\"2026-01-02T03:04:05Z\"}\n"
        );
    }
}
