//! What bytes hash to, by either of the algorithms that content may be named by (OCI image
//! specification, "Digests").

use sha2::{Digest as _, Sha256, Sha512};
use types::{Algorithm, Digest};

/// A hash that is being made.
#[derive(Debug, Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// What all of it hashes to.
    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::sha256(hash.finalize().into()),
            Self::Sha512(hash) => Digest::sha512(hash.finalize().into()),
        }
    }
}

/// What bytes at hand hash to.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hash = Hasher::new(algorithm);
    hash.update(bytes);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_algorithms_are_the_standards() {
        // FIPS 180-4's example "abc".
        assert_eq!(
            digest_of(Algorithm::Sha256, b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest_of(Algorithm::Sha512, b"abc").to_string(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }
}
