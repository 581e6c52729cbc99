//! Processes as `/proc` shows them.

use std::fs;
use std::process::Command;

/// A process of this machine.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id here.
    pub pid: u32,
    /// The words it was started with, joined by spaces.
    pub command: String,
}

/// The processes that name a text in their command line or environment.
pub fn processes_naming(text: &str) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let own = std::process::id();
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| naming(pid, text))
        .collect()
}

fn naming(pid: u32, text: &str) -> Option<Process> {
    let words = |file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .replace('\0', " ")
            .trim()
            .to_owned()
    };
    let command = words("cmdline");
    if state(pid)? == 'Z' {
        return None;
    }
    let names = command.contains(text) || words("environ").contains(text);
    names.then_some(Process { pid, command })
}

/// The letter of a process's state; nothing once it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Sends a signal by name, `KILL`. A process that is gone is no error.
pub fn kill(signal: &str, pid: u32) {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("kill -{signal} {pid} 2>/dev/null || true")]);
    command
        .status()
        .unwrap_or_else(|error| panic!("could not run kill: {error}"));
}

impl Process {
    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        state(self.pid).is_some_and(|state| state != 'Z')
    }
}
