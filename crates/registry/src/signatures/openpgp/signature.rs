//! Signature packets (RFC 4880, 5.2).

use super::material::{Hash, Material};
use super::packet::Input;

/// Of a document, as it is.
pub(super) const BINARY: u8 = 0x00;
/// A key's, that it belongs to the primary one.
pub(super) const PRIMARY_BINDING: u8 = 0x19;

const CRITICAL: u8 = 0x80;
const CREATED: u8 = 2;
const EXPIRES: u8 = 3;
const KEY_EXPIRES: u8 = 9;
const ISSUER: u8 = 16;
const FLAGS: u8 = 27;
const EMBEDDED: u8 = 32;
const FINGERPRINT: u8 = 33;
/// What is known and says nothing here: preferences, notices of who revokes, names.
const HARMLESS: [u8; 14] = [4, 5, 6, 7, 10, 11, 12, 21, 22, 23, 24, 25, 28, 30];

/// A signature of version 4.
#[derive(Debug, Clone)]
pub(super) struct Signature<'a> {
    pub(super) kind: u8,
    algorithm: u8,
    hash: Hash,
    /// What is hashed after the content.
    trailer: Vec<u8>,
    /// The numbers at the end.
    signed: &'a [u8],
    pub(super) created: i64,
    /// Seconds after it was made; none is never.
    expires: Option<i64>,
    /// Seconds after the key was made; none is never.
    pub(super) key_expires: Option<i64>,
    /// What the key may be used for.
    pub(super) flags: Option<u8>,
    issuer: Option<Vec<u8>>,
    fingerprint: Option<Vec<u8>>,
    /// The other key's word in a binding.
    pub(super) embedded: Option<&'a [u8]>,
    /// Says something that has to be understood and is not.
    strange: Option<u8>,
}

impl<'a> Signature<'a> {
    /// The body of a packet.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, String> {
        if body.first() != Some(&4) {
            let version = body.first().copied().unwrap_or_default();
            return Err(format!(
                "it has a signature of version {version}, 4 is expected"
            ));
        }
        let hash = body.get(3).copied().unwrap_or_default();
        let known = Hash::of(hash).ok_or(format!(
            "it is hashed by the algorithm {hash}, SHA-256, SHA-384 or SHA-512 is expected"
        ))?;
        Self::read(body, known).ok_or_else(|| "its signature is cut short".to_owned())
    }

    fn read(body: &'a [u8], hash: Hash) -> Option<Self> {
        let mut input = Input(body);
        let head = input.take(4)?;
        let hashed_length = input.number(2)?;
        let hashed = input.take(hashed_length)?;
        let unhashed_length = input.number(2)?;
        let unhashed = input.take(unhashed_length)?;
        let _first_bits = input.take(2)?;
        let covered = body.get(..6 + hashed_length)?;
        let mut trailer = covered.to_vec();
        trailer.extend([4, 0xff]);
        trailer.extend(u32::try_from(covered.len()).ok()?.to_be_bytes());
        let mut signature = Self {
            kind: head[1],
            algorithm: head[2],
            hash,
            trailer,
            signed: input.0,
            created: 0,
            expires: None,
            key_expires: None,
            flags: None,
            issuer: None,
            fingerprint: None,
            embedded: None,
            strange: None,
        };
        signature.subpackets(hashed, true)?;
        signature.subpackets(unhashed, false)?;
        Some(signature)
    }

    fn subpackets(&mut self, area: &'a [u8], hashed: bool) -> Option<()> {
        let mut area = Input(area);
        while !area.0.is_empty() {
            let length = area.subpacket_length()?;
            let (kind, value) = area.take(length)?.split_first()?;
            let mut input = Input(value);
            match kind & !CRITICAL {
                // What is not signed is a hint at most: who made it, and a word that is signed itself.
                ISSUER if self.issuer.is_none() => self.issuer = Some(input.take(8)?.to_vec()),
                EMBEDDED if self.embedded.is_none() => self.embedded = Some(value),
                ISSUER | EMBEDDED => {}
                _ if !hashed => {}
                CREATED => self.created = input.seconds()?,
                EXPIRES => self.expires = Some(input.seconds()?).filter(|s| *s > 0),
                KEY_EXPIRES => self.key_expires = Some(input.seconds()?).filter(|s| *s > 0),
                FLAGS => self.flags = Some(value.first().copied().unwrap_or_default()),
                FINGERPRINT => self.fingerprint = value.strip_prefix(&[4]).map(<[u8]>::to_vec),
                other if kind & CRITICAL != 0 && !HARMLESS.contains(&other) => {
                    self.strange = Some(other);
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Whether it may be of the key with this fingerprint.
    pub(super) fn names(&self, fingerprint: &[u8]) -> bool {
        let of = |wanted: &Option<Vec<u8>>, is: &[u8]| wanted.as_deref().is_none_or(|w| w == is);
        of(&self.fingerprint, fingerprint) && of(&self.issuer, id(fingerprint))
    }

    /// Whether it can be said if a key has made it.
    pub(super) fn is_checked_with(&self, key: &Material) -> bool {
        key.checks(self.hash, self.algorithm)
    }

    /// The key that it names, as people write it.
    pub(super) fn issuer_text(&self) -> String {
        let name = self.fingerprint.as_ref().or(self.issuer.as_ref());
        name.map_or_else(|| "(it names none)".to_owned(), |name| hex(name))
    }

    /// SHA-1 is good enough only for what an old key says of itself.
    pub(super) fn is_weak(&self) -> bool {
        self.hash == Hash::Sha1
    }

    /// Whether a key made it over these pieces.
    pub(super) fn is_of(&self, key: &Material, pieces: &[&[u8]]) -> bool {
        let mut message = pieces.concat();
        message.extend_from_slice(&self.trailer);
        key.signed(self.hash, &message, self.algorithm, self.signed)
    }

    /// Whether it holds at a time.
    pub(super) fn check(&self, now: i64) -> Result<(), String> {
        if let Some(strange) = self.strange {
            return Err(format!(
                "its signature has a critical part of type {strange}, which is not known"
            ));
        }
        if self
            .expires
            .is_some_and(|after| self.created.saturating_add(after) <= now)
        {
            return Err("its signature has expired".to_owned());
        }
        Ok(())
    }
}

/// A key's id: the last eight bytes of its fingerprint.
fn id(fingerprint: &[u8]) -> &[u8] {
    &fingerprint[fingerprint.len().saturating_sub(8)..]
}

/// What is known of a signature that cannot be checked.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    pub(super) kind: u8,
    /// The key's id.
    issuer: Option<Vec<u8>>,
}

impl Unread {
    /// None of a packet in which not even the kind can be read.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        match body.first()? {
            // RFC 4880, 5.2.2.
            2 | 3 => Some(Self {
                kind: *body.get(2)?,
                issuer: body.get(7..15).map(<[u8]>::to_vec),
            }),
            version => {
                // The same whatever it is hashed by.
                let read = Signature::read(body, Hash::Sha256).filter(|_| *version == 4);
                let issuer = read.and_then(|s| s.fingerprint.map(|f| id(&f).to_vec()).or(s.issuer));
                let kind = *body.get(1)?;
                Some(Self { kind, issuer })
            }
        }
    }

    /// Whether it may be of the key with this fingerprint.
    pub(super) fn may_be_of(&self, fingerprint: &[u8]) -> bool {
        let issuer = self.issuer.as_deref();
        issuer.is_none_or(|issuer| issuer == id(fingerprint))
    }
}

/// Digits as gpg writes them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
