//! The keys that take a client off a container without ending it.

/// Watches typed bytes for the sequence.
#[derive(Debug)]
pub(crate) struct Detach {
    keys: Vec<u8>,
    /// How many bytes of the sequence have come. They are held back: the program must not see them
    /// if the rest follows.
    matched: usize,
}

/// What typed bytes come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    /// For the program.
    pub(crate) bytes: Vec<u8>,
    /// Whether the sequence is complete. What was typed after it is dropped.
    pub(crate) detached: bool,
}

impl Detach {
    /// None if no keys detach.
    pub(crate) fn new(keys: &[u8]) -> Option<Self> {
        (!keys.is_empty()).then(|| Self {
            keys: keys.to_vec(),
            matched: 0,
        })
    }

    /// Takes typed bytes, a few or many.
    pub(crate) fn scan(&mut self, typed: &[u8]) -> Typed {
        let mut bytes = Vec::with_capacity(typed.len());
        for byte in typed {
            self.step(*byte, &mut bytes);
            if self.matched == self.keys.len() {
                return Typed {
                    bytes,
                    detached: true,
                };
            }
        }
        Typed {
            bytes,
            detached: false,
        }
    }

    /// After a byte that does not go on with the sequence, the longest end of what was held back
    /// that begins it again stays held back; the rest was meant for the program.
    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        // What is held back is the sequence's own beginning: the byte is all that is not there yet.
        let held = &self.keys[..self.matched];
        let keep = (1..=held.len() + 1)
            .rev()
            .find(|length| {
                let tail = &held[held.len() + 1 - length..];
                self.keys.starts_with(tail) && self.keys[tail.len()] == byte
            })
            .unwrap_or(0);
        if keep == 0 {
            out.extend_from_slice(held);
            out.push(byte);
        } else {
            out.extend_from_slice(&held[..held.len() + 1 - keep]);
        }
        self.matched = keep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(keys: &[u8], pieces: &[&[u8]]) -> (String, bool) {
        let mut detach = Detach::new(keys).unwrap();
        let mut text = Vec::new();
        for piece in pieces {
            let typed = detach.scan(piece);
            text.extend(typed.bytes);
            if typed.detached {
                return (String::from_utf8(text).unwrap(), true);
            }
        }
        (String::from_utf8(text).unwrap(), false)
    }

    #[test]
    fn the_sequence_detaches_and_everything_else_passes() {
        let table: [(&[&[u8]], &str, bool); 7] = [
            (&[b"hello"], "hello", false),
            (&[b"a\x10\x11b"], "a", true),
            (&[b"a\x10", b"\x11"], "a", true),
            (&[b"a\x10b"], "a\x10b", false),
            (&[b"a\x10", b"b"], "a\x10b", false),
            (&[b"\x10\x10\x11"], "\x10", true),
            (&[b"\x10"], "", false),
        ];
        for (pieces, expected, detached) in table {
            assert_eq!(
                scan(b"\x10\x11", pieces),
                (expected.into(), detached),
                "{pieces:?}"
            );
        }
        assert_eq!(scan(b"aab", &[b"aaab!"]), ("a".into(), true));
        assert_eq!(
            scan(b"abab", &[b"abaabx", b"abab"]),
            ("abaabx".into(), true)
        );
        assert!(Detach::new(b"").is_none());
    }
}
