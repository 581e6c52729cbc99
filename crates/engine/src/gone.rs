//! How containers ended that went when they ended. Their clients may ask late: a daemon that was
//! killed while such a container ran, and is back, removes it before anybody can ask; and one that is
//! killed after it removed a container may not have answered yet.
//!
//! A line of JSON each, in a file of the run directory: written before the record is deleted, good until
//! the next boot, as the clients are.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::{ContainerId, ExitStatus};

/// So many are remembered.
const REMEMBERED: usize = 256;

/// Lines after which the file is written anew, with those that are remembered.
const LINES: usize = 16 * REMEMBERED;

/// The last ends, the oldest first.
#[derive(Debug)]
pub(crate) struct Gone {
    ends: VecDeque<End>,
    path: PathBuf,
    file: File,
    lines: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct End {
    id: ContainerId,
    status: ExitStatus,
}

impl Gone {
    /// With what an earlier engine of this boot kept. Lines that cannot be read are passed over: a
    /// crash tears the last one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let lines = text.split(|b| *b == b'\n');
        let mut ends: VecDeque<End> = lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        ends.drain(..ends.len().saturating_sub(REMEMBERED));
        let mut gone = Self {
            ends,
            path: path.to_owned(),
            file: append_to(path)?,
            lines: 0,
        };
        gone.rewrite()?;
        Ok(gone)
    }

    /// Keeps how a container ended, and forgets the oldest end when there are many.
    pub(crate) fn remember(&mut self, id: ContainerId, status: ExitStatus) {
        let end = End { id, status };
        let line = line(&end);
        self.ends.push_back(end);
        if self.ends.len() > REMEMBERED {
            self.ends.pop_front();
        }
        self.lines += 1;
        let kept = match self.lines > LINES {
            true => self.rewrite(),
            false => self.file.write_all(&line),
        };
        if let Err(error) = kept {
            tracing::warn!("cannot write {}: {error}", self.path.display());
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let text: Vec<u8> = self.ends.iter().flat_map(line).collect();
        sys::file::replace_unsynced(&self.path, &text, 0o600)?;
        self.file = append_to(&self.path)?;
        self.lines = self.ends.len();
        Ok(())
    }

    /// How the container with this full id ended. A name may be another's by now.
    pub(crate) fn find(&self, who: &str) -> Option<ExitStatus> {
        let mut ends = self.ends.iter().rev();
        ends.find(|end| end.id.as_str() == who)
            .map(|end| end.status.clone())
    }
}

fn line(end: &End) -> Vec<u8> {
    // Plain values: there is nothing in them that JSON has not.
    let mut line = serde_json::to_vec(end).unwrap_or_default();
    line.push(b'\n');
    line
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ContainerId {
        ContainerId::from_random([number; 32])
    }

    fn ended(code: i32) -> ExitStatus {
        ExitStatus {
            code,
            oom_killed: false,
            finished: 1,
            error: String::new(),
            reason: types::Reason::default(),
        }
    }

    #[test]
    fn the_last_ones_are_found_by_their_full_id() {
        let dir = tempfile::tempdir().unwrap();
        let mut gone = Gone::open(&dir.path().join("gone")).unwrap();
        for number in 0..=u8::MAX {
            gone.remember(id(number), ended(number.into()));
        }
        let code = |gone: &Gone, who: &str| gone.find(who).map(|status| status.code);
        assert_eq!(code(&gone, id(0).as_str()), Some(0));
        assert_eq!(code(&gone, id(7).short()), None);
        gone.remember(id(7), ended(70));
        assert_eq!(code(&gone, id(0).as_str()), None);
        assert_eq!(code(&gone, id(7).as_str()), Some(70));
    }

    #[test]
    fn they_are_known_to_the_next_engine_and_the_file_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone");
        let mut gone = Gone::open(&path).unwrap();
        for number in 0..2 * LINES {
            gone.remember(id(number.to_le_bytes()[0]), ended(3));
        }
        gone.remember(id(1), ended(4));
        drop(gone);
        assert!(std::fs::metadata(&path).unwrap().len() < 200 * (LINES as u64 + 1));
        // What a crash tore.
        append_to(&path).unwrap().write_all(b"{\"id\":").unwrap();
        let code = |gone: &Gone, number| gone.find(id(number).as_str()).map(|s| s.code);
        let mut gone = Gone::open(&path).unwrap();
        assert_eq!((code(&gone, 1), code(&gone, 2)), (Some(4), Some(3)));
        gone.remember(id(2), ended(5));
        assert_eq!(code(&Gone::open(&path).unwrap(), 2), Some(5));
    }
}
