//! Where a daemon is, and getting a connection to it.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

use super::{Body, Error, Stream};

/// Sends requests on one connection.
pub(super) type Sender = http1::SendRequest<Body>;

/// The text names no daemon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse docker host `{0}`: unix:///path or tcp://host:port is expected")]
pub struct InvalidEndpoint(pub String);

/// How a connection comes about.
pub type Dial = Arc<dyn Fn() -> io::Result<std::os::unix::net::UnixStream> + Send + Sync>;

/// Why connections that were made broke, where that is known.
pub type Why = Arc<dyn Fn() -> Option<io::Error> + Send + Sync>;

/// Somebody who makes connections to a daemon.
#[derive(Clone)]
pub struct Dialer {
    host: String,
    dial: Dial,
    why: Option<Why>,
}

impl Dialer {
    /// Connections to the daemon at an address.
    pub fn new(host: &str, dial: Dial) -> Self {
        Self {
            host: host.to_owned(),
            dial,
            why: None,
        }
    }

    /// Whose connections may turn out to be none only when they are used: `why` is asked then.
    #[must_use]
    pub fn explained(self, why: Why) -> Self {
        Self {
            why: Some(why),
            ..self
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialer").field(&self.host).finish()
    }
}

impl PartialEq for Dialer {
    fn eq(&self, other: &Self) -> bool {
        self.host == other.host
    }
}

impl Eq for Dialer {}

/// Where a daemon is: what `-H` and `DOCKER_HOST` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`
    Tcp(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    /// `unix:///run/brig/brig.sock`, `tcp://127.0.0.1:2375`, `http://...`.
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" => {
                let address = rest.strip_suffix('/').unwrap_or(rest);
                let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
                if host.is_empty() || address.contains('/') || port.parse::<u16>().is_err() {
                    return Err(invalid());
                }
                Ok(Self::Tcp(address.to_owned()))
            }
            _ => Err(invalid()),
        }
    }
}

/// Where a client's connections come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address.
    Endpoint(Endpoint),
    /// Somebody else, where no address leads.
    Dialed(Dialer),
}

impl From<Endpoint> for Place {
    fn from(endpoint: Endpoint) -> Self {
        Self::Endpoint(endpoint)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint) => endpoint.fmt(f),
            Self::Dialed(dialer) => f.write_str(&dialer.host),
        }
    }
}

impl Place {
    /// A new connection, its driver spawned: the driver ends with the connection.
    pub(super) async fn connect(&self) -> Result<Sender, Error> {
        match self.stream().await? {
            Stream::Unix(stream) => handshake(stream).await,
            Stream::Tcp(stream) => handshake(stream).await,
        }
    }

    /// A new connection on which nothing has been said.
    pub(super) async fn stream(&self) -> Result<Stream, Error> {
        let failed = |source: io::Error| Error::Connect {
            endpoint: self.clone(),
            source,
        };
        match self {
            Self::Endpoint(Endpoint::Unix(path)) => {
                let (path, _directory) = reachable(path).map_err(failed)?;
                let stream = in_turn(&path).await.map_err(failed)?;
                Ok(Stream::Unix(stream))
            }
            Self::Dialed(dialer) => {
                let dial = dialer.dial.clone();
                let dialed = tokio::task::spawn_blocking(move || dial()).await;
                let stream = dialed.map_err(io::Error::other).and_then(|dialed| dialed);
                let stream = stream.map_err(failed)?;
                stream.set_nonblocking(true).map_err(failed)?;
                let stream = UnixStream::from_std(stream).map_err(failed)?;
                Ok(Stream::Unix(stream))
            }
            Self::Endpoint(Endpoint::Tcp(address)) => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

impl Place {
    /// The failure of a call; where the connection was none, that.
    pub(super) fn explain(&self, error: Error) -> Error {
        let Self::Dialed(Dialer { why: Some(why), .. }) = self else {
            return error;
        };
        match (&error, why()) {
            (Error::Http(_) | Error::Foreign(_), Some(source)) => Error::Connect {
                endpoint: self.clone(),
                source,
            },
            _ => error,
        }
    }
}

/// A connection to the socket at `path`. While its queue is full, the kernel refuses with EAGAIN
/// (connect(2)): the daemon takes those who are in it first.
async fn in_turn(path: &Path) -> io::Result<UnixStream> {
    const PATIENCE: Duration = Duration::from_secs(60);
    const PAUSE: Duration = Duration::from_millis(5);
    let end = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                tokio::time::sleep(PAUSE).await;
            }
            connected => return connected,
        }
    }
}

/// A path by which a socket is reached, and what has to stay open meanwhile: an address holds 107 bytes
/// (unix(7)), so one with a longer path is named through a descriptor of its directory.
fn reachable(path: &Path) -> io::Result<(Cow<'_, Path>, Option<File>)> {
    const LONGEST: usize = 107;
    /// Only to name it: a directory that may not be listed can be passed through (open(2)).
    const O_PATH: i32 = 0o10_000_000;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((path.into(), None));
    };
    if path.as_os_str().len() <= LONGEST {
        return Ok((path.into(), None));
    }
    let mut options = OpenOptions::new();
    let directory = options.read(true).custom_flags(O_PATH).open(parent)?;
    let fd = directory.as_raw_fd();
    let near = Path::new("/proc/self/fd").join(fd.to_string()).join(name);
    Ok((near.into(), Some(directory)))
}

pub(super) async fn handshake<S>(stream: S) -> Result<Sender, Error>
where
    S: Send + Unpin + 'static,
    TokioIo<S>: Read + Write,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Its failure is the failure of the call that waits on it, which reports it.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_far_down_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("brig.sock");
        let (near, _directory) = reachable(&path).unwrap();
        let _listener = tokio::net::UnixListener::bind(&near).unwrap();
        assert!(path.exists());
        Place::from(Endpoint::Unix(path)).connect().await.unwrap();
        let short = Path::new("/run/brig/brig.sock");
        assert_eq!(reachable(short).unwrap().0, short);
    }

    #[test]
    fn endpoints_parse() {
        let show = |text: &str| text.parse::<Endpoint>().map(|e| e.to_string());
        for (text, shown) in [
            ("unix:///run/brig/brig.sock", "unix:///run/brig/brig.sock"),
            ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
            ("http://h:80/", "tcp://h:80"),
            ("tcp://[::1]:2375", "tcp://[::1]:2375"),
        ] {
            assert_eq!(show(text).as_deref(), Ok(shown), "{text:?}");
        }
        for bad in [
            "",
            "/run/x",
            "unix://x",
            "unix:x",
            "tcp://h",
            "tcp://:1",
            "tcp://h:1/x",
            "tcp://h:x",
            "ssh://h",
            "npipe:////./pipe/x",
        ] {
            assert!(show(bad).is_err(), "{bad:?}");
        }
    }
}
