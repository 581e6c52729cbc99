//! Lists where the specification has objects. serde's derived code takes a list for an object whose
//! fields it has in their order, so that `"linux": []` would be a configuration without namespaces.

use serde_json::{Error, Value};

/// The names of what is an object wherever it stands. What is a map in `oci_spec` is not here: a map
/// is not read from a list.
const OBJECTS: &[&str] = &[
    "blockIO",
    "capabilities",
    "consoleSize",
    "cpu",
    "execCPUAffinity",
    "hooks",
    "intelRdt",
    "ioPriority",
    "linux",
    "memory",
    "memoryPolicy",
    "network",
    "personality",
    "pids",
    "process",
    "resources",
    "root",
    "scheduler",
    "seccomp",
    "user",
];

/// Refuses a document with a list that should be an object. Where none looks as if it were one, which
/// is always, that costs one look at each bracket.
pub(super) fn check(text: &[u8]) -> Result<(), Error> {
    if !is_suspicious(text) {
        return Ok(());
    }
    // What is ignored may lie deeper than a value can.
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        return Ok(());
    };
    match misplaced(&value, true) {
        None => Ok(()),
        Some(path) => {
            let path = path.trim_start_matches('.');
            let space = if path.is_empty() { "" } else { " " };
            let said = format!("{path}{space}is a list where an object is expected");
            Err(serde::de::Error::custom(said))
        }
    }
}

/// Whether before any bracket stands what stands before no list: nothing, another bracket, a comma
/// (which may be in a string), or the name of an object.
fn is_suspicious(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(next) = text
        .get(at..)
        .and_then(|rest| rest.iter().position(|b| *b == b'['))
    {
        let before = text.get(..at + next).unwrap_or_default().trim_ascii_end();
        match before.split_last() {
            Some((b':', name)) if !names_object(name) => {}
            Some((b':' | b'[' | b',', _)) | None => return true,
            // In a string.
            _ => {}
        }
        at += next + 1;
    }
    false
}

/// Whether this ends with the name of an object in quotes.
fn names_object(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b"\"").unwrap_or(text);
    OBJECTS.iter().any(|name| {
        let rest = text.strip_suffix(name.as_bytes());
        rest.is_some_and(|rest| rest.ends_with(b"\""))
    })
}

/// The path of the first such list, as in `.process.user`.
fn misplaced(value: &Value, is_object: bool) -> Option<String> {
    match value {
        Value::Array(_) if is_object => Some(String::new()),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            let path = misplaced(item, true)?;
            Some(format!("[{index}]{path}"))
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            let path = misplaced(field, OBJECTS.contains(&name.as_str()))?;
            Some(format!(".{name}{path}"))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        check(text.as_bytes()).err().map(|error| error.to_string())
    }

    #[test]
    fn lists_are_no_objects() {
        let wrong = "is a list where an object is expected";
        assert_eq!(said("[]"), Some(wrong.to_owned()));
        for (text, path) in [
            (r#"{"linux":[]}"#, "linux"),
            (r#"{"linux" : [ ]}"#, "linux"),
            (r#"{"process":{"args":["a"],"user":[]}}"#, "process.user"),
            (r#"{"mounts":[{"destination":"/a"},[]]}"#, "mounts[1]"),
            (
                r#"{"linux":{"resources":{"devices":[ [] ]}}}"#,
                "linux.resources.devices[0]",
            ),
        ] {
            assert_eq!(said(text), Some(format!("{path} {wrong}")), "{text}");
        }
    }

    #[test]
    fn lists_in_their_places_and_brackets_in_strings_are_fine() {
        for text in [
            "{}",
            r#"{"process":{"args":["linux\":[","[","a,[b]","user: ["]}}"#,
            r#"{"linux":{"namespaces":[{"type":"pid"}],"seccomp":{"syscalls":[]}}}"#,
            r#"{"hooks":{"prestart":[]},"annotations":{"linux":"[]"}}"#,
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
