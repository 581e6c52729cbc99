//! Unix sockets: whole messages with descriptors beside them (SOCK_SEQPACKET, SCM_RIGHTS), and the
//! byte streams of attached clients.
//!
//! An address holds 107 bytes (unix(7)), so a socket is bound and reached through a descriptor of
//! its directory, however long the path.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    sockopt,
};

use crate::error::{Errno, Error, Named, Result, check, retry};
use crate::fd;

/// Descriptors that may travel beside one message, the memfd of a long one not counted.
pub const MAX_FDS: usize = 16;

/// A longer message travels as a memfd: the kernel would want one contiguous buffer for it.
const INLINE: usize = 32 * 1024;

/// A message longer than this is refused: nothing here is that long.
const LIMIT: u64 = 16 * 1024 * 1024;

/// What stands in the place of a message that travels as a memfd. No JSON text begins so.
const IN_MEMFD: &[u8] = b"@memfd";

const CONTROL: usize = rustix::cmsg_space!(ScmRights(MAX_FDS + 1));

/// What a socket keeps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages, each whole.
    Messages,
    /// Bytes.
    Stream,
}

impl Kind {
    fn socket_type(self) -> SocketType {
        match self {
            Self::Messages => SocketType::SEQPACKET,
            Self::Stream => SocketType::STREAM,
        }
    }
}

/// A message and what came with it.
#[derive(Debug, Default)]
pub struct Message {
    /// The text.
    pub bytes: Vec<u8>,
    /// The descriptors, closed on execve(2).
    pub fds: Vec<OwnedFd>,
}

/// Two connected sockets, closed on execve(2).
pub fn pair(kind: Kind) -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(
        AddressFamily::UNIX,
        kind.socket_type(),
        SocketFlags::CLOEXEC,
        None,
    )
    .named("socketpair")
}

/// A listening socket at `path`, non-blocking, for its owner only. A socket that lies there is
/// replaced: whoever calls this knows that nobody listens on it.
pub fn listen(path: &Path, kind: Kind) -> Result<OwnedFd> {
    let socket = new(kind, SocketFlags::NONBLOCK)?;
    let (dir, name) = split(path)?;
    match rustix::fs::unlinkat(&dir, name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(errno).named("unlinkat"),
    }
    // The file gets the mode that the socket has (unix(7)): there is no moment in which others see it, and no
    // path by which another file could get it.
    let own = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::fchmod(&socket, own).named("fchmod")?;
    rustix::net::bind(&socket, &address(&dir, name)?).named("bind")?;
    // Cut by the kernel to what net.core.somaxconn says: many may come at once, and who finds the queue
    // full is refused.
    rustix::net::listen(&socket, 4096).named("listen")?;
    Ok(socket)
}

/// A blocking connection to the socket at `path`.
pub fn connect(path: &Path, kind: Kind) -> Result<OwnedFd> {
    connect_new(new(kind, SocketFlags::empty())?, path)
}

/// The same with [`set_patience`]: a listener that accepts nothing any more keeps the caller no
/// longer than that.
pub fn connect_within(path: &Path, kind: Kind, limit: Duration) -> Result<OwnedFd> {
    let socket = new(kind, SocketFlags::empty())?;
    set_patience(&socket, limit)?;
    connect_new(socket, path)
}

fn connect_new(socket: OwnedFd, path: &Path) -> Result<OwnedFd> {
    let (dir, name) = split(path)?;
    retry(|| rustix::net::connect(&socket, &address_raw(&dir, name)?)).named("connect")?;
    Ok(socket)
}

/// The next connection, `None` when none waits. Blocking or not is the caller's choice.
pub fn accept(listener: impl AsFd, nonblocking: bool) -> Result<Option<OwnedFd>> {
    let mut flags = SocketFlags::CLOEXEC;
    flags.set(SocketFlags::NONBLOCK, nonblocking);
    match retry(|| rustix::net::accept_with(&listener, flags)) {
        Ok(socket) => Ok(Some(socket)),
        // A client that gave up meanwhile is no failure of the listener.
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => Ok(None),
        Err(errno) => Err(errno).named("accept4"),
    }
}

/// How long, from now on, sending, receiving and connecting wait before they fail with
/// [`Errno::AGAIN`].
pub fn set_patience(socket: impl AsFd, limit: Duration) -> Result<()> {
    let socket = socket.as_fd();
    // Zero would mean for ever.
    let limit = Some(limit.max(Duration::from_micros(1)));
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, limit).named("setsockopt")?;
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, limit).named("setsockopt")
}

