//! Files of containers.

use super::go_struct;

go_struct! {
    /// What `GET /containers/{id}/changes` says of one path.
    pub struct PathChange {
        /// Absolute.
        pub path: String,
        /// 0 modified, 1 added, 2 deleted.
        pub kind: u8,
    }
}

/// What the header `X-Docker-Container-Path-Stat` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PathStat {
    /// The last component.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// As [`go_mode`] makes it.
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    /// Where a link leads in the end.
    pub link_target: String,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Something else.
    Other,
}

const DIR: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHAR_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const IRREGULAR: u32 = 1 << 19;

/// Kind and permissions as Go's `os.FileMode` has them.
pub fn go_mode(kind: FileKind, permissions: u32) -> u32 {
    let kind = match kind {
        FileKind::File => 0,
        FileKind::Directory => DIR,
        FileKind::Symlink => SYMLINK,
        FileKind::CharDevice => DEVICE | CHAR_DEVICE,
        FileKind::BlockDevice => DEVICE,
        FileKind::Fifo => PIPE,
        FileKind::Socket => SOCKET,
        FileKind::Other => IRREGULAR,
    };
    let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
    let special = special.iter().filter(|(bit, _)| permissions & bit != 0);
    special.fold(kind | (permissions & 0o777), |mode, (_, flag)| mode | flag)
}

impl PathStat {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & DIR != 0
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.mode & SYMLINK != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        assert_eq!(go_mode(FileKind::File, 0o644), 0o644);
        assert_eq!(
            go_mode(FileKind::Directory, 0o1777),
            0x8000_0000 | 0x10_0000 | 0o777
        );
        assert_eq!(go_mode(FileKind::Symlink, 0o777), 0x800_0000 | 0o777);
        assert_eq!(go_mode(FileKind::CharDevice, 0o620), 0x420_0000 | 0o620);
        assert_eq!(go_mode(FileKind::File, 0o6755), 0xc0_0000 | 0o755);
    }
}
