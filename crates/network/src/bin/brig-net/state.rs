//! What to resume from: a file whose first line is all there was, and each further line what changed
//! then. It is in memory as the whole run root is; what it survives is this process.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use network::keeper::message;
use network::keeper::protocol::{LOG, STATE};
use network::keeper::{Change, Model};

use crate::failure::Failure;

/// Changes are gathered up when they take more than this, and more than what they change.
const MOST: u64 = 64 * 1024;

/// A log longer than this begins anew.
const LONGEST_LOG: u64 = 64 * 1024;

/// The file.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    file: File,
    whole: u64,
    changes: u64,
    /// A line may have been written in part, and not been taken away again.
    torn: bool,
}

impl State {
    /// What was there, if anything was. A last line that is not whole is one that nobody was told
    /// had been done.
    pub(crate) fn load(dir: &Path) -> Model {
        let text = std::fs::read_to_string(dir.join(STATE)).unwrap_or_default();
        let mut lines = text.lines();
        let whole = lines.next().map(|line| message::decode(line.as_bytes()));
        let Some(Ok(mut model)) = whole else {
            return Model::default();
        };
        let changes = lines.map_while(|line| message::decode::<Vec<Change>>(line.as_bytes()).ok());
        for change in changes.flatten() {
            Model::apply(&mut model, change);
        }
        model
    }

    /// Writes all there is.
    pub(crate) fn begin(dir: &Path, model: &Model) -> Result<Self, Failure> {
        let path = dir.join(STATE);
        let failed = || format!("write {path:?}");
        let mut text = message::encode(model);
        text.push(b'\n');
        sys::file::replace_unsynced(&path, &text, 0o600).map_err(Failure::of(failed()))?;
        let file = File::options().append(true).open(&path);
        Ok(Self {
            file: file.map_err(Failure::of(failed()))?,
            path: path.clone(),
            whole: length(&text),
            changes: 0,
            torn: false,
        })
    }

    /// Adds what has changed; `model` is what has come of it.
    pub(crate) fn add(&mut self, changes: &[Change], model: &Model) -> Result<(), Failure> {
        let mut line = message::encode(&changes);
        line.push(b'\n');
        if self.torn || self.changes + length(&line) > MOST.max(self.whole) {
            let dir = self.path.parent().unwrap_or(Path::new("/"));
            *self = Self::begin(dir, model)?;
            return Ok(());
        }
        let written = self.file.write_all(&line);
        if written.is_err() {
            // What came after a part of a line would not be read.
            self.torn = self.file.set_len(self.whole + self.changes).is_err();
        } else {
            self.changes += length(&line);
        }
        written.map_err(Failure::of(format!("write {:?}", self.path)))
    }
}

fn length(text: &[u8]) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// Leaves word where the daemon and people look: nobody reads our standard error.
pub(crate) fn log(dir: &Path, text: &str) {
    let path = dir.join(LOG);
    let is_long = std::fs::metadata(&path).is_ok_and(|status| status.len() > LONGEST_LOG);
    let mut options = File::options();
    options.create(true).mode(0o600);
    match is_long {
        true => options.write(true).truncate(true),
        false => options.append(true),
    };
    // What cannot be written there cannot be written anywhere.
    let _ = options
        .open(path)
        .and_then(|mut file| writeln!(file, "{text}"));
}

#[cfg(test)]
mod tests {
    use network::keeper::Network;

    use super::*;

    fn network(id: usize) -> Change {
        Change::Network {
            id: format!("n{id}"),
            network: Network::default(),
        }
    }

    #[test]
    fn what_changed_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(State::load(dir.path()), Model::default());
        let mut model = Model::default();
        let mut state = State::begin(dir.path(), &model).unwrap();
        // More than is kept as changes.
        for id in 0..3000 {
            model.apply(network(id));
            state.add(&[network(id)], &model).unwrap();
        }
        assert_eq!(State::load(dir.path()), model);
        // Written half when the process was killed.
        File::options()
            .append(true)
            .open(dir.path().join(STATE))
            .unwrap()
            .write_all(b"[{\"what\":\"no-netw")
            .unwrap();
        assert_eq!(State::load(dir.path()), model);
    }

    #[test]
    fn a_file_that_is_no_state_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STATE);
        sys::file::replace_unsynced(&path, b"rubbish\n", 0o600).unwrap();
        assert_eq!(State::load(dir.path()), Model::default());
    }
}
