//! Keys of a keyring: a primary key, what it says of itself, and its subkeys (RFC 4880, 11.1). What is
//! said counts only if the primary key has signed it.

use super::material::{Material, sha1};
use super::packet::{self, Input, Packet};
use super::signature::{self, Signature, hex};

/// May sign documents (RFC 4880, 5.2.3.21).
const MAY_SIGN: u8 = 0x02;

/// One primary key with its subkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Those of its keys that may sign, or might have.
    pub(super) signers: Vec<Signer>,
}

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) fingerprint: Vec<u8>,
    pub(super) material: Material,
    created: i64,
    /// Seconds since 1970; none is never.
    expires: Option<i64>,
    revoked: bool,
}

impl Signer {
    /// The last eight bytes of the fingerprint.
    pub(super) fn id(&self) -> &[u8] {
        &self.fingerprint[self.fingerprint.len().saturating_sub(8)..]
    }

    /// Whether what it signed then is good now.
    pub(super) fn check(&self, signature: &Signature<'_>, now: i64) -> Result<(), String> {
        let name = hex(&self.fingerprint);
        if self.revoked {
            return Err(format!("the key {name} is revoked"));
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Err(format!("the key {name} has expired"));
        }
        if signature.created < self.created {
            return Err(format!("it says it is older than the key {name}"));
        }
        Ok(())
    }
}

/// A key packet.
#[derive(Debug)]
struct Key<'a> {
    body: &'a [u8],
    created: i64,
    material: Material,
}

impl<'a> Key<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, String> {
        let version = body.first().copied().unwrap_or_default();
        if version != 4 {
            return Err(format!("it has a key of version {version}, 4 is expected"));
        }
        let cut = || "a key in it is cut short".to_owned();
        let mut input = Input(body.get(1..).ok_or_else(cut)?);
        let created = input.seconds().ok_or_else(cut)?;
        let algorithm = input.byte().ok_or_else(cut)?;
        let material = Material::parse(algorithm, input).ok_or_else(cut)?;
        Ok(Self {
            body,
            created,
            material,
        })
    }

    /// How it goes into hashes.
    fn hashed(&self) -> Vec<u8> {
        let length = u16::try_from(self.body.len()).unwrap_or(u16::MAX);
        let mut all = vec![0x99];
        all.extend(length.to_be_bytes());
        all.extend_from_slice(self.body);
        all
    }

    fn signer(&self, expires: Option<i64>, revoked: bool) -> Signer {
        Signer {
            fingerprint: sha1(&self.hashed()),
            material: self.material.clone(),
            created: self.created,
            expires: expires.map(|after| self.created.saturating_add(after)),
            revoked,
        }
    }
}

