//! A walk of a directory in the order of the protocol: names of a directory by their bytes, what is in a
//! directory right behind it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use api::grpc::Message as _;
use buildkit::mode;
use buildkit::sync::Stat;
use sha2::{Digest as _, Sha256};
use sys::dir::{self, Dir, Kind};

use super::select::{Known, Selection, Verdict};

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// A file cannot be read.
    #[error("{call} {path}: {}", .source.errno)]
    Unreadable {
        /// What was tried.
        call: &'static str,
        /// Which file.
        path: String,
        /// Why.
        source: sys::Error,
    },
    /// A name that the protocol cannot carry.
    #[error(
        "the name of {0:?} is no UTF-8, which a build's context has to be: rename it, or name it in .dockerignore"
    )]
    Name(OsString),
    /// Whoever wanted the files is gone.
    #[error("the daemon does not want them any more")]
    Gone,
}

/// What a walk has found: files in the order of the protocol, as they are told.
#[derive(Debug, Default)]
pub(super) struct List(Vec<u8>);

impl List {
    /// What no other files are called: a digest of all that is told of these.
    pub(super) fn name(&self) -> String {
        let hash = Sha256::digest(&self.0);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = Stat> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || match rest.is_empty() {
            true => None,
            // Written by the walk itself: it is whole.
            false => Stat::decode_length_delimited(&mut rest).ok(),
        })
    }
}

/// A directory still to be read.
struct Job {
    path: String,
    /// Not open yet, as many may wait: the one above, and its name there.
    above: Arc<Dir>,
    name: OsString,
    known: Known,
    /// Where in [`State::done`] it goes.
    slot: usize,
}

/// What is in a directory.
#[derive(Default)]
struct Listing {
    /// What is told of it, but for what is in directories.
    told: Vec<u8>,
    files: usize,
    below: Vec<Below>,
    /// Where in [`State::done`] the first of those is; the others follow it.
    first: usize,
}

/// A directory in it.
struct Below {
    /// Where in what is told it comes.
    at: usize,
    /// What it is, if that is told only when something in it is.
    own: Option<Vec<u8>>,
}

/// A walk, by as many threads as there is work for.
struct Walk<'a> {
    selection: &'a Selection,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The next one last.
    waiting: Vec<Job>,
    running: usize,
    done: Vec<Listing>,
    files: usize,
    failed: Option<Stopped>,
}

/// A thread takes about as long to start as this many files to look at.
const ALONE: usize = 200;
/// More threads find no more files: the kernel has locks, too.
const MOST_THREADS: usize = 8;

/// Lists everything that is selected.
pub(super) fn walk(root: &Dir, selection: &Selection) -> Result<List, Stopped> {
    let above = root.open_dir(OsStr::new("."));
    let first = Job {
        path: String::new(),
        above: Arc::new(above.map_err(|source| unreadable("open", ".", source))?),
        name: OsString::from("."),
        known: Known::default(),
        slot: 0,
    };
    let walk = Walk {
        selection,
        state: Mutex::new(State {
            waiting: vec![first],
            done: vec![Listing::default()],
            ..State::default()
        }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        while walk.step() && !walk.wants_help() {}
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 1..threads.min(MOST_THREADS) {
            let helper = std::thread::Builder::new();
            // Who cannot be had is done without.
            let _ = helper.spawn_scoped(scope, || while walk.step() {});
        }
        while walk.step() {}
    });
    let state = walk.state.into_inner();
    let state = state.unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(stopped) => Err(stopped),
        None => Ok(gather(state.done)),
    }
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Things are put in whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants_help(&self) -> bool {
        let state = self.lock();
        state.files > ALONE && !state.waiting.is_empty()
    }

    /// Reads a directory; false when none is left, or the walk has ended.
    fn step(&self) -> bool {
        let mut state = self.lock();
        let job = loop {
            if state.failed.is_some() {
                return false;
            }
            if let Some(job) = state.waiting.pop() {
                break job;
            }
            if state.running == 0 {
                return false;
            }
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        };
        state.running += 1;
        drop(state);
        let slot = job.slot;
        let listed = listing(job, self.selection);
        let mut state = self.lock();
        state.running -= 1;
        match listed {
            Ok((listing, jobs)) => state.settle(slot, listing, jobs),
            Err(stopped) => drop(state.failed.get_or_insert(stopped)),
        }
        drop(state);
        self.changed.notify_all();
        true
    }
}

impl State {
    fn settle(&mut self, slot: usize, mut listing: Listing, jobs: Vec<Job>) {
        self.files += listing.files;
        listing.first = self.done.len();
        let jobs = jobs.into_iter().enumerate().rev();
        // Backwards: the first one is the next, and deep before wide holds few directories open.
        self.waiting.extend(jobs.map(|(index, job)| Job {
            slot: listing.first + index,
            ..job
        }));
        let count = listing.first + listing.below.len();
        self.done.resize_with(count, Listing::default);
        self.done[slot] = listing;
    }
}

