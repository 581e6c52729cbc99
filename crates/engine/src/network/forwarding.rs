//! Whether this host passes packets on because of us, known to all daemons of one network namespace.
//!
//! A host that was no router is made one for the sake of its containers. It must be none for others: who
//! has turned it on drops what is neither from nor to a container. The mark says so to a daemon that comes
//! after one that was killed, and to another one beside it. The last one turns it off again, unless
//! somebody else has rules for packets that are passed on, and so may rely on it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::NetworkError;
use crate::Error;

/// A file, locked while it changes: a line with the boot and the namespace it is about and the versions that
/// were turned on, then one for each daemon that relies on it.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    /// The boot and the namespace, told from others that had its number before.
    subject: String,
    /// Who we are among the daemons, and what is there as long as we may be: our run root.
    user: PathBuf,
}

/// The file while nobody else has it.
struct Held<'a> {
    mark: &'a Mark,
    file: File,
    known: Known,
}

/// What the file says.
#[derive(Debug, Default)]
struct Known {
    /// Whether each is IPv4.
    versions: Vec<bool>,
    users: Vec<PathBuf>,
}

impl Mark {
    /// Of this process's network namespace, and of the daemon with this run root.
    pub(crate) fn new(boot: &str, run_root: &Path) -> Result<Self, Error> {
        let namespace = std::fs::metadata("/proc/self/ns/net")
            .map_err(Error::io("look at this daemon's network namespace"))?;
        // A kernel that has no such number does with the other one.
        let cookie = sys::ns::network_cookie().unwrap_or_default();
        Ok(Self {
            path: Path::new("/run").join(format!("brig-forwarding-{}", namespace.ino())),
            subject: format!("{boot}/{cookie}"),
            user: run_root.to_owned(),
        })
    }

    /// Whether packets of others are to be dropped once these versions are passed on.
    pub(super) fn closes(&self, versions: &[bool]) -> Result<bool, Error> {
        for ipv4 in versions {
            if !forwards(*ipv4)? {
                return Ok(true);
            }
        }
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        Ok(!self.read(&text).versions.is_empty())
    }

    /// Has these versions passed on; those that were not, to be heard of.
    pub(super) fn forward(&self, versions: &[bool]) -> Result<Vec<bool>, Error> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        // Also to look: who ends may be turning it off.
        let mut held = self.hold()?;
        let mut off = Vec::new();
        for ipv4 in versions {
            if !forwards(*ipv4)? {
                off.push(*ipv4);
            }
        }
        held.known.versions.extend(&off);
        if held.known.versions.is_empty() {
            // It was a router before, and nobody is to turn that off.
            return held.remove().map(|()| off);
        }
        held.known.users.push(self.user.clone());
        // Before it is true: whoever finds it on knows why.
        held.write()?;
        for ipv4 in &off {
            network::enable_forwarding(*ipv4)
                .map_err(NetworkError::network("make this host pass packets on"))?;
        }
        Ok(off)
    }

    /// Puts back what was turned on, unless somebody else may need it; our rules are gone already.
    pub(super) fn put_back(&self) -> Result<(), Error> {
        if !self.path.exists() {
            return Ok(());
        }
        let mut held = self.hold()?;
        let relies = |user: &PathBuf| *user != self.user && user.exists();
        held.known.users.retain(relies);
        if !held.known.users.is_empty() {
            return held.write();
        }
        if held.known.versions.is_empty() {
            return held.remove();
        }
        let others = network::forwarding_filters().map_err(NetworkError::network(
            "look who else has rules for packets that are passed on",
        ))?;
        if let Some(other) = others.first() {
            tracing::warn!("this host goes on passing packets on: {other} may need it");
            return held.write();
        }
        for ipv4 in &held.known.versions {
            network::disable_forwarding(*ipv4)
                .map_err(NetworkError::network("have this host pass no packets on"))?;
        }
        held.remove()
    }

    fn hold(&self) -> Result<Held<'_>, Error> {
        let failed = || format!("lock {}", self.path.display());
        let mut options = File::options();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        loop {
            let mut file = options.open(&self.path).map_err(Error::io(failed()))?;
            file.lock().map_err(Error::io(failed()))?;
            // Who had it may have removed it: then it is not the one that others find.
            let own = file.metadata().map_err(Error::io(failed()))?;
            if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == own.ino()) {
                let mut text = String::new();
                file.read_to_string(&mut text)
                    .map_err(Error::io(failed()))?;
                return Ok(Held {
                    mark: self,
                    file,
                    known: self.read(&text),
                });
            }
        }
    }

    /// Nothing if it is about another boot or namespace.
    fn read(&self, text: &str) -> Known {
        let mut lines = text.lines();
        let mut words = lines.next().unwrap_or_default().split_whitespace();
        if words.next() != Some(self.subject.as_str()) {
            return Known::default();
        }
        Known {
            versions: words.map(|word| word == "ipv4").collect(),
            users: lines.map(PathBuf::from).collect(),
        }
    }
}

