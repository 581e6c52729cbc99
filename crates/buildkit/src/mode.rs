//! Go's file modes, which its protocols carry.

/// A directory.
pub const DIRECTORY: u32 = 1 << 31;
/// A symbolic link.
pub const SYMLINK: u32 = 1 << 27;
/// A device.
pub const DEVICE: u32 = 1 << 26;
/// A named pipe.
pub const FIFO: u32 = 1 << 25;
/// A socket.
pub const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
/// A device of characters, beside [`DEVICE`].
pub const CHARACTER: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
/// Something else.
const IRREGULAR: u32 = 1 << 19;
/// What makes a file something else than regular.
pub const KIND: u32 = DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | CHARACTER | IRREGULAR;

/// A mode as Go counts it.
pub fn go(kind: sys::dir::Kind, permissions: u32) -> u32 {
    use sys::dir::Kind as Sys;
    let bit = |unix: u32, go: u32| if permissions & unix == 0 { 0 } else { go };
    let kind = match kind {
        Sys::Directory => DIRECTORY,
        Sys::Symlink => SYMLINK,
        Sys::Fifo => FIFO,
        Sys::Socket => SOCKET,
        Sys::CharDevice => DEVICE | CHARACTER,
        Sys::BlockDevice => DEVICE,
        Sys::File => 0,
        Sys::Unknown => IRREGULAR,
    };
    kind | (permissions & 0o777) | bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY)
}

/// Permission bits as the kernel has them.
pub fn permissions(mode: u32) -> u32 {
    let bit = |go: u32, unix: u32| if mode & go == 0 { 0 } else { unix };
    (mode & 0o777) | bit(SETUID, 0o4000) | bit(SETGID, 0o2000) | bit(STICKY, 0o1000)
}
