//! The common name of a certificate's subject: what an audit log calls whoever showed it.

/// An element of DER (X.690 section 8.1): its tag, what is in it, and what comes after.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Of as many bytes as the lower bits say; certificates are never longer than three of them.
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let number = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            (number, rest)
        }
        _ => return None,
    };
    let (inside, after) = rest.split_at_checked(length)?;
    Some((tag, inside, after))
}

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];

/// The last common name of the subject (RFC 5280 section 4.1), if it has one.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    // The version is optional and the only one of its tag.
    if rest.first() == Some(&0xa0) {
        (_, _, rest) = element(rest)?;
    }
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        (_, _, rest) = element(rest)?;
    }
    let (_, mut names, _) = element(rest)?;
    let mut found = None;
    while let Some((_, set, after)) = element(names) {
        names = after;
        let Some((_, pair, _)) = element(set) else {
            continue;
        };
        if let Some(value) = pair.strip_prefix(&COMMON_NAME) {
            found = element(value).map(|(_, text, _)| String::from_utf8_lossy(text).into_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let inside = parts.concat();
        let mut whole = vec![tag, u8::try_from(inside.len()).unwrap()];
        whole.extend(inside);
        whole
    }

    fn name(text: &[u8]) -> Vec<u8> {
        let pair = wrap(0x30, &[&COMMON_NAME, &wrap(0x0c, &[text])]);
        wrap(0x30, &[&wrap(0x31, &[&pair])])
    }

    #[test]
    fn the_subject_is_told_from_the_issuer() {
        let empty = wrap(0x30, &[]);
        let (issuer, subject) = (name(b"the authority"), name(b"alice"));
        let version = wrap(0xa0, &[&[2, 1, 2]]);
        let parts: [&[u8]; 6] = [&version, &[2, 1, 7], &empty, &issuer, &empty, &subject];
        let certificate = wrap(0x30, &[&wrap(0x30, &parts)]);
        assert_eq!(common_name(&certificate).as_deref(), Some("alice"));
        let old = wrap(0x30, &[&wrap(0x30, &parts[1..])]);
        assert_eq!(common_name(&old).as_deref(), Some("alice"));
        for length in 0..certificate.len() {
            assert_eq!(common_name(&certificate[..length]), None, "{length}");
        }
        assert_eq!(common_name(&[0x30, 0xff, 1]), None);
    }
}
