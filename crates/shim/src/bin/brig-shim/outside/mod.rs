//! Looks from inside the container's network without any program of it: a page, a port, a gRPC server.

mod http2;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use shim::protocol;
use sys::spawn::Spawn;
use types::{HealthCheck, Probe, ProcessRef, Signal};

use crate::captured::LONGEST;
use crate::failure::Failure;

/// Longer than anybody waits for a look.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How a look failed.
enum Failed {
    /// There was no time left.
    TooLong,
    /// What is asked for makes no sense, or the answer was bad.
    Said(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TooLong,
            _ => Self::Said(error.to_string()),
        }
    }
}

/// Begins to look, by a process of its own: servers take their time, and this process has one thread. What
/// it says comes by the pipe, and how it went by its exit code.
pub(crate) fn begin(
    check: &HealthCheck,
    container: ProcessRef,
) -> Result<(ProcessRef, OwnedFd), Failure> {
    let failed = || Failure::of("look into the container's network");
    let (kind, text) = match check.test.as_slice() {
        [kind, text, ..] => (kind, text),
        _ => return Err(Failure::conflict("nothing is looked at")),
    };
    let namespace = format!("/proc/{}/ns/net", container.pid);
    let namespace = sys::fd::open_read(Path::new(&namespace)).map_err(failed())?;
    let null = sys::fd::open_read_write(Path::new("/dev/null")).map_err(failed())?;
    let (read, write) = sys::fd::pipe().map_err(failed())?;
    let words = ["brig-shim", protocol::LOOK, kind, text];
    let child = Spawn::new(Path::new("/proc/self/exe"), words)
        .map_err(failed())?
        .fds(&[null.as_fd(), write.as_fd(), null.as_fd(), namespace.as_fd()])
        .parent_death_signal(Signal::KILL)
        .spawn()
        .map_err(failed())?;
    let process = sys::proc::process_ref(child.pid).map_err(failed())?;
    Ok((process, read))
}

/// Where [`begin`] put the namespace.
const NAMESPACE: i32 = 3;

/// Looks once, if that is what this process is there for.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    if words.next()? != protocol::LOOK {
        return None;
    }
    let test = words.collect();
    let check = HealthCheck {
        test,
        ..HealthCheck::default()
    };
    let (code, said) = match look(&check) {
        Ok(text) => (ExitCode::SUCCESS, text),
        Err(Failed::Said(text)) => (ExitCode::FAILURE, text),
        Err(Failed::TooLong) => (ExitCode::FAILURE, "the server took too long".to_owned()),
    };
    // Who has asked may be gone.
    let _ = io::stdout().write_all(said.as_bytes());
    Some(code)
}

/// Whoever has begun it ends it in time.
fn look(check: &HealthCheck) -> Result<String, Failed> {
    let namespace = sys::spawn::inherited(NAMESPACE).map_err(|error| entered(&error))?;
    let end = Instant::now() + LIMIT;
    match check.probe() {
        Some(Probe::Http(text)) => page(text, &namespace, end),
        Some(Probe::Tcp(text)) => port(text, &namespace, end),
        Some(Probe::Grpc(text)) => grpc(text, &namespace, end),
        _ => Err(Failed::Said("this is no look from outside".to_owned())),
    }
}

fn entered(error: &sys::Error) -> Failed {
    Failed::Said(format!("cannot enter the container's network: {error}"))
}

/// A connection from within the container's network namespace.
fn connect(namespace: &OwnedFd, to: SocketAddr, end: Instant) -> Result<TcpStream, Failed> {
    let limit = left(end)?;
    let connected = sys::ns::within(namespace, || TcpStream::connect_timeout(&to, limit));
    let stream =
        connected
            .map_err(|error| entered(&error))?
            .map_err(|error| match Failed::from(error) {
                Failed::Said(text) => Failed::Said(format!("cannot connect to {to}: {text}")),
                late @ Failed::TooLong => late,
            })?;
    let limit = Some(left(end)?);
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    Ok(stream)
}

fn left(end: Instant) -> Result<Duration, Failed> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(Failed::TooLong)
    } else {
        Ok(left)
    }
}

