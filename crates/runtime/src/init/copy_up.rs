//! What a directory holds, copied into the file system that is about to cover it (`tmpcopyup`).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use sys::dir::{Dir, Kind, Node, Status};

/// Directories below one another that are copied; what is deeper is left out.
const MAX_DEPTH: u32 = 64;

/// Copies everything in `from` into the root of another file system: files, directories, symbolic
/// links, devices and pipes, with owner, mode and time. Nothing is followed.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    // Both descriptors only name their directories; to read one takes opening it.
    let from = Dir::from(sys::fd::duplicate(from)?).open_dir(OsStr::new("."))?;
    let to = Dir::from(sys::fd::duplicate(to)?);
    entries(&from, &to, MAX_DEPTH)
}

fn entries(from: &Dir, to: &Dir, depth: u32) -> io::Result<()> {
    for entry in from.entries()? {
        let (entry, _) = entry?;
        one(from, to, sys::dir::name(&entry), depth)?;
    }
    Ok(())
}

fn one(from: &Dir, to: &Dir, name: &OsStr, depth: u32) -> io::Result<()> {
    let status = from.status(name)?;
    let (major, minor) = status.device;
    match status.kind {
        Kind::File => return file(from, to, name, &status),
        Kind::Directory => {
            to.make_dir(name)?;
            if depth > 0 {
                entries(&from.open_dir(name)?, &to.open_dir(name)?, depth - 1)?;
            }
        }
        Kind::Symlink => to.make_symlink(name, sys::dir::name(&from.read_symlink(name)?))?,
        Kind::CharDevice => to.make_node(name, Node::CharDevice(major, minor))?,
        Kind::BlockDevice => to.make_node(name, Node::BlockDevice(major, minor))?,
        Kind::Fifo => to.make_node(name, Node::Fifo)?,
        // A socket without its listener is good for nothing.
        Kind::Socket | Kind::Unknown => return Ok(()),
    }
    to.set_owner(name, status.uid, status.gid)?;
    if status.kind != Kind::Symlink {
        to.set_mode(name, status.mode)?;
    }
    Ok(to.set_modified(name, status.modified)?)
}

fn file(from: &Dir, to: &Dir, name: &OsStr, status: &Status) -> io::Result<()> {
    let mut source: File = from.open_file(name)?;
    let mut copy = to.create_file(name)?;
    io::copy(&mut source, &mut copy)?;
    let Status {
        uid,
        gid,
        mode,
        modified,
        ..
    } = *status;
    Ok(sys::dir::set_file_attributes(
        &copy, uid, gid, mode, modified,
    )?)
}
