//! Detach keys: `ctrl-p,ctrl-q`.

use super::Refusal;

/// Keys in a sequence at most: nobody types more, and everything typed is compared with them.
const MAX_KEYS: usize = 64;

/// The bytes that detach: each of `a`, `ctrl-a` to `ctrl-z`, `ctrl-@ [ \ ] ^ _`, joined by commas.
///
/// # Errors
/// Names the part that is no key, or says how many keys there may be.
pub fn detach_keys(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.split(',').nth(MAX_KEYS).is_some() {
        return Err(Refusal::invalid(
            "detachKeys",
            format!("a sequence of more than {MAX_KEYS} keys: at most that many are expected"),
        ));
    }
    text.split(',').map(key).collect()
}

fn key(text: &str) -> Result<u8, Refusal> {
    let invalid = || {
        Refusal::invalid(
            "detachKeys",
            format!("unknown key {text:?}: a character or ctrl-character is expected"),
        )
    };
    match text.as_bytes() {
        [byte] if byte.is_ascii() => return Ok(*byte),
        _ => {}
    }
    let control = text.to_ascii_lowercase();
    match control.strip_prefix("ctrl-").map(str::as_bytes) {
        Some([letter @ b'a'..=b'z']) => Ok(letter - b'a' + 1),
        Some([b'@']) => Ok(0),
        Some([mark @ b'['..=b'_']) => Ok(mark - b'[' + 27),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(detach_keys("ctrl-p,ctrl-q"), Ok(vec![16, 17]));
        assert_eq!(detach_keys("a,ctrl-@,ctrl-["), Ok(vec![b'a', 0, 27]));
        assert_eq!(detach_keys("CTRL-A,ctrl-_"), Ok(vec![1, 31]));
        for bad in ["", "a,", "ctrl-", "ctrl-ab", "é", "ctrl-1"] {
            assert!(detach_keys(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            detach_keys(&["a"; 64].join(",")).map(|keys| keys.len()),
            Ok(64)
        );
        assert_eq!(
            detach_keys(&["a"; 65].join(",")).unwrap_err().to_string(),
            "invalid detachKeys: a sequence of more than 64 keys: at most that many are expected"
        );
    }
}
