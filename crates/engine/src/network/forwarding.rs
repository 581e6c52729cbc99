//! Whether this host passes packets on because of us, known to all daemons of one network namespace.
//!
//! A host that was no router is made one for the sake of its containers. It must be none for others: who
//! has turned it on drops what is neither from nor to a container. The mark says so to a daemon that comes
//! after one that was killed, and to another one beside it. The last one turns it off again, unless
//! somebody else has rules for packets that are passed on, and so may rely on it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::NetworkError;
use crate::Error;

/// A file with the boot it is about and the versions that were turned on, locked while they change.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    boot: String,
}

/// The file while nobody else has it.
struct Held<'a> {
    mark: &'a Mark,
    file: File,
    /// Whether each is IPv4.
    versions: Vec<bool>,
}

impl Mark {
    /// Of this process's network namespace.
    pub(crate) fn new(boot: &str) -> Result<Self, Error> {
        let namespace = std::fs::metadata("/proc/self/ns/net")
            .map_err(Error::io("look at this daemon's network namespace"))?;
        Ok(Self {
            path: Path::new("/run").join(format!("brig-forwarding-{}", namespace.ino())),
            boot: boot.to_owned(),
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
        Ok(!self.read(&text).is_empty())
    }

    /// Has these versions passed on; those that were not, to be heard of.
    pub(super) fn forward(&self, versions: &[bool]) -> Result<Vec<bool>, Error> {
        let mut off = Vec::new();
        for ipv4 in versions {
            if !forwards(*ipv4)? {
                off.push(*ipv4);
            }
        }
        if off.is_empty() {
            return Ok(off);
        }
        let mut held = self.hold()?;
        // Before it is true: whoever finds it on knows why.
        held.versions.extend(&off);
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
        let held = self.hold()?;
        let others = network::forwarding_filters().map_err(NetworkError::network(
            "look who else has rules for packets that are passed on",
        ))?;
        if let (false, Some(other)) = (held.versions.is_empty(), others.first()) {
            tracing::warn!("this host goes on passing packets on: {other} may need it");
            return Ok(());
        }
        for ipv4 in &held.versions {
            network::disable_forwarding(*ipv4)
                .map_err(NetworkError::network("have this host pass no packets on"))?;
        }
        let gone = std::fs::remove_file(&self.path);
        gone.map_err(Error::io(format!("remove {}", self.path.display())))
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
                let versions = self.read(&text);
                return Ok(Held {
                    mark: self,
                    file,
                    versions,
                });
            }
        }
    }

    fn read(&self, text: &str) -> Vec<bool> {
        let mut words = text.split_whitespace();
        if words.next() != Some(self.boot.as_str()) {
            return Vec::new();
        }
        words.map(|word| word == "ipv4").collect()
    }
}

impl Held<'_> {
    fn write(&mut self) -> Result<(), Error> {
        self.versions.sort_unstable();
        self.versions.dedup();
        let mut text = self.mark.boot.clone();
        for ipv4 in &self.versions {
            text.push_str(if *ipv4 { " ipv4" } else { " ipv6" });
        }
        let written = (self.file.rewind())
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(Error::io(format!("write {}", self.mark.path.display())))
    }
}

fn forwards(ipv4: bool) -> Result<bool, NetworkError> {
    network::forwards(ipv4).map_err(NetworkError::network("look whether this host is a router"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_boot_and_gathers_versions() {
        let dir = tempfile::tempdir().unwrap();
        let mark = |boot: &str| Mark {
            path: dir.path().join("forwarding"),
            boot: boot.to_owned(),
        };
        for version in [true, false, true] {
            let first = mark("first");
            let mut held = first.hold().unwrap();
            held.versions.push(version);
            held.write().unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join("forwarding")).unwrap();
        assert_eq!(text, "first ipv6 ipv4");
        assert_eq!(mark("first").hold().unwrap().versions, [false, true]);
        assert_eq!(mark("second").hold().unwrap().versions, [] as [bool; 0]);
    }
}
