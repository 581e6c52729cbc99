//! What the files are that are told of.

use buildkit::mode::{self, CHARACTER, DEVICE, DIRECTORY, FIFO, KIND, SOCKET, SYMLINK};
use buildkit::sync::Stat;

use super::Error;

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

impl Kind {
    /// What is told of.
    pub(super) fn of(stat: &Stat) -> Result<Self, Error> {
        Ok(match stat.mode & KIND {
            0 => Self::File,
            DIRECTORY => Self::Directory,
            SYMLINK => Self::Link,
            FIFO => Self::Fifo,
            SOCKET => Self::Socket,
            DEVICE => Self::Block,
            both if both == DEVICE | CHARACTER => Self::Character,
            _ => {
                let (path, mode) = (&stat.path, stat.mode);
                let sentence = format!("{path:?} is of no known kind (mode {mode:#x})");
                return Err(Error::Protocol(sentence));
            }
        })
    }
}

/// Whether a file's bytes can be asked for.
pub(super) fn has_bytes(stat: &Stat) -> bool {
    stat.mode & KIND == 0
}

/// Permission bits as the kernel has them.
pub(super) fn permissions(stat: &Stat) -> u32 {
    mode::permissions(stat.mode)
}

/// The time as the kernel has it.
pub(super) fn time(stat: &Stat) -> (i64, u32) {
    let nanos = stat.modified.rem_euclid(1_000_000_000);
    (
        stat.modified.div_euclid(1_000_000_000),
        u32::try_from(nanos).unwrap_or_default(),
    )
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
                mode: mode::go(sys, 0o5755),
                modified: -1,
                ..Stat::default()
            };
            assert_eq!(Kind::of(&stat).unwrap(), kind);
            assert_eq!(permissions(&stat), 0o5755);
            assert_eq!(time(&stat), (-1, 999_999_999));
        }
        let odd = Stat {
            mode: DIRECTORY | SYMLINK,
            ..Stat::default()
        };
        assert!(Kind::of(&odd).is_err());
    }
}