/// `[ADDRESS:]PORT`; a name is not looked up: only `localhost` is known.
fn address(text: &str, otherwise: Option<u16>) -> Result<SocketAddr, Failed> {
    let invalid = || {
        Failed::Said(format!(
            "invalid address {text:?}: [ADDRESS:]PORT is expected"
        ))
    };
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let ip = |text: &str| match text.trim_matches(['[', ']']) {
        "" | "localhost" => Some(local),
        text => text.parse().ok(),
    };
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(local, port));
    }
    if let (Some(ip), Some(port)) = (ip(text), otherwise) {
        return Ok(SocketAddr::new(ip, port));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
    let (host, port) = (
        ip(host).ok_or_else(invalid)?,
        port.parse().map_err(|_| invalid())?,
    );
    Ok(SocketAddr::new(host, port))
}

fn port(text: &str, namespace: &OwnedFd, end: Instant) -> Result<String, Failed> {
    let to = address(text, None)?;
    connect(namespace, to, end)?;
    Ok(format!("{to} takes connections"))
}

/// `http://HOST[:PORT][/PATH]`, where `http://` and the host may be left out.
fn url(text: &str) -> Result<(SocketAddr, &str, &str), Failed> {
    if text.starts_with("https://") {
        let why = "certificates are not looked at: http:// is expected";
        return Err(Failed::Said(format!("invalid address {text:?}: {why}")));
    }
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    Ok((address(host, Some(80))?, host, path))
}

/// Good are the statuses 200 to 399.
fn page(text: &str, namespace: &OwnedFd, end: Instant) -> Result<String, Failed> {
    let (to, host, path) = url(text)?;
    let mut stream = connect(namespace, to, end)?;
    let host = if host.starts_with(':') || !host.contains(|c: char| !c.is_ascii_digit()) {
        to.to_string()
    } else {
        host.to_owned()
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: brig-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let answer = read(stream, end)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let status = words
        .next()
        .filter(|word| word.starts_with("HTTP/"))
        .and_then(|_| words.next()?.parse::<u16>().ok());
    match status {
        Some(200..=399) => Ok(format!("{line}\n{body}")),
        Some(_) => Err(Failed::Said(format!("{line}\n{body}"))),
        None => Err(Failed::Said(format!("{to} does not answer with HTTP"))),
    }
}

/// As much as is kept, or until the server has no more to say.
fn read(mut stream: TcpStream, end: Instant) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    while bytes.len() < LONGEST {
        stream.set_read_timeout(Some(left(end)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What is there is an answer, however the connection ended.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !bytes.is_empty() => {
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(LONGEST);
    Ok(bytes)
}

/// `[ADDRESS:]PORT[/SERVICE]`, asked as gRPC's health protocol has it (grpc.health.v1).
fn grpc(text: &str, namespace: &OwnedFd, end: Instant) -> Result<String, Failed> {
    let (host, service) = text.split_once('/').unwrap_or((text, ""));
    let to = address(host, None)?;
    let mut stream = connect(namespace, to, end)?;
    stream.write_all(&http2::health_request(&to.to_string(), service))?;
    let mut answer = http2::Answer::default();
    let mut buffer = [0; 1024];
    loop {
        stream.set_read_timeout(Some(left(end)?))?;
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(Failed::Said(format!(
                "{to} ended the connection without an answer"
            )));
        }
        if let Some(serving) = answer.take(&buffer[..length]) {
            return match serving {
                Ok(()) => Ok("SERVING".to_owned()),
                Err(why) => Err(Failed::Said(why)),
            };
        }
        if answer.wants_settings() {
            stream.write_all(&http2::SETTINGS_TAKEN)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let show = |text: &str| match url(text) {
            Ok((to, _, path)) => format!("{to} {path}"),
            Err(Failed::Said(why)) => why,
            Err(Failed::TooLong) => "late".to_owned(),
        };
        let table = [
            (
                "http://localhost:8080/health?x=1",
                "127.0.0.1:8080 /health?x=1",
            ),
            (":8080/", "127.0.0.1:8080 /"),
            ("8080", "127.0.0.1:8080 /"),
            ("http://localhost", "127.0.0.1:80 /"),
            ("http://[::1]:81/x", "[::1]:81 /x"),
            ("10.0.0.1:5", "10.0.0.1:5 /"),
            (
                "name:5",
                "invalid address \"name:5\": [ADDRESS:]PORT is expected",
            ),
            (
                "https://localhost",
                "invalid address \"https://localhost\": certificates are not looked at: http:// is expected",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(show(text), expected);
        }
    }
}
