//! Where in a document an error is: the deserializer knows the line, people look for the name.

use serde_json::Error;

/// What is open at a place of the text.
enum Level {
    /// With the name being read or just read; before the first there is none.
    Object {
        name: String,
        in_name: bool,
    },
    Array {
        at: usize,
    },
}

/// `linux.resources.cpu: `, for the front of the error's text; nothing if it is about the whole.
pub(super) fn of(text: &[u8], error: &Error) -> String {
    let before = offset(text, error.line(), error.column());
    let mut levels = levels(text.get(..before).unwrap_or(text));
    // What is missing is missing in the object, not in what was read last of it.
    if error.to_string().starts_with("missing field") && text.get(before - 1) != Some(&b'}') {
        levels.pop();
    }
    match path(&levels) {
        path if path.is_empty() => path,
        path => format!("{path}: "),
    }
}

/// Lines and columns count from 1, columns in bytes.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let above: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (above + column).clamp(1, text.len().max(1))
}

/// Only for text that the parser has read without complaint so far.
fn levels(text: &[u8]) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' => levels.push(Level::Object {
                name: String::new(),
                in_name: true,
            }),
            b'[' => levels.push(Level::Array { at: 0 }),
            b'}' | b']' => drop(levels.pop()),
            b'"' => {
                let read = string(&mut bytes);
                if let Some(Level::Object { name, in_name }) = levels.last_mut()
                    && *in_name
                {
                    (*name, *in_name) = (read, false);
                }
            }
            b',' => match levels.last_mut() {
                Some(Level::Object { in_name, .. }) => *in_name = true,
                Some(Level::Array { at }) => *at += 1,
                None => {}
            },
            _ => {}
        }
    }
    levels
}

/// The rest of a string, its escapes as they are written.
fn string<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> String {
    let mut read = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => {
                read.push(*byte);
                read.extend(bytes.next());
            }
            _ => read.push(*byte),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn path(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object { name, .. } if path.is_empty() => path.push_str(name),
            Level::Object { name, .. } => path.push_str(&format!(".{name}")),
            Level::Array { at } => path.push_str(&format!("[{at}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Spec;

    fn told(text: &str) -> String {
        let error = serde_json::from_str::<Spec>(text).unwrap_err();
        super::of(text.as_bytes(), &error)
    }

    #[test]
    fn errors_are_placed_by_name() {
        let process = |rest: &str| {
            format!("{{\"ociVersion\": \"1.0.0\",\n \"process\": {{\"cwd\": \"/\", {rest}}}}}")
        };
        let table = [
            (process("\"user\": {}, \"args\": \"sh\""), "process.args: "),
            (
                process("\"user\": {}, \"args\": [\"a\", 7, 8]"),
                "process.args[1]: ",
            ),
            (process("\"user\": {\"uid\": -1}"), "process.user.uid: "),
            (process("\"user\": 5"), "process.user: "),
            (
                process("\"user\": {}, \"env\": {\"a\": 1}"),
                "process.env: ",
            ),
            (
                "{\"ociVersion\": \"1.0.0\", \"hooks\": {\"prestart\": [{\"timeout\": 1}]}}"
                    .to_owned(),
                "hooks.prestart[0]: ",
            ),
            ("{\"ociVersion\": 1}".to_owned(), "ociVersion: "),
            (
                "{\"a\\\"b\": {}, \"ociVersion\": {}}".to_owned(),
                "ociVersion: ",
            ),
            ("7".to_owned(), ""),
        ];
        for (text, place) in table {
            assert_eq!(told(&text), place, "{text}");
        }
    }
}
