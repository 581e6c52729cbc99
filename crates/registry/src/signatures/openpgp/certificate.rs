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
        if let Some(mut signer) = subkey(&primary, part) {
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
    /// None when it says nothing.
    fn of(primary: &Key<'_>, first: &Part<'_>, rest: &[Part<'_>]) -> Option<Self> {
        let key = primary.hashed();
        let made = |signature: &&Signature<'_>, more: &[u8]| {
            signature.is_of(&primary.material, &[&key, more])
        };
        let mut words: Vec<&Signature<'_>> = Vec::new();
        let direct = first
            .signatures
            .iter()
            .filter(|s| s.kind == 0x1f && made(s, &[]));
        words.extend(direct);
        for part in rest.iter().filter(|part| part.packet.tag != packet::SUBKEY) {
            let name = named(part.packet);
            let of_name = part
                .signatures
                .iter()
                .filter(|s| matches!(s.kind, 0x10..=0x13));
            words.extend(of_name.filter(|s| made(s, &name)));
        }
        let revoked = first
            .signatures
            .iter()
            .any(|s| s.kind == 0x20 && made(&s, &[]));
        words.sort_by_key(|signature| signature.created);
        let last = words.last()?;
        Some(Self {
            flags: words.iter().rev().find_map(|signature| signature.flags),
            expires: last.key_expires,
            revoked,
        })
    }
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
fn subkey(primary: &Key<'_>, part: &Part<'_>) -> Option<Signer> {
    let key = Key::parse(&part.packet.body).ok()?;
    let (above, below) = (primary.hashed(), key.hashed());
    let of_primary = |kind| {
        let (above, below) = (&above, &below);
        let of_kind = part.signatures.iter().filter(move |s| s.kind == kind);
        of_kind.filter(move |s| s.is_of(&primary.material, &[above, below]))
    };
    let binding = of_primary(0x18).max_by_key(|signature| signature.created)?;
    if binding.flags? & MAY_SIGN == 0 {
        return None;
    }
    let back = Signature::parse(binding.embedded?).ok()?;
    let own =
        back.kind == signature::PRIMARY_BINDING && back.is_of(&key.material, &[&above, &below]);
    own.then(|| key.signer(binding.key_expires, of_primary(0x28).next().is_some()))
}
