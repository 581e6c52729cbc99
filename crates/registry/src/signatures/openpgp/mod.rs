//! As much of OpenPGP (RFC 4880, RFC 9580) as simple signing needs: keyrings are read and signed messages
//! are verified. Nothing is encrypted, decrypted or signed, and there is no web of trust: who is in the
//! keyring is trusted.
//!
//! [`packet`] takes bytes apart, [`signature`] reads signatures, [`material`] holds keys and asks aws-lc
//! whether a signature is theirs, [`certificate`] says which keys of a keyring may sign now. Packets of
//! version 4 only, which is what gpg writes; RSA, ECDSA and Ed25519; SHA-2.

mod certificate;
mod material;
mod packet;
mod signature;

use std::borrow::Cow;
use std::io::Read;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::{DeflateDecoder, ZlibDecoder};

use certificate::Certificate;
use packet::Packet;
use signature::Signature;

/// The longest message that is unpacked: what is signed has a few hundred bytes.
const MAX_MESSAGE: usize = 1 << 20;
/// Packets in a message or a keyring.
const MAX_PACKETS: usize = 100_000;

/// The keys that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyring(Vec<Certificate>);

impl Keyring {
    /// A keyring file, binary or armored.
    ///
    /// # Errors
    /// What is wrong with it, for a sentence that names the file.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, String> {
        let bytes = dearmor(file)?;
        let packets = packet::all(&bytes, MAX_PACKETS)?;
        let all = certificate::all(&packets)?;
        if all.is_empty() {
            return Err("it holds no OpenPGP public key".to_owned());
        }
        Ok(Self(all))
    }

    /// The keys of several files in one.
    pub(crate) fn join(rings: Vec<Self>) -> Self {
        Self(rings.into_iter().flat_map(|ring| ring.0).collect())
    }

    /// What is signed in a message, if a key of the ring has signed it, at a time in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn open(&self, message: &[u8], now: i64) -> Result<Vec<u8>, String> {
        let message = dearmor(message)?;
        let packets = packet::all(&message, MAX_PACKETS)?;
        let unpacked;
        let packets = match packets.as_slice() {
            [only] if only.tag == packet::COMPRESSED => {
                unpacked = unpack(&only.body)?;
                packet::all(&unpacked, MAX_PACKETS)?
            }
            _ => packets,
        };
        let (signature, literal) = parts(&packets)?;
        let content = literal_content(&literal.body).ok_or("its content is cut short")?;
        let signature = Signature::parse(&signature.body)?;
        self.verify(&signature, content, now)?;
        Ok(content.to_vec())
    }

    fn verify(&self, signature: &Signature<'_>, content: &[u8], now: i64) -> Result<(), String> {
        if signature.kind != signature::BINARY {
            return Err(format!(
                "it is a signature of type {:#04x}, one of a document is expected",
                signature.kind
            ));
        }
        let known = self.0.iter().filter(|one| one.is_named(signature));
        let signers = known.flat_map(|one| one.signers(now).unwrap_or_default());
        let mut named = signers
            .filter(|signer| signature.names(&signer.fingerprint))
            .peekable();
        if named.peek().is_none() {
            return Err(format!(
                "it is signed by the key {}, which is not trusted",
                signature.issuer_text()
            ));
        }
        let made = |signer: &certificate::Signer| {
            !signature.is_weak() && signature.is_of(&signer.material, &[content])
        };
        let Some(signer) = named.find(made) else {
            return Err(format!(
                "its signature is not of the key {} that it names",
                signature.issuer_text()
            ));
        };
        signer.check(signature, now)?;
        signature.check(now)
    }
}

/// One signature and what it signs (RFC 4880, 11.3): either before or around it.
fn parts<'a>(packets: &'a [Packet<'a>]) -> Result<(&'a Packet<'a>, &'a Packet<'a>), String> {
    let tags: Vec<_> = packets.iter().map(|packet| packet.tag).collect();
    match *tags.as_slice() {
        [packet::ONE_PASS, packet::LITERAL, packet::SIGNATURE] => Ok((&packets[2], &packets[1])),
        [packet::SIGNATURE, packet::LITERAL] => Ok((&packets[0], &packets[1])),
        _ => Err("it is no OpenPGP message with one signature".to_owned()),
    }
}

/// Format, name and date go before what is signed (RFC 4880, 5.9).
fn literal_content(body: &[u8]) -> Option<&[u8]> {
    let (_format, rest) = body.split_first()?;
    let (name, rest) = rest.split_first()?;
    let (_name_and_date, content) = rest.split_at_checked(usize::from(*name) + 4)?;
    Some(content)
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, String> {
    let (algorithm, packed) = body.split_first().ok_or("it is cut short")?;
    let unpacked: Box<dyn Read + '_> = match algorithm {
        0 => Box::new(packed),
        1 => Box::new(DeflateDecoder::new(packed)),
        2 => Box::new(ZlibDecoder::new(packed)),
        other => {
            return Err(format!(
                "it is packed by the method {other}, zip or zlib is expected"
            ));
        }
    };
    let mut all = Vec::new();
    let read = unpacked.take(MAX_MESSAGE as u64 + 1).read_to_end(&mut all);
    read.map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if all.len() > MAX_MESSAGE {
        return Err("it unpacks to more than a MiB".to_owned());
    }
    Ok(all)
}

/// The bytes of a file that may be text (RFC 4880, 6.2), all blocks of it one after the other.
fn dearmor(file: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    const BEGIN: &str = "-----BEGIN PGP ";
    let armored = file.trim_ascii_start().starts_with(BEGIN.as_bytes());
    let text = match std::str::from_utf8(file) {
        Ok(text) if armored => text,
        _ => return Ok(Cow::Borrowed(file)),
    };
    let mut all = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        // After the headers there is an empty line.
        let mut lines = block
            .lines()
            .map(str::trim)
            .skip(1)
            .skip_while(|line| !line.is_empty());
        let body: String = lines
            .by_ref()
            .take_while(|line| !line.starts_with(['-', '=']))
            .collect();
        let decoded = BASE64_STANDARD.decode(&body);
        all.extend(decoded.map_err(|_| "its armor is no base64")?);
    }
    Ok(Cow::Owned(all))
}

#[cfg(test)]
mod tests;
