//! Takes files of a result into a directory. What is there already stays, unless a file of the same name
//! comes.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use buildkit::mode;
use buildkit::sync::{Packet, PacketKind, Stat};
use sys::dir::{self, Dir, Kind};
use tokio::sync::mpsc::Receiver;

use super::Out;

/// So many files are asked for at a time.
const AT_ONCE: usize = 64;

/// Takes everything that comes; the sentence says what went wrong. Blocks: it is for a thread of its own.
pub(crate) fn receive(
    into: &Path,
    owner: (u32, u32),
    packets: &mut Receiver<Packet>,
    out: &Out,
) -> Result<(), String> {
    std::fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let root = Dir::open(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let mut taker = Taker {
        root,
        owner,
        out,
        wanted: VecDeque::new(),
        coming: HashMap::new(),
        directories: Vec::new(),
        links: Vec::new(),
        next: 0,
        all_told: false,
    };
    taker.run(packets)
}

struct Taker<'a> {
    root: Dir,
    /// Whose the files are.
    owner: (u32, u32),
    out: &'a Out,
    wanted: VecDeque<(u32, Stat)>,
    coming: HashMap<u32, (File, Stat)>,
    /// They get their times and permissions when nothing is written to them any more.
    directories: Vec<Stat>,
    /// Further names of files, which have to be there first.
    links: Vec<Stat>,
    next: u32,
    all_told: bool,
}

impl Taker<'_> {
    fn run(&mut self, packets: &mut Receiver<Packet>) -> Result<(), String> {
        while !(self.all_told && self.wanted.is_empty() && self.coming.is_empty()) {
            let packet = packets.blocking_recv().ok_or("the daemon broke off")?;
            self.packet(packet)?;
            self.ask()?;
        }
        self.finish().map_err(|error| error.to_string())?;
        self.say(Packet::of(PacketKind::Finish))?;
        while packets.blocking_recv().is_some() {}
        Ok(())
    }

    fn say(&self, packet: Packet) -> Result<(), String> {
        let sent = self.out.blocking_send(vec![packet]);
        sent.map_err(|_| "the daemon broke off".to_owned())
    }

    fn packet(&mut self, packet: Packet) -> Result<(), String> {
        match (PacketKind::try_from(packet.kind), packet.stat) {
            (Ok(PacketKind::Stat), None) => self.all_told = true,
            (Ok(PacketKind::Stat), Some(stat)) => {
                let path = stat.path.clone();
                self.take(stat)
                    .map_err(|error| format!("{path}: {error}"))?;
            }
            (Ok(PacketKind::Data), _) => self.bytes(packet.id, &packet.data)?,
            (Ok(PacketKind::Error), _) => {
                return Err(String::from_utf8_lossy(&packet.data).into_owned());
            }
            _ => return Err(format!("a packet of kind {} makes no sense", packet.kind)),
        }
        Ok(())
    }

    /// The directory that a path is in, and its name there.
    fn place<'a>(&self, path: &'a str) -> sys::Result<(Dir, &'a OsStr)> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let invalid = || sys::Error {
            call: "openat2",
            errno: sys::Errno::INVAL,
        };
        if matches!(name, "" | "." | "..") {
            return Err(invalid());
        }
        let dir = match above {
            "" => self.root.open_dir(OsStr::new("."))?,
            above => self.root.open_in_root(above.as_bytes())?,
        };
        Ok((dir, OsStr::new(name)))
    }

    fn take(&mut self, stat: Stat) -> sys::Result<()> {
        let id = self.next;
        self.next += 1;
        let (dir, name) = self.place(&stat.path)?;
        let there = dir.status(name).ok().map(|status| status.kind);
        match (stat.mode & mode::KIND, there) {
            (mode::DIRECTORY, Some(Kind::Directory)) => self.directories.push(stat),
            (mode::DIRECTORY, there) => {
                if there.is_some() {
                    dir.remove_file(name)?;
                }
                dir.make_dir(name)?;
                self.directories.push(stat);
            }
            (mode::SYMLINK, there) => {
                if there.is_some() {
                    dir.remove_file(name)?;
                }
                dir.make_symlink(name, OsStr::new(&stat.linkname))?;
            }
            (0, _) if !stat.linkname.is_empty() => self.links.push(stat),
            (0, there) => {
                if there.is_some() {
                    dir.remove_file(name)?;
                }
                self.wanted.push_back((id, stat));
            }
            // Devices are of no use outside a container, and cannot be made by most.
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<(), String> {
        while self.coming.len() < AT_ONCE {
            let Some((id, stat)) = self.wanted.pop_front() else {
                break;
            };
            let made = self
                .place(&stat.path)
                .and_then(|(dir, name)| dir.create_file(name));
            let file = made.map_err(|error| format!("{}: {error}", stat.path))?;
            self.coming.insert(id, (file, stat));
            self.say(Packet::numbered(PacketKind::Request, id))?;
        }
        Ok(())
    }

    fn bytes(&mut self, id: u32, data: &[u8]) -> Result<(), String> {
        let (uid, gid) = self.owner;
        let Some((file, stat)) = self.coming.get_mut(&id) else {
            return Err(format!("bytes of file {id} were not asked for"));
        };
        if !data.is_empty() {
            let written = file.write_all(data);
            return written.map_err(|error| format!("{}: {error}", stat.path));
        }
        let mode = mode::permissions(stat.mode);
        let set = dir::set_file_attributes(file, uid, gid, mode, time(stat));
        set.map_err(|error| format!("{}: {error}", stat.path))?;
        self.coming.remove(&id);
        Ok(())
    }

    fn finish(&mut self) -> sys::Result<()> {
        for stat in std::mem::take(&mut self.links) {
            let (dir, name) = self.place(&stat.path)?;
            let (from, source) = self.place(&stat.linkname)?;
            if dir.status(name).is_ok() {
                dir.remove_file(name)?;
            }
            dir.make_link(name, &from, source)?;
        }
        while let Some(stat) = self.directories.pop() {
            let (dir, name) = self.place(&stat.path)?;
            dir.set_mode(name, mode::permissions(stat.mode))?;
            dir.set_modified(name, time(&stat))?;
        }
        Ok(())
    }
}

fn time(stat: &Stat) -> (i64, u32) {
    const SECOND: i64 = 1_000_000_000;
    let nanos = u32::try_from(stat.modified.rem_euclid(SECOND));
    (stat.modified.div_euclid(SECOND), nanos.unwrap_or_default())
}
