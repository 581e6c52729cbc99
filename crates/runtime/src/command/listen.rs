//! Descriptors that the caller has for the container: those a service manager opened
//! (sd_listen_fds(3)), and those it is asked for by number.

use crate::failure::Failure;

/// More are not believed.
const MOST: u32 = 1 << 16;

/// What the container gets besides the standard streams: 3 and on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Passed {
    /// Of the service manager.
    pub(crate) listen: u32,
    /// Of `--preserve-fds`, after those.
    pub(crate) preserved: u32,
}

impl Passed {
    /// Must come before this program opens anything itself, which could take the place of a
    /// descriptor that is not there.
    pub(crate) fn look(preserved: u32) -> Result<Self, Failure> {
        let of = |name| std::env::var(name).ok();
        let listen = listen_fds(of("LISTEN_PID"), of("LISTEN_FDS"), std::process::id());
        if listen.saturating_add(preserved) > MOST {
            let message = format!("--preserve-fds {preserved}: at most {MOST} are passed on");
            return Err(Failure::Usage(message));
        }
        for number in 0..preserved {
            check(3 + listen + number, number, preserved)?;
        }
        Ok(Self { listen, preserved })
    }

    pub(crate) fn count(self) -> u32 {
        self.listen + self.preserved
    }

    /// What tells the container's first process, which is process 1 there, of its sockets.
    pub(crate) fn environment(self) -> Vec<String> {
        match self.listen {
            0 => Vec::new(),
            count => vec![format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()],
        }
    }
}

/// Whether the caller has opened a descriptor that a flag names.
pub(crate) fn check_open(flag: &str, fd: i32) -> Result<(), Failure> {
    match std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::Usage(format!(
            "--{flag} {fd}: the descriptor is not open"
        ))),
    }
}

/// Only what is for this very process.
fn listen_fds(pid: Option<String>, count: Option<String>, own: u32) -> u32 {
    if pid.and_then(|pid| pid.parse().ok()) != Some(own) {
        return 0;
    }
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn check(fd: u32, number: u32, of: u32) -> Result<(), Failure> {
    match std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::Usage(format!(
            "unable to pass on preserved-fd {number} (of {of}): descriptor {fd} is not open"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_others_are_not_ours() {
        let count =
            |pid: &str, count: &str| listen_fds(Some(pid.to_owned()), Some(count.to_owned()), 42);
        assert_eq!(count("42", "2"), 2);
        assert_eq!(count("41", "2"), 0);
        assert_eq!(count("42", "-2"), 0);
        assert_eq!(listen_fds(None, Some("2".to_owned()), 42), 0);
    }

    #[test]
    fn the_container_is_told_of_sockets() {
        let passed = Passed {
            listen: 2,
            preserved: 1,
        };
        assert_eq!(passed.environment(), ["LISTEN_FDS=2", "LISTEN_PID=1"]);
        assert_eq!(passed.count(), 3);
        assert!(Passed::default().environment().is_empty());
    }
}
