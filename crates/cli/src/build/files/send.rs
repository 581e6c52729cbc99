//! Gives the daemon files.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

use buildkit::mode;
use buildkit::sync::{Packet, PacketKind, Stat};
use sys::dir::Dir;

use super::select::{Selection, Wanted};
use super::walk::{Stopped, unreadable, walk};
use super::{Out, TOGETHER};

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
}

impl Bundle<'_> {
    fn push(&mut self, packet: Packet) -> Result<(), Stopped> {
        self.packets.push(packet);
        match self.packets.len() {
            TOGETHER => self.flush(),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let packets = std::mem::take(&mut self.packets);
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

fn directory(
    root: &Dir,
    wanted: &Wanted,
    out: &Out,
    asked: &Receiver<Packet>,
) -> Result<(), Stopped> {
    // The daemon has read the patterns already, and refuses those that make no sense.
    let selection = Selection::new(root, wanted).map_err(|_| Stopped::Gone)?;
    let mut bundle = Bundle {
        out,
        packets: Vec::with_capacity(TOGETHER),
    };
    let mut paths = Vec::new();
    walk(root, &selection, &mut |stat| {
        paths.push(stat.path.clone());
        bundle.push(told(stat))
    })?;
    bundle.push(Packet::of(PacketKind::Stat))?;
    bundle.flush()?;
    answer(out, asked, &mut |id| {
        let path = paths.get(id).ok_or(Stopped::Gone)?;
        file(root, path, number(id), out)
    })
}

/// Gives the bytes of files until all that are wanted are there.
fn answer(
    out: &Out,
    asked: &Receiver<Packet>,
    give: &mut dyn FnMut(usize) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    while let Ok(packet) = asked.recv() {
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Request) => give(packet.id as usize)?,
            Ok(PacketKind::Finish) => {
                let finish = vec![Packet::of(PacketKind::Finish)];
                return out.blocking_send(finish).map_err(|_| Stopped::Gone);
            }
            _ => return Err(Stopped::Gone),
        }
    }
    Err(Stopped::Gone)
}

fn number(id: usize) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

fn file(root: &Dir, path: &str, id: u32, out: &Out) -> Result<(), Stopped> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let opened = root
        .open_in_root(above.as_bytes())
        .and_then(|dir| dir.open_regular(OsStr::new(name)));
    let mut file = opened.map_err(|source| unreadable("open", path, source))?;
    loop {
        let mut data = vec![0; PIECE];
        let count = file.read(&mut data).map_err(|error| {
            let errno = sys::Errno(error.raw_os_error().unwrap_or_default());
            unreadable(
                "read",
                path,
                sys::Error {
                    call: "read",
                    errno,
                },
            )
        })?;
        data.truncate(count);
        piece(id, data, out)?;
        if count == 0 {
            return Ok(());
        }
    }
}

fn piece(id: u32, data: Vec<u8>, out: &Out) -> Result<(), Stopped> {
    let packet = Packet {
        data,
        ..Packet::numbered(PacketKind::Data, id)
    };
    out.blocking_send(vec![packet]).map_err(|_| Stopped::Gone)
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
    answer(out, asked, &mut |id| {
        let (_, bytes) = only.filter(|_| id == 0).ok_or(Stopped::Gone)?;
        for part in bytes.chunks(PIECE) {
            piece(0, part.to_vec(), out)?;
        }
        piece(0, Vec::new(), out)
    })
}
