//! Public keys of sigstore: PEM as cosign and openssl write it, of ECDSA, RSA and Ed25519.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::der::{BIT_STRING, OID, Reader, SEQUENCE};

const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    P521,
    Rsa,
    Ed25519,
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    kind: Kind,
    key: Vec<u8>,
    /// The whole SubjectPublicKeyInfo (RFC 5280).
    info: Vec<u8>,
}

impl PublicKey {
    /// The one key of a PEM file.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let mut keys = SubjectPublicKeyInfoDer::pem_slice_iter(pem);
        let first = keys.next().and_then(Result::ok);
        let key = first.ok_or("it holds no public key (-----BEGIN PUBLIC KEY-----)")?;
        if keys.next().is_some() {
            return Err("it holds more than one public key, one is expected".to_owned());
        }
        Self::from_info(&key)
    }

    /// A SubjectPublicKeyInfo.
    pub(super) fn from_info(info: &[u8]) -> Result<Self, String> {
        let (kind, key) = read(info).ok_or(
            "its key is of no kind that is known: ECDSA on P-256, P-384 or P-521, RSA or Ed25519 is expected",
        )?;
        Ok(Self {
            kind,
            key: key.to_owned(),
            info: info.to_owned(),
        })
    }

    /// Whether it is a key of a curve, as Rekor's are.
    pub(super) fn is_ecdsa(&self) -> bool {
        matches!(self.kind, Kind::P256 | Kind::P384 | Kind::P521)
    }

    /// The bytes by which a log names it.
    pub(super) fn info(&self) -> &[u8] {
        &self.info
    }

    /// Whether it made the signature. cosign hashes with SHA-256 whatever the key, and lately with what
    /// befits the curve.
    pub(super) fn verifies(&self, message: &[u8], signed: &[u8]) -> bool {
        let with: &[&'static dyn VerificationAlgorithm] = match self.kind {
            Kind::P256 => &[&signature::ECDSA_P256_SHA256_ASN1],
            Kind::P384 => &[
                &signature::ECDSA_P384_SHA256_ASN1,
                &signature::ECDSA_P384_SHA384_ASN1,
            ],
            Kind::P521 => &[
                &signature::ECDSA_P521_SHA256_ASN1,
                &signature::ECDSA_P521_SHA512_ASN1,
            ],
            Kind::Rsa => &[
                &signature::RSA_PKCS1_2048_8192_SHA256,
                &signature::RSA_PSS_2048_8192_SHA256,
            ],
            Kind::Ed25519 => &[&signature::ED25519],
        };
        with.iter().any(|algorithm| {
            let key = UnparsedPublicKey::new(*algorithm, &self.key);
            key.verify(message, signed).is_ok()
        })
    }
}

fn read(info: &[u8]) -> Option<(Kind, &[u8])> {
    let mut info = Reader(info).inside(SEQUENCE)?;
    let mut algorithm = info.inside(SEQUENCE)?;
    let name = algorithm.take(OID)?;
    let kind = match name {
        EC => match algorithm.take(OID)? {
            P256 => Kind::P256,
            P384 => Kind::P384,
            P521 => Kind::P521,
            _ => return None,
        },
        RSA => Kind::Rsa,
        ED25519 => Kind::Ed25519,
        _ => return None,
    };
    let (unused, key) = info.take(BIT_STRING)?.split_first()?;
    (*unused == 0).then_some((kind, key))
}