fn new(kind: Kind, flags: SocketFlags) -> Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, kind.socket_type(), flags, None).named("socket")
}

fn split(path: &Path) -> Result<(OwnedFd, &Path)> {
    let name = path.file_name().ok_or(Error {
        call: "open",
        errno: Errno::INVAL,
    })?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    Ok((fd::open_path(parent)?, Path::new(name)))
}

fn address(dir: &OwnedFd, name: &Path) -> Result<SocketAddrUnix> {
    address_raw(dir, name).named("bind")
}

fn address_raw(dir: &OwnedFd, name: &Path) -> rustix::io::Result<SocketAddrUnix> {
    let path: PathBuf = fd::proc_path(dir.as_fd()).join(name);
    SocketAddrUnix::new(path)
}

/// Sends one message whole, waiting for room unless the socket does not block. Never raises
/// SIGPIPE.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    send_with(socket.as_fd(), bytes, fds, SendFlags::NOSIGNAL)
}

/// Sends bytes of any number to a stream, the descriptors beside the first.
pub fn send_stream(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let (mut rest, mut fds) = (bytes, fds);
    while !rest.is_empty() {
        rest = &rest[send_some(socket.as_fd(), rest, fds, SendFlags::NOSIGNAL)?..];
        fds = &[];
    }
    Ok(())
}

/// The same without waiting: fails with [`Errno::AGAIN`] when there is no room.
pub fn try_send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    send_with(
        socket.as_fd(),
        bytes,
        fds,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )
}

fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<()> {
    if fds.len() > MAX_FDS {
        return Err(Error {
            call: "sendmsg",
            errno: Errno::INVAL,
        });
    }
    if bytes.len() <= INLINE {
        return send_packet(socket, bytes, fds, flags);
    }
    let body = memfd(bytes)?;
    let mut all = vec![body.as_fd()];
    all.extend_from_slice(fds);
    send_packet(socket, IN_MEMFD, &all, flags)
}

fn send_packet(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<()> {
    send_some(socket, bytes, fds, flags).map(drop)
}

/// How much of it went.
fn send_some(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Error {
            call: "sendmsg",
            errno: Errno::INVAL,
        });
    }
    let text = [IoSlice::new(bytes)];
    retry(|| rustix::net::sendmsg(socket, &text, &mut control, flags)).named("sendmsg")
}

fn memfd(bytes: &[u8]) -> Result<OwnedFd> {
    let body = rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC).named("memfd_create")?;
    let mut file = File::from(body);
    file.write_all(bytes).named("write")?;
    Ok(file.into())
}

/// Receives one message whole; `None` when the other side has closed. Waits unless the socket does
/// not block.
pub fn receive(socket: impl AsFd) -> Result<Option<Message>> {
    receive_with(socket.as_fd(), RecvFlags::CMSG_CLOEXEC)
}

/// The same without waiting: fails with [`Errno::AGAIN`] when there is no message.
pub fn try_receive(socket: impl AsFd) -> Result<Option<Message>> {
    receive_with(
        socket.as_fd(),
        RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    )
}

fn receive_with(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<Option<Message>> {
    let Some(mut message) = receive_packet(socket, flags)? else {
        return Ok(None);
    };
    if message.bytes == IN_MEMFD && !message.fds.is_empty() {
        message.bytes = body(message.fds.remove(0))?;
    }
    Ok(Some(message))
}

fn receive_packet(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<Option<Message>> {
    let length = waiting(socket, flags)?;
    let mut bytes = vec![0; length];
    let mut space = [MaybeUninit::uninit(); CONTROL];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut room = [IoSliceMut::new(&mut bytes)];
    let got =
        retry(|| rustix::net::recvmsg(socket, &mut room, &mut control, flags)).named("recvmsg")?;
    let fds: Vec<_> = control
        .drain()
        .filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    if got
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(Error {
            call: "recvmsg",
            errno: Errno(libc::EMSGSIZE),
        });
    }
    // No side sends an empty message: an empty one is the end.
    Ok((got.bytes > 0).then_some(Message { bytes, fds }))
}

/// The length of the next message, so that room is made for what comes and no more.
fn waiting(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<usize> {
    let flags = (flags & RecvFlags::DONTWAIT) | RecvFlags::PEEK | RecvFlags::TRUNC;
    let mut room = [0_u8; 1];
    let (_, length) = retry(|| rustix::net::recv(socket, &mut room, flags)).named("recv")?;
    if length > INLINE {
        return Err(Error {
            call: "recv",
            errno: Errno(libc::EMSGSIZE),
        });
    }
    Ok(length)
}

/// Copies the beginning of the next message, if one is there, and leaves it there; how long that is. Descriptors that
/// come along stay with it.
pub fn peek(socket: impl AsFd, room: &mut [u8]) -> Result<usize> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    let (length, _) = retry(|| rustix::net::recv(&socket, &mut *room, flags)).named("recv")?;
    Ok(length)
}

fn body(fd: OwnedFd) -> Result<Vec<u8>> {
    let mut file = File::from(fd);
    let length = file.metadata().named("fstat")?.len();
    if length > LIMIT {
        return Err(Error {
            call: "recvmsg",
            errno: Errno(libc::EMSGSIZE),
        });
    }
    // The sender's position came with the descriptor.
    file.seek(SeekFrom::Start(0)).named("lseek")?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes).named("read")?;
    Ok(bytes)
}

