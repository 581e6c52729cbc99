//! Internet sockets (ip(7), ipv6(7), tcp(7), udp(7)), none of which ever blocks, and bytes that go
//! from one to another without being copied (splice(2)).
#![allow(unsafe_code, reason = "if_nametoindex(3) has no safe wrapper")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};
use rustix::pipe::SpliceFlags;

use crate::error::{Named, Result, retry};

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// tcp(7).
    Tcp,
    /// udp(7).
    Udp,
    /// sctp(7), if the kernel has it.
    Sctp,
}

/// Where the resolver of a namespace seems to be, for who asks inside.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// How much may wait in a pipe: what the kernel gives to a pipe unasked.
pub const PIPE: usize = 64 * 1024;

fn new(transport: Transport, address: &SocketAddr) -> Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, protocol) = match transport {
        Transport::Tcp => (SocketType::STREAM, None),
        Transport::Udp => (SocketType::DGRAM, None),
        Transport::Sctp => (SocketType::STREAM, Some(ipproto::SCTP)),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, protocol).named("socket")?;
    if address.is_ipv6() {
        // Each family has sockets of its own.
        sockopt::set_ipv6_v6only(&socket, true).named("setsockopt")?;
    }
    Ok(socket)
}

/// A socket bound to an address. With `shared`, connections of before that linger on do not stand in
/// the way; but then neither does the socket stand in the way of others, until it listens.
pub fn bound(transport: Transport, address: SocketAddr, shared: bool) -> Result<OwnedFd> {
    let socket = new(transport, &address)?;
    if shared {
        sockopt::set_socket_reuseaddr(&socket, true).named("setsockopt")?;
    }
    rustix::net::bind(&socket, &address).named("bind")?;
    Ok(socket)
}

/// Has a bound stream socket listen.
pub fn listen(socket: impl AsFd) -> Result<()> {
    rustix::net::listen(socket, 4096).named("listen")
}

/// The two sockets of a resolver in the namespace the thread is in: for datagrams, and listening for
/// streams. Their ports are the kernel's choice: a program there may have 53 on all addresses.
pub fn resolver_sockets() -> Result<[OwnedFd; 2]> {
    let address = SocketAddr::new(IpAddr::V4(RESOLVER), 0);
    resolver_sockets_at([address, address])
}

/// The same on given addresses.
pub fn resolver_sockets_at(addresses: [SocketAddr; 2]) -> Result<[OwnedFd; 2]> {
    let datagrams = bound(Transport::Udp, addresses[0], false)?;
    let streams = bound(Transport::Tcp, addresses[1], true)?;
    listen(&streams)?;
    Ok([datagrams, streams])
}

/// A socket that sends to one address and hears from nobody else, from a port of the kernel's choice.
/// A stream's is not connected yet: it is writable when it is, or has failed ([`take_error`]).
pub fn connecting(transport: Transport, to: SocketAddr) -> Result<OwnedFd> {
    let socket = new(transport, &to)?;
    match retry(|| rustix::net::connect(&socket, &to)) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno).named("connect"),
    }
}

/// What went wrong with a socket since it was asked last (SO_ERROR).
pub fn take_error(socket: impl AsFd) -> Result<()> {
    sockopt::socket_error(socket)
        .named("getsockopt")?
        .named("connect")
}

/// The next connection and who makes it, `None` when none waits.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>> {
    use rustix::io::Errno as E;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match retry(|| rustix::net::accept_with(&listener, flags)) {
        Ok(socket) => Ok(Some(socket)),
        // accept(2): errors of the new connection are as if it had not come.
        Err(
            E::AGAIN
            | E::CONNABORTED
            | E::NETDOWN
            | E::PROTO
            | E::HOSTDOWN
            | E::HOSTUNREACH
            | E::NETUNREACH
            | E::NONET,
        ) => Ok(None),
        Err(errno) => Err(errno).named("accept4"),
    }
}

/// The address a socket is bound to.
pub fn local_address(socket: impl AsFd) -> Result<SocketAddr> {
    let address = rustix::net::getsockname(socket).named("getsockname")?;
    SocketAddr::try_from(address).named("getsockname")
}

/// The address of whom a socket is connected to.
pub fn peer_address(socket: impl AsFd) -> Result<SocketAddr> {
    let address = rustix::net::getpeername(&socket).named("getpeername")?;
    let address = address.ok_or(rustix::io::Errno::NOTCONN);
    address.and_then(SocketAddr::try_from).named("getpeername")
}

/// Sends a datagram whole, to who it is connected to or to this address; [`Errno::AGAIN`](crate::Errno::AGAIN) when there
/// is no room.
pub fn send_datagram(socket: impl AsFd, bytes: &[u8], to: Option<SocketAddr>) -> Result<()> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = retry(|| match to {
        Some(to) => rustix::net::sendto(&socket, bytes, flags, &to),
        None => rustix::net::send(&socket, bytes, flags),
    });
    sent.named("sendto").map(drop)
}

