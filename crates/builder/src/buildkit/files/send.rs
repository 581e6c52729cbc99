//! Gives a client files.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;

use sys::dir::{self, Dir};

use super::mode::go;
use super::{Error, Packet, PacketKind, Stat, Wire};

/// Bytes a packet.
const PIECE: usize = 32 << 10;

/// Sends all files below `root`. The order is that of the protocol: names of a directory by their bytes,
/// what is in a directory right behind it.
///
/// # Errors
/// When the client is gone, does not keep to the protocol, or a file cannot be read.
pub fn send(root: &Dir, wire: &mut dyn Wire) -> Result<(), Error> {
    let mut paths = HashMap::new();
    walk(root, &mut |id, stat| {
        if stat.has_bytes() {
            paths.insert(id, stat.path.clone());
        }
        wire.send(Packet {
            stat: Some(stat),
            ..Packet::of(PacketKind::Stat)
        })
    })?;
    wire.send(Packet::of(PacketKind::Stat))?;
    loop {
        let Some(packet) = wire.next()? else {
            return Err(Error::Gone("the client broke off".to_owned()));
        };
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Request) => {
                let Some(path) = paths.remove(&packet.id) else {
                    let sentence = format!("file {} is asked for", packet.id);
                    return Err(Error::Protocol(sentence));
                };
                bytes(root, &path, packet.id, wire)?;
            }
            Ok(PacketKind::Finish) => return wire.send(Packet::of(PacketKind::Finish)),
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

/// A directory while it is walked.
struct Level {
    path: String,
    dir: Dir,
    /// Names still to come, the next one last.
    names: Vec<OsString>,
}

type Tell<'a> = dyn FnMut(u32, Stat) -> Result<(), Error> + 'a;

fn walk(root: &Dir, tell: &mut Tell<'_>) -> Result<(), Error> {
    let own = root
        .open_dir(OsStr::new("."))
        .map_err(|source| read(".", source))?;
    let mut open = vec![level(String::new(), own)?];
    let mut id = 0;
    while let Some(top) = open.last_mut() {
        let Some(name) = top.names.pop() else {
            open.pop();
            continue;
        };
        let path = match top.path.as_str() {
            "" => name.to_string_lossy().into_owned(),
            above => format!("{above}/{}", name.to_string_lossy()),
        };
        let stat = look(&top.dir, &name, path.clone())?;
        let inner = match stat.kind()? {
            super::mode::Kind::Directory => {
                let inner = top.dir.open_dir(&name);
                Some(inner.map_err(|source| read(&path, source))?)
            }
            _ => None,
        };
        tell(id, stat)?;
        id += 1;
        if let Some(inner) = inner {
            open.push(level(path, inner)?);
        }
    }
    Ok(())
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
