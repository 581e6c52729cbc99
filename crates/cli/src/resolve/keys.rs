//! `--detach-keys`: the keys that leave a container running and give the terminal back.

use crate::error::CliError;

/// Ctrl-P Ctrl-Q.
pub const DEFAULT: [u8; 2] = [0x10, 0x11];

/// Bytes from `ctrl-p,ctrl-q`, `a,b` or `ctrl-@`.
pub fn detach_keys(text: Option<&str>) -> Result<Vec<u8>, CliError> {
    match text {
        None | Some("") => Ok(DEFAULT.to_vec()),
        Some(text) => text
            .split(',')
            .map(|key| {
                one_key(key).ok_or_else(|| {
                    CliError::Invalid(format!(
                        "invalid detach keys ({text}): Unknown character: '{key}'"
                    ))
                })
            })
            .collect(),
    }
}

fn one_key(key: &str) -> Option<u8> {
    if let [byte @ 0..=0x7f] = key.as_bytes() {
        return Some(*byte);
    }
    let name = key.to_ascii_lowercase();
    match name.strip_prefix("ctrl-")?.as_bytes() {
        [byte @ b'a'..=b'z'] => Some(byte - b'a' + 1),
        [b'@'] => Some(0),
        [b'['] => Some(27),
        [b'\\'] => Some(28),
        [b']'] => Some(29),
        [b'^'] => Some(30),
        [b'_'] => Some(31),
        _ => None,
    }
}

/// Watches what is typed for the keys. Keys that turn out to be something else are let through.
#[derive(Debug)]
pub struct Watch {
    keys: Vec<u8>,
    /// How many of them have just been typed.
    matched: usize,
}

impl Watch {
    /// Waits for these keys.
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Appends to `out` what of `typed` is for the container; true once the keys were typed, with
    /// what came after them dropped.
    pub fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        for &byte in typed {
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return true;
                }
                continue;
            }
            out.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(&byte));
            if self.matched == 0 {
                out.push(byte);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_name() {
        assert_eq!(detach_keys(None).unwrap(), [16, 17]);
        assert_eq!(detach_keys(Some("ctrl-a,x,CTRL-]")).unwrap(), [1, b'x', 29]);
        let error = detach_keys(Some("ctrl-p,xx")).unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid detach keys (ctrl-p,xx): Unknown character: 'xx'"
        );
    }

    #[test]
    fn keys_are_found_across_reads_and_near_misses_pass() {
        let mut watch = Watch::new(vec![16, 17]);
        let mut out = Vec::new();
        assert!(!watch.filter(b"ab\x10", &mut out));
        assert!(!watch.filter(b"c\x10\x10", &mut out));
        assert!(watch.filter(b"\x11never", &mut out));
        assert_eq!(out, b"ab\x10c\x10");
    }
}
