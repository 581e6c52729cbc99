//! Gives a client files.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;

use buildkit::mode::go;
use buildkit::sync::{Packet, PacketKind, Stat};
use sys::dir::{self, Dir};

use super::mode::{Kind, has_bytes};
use super::{Error, Wire};

/// Bytes a packet.
const PIECE: usize = 32 << 10;

/// Sends all files below some roots: below a directory of a name, or of none. The order is that of the
/// protocol: names of a directory by their bytes, what is in a directory right behind it.
///
/// # Errors
/// When the client is gone, does not keep to the protocol, or a file cannot be read.
pub fn send(roots: &[(String, Dir)], wire: &mut dyn Wire) -> Result<(), Error> {
    let mut sender = Sender {
        wire,
        paths: HashMap::new(),
        next: 0,
    };
    let mut ordered: Vec<usize> = (0..roots.len()).collect();
    ordered.sort_by_key(|root| &roots[*root].0);
    for root in ordered {
        sender.root(roots, root)?;
    }
    sender.wire.send(Packet::of(PacketKind::Stat))?;
    loop {
        let Some(packet) = sender.wire.next()? else {
            return Err(Error::Gone("the client broke off".to_owned()));
        };
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Request) => sender.wanted(roots, packet.id)?,
            Ok(PacketKind::Finish) => return sender.wire.send(Packet::of(PacketKind::Finish)),
            Ok(PacketKind::Error) => {
                let text = String::from_utf8_lossy(&packet.data);
                return Err(Error::Remote(text.into_owned()));
            }
            _ => {
                let sentence = format!("a packet of kind {}", packet.kind);
                return Err(Error::Protocol(sentence));
            }
        }
    }
}

struct Sender<'a> {
    wire: &'a mut dyn Wire,
    /// Which root, and the path below it.
    paths: HashMap<u32, (usize, String)>,
    next: u32,
}

/// A directory while it is walked.
struct Level {
    path: String,
    dir: Dir,
    /// Names still to come, the next one last.
    names: Vec<OsString>,
}

impl Sender<'_> {
    fn tell(&mut self, stat: Stat) -> Result<(), Error> {
        self.next += 1;
        self.wire.send(Packet {
            stat: Some(stat),
            ..Packet::of(PacketKind::Stat)
        })
    }

    /// Tells of all that is below a root, and of the directory that it is.
    fn root(&mut self, roots: &[(String, Dir)], index: usize) -> Result<(), Error> {
        let (name, root) = &roots[index];
        let here = OsStr::new(".");
        if !name.is_empty() {
            self.tell(look(root, here, name.clone())?)?;
        }
        let own = root.open_dir(here).map_err(|source| read(".", source))?;
        let mut open = vec![level(String::new(), own)?];
        while let Some(top) = open.last_mut() {
            let Some(entry) = top.names.pop() else {
                open.pop();
                continue;
            };
            let path = join(&top.path, &entry.to_string_lossy());
            let stat = look(&top.dir, &entry, join(name, &path))?;
            if Kind::of(&stat)? == Kind::Directory {
                let inner = top.dir.open_dir(&entry);
                let inner = inner.map_err(|source| read(&path, source))?;
                self.tell(stat)?;
                open.push(level(path, inner)?);
                continue;
            }
            if has_bytes(&stat) {
                self.paths.insert(self.next, (index, path));
            }
            self.tell(stat)?;
        }
        Ok(())
    }

    fn wanted(&mut self, roots: &[(String, Dir)], id: u32) -> Result<(), Error> {
        let Some((root, path)) = self.paths.remove(&id) else {
            let sentence = format!("file {id} is asked for");
            return Err(Error::Protocol(sentence));
        };
        bytes(&roots[root].1, &path, id, self.wire)
    }
}

fn join(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    }
}

fn level(path: String, dir: Dir) -> Result<Level, Error> {
    let entries = dir.entries().map_err(|source| read(&path, source))?;
    let names: sys::Result<Vec<OsString>> = entries
        .map(|entry| entry.map(|(name, _)| dir::name(&name).to_owned()))
        .collect();
    let mut names = names.map_err(|source| read(&path, source))?;
    names.sort_by(|a, b| b.as_bytes().cmp(a.as_bytes()));
    Ok(Level { path, dir, names })
}

/// What a name in a directory is, told under a path.
///
/// # Errors
/// When nothing is there, or it cannot be read.
pub fn look(dir: &Dir, name: &OsStr, path: String) -> Result<Stat, Error> {
    let status = dir.status(name).map_err(|source| read(&path, source))?;
    let linkname = if status.kind == dir::Kind::Symlink {
        let target = dir.read_symlink(name);
        let target = target.map_err(|source| read(&path, source))?;
        target.to_string_lossy().into_owned()
    } else {
        String::new()
    };
    let (seconds, nanos) = status.modified;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let has_size = status.kind == dir::Kind::File;
    Ok(Stat {
        mode: go(status.kind, status.mode),
        uid: status.uid,
        gid: status.gid,
        size: if has_size { number(status.size) } else { 0 },
        modified: seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanos.into()),
        linkname,
        major: status.device.0.into(),
        minor: status.device.1.into(),
        path,
        ..Stat::default()
    })
}

fn bytes(root: &Dir, path: &str, id: u32, wire: &mut dyn Wire) -> Result<(), Error> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let opened = root
        .open_in_root(above.as_bytes())
        .and_then(|dir| dir.open_regular(OsStr::new(name)));
    let mut file = opened.map_err(|source| read(path, source))?;
    loop {
        let mut data = vec![0; PIECE];
        let count = file.read(&mut data).map_err(|source| Error::Bytes {
            path: path.to_owned(),
            source,
        })?;
        data.truncate(count);
        wire.send(Packet {
            data,
            ..Packet::numbered(PacketKind::Data, id)
        })?;
        if count == 0 {
            return Ok(());
        }
    }
}

fn read(path: &str, source: sys::Error) -> Error {
    Error::Disk {
        path: path.to_owned(),
        source,
    }
}
