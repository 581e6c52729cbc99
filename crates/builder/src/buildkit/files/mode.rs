//! Go's file modes.

use super::{Error, Stat};

const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const FIFO: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHARACTER: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const IRREGULAR: u32 = 1 << 19;
/// What makes a file something else than regular.
const KIND: u32 = DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | CHARACTER | IRREGULAR;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Link,
    Fifo,
    Character,
    Block,
    /// Nothing that can be sent: it is passed over.
    Socket,
}

impl Stat {
    pub(super) fn kind(&self) -> Result<Kind, Error> {
        Ok(match self.mode & KIND {
            0 => Kind::File,
            DIRECTORY => Kind::Directory,
            SYMLINK => Kind::Link,
            FIFO => Kind::Fifo,
            SOCKET => Kind::Socket,
            DEVICE => Kind::Block,
            both if both == DEVICE | CHARACTER => Kind::Character,
            _ => {
                let (path, mode) = (&self.path, self.mode);
                let sentence = format!("{path:?} is of no known kind (mode {mode:#x})");
                return Err(Error::Protocol(sentence));
            }
        })
    }

    /// Whether its bytes can be asked for.
    pub(super) fn has_bytes(&self) -> bool {
        self.mode & KIND == 0
    }

    /// Permission bits as the kernel has them.
    pub(super) fn permissions(&self) -> u32 {
        let bit = |go: u32, unix: u32| if self.mode & go == 0 { 0 } else { unix };
        (self.mode & 0o777) | bit(SETUID, 0o4000) | bit(SETGID, 0o2000) | bit(STICKY, 0o1000)
    }

    /// The time as the kernel has it.
    pub(super) fn time(&self) -> (i64, u32) {
        let nanos = self.modified.rem_euclid(1_000_000_000);
        (
            self.modified.div_euclid(1_000_000_000),
            u32::try_from(nanos).unwrap_or_default(),
        )
    }
}

/// A mode as Go counts it.
pub(super) fn go(kind: sys::dir::Kind, permissions: u32) -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_go_there_and_back() {
        use sys::dir::Kind as Sys;
        for (sys, kind) in [
            (Sys::File, Kind::File),
            (Sys::Directory, Kind::Directory),
            (Sys::Symlink, Kind::Link),
            (Sys::Fifo, Kind::Fifo),
            (Sys::CharDevice, Kind::Character),
            (Sys::BlockDevice, Kind::Block),
            (Sys::Socket, Kind::Socket),
        ] {
            let stat = Stat {
                mode: go(sys, 0o5755),
                modified: -1,
                ..Stat::default()
            };
            assert_eq!(stat.kind().unwrap(), kind);
            assert_eq!(stat.permissions(), 0o5755);
            assert_eq!(stat.time(), (-1, 999_999_999));
        }
        let odd = Stat {
            mode: DIRECTORY | SYMLINK,
            ..Stat::default()
        };
        assert!(odd.kind().is_err());
    }
}
