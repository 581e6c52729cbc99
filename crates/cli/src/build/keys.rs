//! Keys in files, lent to a build: an agent of ssh's own holds them for as long as that takes.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::CliError;

/// Runs an agent until its standard input ends, as it does when this program does, however that is.
const UNTIL: &str = r#"ssh-agent -D -a "$0" & read -r _; kill $!; wait"#;
/// How long an agent may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// An agent that holds keys. It ends with this.
#[derive(Debug)]
pub(crate) struct Keys {
    agent: Child,
    directory: PathBuf,
}

impl Keys {
    /// Starts one.
    pub(crate) fn hold(files: &[PathBuf]) -> Result<Self, CliError> {
        let io = |what| move |source| CliError::Io { what, source };
        let directory = own_directory().map_err(io("make a directory for an agent of ssh"))?;
        let agent = Command::new("sh")
            .args(["-c", UNTIL])
            .arg(directory.join("agent.sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(io("start an agent of ssh"))?;
        let keys = Self { agent, directory };
        let end = Instant::now() + PATIENCE;
        while !keys.socket().exists() {
            if Instant::now() > end || !there("ssh-agent") {
                return Err(CliError::Invalid(
                    "keys in files are lent by ssh-agent(1), which does not run here: install OpenSSH's client, or \
                     name the socket of an agent"
                        .to_owned(),
                ));
            }
            std::thread::sleep(LOOK);
        }
        files.iter().try_for_each(|file| keys.add(file))?;
        Ok(keys)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("agent.sock")
    }

    fn add(&self, file: &Path) -> Result<(), CliError> {
        let added = Command::new("ssh-add")
            .args(["-q", "--"])
            .arg(file)
            .env("SSH_AUTH_SOCK", self.socket())
            .stdout(Stdio::null())
            .output();
        let added = added.map_err(|source| CliError::Io {
            what: "run ssh-add",
            source,
        })?;
        if added.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&added.stderr);
        let why = why.trim();
        Err(CliError::Invalid(format!(
            "the key {} cannot be lent: {why}",
            file.display()
        )))
    }
}

/// A directory that nobody else can look into, under a name that nobody has taken.
fn own_directory() -> std::io::Result<PathBuf> {
    let among = std::env::temp_dir();
    for number in 0..u16::MAX {
        let name = format!("brig-ssh-{}-{number}", std::process::id());
        let path = among.join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Whether a program is on the path.
fn there(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).exists())
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Its input ends; what it has started ends with it.
        drop(self.agent.stdin.take());
        let _ = self.agent.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
