//! Detach keys: `ctrl-p,ctrl-q`.

use super::Refusal;

/// The bytes that detach: each of `a`, `ctrl-a` to `ctrl-z`, `ctrl-@ [ \ ] ^ _`, joined by commas.
///
/// # Errors
/// Names the part that is no key.
pub fn detach_keys(text: &str) -> Result<Vec<u8>, Refusal> {
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
    }
}
