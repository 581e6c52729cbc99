//! `logs --details`: what `--log-opt` `labels`, `env` and `tag` keep of a container.

use engine::container::{View, log_attributes, log_tag};

/// `NAME=value,NAME=value`, escaped as in an address, in the order of the names.
pub(super) fn text(view: &View) -> String {
    let kept = log_attributes(view);
    let mut all: Vec<String> = kept
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    if let Some(tag) = view.spec.log.option("tag") {
        all.push(format!("tag={}", escaped(&log_tag(view, tag))));
    }
    all.sort();
    all.join(",")
}

/// As Go's `url.QueryEscape`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_an_address() {
        assert_eq!(escaped("a b/c=\u{e9}~"), "a+b%2Fc%3D%C3%A9~");
    }
}