/// Receives a datagram into `room`: how long it is, cut off where the room ends, and who sent it.
/// `None` when there is none.
pub fn receive_datagram(
    socket: impl AsFd,
    room: &mut [u8],
) -> Result<Option<(usize, Option<SocketAddr>)>> {
    match retry(|| rustix::net::recvfrom(&socket, &mut *room, RecvFlags::DONTWAIT)) {
        Ok((_, length, from)) => {
            let from = from.and_then(|from| SocketAddr::try_from(from).ok());
            Ok(Some((length, from)))
        }
        Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno).named("recvfrom"),
    }
}

/// Has the other side told by a reset, once the socket is closed, that something went wrong.
pub fn reset_on_close(socket: impl AsFd) -> Result<()> {
    sockopt::set_socket_linger(socket, Some(Duration::ZERO)).named("setsockopt")
}

/// Sends what is written at once, and finds out within minutes about a peer that is gone without a word, also
/// when the other direction has ended: the kernel by itself asks after two hours only (tcp(7)).
pub fn set_up_stream(socket: impl AsFd) -> Result<()> {
    sockopt::set_tcp_nodelay(&socket, true).named("setsockopt")?;
    sockopt::set_tcp_keepidle(&socket, Duration::from_secs(120)).named("setsockopt")?;
    sockopt::set_tcp_keepintvl(&socket, Duration::from_secs(30)).named("setsockopt")?;
    sockopt::set_tcp_keepcnt(&socket, 4).named("setsockopt")?;
    sockopt::set_socket_keepalive(&socket, true).named("setsockopt")
}

/// Moves bytes between a pipe and a socket, in either direction, without waiting: how many. `None`
/// when it would wait; zero at the end of a stream.
pub fn splice(from: impl AsFd, to: impl AsFd, most: usize) -> Result<Option<usize>> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    match retry(|| rustix::pipe::splice(&from, None, &to, None, most, flags)) {
        Ok(length) => Ok(Some(length)),
        Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno).named("splice"),
    }
}

/// A pipe that never blocks: the end to read from and the end to write to.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    use rustix::pipe::PipeFlags;
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).named("pipe2")
}

/// The number that an interface of the calling thread's network namespace has, by its name: for addresses that
/// mean something on one link only.
pub fn interface(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: if_nametoindex(3) reads a string that ends in a zero byte and lives across the call.
    let number = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Errno;

    fn local() -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
    }

    #[test]
    fn a_bound_port_is_kept_from_others() {
        let kept = bound(Transport::Tcp, local(), false).unwrap();
        let address = local_address(&kept).unwrap();
        for shared in [false, true] {
            let error = bound(Transport::Tcp, address, shared).unwrap_err();
            assert_eq!((error.call, error.errno), ("bind", Errno::ADDRINUSE));
        }
        // Nobody listens.
        let refused = std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn bytes_go_from_a_stream_through_a_pipe() {
        use std::io::Write;
        let listener = bound(Transport::Tcp, local(), true).unwrap();
        listen(&listener).unwrap();
        assert!(accept(&listener).unwrap().is_none());
        let mut client = std::net::TcpStream::connect(local_address(&listener).unwrap()).unwrap();
        crate::process::wait_readable(&listener).unwrap();
        let server = accept(&listener).unwrap().unwrap();
        let (out, into) = pipe().unwrap();
        assert_eq!(splice(&server, &into, PIPE).unwrap(), None);
        client.write_all(b"hello").unwrap();
        crate::process::wait_readable(&server).unwrap();
        assert_eq!(splice(&server, &into, PIPE).unwrap(), Some(5));
        drop(client);
        crate::process::wait_readable(&server).unwrap();
        assert_eq!(splice(&server, &into, PIPE).unwrap(), Some(0));
        drop(into);
        assert_eq!(crate::fd::read_to_end(&out, 10).unwrap(), b"hello");
    }

    #[test]
    fn datagrams_come_from_who_they_are_asked_of_only() {
        let server = bound(Transport::Udp, local(), false).unwrap();
        let asker = connecting(Transport::Udp, local_address(&server).unwrap()).unwrap();
        let stranger = bound(Transport::Udp, local(), false).unwrap();
        let asker_is = local_address(&asker).unwrap();
        send_datagram(&asker, b"question", None).unwrap();
        let mut room = [0; 100];
        crate::process::wait_readable(&server).unwrap();
        let (length, from) = receive_datagram(&server, &mut room).unwrap().unwrap();
        assert_eq!((&room[..length], from), (&b"question"[..], Some(asker_is)));
        send_datagram(&stranger, b"lie", Some(asker_is)).unwrap();
        send_datagram(&server, b"answer", Some(asker_is)).unwrap();
        crate::process::wait_readable(&asker).unwrap();
        let (length, _) = receive_datagram(&asker, &mut room).unwrap().unwrap();
        assert_eq!(&room[..length], b"answer");
        assert!(receive_datagram(&asker, &mut room).unwrap().is_none());
    }
}
