//! Where the daemon listens.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

use api::client::Endpoint;
use sys::socket::Kind;
use tokio::net::{TcpListener, UnixListener};

/// The group that may connect when none is named.
const DEFAULT_GROUP: &str = "brig";

/// Why the daemon does not listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("another daemon listens on {}: stop it, or choose another --host", .0.display())]
    Taken(PathBuf),
    #[error("{} exists and is no socket: remove it, or choose another --host", .0.display())]
    NoSocket(PathBuf),
    #[error("the group {0:?} does not exist: make it, or choose another --socket-group")]
    NoGroup(String),
    #[error("cannot listen on {host}")]
    Listen {
        host: Endpoint,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot use the socket that was passed at start")]
    Passed(#[source] io::Error),
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix {
        listener: UnixListener,
        /// None for one that a service manager opened.
        placed: Option<Placed>,
    },
    Tcp(TcpListener),
}

/// A socket this daemon has put in place; taken away when the daemon ends.
#[derive(Debug)]
pub(crate) struct Placed {
    path: PathBuf,
    /// Device and inode: another daemon may have put its own there since.
    identity: (u64, u64),
}

impl Drop for Placed {
    fn drop(&mut self) {
        let ours = identity(&self.path).is_some_and(|now| now == self.identity);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Listens everywhere it should. Must be called within a tokio runtime.
pub(crate) async fn listen(
    hosts: &[Endpoint],
    group: Option<&str>,
) -> Result<Vec<Listener>, Error> {
    let group = group_id(group)?;
    let mut listeners = Vec::new();
    for host in hosts {
        listeners.push(match host {
            Endpoint::Unix(path) => unix(host, path, group)?,
            Endpoint::Tcp(address) => {
                let bound = TcpListener::bind(address).await;
                Listener::Tcp(bound.map_err(|source| failed(host, source))?)
            }
        });
    }
    Ok(listeners)
}

/// Takes over sockets that a service manager opened. Must be called within a tokio runtime.
pub(crate) fn adopt(sockets: Vec<OwnedFd>) -> Result<Vec<Listener>, Error> {
    let adopt = |socket: OwnedFd| {
        let listener = StdUnixListener::from(socket);
        // Of another family it has no address of this one.
        listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok(Listener::Unix {
            listener: UnixListener::from_std(listener)?,
            placed: None,
        })
    };
    let adopted: io::Result<Vec<_>> = sockets.into_iter().map(adopt).collect();
    adopted.map_err(Error::Passed)
}

/// Takes over the sockets that the daemon before this one had: with one that it has put in place comes its path. Must be
/// called within a tokio runtime.
pub(crate) fn inherit(
    socket: OwnedFd,
    tcp: bool,
    placed: Option<PathBuf>,
) -> Result<Listener, Error> {
    let placed = placed.and_then(|path| {
        let identity = identity(&path)?;
        Some(Placed { path, identity })
    });
    let listener = || match tcp {
        false => Ok(Listener::Unix {
            listener: UnixListener::from_std(StdUnixListener::from(socket))?,
            placed,
        }),
        true => TcpListener::from_std(std::net::TcpListener::from(socket)).map(Listener::Tcp),
    };
    listener().map_err(Error::Passed)
}

/// Has a socket that was taken over be that of the group that may use it now: the configuration may have
/// changed since it was put in place.
pub(crate) fn regroup(
    listener: &Listener,
    host: &Endpoint,
    group: Option<&str>,
) -> Result<(), Error> {
    let Listener::Unix {
        placed: Some(placed),
        ..
    } = listener
    else {
        return Ok(());
    };
    let group = group_id(group)?;
    let regrouped = || {
        let group = group.unwrap_or_else(sys::process::group);
        match std::fs::symlink_metadata(&placed.path)?.gid() == group {
            true => Ok(()),
            false => std::os::unix::fs::lchown(&placed.path, None, Some(group)),
        }
    };
    regrouped().map_err(|source| failed(host, source))
}

impl Listener {
    /// The socket, which goes on listening, and the path that was put in place for it.
    pub(crate) fn leave(self) -> io::Result<(OwnedFd, Option<PathBuf>)> {
        match self {
            Self::Tcp(listener) => Ok((listener.into_std()?.into(), None)),
            Self::Unix { listener, placed } => {
                // Without its path it is not taken away: whoever goes on with it does that.
                let path = placed.map(|mut placed| std::mem::take(&mut placed.path));
                Ok((listener.into_std()?.into(), path))
            }
        }
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(host: &Endpoint, source: E) -> Error {
    Error::Listen {
        host: host.clone(),
        source: Box::new(source),
    }
}

fn unix(host: &Endpoint, path: &Path, group: Option<u32>) -> Result<Listener, Error> {
    if let Some(parent) = path.parent() {
        make_dir(parent).map_err(|source| failed(host, source))?;
    }
    vacate(path)?;
    // Bound for root alone; opened to the group once the owner is right.
    let socket = sys::socket::listen(path, Kind::Stream).map_err(|source| failed(host, source))?;
    let placed = identity(path).map(|identity| Placed {
        path: path.to_owned(),
        identity,
    });
    let open = || {
        if group.is_some() {
            std::os::unix::fs::lchown(path, None, group)?;
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        UnixListener::from_std(StdUnixListener::from(socket))
    };
    let listener = open().map_err(|source| failed(host, source))?;
    Ok(Listener::Unix { listener, placed })
}

/// A directory above a socket: for others to pass through, not to look into.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    make_dir_with(path, 0o711)
}

/// A directory that is nobody else's business: records hold the environment of containers, layers
/// hold programs with the set-user-id bit.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    make_dir_with(path, 0o700)
}

/// Makes what is missing; what is there keeps its mode, for its owner may have chosen it.
fn make_dir_with(path: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Refuses what belongs to somebody else. A socket on which nobody listens is a leftover, which
/// binding replaces.
fn vacate(path: &Path) -> Result<(), Error> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(Error::NoSocket(path.to_owned()));
    }
    let refused =
        |error: sys::Error| io::Error::from(error).kind() == io::ErrorKind::ConnectionRefused;
    match sys::socket::connect(path, Kind::Stream) {
        Err(error) if refused(error) => Ok(()),
        // Also a listener of another type, or one whose queue is full: somebody is there.
        _ => Err(Error::Taken(path.to_owned())),
    }
}

/// The group's number, from its name or from digits.
fn group_id(named: Option<&str>) -> Result<Option<u32>, Error> {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    match named {
        None => Ok(find_group(&groups, DEFAULT_GROUP)),
        Some("") => Ok(None),
        Some(name) => find_group(&groups, name)
            .or_else(|| name.parse().ok())
            .map(Some)
            .ok_or_else(|| Error::NoGroup(name.to_owned())),
    }
}

/// Looks a group up in the text of group(5).
fn find_group(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(dir: &tempfile::TempDir) -> (PathBuf, Vec<Endpoint>) {
        let path = dir.path().join("new/brig.sock");
        (path.clone(), vec![Endpoint::Unix(path)])
    }

    #[tokio::test]
    async fn a_socket_is_placed_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hosts) = endpoint(&dir);
        let listeners = listen(&hosts, Some("")).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let taken = listen(&hosts, Some("")).await.unwrap_err().to_string();
        assert!(taken.starts_with("another daemon listens on "), "{taken}");
        drop(listeners);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn who_may_use_a_socket_is_said_anew_when_it_is_taken_over() {
        if !sys::term::is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (path, hosts) = endpoint(&dir);
        let listener = listen(&hosts, Some("4711")).await.unwrap().pop().unwrap();
        let group = || std::fs::metadata(&path).unwrap().gid();
        assert_eq!(group(), 4711);
        let (socket, placed) = listener.leave().unwrap();
        let listener = inherit(socket, false, placed).unwrap();
        regroup(&listener, &hosts[0], Some("4712")).unwrap();
        assert_eq!(group(), 4712);
        regroup(&listener, &hosts[0], Some("")).unwrap();
        assert_eq!(group(), sys::process::group());
    }

    #[tokio::test]
    async fn a_leftover_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hosts) = endpoint(&dir);
        make_dir(path.parent().unwrap()).unwrap();
        drop(StdUnixListener::bind(&path).unwrap());
        let listeners = listen(&hosts, Some("")).await.unwrap();
        assert_eq!(listeners.len(), 1);
        drop(listeners);
        sys::file::replace(&path, b"mine", 0o600).unwrap();
        let refused = listen(&hosts, Some("")).await.unwrap_err().to_string();
        assert!(refused.contains("exists and is no socket"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn another_daemons_socket_is_not_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hosts) = endpoint(&dir);
        let listeners = listen(&hosts, Some("")).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = StdUnixListener::bind(&path).unwrap();
        drop(listeners);
        assert!(path.exists());
    }

    #[test]
    fn groups_are_found_by_name() {
        let text = "root:x:0:\nbrig:x:997:alice,bob\n";
        assert_eq!(find_group(text, "brig"), Some(997));
        assert_eq!(find_group(text, "bri"), None);
        assert!(group_id(Some("no-such-group-here")).is_err());
        assert_eq!(group_id(Some("12")).unwrap(), Some(12));
    }
}