/// All keys of a keyring.
pub(super) fn all(packets: &[Packet<'_>]) -> Result<Vec<Certificate>, String> {
    if packets
        .iter()
        .any(|packet| packet.tag == packet::SECRET_KEY)
    {
        return Err("it holds a secret key: export the public one (gpg --export)".to_owned());
    }
    let starts = packets
        .iter()
        .enumerate()
        .filter(|(_, packet)| packet.tag == packet::PUBLIC_KEY);
    let starts: Vec<usize> = starts.map(|(number, _)| number).collect();
    let ends = starts.iter().skip(1).copied().chain([packets.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| one(&packets[*start..end]))
        .collect()
}

/// What belongs to one part of a key: itself, a name, or a subkey, and the signatures after it.
struct Part<'a> {
    packet: &'a Packet<'a>,
    signatures: Vec<Signature<'a>>,
}

fn one(packets: &[Packet<'_>]) -> Result<Certificate, String> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for packet in packets {
        match packet.tag {
            packet::SIGNATURE => {
                // One that cannot be read is as none: it may be of a stranger's, and says nothing.
                let last = parts.last_mut();
                if let (Some(part), Ok(signature)) = (last, Signature::parse(&packet.body)) {
                    part.signatures.push(signature);
                }
            }
            packet::PUBLIC_KEY | packet::SUBKEY | packet::USER_ID | packet::ATTRIBUTE => {
                let signatures = Vec::new();
                parts.push(Part { packet, signatures });
            }
            _ => {}
        }
    }
    let (first, rest) = parts.split_first().ok_or("it holds no key")?;
    let primary = Key::parse(&first.packet.body)?;
    let own = OwnWord::of(&primary, first, rest);
    let Some(word) = own else {
        let name = hex(&sha1(&primary.hashed()));
        return Err(format!(
            "the key {name} in it has nothing that it has signed itself: no name, no use"
        ));
    };
    let mut signers = Vec::new();
    if word.flags.is_none_or(|flags| flags & MAY_SIGN != 0) {
        signers.push(primary.signer(word.expires, word.revoked));
    }
    let whole = primary.signer(word.expires, word.revoked);
    let subkeys = rest.iter().filter(|part| part.packet.tag == packet::SUBKEY);
    for part in subkeys {
        if let Some(mut signer) = subkey(&primary, part, first, rest) {
            // It ends with the primary key.
            signer.revoked |= whole.revoked;
            signer.expires = [signer.expires, whole.expires].into_iter().flatten().min();
            signers.push(signer);
        }
    }
    Ok(Certificate { signers })
}

/// What a primary key says of itself.
struct OwnWord {
    flags: Option<u8>,
    expires: Option<i64>,
    revoked: bool,
}

impl OwnWord {
    /// None when it says nothing. Of each part the newest word counts, and of all parts the newest that
    /// says something; what the key says of itself goes before what it says of its names (as gpg has it).
    fn of(primary: &Key<'_>, first: &Part<'_>, rest: &[Part<'_>]) -> Option<Self> {
        let key = primary.hashed();
        let direct = newest(primary, first, &[0x1f], &[&key]);
        let names = rest.iter().filter(|part| part.packet.tag != packet::SUBKEY);
        let mut words: Vec<&Signature<'_>> = names
            .filter_map(|part| {
                let name = named(part.packet);
                let kinds = [0x10, 0x11, 0x12, 0x13, NAME_REVOKED];
                newest(primary, part, &kinds, &[&key, &name])
            })
            .filter(|word| word.kind != NAME_REVOKED)
            .collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.created));
        let words: Vec<_> = direct.into_iter().chain(words).collect();
        (!words.is_empty()).then(|| Self {
            flags: words.iter().find_map(|word| word.flags),
            expires: words.iter().find_map(|word| word.key_expires),
            revoked: is_revoked(primary, 0x20, &[&key], first, rest),
        })
    }
}

/// A name that is not the key's any more.
const NAME_REVOKED: u8 = 0x30;

/// What the key has said last about a part of it, in signatures of these kinds over these pieces.
fn newest<'a, 'b>(
    primary: &Key<'_>,
    part: &'b Part<'a>,
    kinds: &[u8],
    pieces: &[&[u8]],
) -> Option<&'b Signature<'a>> {
    let of_kind = part.signatures.iter().filter(|s| kinds.contains(&s.kind));
    let made = of_kind.filter(|s| s.is_of(&primary.material, pieces));
    // Of the same second, the revocation.
    made.max_by_key(|s| (s.created, s.kind))
}

/// Whether the key has taken something back. Wherever that stands: keyrings that were put together of
/// several have it anywhere.
fn is_revoked(
    primary: &Key<'_>,
    kind: u8,
    pieces: &[&[u8]],
    first: &Part<'_>,
    rest: &[Part<'_>],
) -> bool {
    let all = std::iter::once(first).chain(rest);
    all.flat_map(|part| &part.signatures)
        .any(|s| s.kind == kind && s.is_of(&primary.material, pieces))
}

/// How a name or an attribute goes into hashes.
fn named(packet: &Packet<'_>) -> Vec<u8> {
    let mark = if packet.tag == packet::USER_ID {
        0xb4
    } else {
        0xd1
    };
    let length = u32::try_from(packet.body.len()).unwrap_or(u32::MAX);
    let mut all = vec![mark];
    all.extend(length.to_be_bytes());
    all.extend_from_slice(&packet.body);
    all
}

/// A subkey that may sign: the primary key says so, and it says itself whose it is.
fn subkey(
    primary: &Key<'_>,
    part: &Part<'_>,
    first: &Part<'_>,
    rest: &[Part<'_>],
) -> Option<Signer> {
    let key = Key::parse(&part.packet.body).ok()?;
    let (above, below) = (primary.hashed(), key.hashed());
    let pieces: [&[u8]; 2] = [&above, &below];
    let binding = newest(primary, part, &[0x18], &pieces)?;
    if binding.flags? & MAY_SIGN == 0 {
        return None;
    }
    let back = Signature::parse(binding.embedded?).ok()?;
    let own = back.kind == signature::PRIMARY_BINDING && back.is_of(&key.material, &pieces);
    let revoked = || is_revoked(primary, 0x28, &pieces, first, rest);
    own.then(|| key.signer(binding.key_expires, revoked()))
}
