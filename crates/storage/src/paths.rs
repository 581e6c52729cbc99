//! Where things are under the data root.
//!
//! ```text
//! lock                      whose the root is
//! brig.db                   what refers to what
//! blobs/sha256/<hex>        content, as it came
//! blobs/sha512/<hex>        the same, of what is named so
//! layers/<n>/diff           layers unpacked, with overlayfs's whiteouts; <n> is short on purpose
//! layers/<n>/record         what else their archives said
//! layers/<n>/<hex>          how such an archive becomes compressed content again
//! containers/<id>/          a container's files; upper and work are its writable layer
//! volumes/<n>/data          a volume's files, or those of a snapshot of one
//! caches/<n>/data           what steps of builds keep from build to build
//! partial/<hex>             content that a pull has not finished
//! tmp/                      what is being written
//! trash/                    what is being removed
//! ```

use std::path::PathBuf;

use types::{Algorithm, ContainerId, Digest};

/// The data root.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub root: PathBuf,
}

impl Paths {
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("brig.db")
    }

    /// Where content is, by algorithm.
    pub(crate) fn blobs(&self) -> [PathBuf; 2] {
        [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| self.blobs_by(algorithm))
    }

    fn blobs_by(&self, algorithm: Algorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.as_str())
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs_by(digest.algorithm()).join(digest.hex())
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn layer(&self, number: u64) -> PathBuf {
        self.layers().join(layer_name(number))
    }

    /// How the layer's archive becomes the compressed content `digest` again.
    pub(crate) fn recipe(&self, layer: u64, digest: &Digest) -> PathBuf {
        self.layer(layer).join(digest.hex())
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn volume(&self, number: u64) -> PathBuf {
        self.volumes().join(layer_name(number))
    }

    pub(crate) fn caches(&self) -> PathBuf {
        self.root.join("caches")
    }

    pub(crate) fn cache(&self, number: u64) -> PathBuf {
        self.caches().join(layer_name(number))
    }

    pub(crate) fn places(&self) -> PathBuf {
        self.root.join("places")
    }

    pub(crate) fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.partials().join(digest.hex())
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }
}

/// What overlayfs shows.
pub(crate) const DIFF: &str = "diff";

/// What containers see of a volume.
pub(crate) const DATA: &str = "data";

/// The lower layer of an image that has none: overlayfs wants one.
pub(crate) const EMPTY_LAYER: u64 = 0;

/// A layer's directory, in base 36: a kernel that takes all layers in one page of options (before
/// 6.5) then has room for more than a hundred of them.
pub(crate) fn layer_name(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut name = Vec::new();
    loop {
        let digit = usize::try_from(number % 36).unwrap_or(0);
        name.push(DIGITS[digit]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    name.iter().rev().map(|b| char::from(*b)).collect()
}

/// The number of a directory that [`layer_name`] named.
pub(crate) fn layer_number(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name, 36).ok()?;
    (layer_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_names_are_short_and_read_back() {
        for (number, name) in [(0, "0"), (35, "z"), (36, "10"), (46655, "zzz")] {
            assert_eq!(layer_name(number), name);
            assert_eq!(layer_number(name), Some(number));
        }
        for bad in ["", "00", "Z", "-1", "a.b", "+1"] {
            assert_eq!(layer_number(bad), None, "{bad:?}");
        }
    }
}