impl Held<'_> {
    fn write(&mut self) -> Result<(), Error> {
        let Known { versions, users } = &mut self.known;
        versions.sort_unstable();
        versions.dedup();
        users.sort_unstable();
        users.dedup();
        let mut text = self.mark.subject.as_bytes().to_vec();
        for ipv4 in versions {
            text.extend_from_slice(if *ipv4 { b" ipv4" } else { b" ipv6" });
        }
        for user in users {
            text.push(b'\n');
            text.extend_from_slice(user.as_os_str().as_bytes());
        }
        let written = (self.file.rewind())
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.write_all(&text));
        written.map_err(Error::io(format!("write {}", self.mark.path.display())))
    }

    /// There is nothing to know any more.
    fn remove(self) -> Result<(), Error> {
        let path = &self.mark.path;
        let gone = std::fs::remove_file(path);
        gone.map_err(Error::io(format!("remove {}", path.display())))
    }
}

fn forwards(ipv4: bool) -> Result<bool, NetworkError> {
    network::forwards(ipv4).map_err(NetworkError::network("look whether this host is a router"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(dir: &Path, subject: &str, user: &str) -> Mark {
        Mark {
            path: dir.join("forwarding"),
            subject: subject.to_owned(),
            user: dir.join(user),
        }
    }

    #[test]
    fn a_mark_is_of_one_boot_and_namespace_and_gathers_versions() {
        let dir = tempfile::tempdir().unwrap();
        let mark = |subject: &str| mark(dir.path(), subject, "run");
        for version in [true, false, true] {
            let first = mark("first/1");
            let mut held = first.hold().unwrap();
            held.known.versions.push(version);
            held.write().unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join("forwarding")).unwrap();
        assert_eq!(text, "first/1 ipv6 ipv4");
        let versions = |subject: &str| mark(subject).hold().unwrap().known.versions;
        assert_eq!(versions("first/1"), [false, true]);
        assert_eq!(versions("first/2"), [] as [bool; 0]);
        assert_eq!(versions("second/1"), [] as [bool; 0]);
    }

    #[test]
    fn what_another_daemon_relies_on_is_left_on() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (
            mark(dir.path(), "boot/1", "one"),
            mark(dir.path(), "boot/1", "two"),
        );
        for user in [&one, &two] {
            std::fs::create_dir(&user.user).unwrap();
            let mut held = user.hold().unwrap();
            held.known.users.push(user.user.clone());
            held.write().unwrap();
        }
        // No version stands there, so nothing of this machine is touched.
        one.put_back().unwrap();
        assert_eq!(
            two.hold().unwrap().known.users,
            std::slice::from_ref(&two.user)
        );
        // One that is gone from the machine relies on nothing.
        std::fs::remove_dir(&two.user).unwrap();
        one.put_back().unwrap();
        assert!(!one.path.exists());
    }
}
