//! Names of files as text that every name has: most are UTF-8 and stay what they are; a byte that is none
//! becomes a character of a private plane, and goes back to itself. Two names are never one text.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What stands for the byte 0; only those from 0x80 on are used.
const FIRST: u32 = 0x0010_ff00;

fn stands_for(c: char) -> Option<u8> {
    let number = u32::from(c).checked_sub(FIRST)?;
    u8::try_from(number).ok().filter(|byte| *byte >= 0x80)
}

/// A name as text.
pub(super) fn text(name: &OsStr) -> Cow<'_, str> {
    let plain = |text: &&str| !text.chars().any(|c| stands_for(c).is_some());
    if let Some(text) = name.to_str().filter(plain) {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    let escape = |text: &mut String, bytes: &[u8]| {
        let chars = bytes
            .iter()
            .filter_map(|b| char::from_u32(FIRST + u32::from(*b)));
        text.extend(chars);
    };
    for chunk in name.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match stands_for(c) {
                None => text.push(c),
                // What would be taken for a byte goes as its own bytes.
                Some(_) => escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    Cow::Owned(text)
}

/// The bytes of a path that was made of such texts.
pub(super) fn bytes(path: &str) -> Cow<'_, [u8]> {
    if path.is_ascii() || !path.chars().any(|c| stands_for(c).is_some()) {
        return Cow::Borrowed(path.as_bytes());
    }
    let mut bytes = Vec::with_capacity(path.len());
    for c in path.chars() {
        match stands_for(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The same as the kernel's name.
pub(super) fn name(text: &str) -> OsString {
    OsString::from_vec(bytes(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        let private = "a\u{10ff80}b";
        let names: [&[u8]; 6] = [
            b"plain",
            "ü/漢".as_bytes(),
            b"caf\xe9",
            b"caf\xe8",
            private.as_bytes(),
            b"\xff\xfe",
        ];
        let mut seen = Vec::new();
        for name in names {
            let shown = text(OsStr::from_bytes(name)).into_owned();
            assert_eq!(bytes(&shown).as_ref(), name);
            assert!(!seen.contains(&shown), "{shown}");
            seen.push(shown);
        }
        assert_eq!(seen[0], "plain");
    }
}