/// Reads one directory. Nothing is kept for each file but what is told of it: threads that ask for memory wait
/// for each other.
fn listing(job: Job, selection: &Selection) -> Result<(Listing, Vec<Job>), Stopped> {
    let dir = job.above.open_dir(&job.name);
    let dir = dir.map_err(|source| unreadable("open", &job.path, source))?;
    let dir = Arc::new(dir);
    let (mut listing, mut jobs) = (Listing::default(), Vec::new());
    let mut path = String::new();
    for entry in names(&dir, &job.path)?.iter() {
        let Some(name) = entry.to_str() else {
            return Err(Stopped::Name(entry.to_owned()));
        };
        super::join(&job.path, name, &mut path);
        let status = dir.status(entry);
        let status = status.map_err(|source| unreadable("lstat", &path, source))?;
        if status.kind == Kind::Socket {
            continue;
        }
        let directory = status.kind == Kind::Directory;
        let (verdict, known) = selection.of(&path, directory, &job.known);
        if verdict == Verdict::Skip {
            continue;
        }
        listing.files += 1;
        let told = stat(&dir, entry, path, &status)?;
        let own = (verdict == Verdict::Look).then(|| told.encode_length_delimited_to_vec());
        if own.is_none() {
            write(&told, &mut listing.told);
        }
        if directory {
            let at = listing.told.len();
            listing.below.push(Below { at, own });
            jobs.push(Job {
                path: told.path.clone(),
                above: dir.clone(),
                name: entry.to_owned(),
                known,
                slot: 0,
            });
        }
        path = told.path;
    }
    Ok((listing, jobs))
}

fn write(stat: &Stat, to: &mut Vec<u8>) {
    // A vector takes any number of bytes.
    let _ = stat.encode_length_delimited(to);
}

/// Names one behind the other.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    places: Vec<std::ops::Range<usize>>,
}

impl Names {
    fn iter(&self) -> impl Iterator<Item = &OsStr> {
        let places = self.places.iter().cloned();
        places.map(|place| OsStr::from_bytes(&self.bytes[place]))
    }
}

/// Names in the order of their bytes.
fn names(dir: &Dir, path: &str) -> Result<Names, Stopped> {
    let Names {
        mut bytes,
        mut places,
    } = Names::default();
    let read = dir.each_name(&mut |name, _| {
        let at = bytes.len();
        bytes.extend_from_slice(name.to_bytes());
        places.push(at..bytes.len());
    });
    read.map_err(|source| unreadable("readdir", path, source))?;
    places.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
    Ok(Names { bytes, places })
}

/// A directory while listings are put together.
struct Open {
    listing: Listing,
    /// So much of what is told of it has been put.
    put: usize,
    /// So many directories in it have been.
    next: usize,
    /// What it is, until something in it is told of.
    own: Option<Vec<u8>>,
}

/// Puts listings together: what is in a directory comes right behind it.
fn gather(mut done: Vec<Listing>) -> List {
    let bytes = done.iter().map(|listing| listing.told.len()).sum();
    let mut list = Vec::with_capacity(bytes);
    let mut take = |slot: usize, own| Open {
        listing: std::mem::take(&mut done[slot]),
        put: 0,
        next: 0,
        own,
    };
    let mut open = vec![take(0, None)];
    while let Some(top) = open.last() {
        let below = top.listing.below.get(top.next);
        let until = below.map_or(top.listing.told.len(), |below| below.at);
        if until > top.put {
            // Those above wait for something in them.
            let above = open.iter_mut().filter_map(|open| open.own.take());
            above.for_each(|own| list.extend(own));
        }
        let Some(top) = open.last_mut() else { break };
        list.extend_from_slice(&top.listing.told[top.put..until]);
        top.put = until;
        match top.listing.below.get_mut(top.next) {
            None => drop(open.pop()),
            Some(below) => {
                let (slot, own) = (top.listing.first + top.next, below.own.take());
                top.next += 1;
                open.push(take(slot, own));
            }
        }
    }
    List(list)
}

fn stat(dir: &Dir, name: &OsStr, path: String, status: &dir::Status) -> Result<Stat, Stopped> {
    let linkname = match status.kind {
        Kind::Symlink => {
            let target = dir.read_symlink(name);
            let target = target.map_err(|source| unreadable("readlink", &path, source))?;
            target.to_string_lossy().into_owned()
        }
        _ => String::new(),
    };
    let (seconds, nanos) = status.modified;
    let size = match status.kind {
        Kind::File => i64::try_from(status.size).unwrap_or(i64::MAX),
        _ => 0,
    };
    Ok(Stat {
        path,
        mode: mode::go(status.kind, status.mode),
        size,
        modified: seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanos.into()),
        linkname,
        major: status.device.0.into(),
        minor: status.device.1.into(),
        // Whose they are here is nobody's business there: owner and group stay 0.
        ..Stat::default()
    })
}

pub(super) fn unreadable(call: &'static str, path: &str, source: sys::Error) -> Stopped {
    Stopped::Unreadable {
        call,
        path: path.to_owned(),
        source,
    }
}
