//! What is known of the files in a kept directory, and as what it is written down beside it: so that the
//! first build of the next daemon reads no more of them than the second.
//!
//! It is taken away by whoever takes the directory, and written again when nothing more can change: a daemon
//! that is killed meanwhile leaves nothing to believe. It holds until the machine starts again, as files may
//! not have been on the disk when it stopped; of bytes that are not those written, nothing holds.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::Digest;

use sha2::Digest as _;

use crate::solve::{Known, Noted};

/// More bytes than any has.
const LONGEST: u64 = 16 << 20;

/// What is in a directory.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// What the client calls the list of it.
    pub(super) list: Option<String>,
    /// What was found out about it.
    pub(super) known: Arc<Known>,
    /// The directory as it was then.
    pub(super) stamp: Option<Stamp>,
}

/// Which directory it is, and when anything was changed in it: whoever takes it changes its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    file_system: u64,
    inode: u64,
    changed: (i64, i64),
    /// Which start of the machine it is.
    boot: String,
}

impl Stamp {
    /// That of a directory; none when it cannot be had.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        Some(Self {
            file_system: about.dev(),
            inode: about.ino(),
            changed: (about.ctime(), about.ctime_nsec()),
            boot: sys::proc::boot_id().ok()?,
        })
    }
}

/// It as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    stamp: Stamp,
    list: Option<String>,
    digests: BTreeMap<String, Noted>,
}

impl Content {
    /// Writes it down beside its directory. What cannot be written is found out again.
    pub(super) fn write(&self, directory: &Path) {
        let Some(stamp) = self.stamp.clone() else {
            return;
        };
        let written = Written {
            stamp,
            list: self.list.clone(),
            digests: self.known.written(),
        };
        let put = serde_json::to_vec(&written)
            .map_err(io::Error::from)
            .and_then(|body| put(&place(directory), &body));
        if let Err(error) = put {
            tracing::debug!(%error, "what is known of a client's files is not written down");
            forget(directory);
        }
    }
}

/// Takes away what was written down of a directory; nothing of what is damaged, or was written of the
/// directory as it is no more.
pub(super) fn take(directory: &Path) -> Option<Content> {
    let bytes = get(&place(directory));
    forget(directory);
    let written: Written = serde_json::from_slice(whole(&bytes.ok()?)?).ok()?;
    let stamp = Stamp::of(directory)?;
    if written.stamp != stamp {
        return None;
    }
    Some(Content {
        list: written.list,
        known: Arc::new(Known::read(written.digests)?),
        stamp: Some(stamp),
    })
}

/// Removes what was written down of a directory.
pub(super) fn forget(directory: &Path) {
    // There may be nothing.
    let _ = fs::remove_file(place(directory));
}

fn place(directory: &Path) -> PathBuf {
    directory.with_extension("known")
}

fn sum(body: &[u8]) -> String {
    Digest::sha256(sha2::Sha256::digest(body).into()).to_string()
}

/// What stands below its digest, if it is that.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (digest, body) = (&bytes[..end], &bytes[end + 1..]);
    (digest == sum(body).as_bytes()).then_some(body)
}

fn put(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(format!("{}\n", sum(body)).as_bytes())?;
    file.write_all(body)
}

fn get(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(LONGEST)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
