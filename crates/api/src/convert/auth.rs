//! The header `X-Registry-Auth`: JSON in base64, in the alphabet for addresses; both alphabets are
//! read, with and without padding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};

use crate::loose;
use crate::wire::AuthConfig;

/// As the header's value.
pub fn encode_auth(auth: &AuthConfig) -> String {
    // A map with string keys always serializes.
    URL_SAFE.encode(serde_json::to_vec(auth).unwrap_or_default())
}

/// Of the header's value; none when it is not what it should be.
pub fn decode_auth(header: &str) -> Option<AuthConfig> {
    let text: String = header
        .trim()
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    if text.is_empty() {
        return Some(AuthConfig::default());
    }
    let json = STANDARD_NO_PAD.decode(text).ok()?;
    loose::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_in_both_alphabets() {
        let auth = AuthConfig {
            username: "ann".into(),
            password: "ÿ>?ü".into(),
            ..AuthConfig::default()
        };
        let header = encode_auth(&auth);
        assert_eq!(decode_auth(&header), Some(auth.clone()));
        assert_eq!(
            decode_auth(header.trim_end_matches('=')),
            Some(auth.clone())
        );
        let standard = header.replace('-', "+").replace('_', "/");
        assert_eq!(decode_auth(&standard), Some(auth));
        assert_eq!(decode_auth(""), Some(AuthConfig::default()));
        assert_eq!(decode_auth("e30="), Some(AuthConfig::default()));
        let other_case = STANDARD_NO_PAD.encode(r#"{"Username":"ann","PassWord":"ÿ>?ü"}"#);
        assert_eq!(decode_auth(&other_case), decode_auth(&header));
        assert_eq!(decode_auth("no base64"), None);
        assert_eq!(decode_auth("AAAA"), None);
    }
}
