//! Takes a client's files into a directory.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;

use buildkit::sync::{LONGEST_LIST_NAME, Packet, PacketKind, Stat};
use sys::dir::{self, Dir};

use super::mode::{permissions, time};
use super::tree::{Bytes, Tree, parent, split};
use super::{Error, Wire};
use crate::solve::Change;

/// So many files are asked for at a time, those that are missing in one go: one by one they would be a message
/// and a wake-up each.
const AT_ONCE: usize = 256;

/// What has come across.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Files that were told of, of all kinds.
    pub told: u64,
    /// Files whose bytes were asked for.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is another thing than it was before.
    pub changes: Vec<Change>,
    /// What the client calls the list of all that is there now; none of a client that names no lists.
    pub list: Option<String>,
}

/// Takes files into `root`, where those of an earlier time may be: it is then as the client says it is, and
/// files whose size, time and permissions are those told are not asked for. `known` is what the client called
/// the list of what is there: if it still calls it so, it tells of no file. `progress` hears of every piece.
///
/// # Errors
/// When the client breaks off or sends what cannot be, or a file cannot be written; what is in `root` is
/// then good for another time.
pub fn receive(
    root: &Dir,
    wire: &mut dyn Wire,
    known: Option<&str>,
    progress: &mut dyn FnMut(&Received),
) -> Result<Received, Error> {
    let mut receiver = Receiver {
        tree: Tree::new(root)?,
        root,
        wanted: VecDeque::new(),
        coming: HashMap::new(),
        above: None,
        next: 0,
        known,
        walked: false,
        so_far: Received::default(),
    };
    let outcome = receiver.run(wire, progress);
    if let Err(Error::Protocol(sentence)) = &outcome {
        // Whoever does not keep to the protocol may not be there for this either.
        let _ = wire.send(Packet {
            data: sentence.clone().into_bytes(),
            ..Packet::of(PacketKind::Error)
        });
    }
    outcome?;
    let changes = receiver.tree.finish()?;
    Ok(Received {
        changes,
        ..receiver.so_far
    })
}

struct Receiver<'a> {
    root: &'a Dir,
    tree: Tree<'a>,
    /// Files to ask for.
    wanted: VecDeque<(u32, Stat)>,
    /// Files that were asked for.
    coming: HashMap<u32, Coming>,
    /// The directory that the last file was in.
    above: Option<(String, Dir)>,
    /// The number of the next file that is told of.
    next: u32,
    /// The name of the list of what is there.
    known: Option<&'a str>,
    /// All has been told of.
    walked: bool,
    so_far: Received,
}

/// A file whose bytes are coming.
struct Coming {
    file: File,
    stat: Stat,
    /// Bytes that were in it before.
    before: u64,
    /// Bytes that have come.
    written: u64,
}

impl Coming {
    /// Opens a file that is to be written. One that is there is written over: to remove it first would be to
    /// free its blocks and to take others. As its time is set last, one that is not whole is told apart.
    fn open(dir: &Dir, name: &OsStr, stat: Stat) -> sys::Result<Self> {
        let there = match dir.open_to_replace(name) {
            Err(error) if error.errno == sys::Errno::NOENT => None,
            answer => answer?,
        };
        let before = there.as_ref().and_then(|file| file.metadata().ok());
        Ok(Self {
            before: before.map_or(0, |about| about.len()),
            file: match there {
                Some(file) => file,
                None => dir.create_file(name)?,
            },
            stat,
            written: 0,
        })
    }

    fn write(&mut self, data: &[u8]) -> std::io::Result<()> {
        self.written += data.len() as u64;
        self.file.write_all(data)
    }

    /// All bytes are there.
    fn end(self) -> Result<(), Error> {
        if self.written < self.before {
            let cut = self.file.set_len(self.written);
            cut.map_err(|source| bytes(&self.stat, source))?;
        }
        let (stat, mode) = (&self.stat, permissions(&self.stat));
        // Last of all: only a file that is whole has its time.
        dir::set_file_attributes(&self.file, stat.uid, stat.gid, mode, time(stat))
            .map_err(|source| disk(stat, source))
    }
}

