//! Extended attributes (xattr(7)) of names in an open directory.
//!
//! The kernel has calls relative to a directory only since 6.13, so the name is reached through
//! `/proc/self/fd`, which resolves the directory's part by descriptor and not by text.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::XattrFlags;

use crate::error::{Named, Result};
use crate::fd;

/// Sets an attribute of `name` in `dir`, of the link itself if it is a symbolic one.
pub fn set(dir: impl AsFd, name: &OsStr, key: &OsStr, value: &[u8]) -> Result<()> {
    let path = fd::proc_path(dir.as_fd()).join(name);
    rustix::fs::lsetxattr(&path, key, value, XattrFlags::empty()).named("lsetxattr")
}

/// Reads an attribute of `name` in `dir`. `ENODATA` when it has none of that key.
pub fn get(dir: impl AsFd, name: &OsStr, key: &OsStr) -> Result<Vec<u8>> {
    let path = fd::proc_path(dir.as_fd()).join(name);
    let size = rustix::fs::lgetxattr_query(&path, key).named("lgetxattr")?;
    let mut value = vec![0; size];
    let size = rustix::fs::lgetxattr(&path, key, value.as_mut_slice()).named("lgetxattr")?;
    value.truncate(size);
    Ok(value)
}

/// The keys of the attributes of `name` in `dir` that this process may see; none where the file
/// system has no attributes.
pub fn list(dir: impl AsFd, name: &OsStr) -> Result<Vec<OsString>> {
    let path = fd::proc_path(dir.as_fd()).join(name);
    listed(|keys| rustix::fs::llistxattr(&path, keys))
}

/// The same of an open file.
pub fn list_open(file: impl AsFd) -> Result<Vec<OsString>> {
    listed(|keys| rustix::fs::flistxattr(&file, keys))
}

fn listed(list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Result<Vec<OsString>> {
    // What nearly always suffices, then the kernel's limit (XATTR_LIST_MAX).
    for room in [1 << 10, 64 << 10] {
        let mut keys = vec![0; room];
        match list(keys.as_mut_slice()) {
            Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(rustix::io::Errno::RANGE) if room < 64 << 10 => {}
            listed => {
                keys.truncate(listed.named("listxattr")?);
                let keys = keys.split(|byte| *byte == 0).filter(|key| !key.is_empty());
                return Ok(keys.map(|key| OsStr::from_bytes(key).to_owned()).collect());
            }
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Dir;

    #[test]
    fn an_attribute_is_read_back() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let (name, key) = (OsStr::new("f"), OsStr::new("user.note"));
        dir.create_file(name).unwrap();
        match set(&dir, name, key, b"a\nb\0c") {
            Ok(()) => {
                assert_eq!(get(&dir, name, key).unwrap(), b"a\nb\0c");
                set(&dir, name, OsStr::new("user.more"), b"").unwrap();
                let mut keys = list(&dir, name).unwrap();
                keys.retain(|key| key.as_bytes().starts_with(b"user."));
                keys.sort();
                assert_eq!(keys, ["user.more", "user.note"]);
            }
            Err(error) => {
                use std::io::Write as _;
                let mut out = std::io::stderr();
                writeln!(
                    out,
                    "SKIP: no user attributes on the temporary directory: {error}"
                )
                .unwrap();
            }
        }
    }
}