/// Sends what fits of `parts` to a stream without waiting, and says how much that was. Never raises
/// SIGPIPE.
pub fn try_send_parts(socket: impl AsFd, parts: &[IoSlice<'_>]) -> Result<usize> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let mut control = SendAncillaryBuffer::default();
    match retry(|| rustix::net::sendmsg(&socket, parts, &mut control, flags)) {
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        answer => answer.named("sendmsg"),
    }
}

/// Reads into the spare room of `buffer` without waiting. `None` when nothing is there yet, zero
/// when the other side will send no more.
pub fn try_receive_bytes(socket: impl AsFd, buffer: &mut Vec<u8>) -> Result<Option<usize>> {
    let room = rustix::buffer::spare_capacity(buffer);
    match rustix::net::recv(&socket, room, RecvFlags::DONTWAIT) {
        Ok((_, length)) => Ok(Some(length)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(errno) => Err(errno).named("recv"),
    }
}

/// Tells the other side that no more bytes come.
pub fn shut_down_write(socket: impl AsFd) -> Result<()> {
    rustix::net::shutdown(socket, rustix::net::Shutdown::Write).named("shutdown")
}

/// Ends both directions: nothing more can be sent to us, and what was sent can be read.
pub fn shut_down(socket: impl AsFd) -> Result<()> {
    rustix::net::shutdown(socket, rustix::net::Shutdown::Both).named("shutdown")
}

/// Whether the other side of a stream has closed it altogether, not only its sending half.
pub fn closed_by_peer(socket: impl AsFd) -> Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut set = [PollFd::new(&socket, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    retry(|| poll(&mut set, Some(&now))).named("poll")?;
    Ok(set[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

/// Bytes that were sent and that the other side has not read, with the kernel's own bookkeeping
/// (SIOCOUTQ of unix(7)); zero once it has read everything.
#[allow(unsafe_code, reason = "SIOCOUTQ has no safe wrapper")]
pub fn unread_by_peer(socket: impl AsFd) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ writes one int to the address it is given, which is alive for the call.
    let answer = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    check("ioctl SIOCOUTQ", answer.into())?;
    Ok(usize::try_from(bytes).unwrap_or_default())
}

/// Makes room for `bytes` more in the kernel, beyond the limit for ordinary users if need be, so
/// that a sender that ends need not wait for a slow reader.
pub fn reserve_send_buffer(socket: impl AsFd, bytes: usize) -> Result<()> {
    sockopt::set_socket_send_buffer_size_force(socket, bytes).named("setsockopt")
}

/// The process at the other end: of a connection made by connect(2), who called listen(2).
pub fn peer_pid(socket: impl AsFd) -> Result<i32> {
    let peer = sockopt::socket_peercred(socket).named("getsockopt")?;
    Ok(peer.pid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_known() {
        let (a, b) = pair(Kind::Stream).unwrap();
        assert_eq!(unread_by_peer(&a).unwrap(), 0);
        send_stream(&a, b"head", &[]).unwrap();
        assert!(unread_by_peer(&a).unwrap() > 0);
        let mut buffer = Vec::with_capacity(8);
        try_receive_bytes(&b, &mut buffer).unwrap();
        assert_eq!(unread_by_peer(&a).unwrap(), 0);
    }

    #[test]
    fn messages_keep_their_borders_and_descriptors() {
        let (a, b) = pair(Kind::Messages).unwrap();
        let (read, write) = fd::pipe().unwrap();
        send(&a, b"{one}", &[write.as_fd()]).unwrap();
        send(&a, b"{two}", &[]).unwrap();
        drop((a, write));
        let one = receive(&b).unwrap().unwrap();
        assert_eq!((one.bytes.as_slice(), one.fds.len()), (&b"{one}"[..], 1));
        fd::write_all(&one.fds[0], b"through").unwrap();
        drop(one);
        assert_eq!(fd::read_to_end(&read, 100).unwrap(), b"through");
        assert_eq!(receive(&b).unwrap().unwrap().bytes, b"{two}");
        assert!(receive(&b).unwrap().is_none());
    }

    #[test]
    fn a_long_message_travels_as_a_memfd() {
        let (a, b) = pair(Kind::Messages).unwrap();
        let long = vec![b'x'; 3_000_000];
        let (read, _write) = fd::pipe().unwrap();
        send(&a, &long, &[read.as_fd()]).unwrap();
        let got = receive(&b).unwrap().unwrap();
        assert_eq!((got.bytes.len(), got.fds.len()), (long.len(), 1));
        assert_eq!(got.bytes, long);
        assert_eq!(try_receive(&b).unwrap_err().errno, Errno::AGAIN);
    }

    #[test]
    fn a_socket_with_a_long_path_is_bound_and_reached() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("some.sock");
        let listener = listen(&path, Kind::Messages).unwrap();
        assert!(accept(&listener, true).unwrap().is_none());
        let client = connect(&path, Kind::Messages).unwrap();
        let server = accept(&listener, true).unwrap().unwrap();
        send(&client, b"hello", &[]).unwrap();
        assert_eq!(receive(&server).unwrap().unwrap().bytes, b"hello");
        assert_eq!(
            peer_pid(&client).unwrap(),
            i32::try_from(std::process::id()).unwrap()
        );
        assert_eq!(
            connect(&deep.join("none"), Kind::Messages)
                .unwrap_err()
                .errno,
            Errno::NOENT
        );
        // Bound again: the old name is replaced.
        drop(listener);
        listen(&path, Kind::Messages).unwrap();
    }

    #[test]
    fn patience_ends() {
        let (a, b) = pair(Kind::Messages).unwrap();
        set_patience(&a, Duration::from_millis(1)).unwrap();
        assert_eq!(receive(&a).unwrap_err().errno, Errno::AGAIN);
        let full = loop {
            if let Err(error) = send(&a, &[b'x'; 10_000], &[]) {
                break error;
            }
        };
        assert_eq!(full.errno, Errno::AGAIN);
        drop(b);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.sock");
        let listener = listen(&path, Kind::Messages).unwrap();
        // Nobody accepts: as many wait as listen(2) was told, here once more.
        rustix::net::listen(&listener, 1).unwrap();
        let mut waiting = Vec::new();
        let refused = loop {
            match connect_within(&path, Kind::Messages, Duration::from_millis(1)) {
                Ok(connection) => waiting.push(connection),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.errno, Errno::AGAIN);
        assert!(!waiting.is_empty());
    }

    #[test]
    fn half_a_close_is_not_a_close() {
        let (a, b) = pair(Kind::Stream).unwrap();
        shut_down_write(&a).unwrap();
        let mut buffer = Vec::with_capacity(16);
        assert_eq!(try_receive_bytes(&b, &mut buffer).unwrap(), Some(0));
        assert!(!closed_by_peer(&b).unwrap());
        drop(a);
        // What another test is just starting holds a copy until its execve(2).
        let pause = || std::thread::sleep(Duration::from_millis(1));
        let closed = (0..60_000).any(|_| closed_by_peer(&b).unwrap() || (pause(), false).1);
        assert!(closed);
    }

    #[test]
    fn a_stream_takes_what_fits() {
        let (a, b) = pair(Kind::Stream).unwrap();
        let chunk = vec![7_u8; 100_000];
        let mut sent = 0;
        loop {
            match try_send_parts(&a, &[IoSlice::new(b"head"), IoSlice::new(&chunk)]).unwrap() {
                0 => break,
                n => sent += n,
            }
        }
        if reserve_send_buffer(&a, 8 << 20).is_ok() {
            let all = try_send_parts(&a, &[IoSlice::new(&chunk)]).unwrap();
            assert_eq!(all, chunk.len(), "room was made");
            sent += all;
        }
        drop(a);
        assert_eq!(fd::read_to_end(&b, usize::MAX).unwrap().len(), sent);
    }
}