impl Receiver<'_> {
    fn run(
        &mut self,
        wire: &mut dyn Wire,
        progress: &mut dyn FnMut(&Received),
    ) -> Result<(), Error> {
        while !self.done() {
            let Some(packet) = wire.next()? else {
                return Err(Error::Gone("the client broke off".to_owned()));
            };
            self.packet(packet)?;
            self.ask(wire)?;
            progress(&self.so_far);
        }
        wire.send(Packet::of(PacketKind::Finish))?;
        // The client says so, too; whatever else it says now is not wanted any more.
        while let Some(packet) = wire.next()? {
            if packet.kind == i32::from(PacketKind::Error) {
                return Err(remote(&packet));
            }
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.walked && self.wanted.is_empty() && self.coming.is_empty()
    }

    fn packet(&mut self, packet: Packet) -> Result<(), Error> {
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Stat) => match packet.stat {
                Some(stat) => self.told(stat),
                None => {
                    self.walked = true;
                    self.so_far.list = list_name(packet.data);
                    self.tree.walked()
                }
            },
            Ok(PacketKind::Data) => self.bytes(packet.id, &packet.data),
            Ok(PacketKind::Error) => Err(remote(&packet)),
            Ok(PacketKind::Finish) if self.is_known(&packet) => {
                self.walked = true;
                self.so_far.list = self.known.map(str::to_owned);
                Ok(())
            }
            Ok(PacketKind::Finish) => Err(Error::Protocol("it ends too early".to_owned())),
            Ok(PacketKind::Request) | Err(_) => {
                let sentence = format!("a packet of kind {}", packet.kind);
                Err(Error::Protocol(sentence))
            }
        }
    }

    /// Whether everything is as it was.
    fn is_known(&self, packet: &Packet) -> bool {
        let known = self.known.map(str::as_bytes);
        !self.walked && self.next == 0 && known == Some(&packet.data)
    }

    fn told(&mut self, mut stat: Stat) -> Result<(), Error> {
        if self.walked {
            let sentence = format!("{:?} comes after the last file", stat.path);
            return Err(Error::Protocol(sentence));
        }
        // Nobody reads them, and they may be megabytes of each file.
        stat.xattrs.clear();
        let id = self.next;
        self.next += 1;
        self.so_far.told += 1;
        if self.tree.take(stat.clone())? == Bytes::Wanted {
            self.wanted.push_back((id, stat));
        }
        Ok(())
    }

    fn ask(&mut self, wire: &mut dyn Wire) -> Result<(), Error> {
        if self.coming.len() > AT_ONCE / 2 {
            return Ok(());
        }
        while self.coming.len() < AT_ONCE {
            let Some((id, stat)) = self.wanted.pop_front() else {
                break;
            };
            let coming = self.open(stat)?;
            self.coming.insert(id, coming);
            self.so_far.files += 1;
            wire.send(Packet::numbered(PacketKind::Request, id))?;
        }
        Ok(())
    }

    fn open(&mut self, stat: Stat) -> Result<Coming, Error> {
        let (above, name) = split(&stat.path)?;
        if self.above.as_ref().is_none_or(|(known, _)| known != above) {
            let dir = parent(self.root, above).map_err(|source| disk(&stat, source))?;
            self.above = Some((above.to_owned(), dir));
        }
        let dir = self.above.as_ref().map_or(self.root, |(_, dir)| dir);
        let name = OsStr::new(name).to_owned();
        let told = stat.clone();
        Coming::open(dir, &name, stat).map_err(|source| disk(&told, source))
    }

    fn bytes(&mut self, id: u32, data: &[u8]) -> Result<(), Error> {
        let Some(coming) = self.coming.get_mut(&id) else {
            let sentence = format!("bytes of file {id}, which was not asked for");
            return Err(Error::Protocol(sentence));
        };
        if !data.is_empty() {
            self.so_far.bytes += data.len() as u64;
            let written = coming.write(data);
            return written.map_err(|source| bytes(&coming.stat, source));
        }
        self.coming.remove(&id).map_or(Ok(()), Coming::end)
    }
}

fn list_name(bytes: Vec<u8>) -> Option<String> {
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty() && name.len() <= LONGEST_LIST_NAME).then_some(name)
}

fn bytes(stat: &Stat, source: std::io::Error) -> Error {
    Error::Bytes {
        path: stat.path.clone(),
        source,
    }
}

fn disk(stat: &Stat, source: sys::Error) -> Error {
    Error::Disk {
        path: stat.path.clone(),
        source,
    }
}

fn remote(packet: &Packet) -> Error {
    let text = String::from_utf8_lossy(&packet.data);
    Error::Remote(text.chars().take(4096).collect())
}
