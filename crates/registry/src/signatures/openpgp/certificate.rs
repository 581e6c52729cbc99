//! Keys of a keyring: a primary key, what it says of itself, and its subkeys (RFC 4880, 11.1). What is
//! said counts only if the primary key has signed it.

use super::material::{Material, sha1};
use super::packet::{self, Input, Packet};
use super::signature::{self, Signature, Unread, hex};

/// May sign documents (RFC 4880, 5.2.3.21).
const MAY_SIGN: u8 = 0x02;

/// One primary key with its subkeys, as the keyring has it: what counts of it depends on the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    packets: Vec<Packet<'static>>,
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

    fn fingerprint(&self) -> Vec<u8> {
        sha1(&self.hashed())
    }

    fn signer(&self, expires: Option<i64>, revoked: bool) -> Signer {
        Signer {
            fingerprint: self.fingerprint(),
            material: self.material.clone(),
            created: self.created,
            expires: expires.map(|after| self.created.saturating_add(after)),
            revoked,
        }
    }
}

/// All keys of a keyring of which something may count, some day.
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
    let (mut all, mut mute) = (Vec::new(), None);
    for (start, end) in starts.iter().zip(ends) {
        let certificate = Certificate {
            packets: packets[*start..end].iter().map(Packet::keep).collect(),
        };
        let primary = Key::parse(&packets[*start].body)?;
        // A key whose names are all taken back is of no use; the others of the ring are.
        match certificate.signers(EVER) {
            Some(_) => all.push(certificate),
            None => mute = mute.or_else(|| Some(hex(&primary.fingerprint()))),
        }
    }
    match mute {
        Some(name) if all.is_empty() => Err(format!(
            "the key {name} in it has nothing that it has signed itself: no name, no use"
        )),
        _ => Ok(all),
    }
}

/// A time at which nothing has expired.
const EVER: i64 = i64::MIN;

impl Certificate {
    /// Whether it has the key that a signature names.
    pub(super) fn is_named(&self, signature: &Signature<'_>) -> bool {
        let tags = [packet::PUBLIC_KEY, packet::SUBKEY];
        let keys = self.packets.iter().filter(|one| tags.contains(&one.tag));
        keys.filter_map(|packet| Key::parse(&packet.body).ok())
            .any(|key| signature.names(&key.fingerprint()))
    }

    /// Those of its keys that may sign, or might have, at a time. None when the primary key says nothing
    /// then.
    pub(super) fn signers(&self, now: i64) -> Option<Vec<Signer>> {
        let primary = Key::parse(&self.packets.first()?.body).ok()?;
        let parts = parts(&self.packets, &primary.material);
        let word = OwnWord::of(&primary, &parts, now)?;
        let whole = primary.signer(word.expires, word.revoked);
        let mut signers = Vec::new();
        if word.flags.is_none_or(|flags| flags & MAY_SIGN != 0) {
            signers.push(whole.clone());
        }
        let subkeys = parts
            .iter()
            .filter(|part| part.packet.tag == packet::SUBKEY);
        for part in subkeys {
            if let Some(mut signer) = subkey(&primary, part, &parts, now) {
                // It ends with the primary key.
                signer.revoked |= whole.revoked;
                signer.expires = [signer.expires, whole.expires].into_iter().flatten().min();
                signers.push(signer);
            }
        }
        Some(signers)
    }
}

/// What belongs to one part of a key: itself, a name, or a subkey, and the signatures after it.
struct Part<'a> {
    packet: &'a Packet<'a>,
    signatures: Vec<Signature<'a>>,
    unread: Vec<Unread>,
}

