//! Keys as packets hold them, and whether a signature is theirs: the arithmetic is aws-lc's.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::packet::Input;

const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// The curve's name of before RFC 9580.
const ED25519: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// Hash algorithms (RFC 4880, 9.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// For what an old key says of itself only.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::Sha1),
            8 => Some(Self::Sha256),
            9 => Some(Self::Sha384),
            10 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, message)
                .as_ref()
                .to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

/// A curve with a prime field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// The public part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ecdsa {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519(Vec<u8>),
    /// For encryption, or of a kind that is not known: it signs nothing.
    Other(u8),
}

impl Material {
    /// What follows the algorithm's number in a key packet.
    pub(super) fn parse(algorithm: u8, mut input: Input<'_>) -> Option<Self> {
        match algorithm {
            1 | 3 => Some(Self::Rsa {
                modulus: input.integer()?.to_vec(),
                exponent: input.integer()?.to_vec(),
            }),
            19 => {
                let curve = curve(&mut input)?;
                let point = input.integer()?.to_vec();
                let curve = match curve {
                    P256 => Curve::P256,
                    P384 => Curve::P384,
                    P521 => Curve::P521,
                    _ => return Some(Self::Other(algorithm)),
                };
                Some(Self::Ecdsa { curve, point })
            }
            22 if curve(&mut input)? == ED25519 => {
                // The point is marked as being in its own format.
                let point = input.integer()?.strip_prefix(&[0x40])?;
                Some(Self::Ed25519(point.to_vec()))
            }
            27 => Some(Self::Ed25519(input.take(32)?.to_vec())),
            other => Some(Self::Other(other)),
        }
    }

    /// Whether the signature over `message` is this key's; `signed` is the end of a signature packet.
    pub(super) fn signed(&self, hash: Hash, message: &[u8], algorithm: u8, signed: &[u8]) -> bool {
        self.verify(hash, message, algorithm, Input(signed))
            .is_some()
    }

    /// Whether it is known how such signatures of this key are checked.
    pub(super) fn checks(&self, hash: Hash, algorithm: u8) -> bool {
        match (self, algorithm) {
            (Self::Rsa { .. }, 1 | 3) | (Self::Ed25519(_), 22 | 27) => true,
            (Self::Ecdsa { curve, .. }, 19) => ecdsa(*curve, hash).is_some(),
            _ => false,
        }
    }

    fn verify(
        &self,
        hash: Hash,
        message: &[u8],
        algorithm: u8,
        mut signed: Input<'_>,
    ) -> Option<()> {
        match (self, algorithm) {
            (Self::Rsa { modulus, exponent }, 1 | 3) => {
                let signed = padded(signed.integer()?, modulus.len())?;
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(rsa(hash), message, &signed).ok()
            }
            (Self::Ecdsa { curve, point }, 19) => {
                let (length, with) = ecdsa(*curve, hash)?;
                let mut both = padded(signed.integer()?, length)?;
                both.extend(padded(signed.integer()?, length)?);
                UnparsedPublicKey::new(with, point)
                    .verify(message, &both)
                    .ok()
            }
            (Self::Ed25519(point), 22 | 27) => {
                let both = if algorithm == 22 {
                    let mut both = padded(signed.integer()?, 32)?;
                    both.extend(padded(signed.integer()?, 32)?);
                    both
                } else {
                    signed.take(64)?.to_vec()
                };
                let key = UnparsedPublicKey::new(&signature::ED25519, point);
                key.verify(&hash.digest(message), &both).ok()
            }
            _ => None,
        }
    }
}

/// SHA-1 of `message`, which names keys.
pub(super) fn sha1(message: &[u8]) -> Vec<u8> {
    Hash::Sha1.digest(message)
}

fn curve<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let length = input.byte()?;
    input.take(usize::from(length))
}

/// How long each of the numbers of a signature is, and what checks them.
fn ecdsa(curve: Curve, hash: Hash) -> Option<(usize, &'static dyn VerificationAlgorithm)> {
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) => Some((32, &signature::ECDSA_P256_SHA256_FIXED)),
        (Curve::P384, Hash::Sha384) => Some((48, &signature::ECDSA_P384_SHA384_FIXED)),
        (Curve::P521, Hash::Sha512) => Some((66, &signature::ECDSA_P521_SHA512_FIXED)),
        _ => None,
    }
}

fn rsa(hash: Hash) -> &'static RsaParameters {
    match hash {
        Hash::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    }
}

/// With zeros before it; none if it is longer.
fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let zeros = length.checked_sub(number.len())?;
    let mut padded = vec![0; zeros];
    padded.extend_from_slice(number);
    Some(padded)
}
