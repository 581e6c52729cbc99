//! Whiteouts (OCI image specification, "Layer", and overlayfs): in an archive a file `.wh.NAME` says
//! that `NAME` of the layers below is gone, `.wh..wh..opq` that everything in its directory is. On
//! disk the first is a character device 0/0 called `NAME`, the second an attribute of the directory.

use std::ffi::OsStr;

use sys::dir::{Dir, Kind, Status};

use crate::error::Malformed;

/// What stands before a name in an archive to say that it is gone.
pub(crate) const GONE: &[u8] = b".wh.";
/// The name in an archive that makes its directory opaque.
pub(crate) const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

/// Marks a directory that hides those below it.
pub(super) const OPAQUE_KEY: &str = "trusted.overlay.opaque";
/// Its value.
pub(super) const OPAQUE_VALUE: &[u8] = b"y";

/// What a name in an archive stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// Itself.
    Name,
    /// The removal of this name.
    Removed(&'a [u8]),
    /// The opaqueness of the directory it is in.
    Opaque,
    /// Bookkeeping of a file system of old (aufs), to be passed over.
    Bookkeeping,
}

/// What the last component of a path stands for.
pub(super) fn meaning(name: &[u8]) -> Result<Meaning<'_>, Malformed> {
    let Some(rest) = name.strip_prefix(GONE) else {
        return Ok(Meaning::Name);
    };
    match rest {
        b".wh..opq" => Ok(Meaning::Opaque),
        _ if rest.starts_with(b".wh.") => Ok(Meaning::Bookkeeping),
        b"" | b"." | b".." => Err(Malformed::Name(String::from_utf8_lossy(name).into_owned())),
        _ => Ok(Meaning::Removed(rest)),
    }
}

/// Whether a directory of a layer on disk hides those below it.
pub(crate) fn is_opaque(dir: &Dir, name: &OsStr) -> bool {
    let value = sys::xattr::get(dir, name, OsStr::new(OPAQUE_KEY));
    value.is_ok_and(|value| value == OPAQUE_VALUE)
}

/// Whether what is on disk says that a name is gone.
pub(crate) fn is_whiteout(there: &Status) -> bool {
    there.kind == Kind::CharDevice && there.device == (0, 0)
}

/// Whether a layer may not bring this attribute: overlayfs would take it for its own and could be led
/// to files the image does not have; labels and signatures are the host's to give.
pub(crate) fn is_reserved(key: &[u8]) -> bool {
    key.starts_with(b"trusted.overlay.")
        || key.starts_with(b"user.overlay.")
        || matches!(key, b"security.selinux" | b"security.ima" | b"security.evm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_they_stand_for() {
        let show = |name: &str| match meaning(name.as_bytes()) {
            Ok(Meaning::Removed(name)) => format!("removes {}", String::from_utf8_lossy(name)),
            Ok(meaning) => format!("{meaning:?}"),
            Err(error) => error.to_string(),
        };
        let table: Vec<_> = [
            "passwd",
            ".wh.passwd",
            ".wh..wh..opq",
            ".wh..wh.plnk",
            ".wh.",
            ".wh...",
            ".wh....",
            ".wha",
        ]
        .map(|name| format!("{name}: {}", show(name)))
        .to_vec();
        assert_eq!(
            table,
            [
                "passwd: Name",
                ".wh.passwd: removes passwd",
                ".wh..wh..opq: Opaque",
                ".wh..wh.plnk: Bookkeeping",
                ".wh.: the path \".wh.\" cannot be a file's name",
                ".wh...: the path \".wh...\" cannot be a file's name",
                ".wh....: removes ...",
                ".wha: Name",
            ]
        );
    }
}