/// `material` is the primary key's, which has made what counts.
fn parts<'a>(packets: &'a [Packet<'a>], material: &Material) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for packet in packets {
        match (packet.tag, parts.last_mut()) {
            (packet::SIGNATURE, Some(part)) => match Signature::parse(&packet.body) {
                Ok(signature) if signature.is_checked_with(material) => {
                    part.signatures.push(signature)
                }
                // It may be of a stranger's, and says nothing; unless it takes something back.
                _ => part.unread.extend(Unread::of(&packet.body)),
            },
            (packet::PUBLIC_KEY | packet::SUBKEY | packet::USER_ID | packet::ATTRIBUTE, _) => {
                parts.push(Part {
                    packet,
                    signatures: Vec::new(),
                    unread: Vec::new(),
                });
            }
            _ => {}
        }
    }
    parts
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
    fn of(primary: &Key<'_>, parts: &[Part<'_>], now: i64) -> Option<Self> {
        let key = primary.hashed();
        let (first, rest) = parts.split_first()?;
        let direct = newest(primary, first, &[0x1f], &[&key], now);
        let names = rest.iter().filter(|part| part.packet.tag != packet::SUBKEY);
        let mut words: Vec<&Signature<'_>> = names
            .filter_map(|part| {
                let name = named(part.packet);
                let kinds = [0x10, 0x11, 0x12, 0x13, NAME_REVOKED];
                newest(primary, part, &kinds, &[&key, &name], now)
            })
            .filter(|word| word.kind != NAME_REVOKED)
            .collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.created));
        let words: Vec<_> = direct.into_iter().chain(words).collect();
        (!words.is_empty()).then(|| Self {
            flags: words.iter().find_map(|word| word.flags),
            expires: words.iter().find_map(|word| word.key_expires),
            revoked: {
                let unread = parts.iter().flat_map(|part| &part.unread);
                is_revoked(primary, KEY_REVOKED, &[&key], parts, unread)
            },
        })
    }
}

/// A name that is not the key's any more.
const NAME_REVOKED: u8 = 0x30;
/// A key that is not to be used any more, and a subkey.
const KEY_REVOKED: u8 = 0x20;
const SUBKEY_REVOKED: u8 = 0x28;

/// What the key has said last about a part of it, in signatures of these kinds over these pieces, of what
/// holds now. A revocation holds for good.
fn newest<'a, 'b>(
    primary: &Key<'_>,
    part: &'b Part<'a>,
    kinds: &[u8],
    pieces: &[&[u8]],
    now: i64,
) -> Option<&'b Signature<'a>> {
    let of_kind = part.signatures.iter().filter(|s| kinds.contains(&s.kind));
    let hold = of_kind.filter(|s| s.kind == NAME_REVOKED || s.check(now).is_ok());
    let made = hold.filter(|s| s.is_of(&primary.material, pieces));
    // Of the same second, the revocation.
    made.max_by_key(|s| (s.created, s.kind))
}

/// Whether the key has taken something back. Wherever that stands: keyrings that were put together of
/// several have it anywhere. What cannot be checked, but names the key, is believed: `unread` is what of
/// that may be meant.
fn is_revoked<'a>(
    primary: &Key<'_>,
    kind: u8,
    pieces: &[&[u8]],
    parts: &[Part<'_>],
    unread: impl IntoIterator<Item = &'a Unread>,
) -> bool {
    let own = primary.fingerprint();
    let mut read = parts.iter().flat_map(|part| &part.signatures);
    let mut unread = unread.into_iter();
    read.any(|s| s.kind == kind && s.is_of(&primary.material, pieces))
        || unread.any(|s| s.kind == kind && s.may_be_of(&own))
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
fn subkey(primary: &Key<'_>, part: &Part<'_>, parts: &[Part<'_>], now: i64) -> Option<Signer> {
    let key = Key::parse(&part.packet.body).ok()?;
    let (above, below) = (primary.hashed(), key.hashed());
    let pieces: [&[u8]; 2] = [&above, &below];
    let binding = newest(primary, part, &[0x18], &pieces, now)?;
    if binding.flags? & MAY_SIGN == 0 {
        return None;
    }
    let back = Signature::parse(binding.embedded?).ok()?;
    let own = back.kind == signature::PRIMARY_BINDING
        && back.check(now).is_ok()
        && back.is_of(&key.material, &pieces);
    // After another subkey it means that one.
    let elsewhere =
        |one: &&Part<'_>| one.packet.tag != packet::SUBKEY || std::ptr::eq(one.packet, part.packet);
    let revoked = || {
        let unread = parts.iter().filter(elsewhere).flat_map(|one| &one.unread);
        is_revoked(primary, SUBKEY_REVOKED, &pieces, parts, unread)
    };
    own.then(|| key.signer(binding.key_expires, revoked()))
}
