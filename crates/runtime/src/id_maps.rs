//! The ids of a new user namespace: written by its maker where that has the right, else by the
//! helpers that have it (newuidmap(1), newgidmap(1)) and know from /etc/subuid and /etc/subgid which
//! ids the user may have.

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use sys::cgroup::Cgroup;
use sys::root::Kind;
use sys::spawn::Spawn;

use crate::Stdio;
use crate::error::{Doing, Error};
use crate::prepare::IdMaps;

/// Gives the process its ids.
pub(crate) fn write(pid: i32, maps: &IdMaps) -> Result<(), Error> {
    // The helpers know best what the user may have; with the own ids alone none is needed, and the
    // kernel would take the first map without the word about groups that the second one needs.
    if sys::process::user() != 0 {
        return unprivileged(pid, maps);
    }
    match write_map(pid, "uid_map", &maps.uids) {
        Ok(()) => write_map(pid, "gid_map", &maps.gids).doing(|| told("gid_map", &maps.gids)),
        Err(error) if error.errno == sys::Errno::PERM => unprivileged(pid, maps),
        Err(error) => Err(error).doing(|| told("uid_map", &maps.uids)),
    }
}

/// Lets the command's user open /dev/stdout and its like again, by name, although what is behind them
/// belongs to a user outside. What cannot be given away stays as it is, and can be used all the same.
pub(crate) fn give_streams(pid: i32, user: u32, stdio: &Stdio) {
    let Stdio::Files(streams) = stdio else {
        return;
    };
    let owner = read_map(pid).ok().and_then(|map| outside(&map, user));
    let Some(owner) = owner else { return };
    for stream in streams {
        // A device belongs to the whole machine.
        let is_device = matches!(
            sys::root::kind(stream),
            Ok(Kind::CharacterDevice(..) | Kind::BlockDevice(..))
        );
        if !is_device {
            let _ = sys::fd::give_to(stream, owner);
        }
    }
}

/// What of a version 2 cgroup its owner may write to; a container that is given it rules what is below,
/// and not its own limits (/sys/kernel/cgroup/delegate).
const DELEGATED: [&str; 4] = [
    ".",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cgroup.threads",
];

/// Gives the container's root the container's cgroup, where hierarchies are made to be given away.
pub(crate) fn give_cgroup(pid: i32, cgroup: &Cgroup) -> Result<(), Error> {
    let map = read_map(pid).doing(|| "read the ids of the user namespace".to_owned())?;
    let Some(owner) = outside(&map, 0) else {
        return Ok(());
    };
    let directories = cgroup.directories().into_iter();
    for directory in directories.filter(|directory| directory.version == 2) {
        for name in DELEGATED {
            let path = directory.path.join(name);
            sys::fd::open_read(&path)
                .and_then(|file| sys::fd::give_to(file, owner))
                .doing(|| format!("give {} to the container's root", path.display()))?;
        }
    }
    Ok(())
}

fn read_map(pid: i32) -> sys::Result<String> {
    let file = sys::fd::open_read(format!("/proc/{pid}/uid_map").as_ref())?;
    let text = sys::fd::read_to_end(file, LONGEST)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A map has at most 340 lines (user_namespaces(7)).
const LONGEST: usize = 340 * 36;

/// What an id of the namespace is outside.
fn outside(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (inside, outside, count) = (next()?, next()?, next()?);
        let place = id.checked_sub(inside).filter(|place| *place < count)?;
        outside.checked_add(place)
    })
}

fn told(name: &str, map: &str) -> String {
    let lines = map.lines().count();
    let first = map.lines().next().unwrap_or_default();
    let more = if lines > 1 { " and more" } else { "" };
    format!("map the ids {first:?}{more} ({name})")
}

fn write_map(pid: i32, name: &str, map: &str) -> sys::Result<()> {
    sys::fd::open_write(format!("/proc/{pid}/{name}").as_ref())
        .and_then(|file| sys::fd::write_once(file, map.as_bytes()))
}

/// Anybody may map the own ids, each to one, if the namespace gives up setgroups(2): a group may be
/// there to take something away (user_namespaces(7)).
fn unprivileged(pid: i32, maps: &IdMaps) -> Result<(), Error> {
    if is_own(&maps.uids, sys::process::user()) && is_own(&maps.gids, sys::process::group()) {
        return write_map(pid, "setgroups", "deny")
            .and_then(|()| write_map(pid, "uid_map", &maps.uids))
            .and_then(|()| write_map(pid, "gid_map", &maps.gids))
            .doing(|| "map the own user and group".to_owned());
    }
    help("newuidmap", pid, &maps.uids)?;
    help("newgidmap", pid, &maps.gids)
}

/// Whether the map is of this id alone.
fn is_own(map: &str, id: u32) -> bool {
    let fields: Vec<_> = map.split_ascii_whitespace().collect();
    matches!(fields.as_slice(), [_, host, "1"] if *host == id.to_string())
}

/// Where the helpers are, should the environment not say so.
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin";

fn help(name: &str, pid: i32, map: &str) -> Result<(), Error> {
    let failed = |reason: String| Error::IdMap {
        helper: name.to_owned(),
        reason,
    };
    let action = || format!("prepare {name}");
    let pid = pid.to_string();
    let args = [name, &pid].into_iter().chain(map.split_ascii_whitespace());
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL.into());
    let mut output = std::fs::File::from(sys::fd::memory_file(name).doing(action)?);
    let null = sys::fd::open_read("/dev/null".as_ref()).doing(action)?;
    let spawn = Spawn::search(OsStr::new(name), &path, args).doing(action)?;
    let fds = [null.as_fd(), output.as_fd(), output.as_fd()];
    let child = spawn.fds(&fds).spawn().map_err(|error| {
        failed(match error.errno {
            sys::Errno::NOENT => "it is not installed (Debian: uidmap)".to_owned(),
            _ => error.to_string(),
        })
    })?;
    match sys::pidfd::wait(&child.pidfd).doing(action)? {
        sys::pidfd::Exit::Code(0) => Ok(()),
        exit => {
            let mut said = String::new();
            // What it said is all there is to tell, and may be nothing.
            let _ = output.seek(SeekFrom::Start(0));
            let _ = Read::by_ref(&mut output)
                .take(1024)
                .read_to_string(&mut said);
            Err(failed(format!(
                "exit code {}: {}",
                exit.code(),
                said.trim()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_id_alone_needs_no_help() {
        assert!(is_own("0 1000 1\n", 1000));
        assert!(!is_own("0 1000 2\n", 1000));
        assert!(!is_own("0 1000 1\n1 100000 65536\n", 1000));
        assert!(!is_own("0 1001 1\n", 1000));
    }

    #[test]
    fn ids_are_found_outside() {
        let map = "  0 100000 1000\n1000 5000 1\n";
        let found = [0, 999, 1000, 1001].map(|id| outside(map, id));
        assert_eq!(found, [Some(100_000), Some(100_999), Some(5000), None]);
    }

    #[test]
    fn long_maps_are_not_recited() {
        assert_eq!(
            told("uid_map", "0 1 1\n1 2 1\n"),
            "map the ids \"0 1 1\" and more (uid_map)"
        );
    }
}
