//! Why a verb failed, and how it is told.

use std::path::PathBuf;

use crate::args::{Args, LogFormat};

/// One sentence a layer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library's.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// A file of ours or the bundle's.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: sys::Error,
    },
    /// Not the JSON it should be.
    #[error("{} is malformed", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// A system call on no file.
    #[error("cannot {action}")]
    System {
        action: &'static str,
        #[source]
        source: sys::Error,
    },
    #[error("container {0:?} does not exist")]
    NoContainer(String),
    #[error("container {0:?} exists already")]
    Exists(String),
    /// Not now.
    #[error("container {id:?} is {status}: it cannot be {verb}")]
    State {
        id: String,
        status: &'static str,
        verb: &'static str,
    },
    /// The words on the command line make no sense.
    #[error("{0}")]
    Usage(String),
}

/// Gives a system call's answer the object it was about.
pub(crate) trait OnFile<T> {
    fn on_file(self, action: &'static str, path: &std::path::Path) -> Result<T, Failure>;
}

impl<T> OnFile<T> for sys::Result<T> {
    fn on_file(self, action: &'static str, path: &std::path::Path) -> Result<T, Failure> {
        self.map_err(|source| Failure::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

/// Gives a system call's answer its purpose.
pub(crate) trait Doing<T> {
    fn doing(self, action: &'static str) -> Result<T, Failure>;
}

impl<T> Doing<T> for sys::Result<T> {
    fn doing(self, action: &'static str) -> Result<T, Failure> {
        self.map_err(|source| Failure::System { action, source })
    }
}

/// To standard error, and to the log file, where runc's callers look for the reason.
pub(crate) fn report(failure: &Failure, args: &Args) {
    let message = chain(failure);
    eprintln!("brig-runtime: {message}");
    let Some(path) = &args.log else { return };
    let now = crate::time::rfc3339(std::time::SystemTime::now());
    let line = match args.log_format {
        LogFormat::Text => format!("time={now:?} level=error msg={message:?}\n"),
        LogFormat::Json => {
            let object = serde_json::json!({"level": "error", "msg": message, "time": now});
            format!("{object}\n")
        }
    };
    // Standard error has it already.
    let _ = append(path, line.as_bytes());
}

fn append(path: &std::path::Path, line: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .write_all(line)
}

fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
