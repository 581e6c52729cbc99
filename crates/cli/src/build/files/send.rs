//! Gives the daemon files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

use buildkit::mode;
use buildkit::sync::{Packet, PacketKind, Stat};
use sys::dir::Dir;

use super::select::{Selection, Wanted};
use super::walk::{Stopped, unreadable, walk};
use super::{Out, TOGETHER, TOGETHER_BYTES};

/// Bytes of a file a packet.
const PIECE: usize = 32 << 10;

/// What is behind a name that the daemon asks for.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A directory.
    Directory(PathBuf),
    /// One file that is in no directory.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// Nothing.
    Empty,
}

/// Sends what is wanted of a place; `asked` are the daemon's packets. Blocks: it is for a thread of its own.
pub(crate) fn send(place: &Place, wanted: &Wanted, out: &Out, asked: &Receiver<Packet>) {
    let sent = match place {
        Place::Empty => single(None, out, asked),
        Place::File { name, bytes } => single(Some((name, bytes)), out, asked),
        Place::Directory(path) => Dir::open(path)
            .map_err(|source| unreadable("open", &path.display().to_string(), source))
            .and_then(|root| directory(&root, wanted, out, asked)),
    };
    if let Err(stopped) = sent {
        let packet = Packet {
            data: format!("error from sender: {stopped}").into_bytes(),
            ..Packet::of(PacketKind::Error)
        };
        // Whoever is gone hears nothing.
        let _ = out.blocking_send(vec![packet]);
    }
}

/// Packets that wait for some more.
struct Bundle<'a> {
    out: &'a Out,
    packets: Vec<Packet>,
    /// Of files.
    bytes: usize,
}

impl Bundle<'_> {
    fn new(out: &Out) -> Bundle<'_> {
        Bundle {
            out,
            packets: Vec::with_capacity(TOGETHER),
            bytes: 0,
        }
    }

    fn push(&mut self, packet: Packet) -> Result<(), Stopped> {
        self.bytes += packet.data.len();
        self.packets.push(packet);
        match self.packets.len() == TOGETHER || self.bytes >= TOGETHER_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let packets = std::mem::take(&mut self.packets);
        self.bytes = 0;
        if packets.is_empty() {
            return Ok(());
        }
        self.out.blocking_send(packets).map_err(|_| Stopped::Gone)
    }
}

fn told(stat: Stat) -> Packet {
    Packet {
        stat: Some(stat),
        ..Packet::of(PacketKind::Stat)
    }
}

/// The end of a list, with its name for a daemon that keeps it.
fn named(kind: PacketKind, name: Option<String>) -> Packet {
    Packet {
        data: name.unwrap_or_default().into_bytes(),
        ..Packet::of(kind)
    }
}

fn directory(
    root: &Dir,
    wanted: &Wanted,
    out: &Out,
    asked: &Receiver<Packet>,
) -> Result<(), Stopped> {
    // The daemon has read the patterns already, and refuses those that make no sense.
    let selection = Selection::new(root, wanted).map_err(|_| Stopped::Gone)?;
    let list = walk(root, &selection)?;
    let name = wanted.known.is_some().then(|| list.name());
    let mut bundle = Bundle::new(out);
    if name.is_some() && name == wanted.known {
        bundle.push(named(PacketKind::Finish, name))?;
        return bundle.flush();
    }
    let mut paths = Vec::new();
    for stat in list.files() {
        paths.push(stat.path.clone());
        bundle.push(told(stat))?;
    }
    drop(list);
    bundle.push(named(PacketKind::Stat, name))?;
    bundle.flush()?;
    let mut above = None;
    let mut buffer = vec![0; PIECE];
    answer(bundle, asked, &mut |id, bundle| {
        let path = paths.get(id).ok_or(Stopped::Gone)?;
        let mut file = open(root, path, &mut above)?;
        send_bytes(&mut file, (path, number(id)), &mut buffer, bundle)
    })
}

/// Gives the bytes of files until all that are wanted are there.
fn answer(
    mut bundle: Bundle<'_>,
    asked: &Receiver<Packet>,
    give: &mut dyn FnMut(usize, &mut Bundle<'_>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    loop {
        let packet = match asked.try_recv() {
            Ok(packet) => packet,
            Err(_) => {
                // Nothing more is wanted before this is there.
                bundle.flush()?;
                asked.recv().map_err(|_| Stopped::Gone)?
            }
        };
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Request) => give(packet.id as usize, &mut bundle)?,
            Ok(PacketKind::Finish) => {
                bundle.push(Packet::of(PacketKind::Finish))?;
                return bundle.flush();
            }
            _ => return Err(Stopped::Gone),
        }
    }
}

fn number(id: usize) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// Opens a file; `above` is the directory that the last one was in.
fn open(root: &Dir, path: &str, above: &mut Option<(String, Dir)>) -> Result<File, Stopped> {
    let failed = |source| unreadable("open", path, source);
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    if above.as_ref().is_none_or(|(known, _)| known != dir) {
        let opened = root.open_in_root(dir.as_bytes()).map_err(failed)?;
        *above = Some((dir.to_owned(), opened));
    }
    let dir = above.as_ref().map_or(root, |(_, dir)| dir);
    dir.open_regular(OsStr::new(name)).map_err(failed)
}

/// Tells all of a file's bytes, and that these were all.
fn send_bytes(
    file: &mut File,
    (path, id): (&str, u32),
    buffer: &mut [u8],
    bundle: &mut Bundle<'_>,
) -> Result<(), Stopped> {
    loop {
        let count = file.read(buffer).map_err(|error| {
            let errno = sys::Errno(error.raw_os_error().unwrap_or_default());
            let call = "read";
            unreadable(call, path, sys::Error { call, errno })
        })?;
        bundle.push(piece(id, &buffer[..count]))?;
        if count == 0 {
            return Ok(());
        }
    }
}

fn piece(id: u32, data: &[u8]) -> Packet {
    Packet {
        data: data.to_vec(),
        ..Packet::numbered(PacketKind::Data, id)
    }
}

/// One file, or none.
fn single(
    only: Option<(&String, &Vec<u8>)>,
    out: &Out,
    asked: &Receiver<Packet>,
) -> Result<(), Stopped> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
    let mut packets: Vec<Packet> = only
        .map(|(name, bytes)| {
            told(Stat {
                path: name.clone(),
                mode: mode::go(sys::dir::Kind::File, 0o600),
                size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
                // What was there before may be as long.
                modified: now,
                ..Stat::default()
            })
        })
        .into_iter()
        .collect();
    packets.push(Packet::of(PacketKind::Stat));
    out.blocking_send(packets).map_err(|_| Stopped::Gone)?;
    answer(Bundle::new(out), asked, &mut |id, bundle| {
        let (_, bytes) = only.filter(|_| id == 0).ok_or(Stopped::Gone)?;
        for part in bytes.chunks(PIECE) {
            bundle.push(piece(0, part))?;
        }
        bundle.push(piece(0, &[]))
    })
}
