//! journald: its native protocol, one datagram a line.

use super::sink::{About, Line};

pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Beginnings that no field may have.
const NO_BEGINNING: [char; 11] = ['_', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

pub(super) fn message(about: &About, line: &Line<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let priority = line.priority().to_string();
    let time = jiff::Timestamp::from_nanosecond(i128::from(line.time));
    let time = time.unwrap_or_default().to_string();
    let fields = [
        ("PRIORITY", priority.as_str()),
        ("CONTAINER_ID", about.id.get(..12).unwrap_or(&about.id)),
        ("CONTAINER_ID_FULL", &about.id),
        ("CONTAINER_NAME", &about.name),
        ("CONTAINER_TAG", &about.tag),
        ("IMAGE_NAME", &about.image),
        ("SYSLOG_IDENTIFIER", &about.tag),
        ("SYSLOG_TIMESTAMP", &time),
    ];
    for (name, value) in fields {
        field(&mut out, name, value.as_bytes());
    }
    for (name, value) in &about.extra {
        field(&mut out, &clean(name), value.as_bytes());
    }
    if line.partial {
        field(&mut out, "CONTAINER_PARTIAL_MESSAGE", b"true");
    }
    field(&mut out, "MESSAGE", line.text);
    out
}

/// Text on one line as it is, all else with its length.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    let plain = |byte: &u8| *byte >= b' ' || *byte == b'\t';
    if value.iter().all(plain) {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Fields are capitals, digits and underscores, and begin with a capital.
fn clean(name: &str) -> String {
    let capital = |c: char| match c.to_ascii_uppercase() {
        c @ ('A'..='Z' | '0'..='9') => c,
        _ => '_',
    };
    let name: String = name.chars().map(capital).collect();
    name.trim_start_matches(NO_BEGINNING).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::sink::tests::{about, line};
    use super::*;

    #[test]
    fn a_datagram_a_line() {
        let text = String::from_utf8(message(&about(), &line(b"hello"))).unwrap();
        for field in [
            "PRIORITY=6\n",
            "CONTAINER_ID=abababababab\n",
            "CONTAINER_NAME=web\n",
            "SYSLOG_IDENTIFIER=the-tag\n",
            "SYSLOG_TIMESTAMP=2023-11-14T22:13:20.123456789Z\n",
            "TIER=front\n",
        ] {
            assert!(text.contains(field), "{field} {text}");
        }
        assert!(text.ends_with("\nMESSAGE=hello\n"), "{text}");
        let odd = message(&about(), &line(b"a\nb"));
        assert!(odd.ends_with(b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n"));
        assert_eq!(clean("1_com.x"), "COM_X");
    }
}
