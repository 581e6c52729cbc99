//! Events in the run directory: a line of JSON each, for the next daemon of this boot.
//!
//! They are written in the background, many at once: what happened within the last moment before a
//! kill -9 of the daemon is not in there. Nothing waits for it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Event, Missed, Reader, Ring, SIZE};
use crate::engine::Weak;

/// What happens within this time is written together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Lines after which the file is written anew, with those that are remembered.
const LINES: usize = 4 * SIZE;

/// What an earlier daemon kept. Lines that cannot be read are passed over: a crash tears the last one.
pub(crate) fn read(run_root: &Path) -> Vec<Event> {
    let text = std::fs::read(path(run_root)).unwrap_or_default();
    let lines = text.split(|b| *b == b'\n');
    let mut events: Vec<Event> = lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    events.drain(..events.len().saturating_sub(SIZE));
    events
}

/// Writes all that is remembered.
pub(crate) fn write(run_root: &Path, ring: &Ring) -> io::Result<()> {
    let text: Vec<u8> = ring.all().iter().flat_map(|event| line(event)).collect();
    Ok(sys::file::replace_unsynced(&path(run_root), &text, 0o600)?)
}

/// Writes what happens as it happens, for as long as there is an engine.
pub(crate) async fn keep(engine: Weak, mut reader: Reader) {
    // The file is written anew with the first event, and whenever it has become long.
    let mut lines = LINES;
    loop {
        let first = reader.next().await;
        tokio::time::sleep(TOGETHER).await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let (events, missed) = all_there(first, &mut reader);
        lines += events.len();
        let anew = missed || lines > LINES;
        if anew {
            lines = 0;
        }
        if missed {
            reader = engine.events().reader(false);
        }
        let work = engine.blocking(move |engine| {
            let run_root = &engine.config().run_root;
            let kept = match anew {
                true => write(run_root, engine.events()),
                false => append(run_root, &events),
            };
            kept.map_err(crate::Error::io("keep events"))
        });
        if let Err(error) = work.await {
            tracing::warn!(error = %error.chain(), "the next daemon will not know some events");
        }
    }
}

/// This one and what came after it; and whether the ring has passed by.
fn all_there(first: Result<Arc<Event>, Missed>, reader: &mut Reader) -> (Vec<Arc<Event>>, bool) {
    let mut events = Vec::new();
    let mut next = first.map(Some);
    loop {
        match next {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, false),
            Err(Missed(_)) => return (events, true),
        }
        next = reader.try_next();
    }
}

fn append(run_root: &Path, events: &[Arc<Event>]) -> io::Result<()> {
    let text: Vec<u8> = events.iter().flat_map(|event| line(event)).collect();
    append_to(&path(run_root))?.write_all(&text)
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

fn path(run_root: &Path) -> PathBuf {
    run_root.join("events")
}

fn line(event: &Event) -> Vec<u8> {
    // Plain values: there is nothing in them that JSON has not.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn event(number: usize) -> Event {
        Event {
            kind: Kind::Network,
            action: "connect".into(),
            id: number.to_string(),
            attributes: [("name".to_owned(), "a\nb".to_owned())].into(),
            time: 1,
        }
    }

    #[test]
    fn what_is_kept_is_read_and_torn_lines_are_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), []);
        let ring = Ring::new((0..3).map(event).collect());
        write(dir.path(), &ring).unwrap();
        append(dir.path(), &[Arc::new(event(3))]).unwrap();
        let mut file = append_to(&path(dir.path())).unwrap();
        file.write_all(b"{\"kind\":\"cont").unwrap();
        let ids: Vec<String> = read(dir.path()).into_iter().map(|e| e.id).collect();
        assert_eq!(ids, ["0", "1", "2", "3"]);
    }
}
