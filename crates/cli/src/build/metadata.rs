//! Files that say what came of a build.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::error::CliError;

/// `--metadata-file`: what the daemon said, what is JSON in it as JSON.
pub(super) fn document(answer: &HashMap<String, String>, reference: &str) -> String {
    let mut all: BTreeMap<String, Value> = answer
        .iter()
        .map(|(key, value)| (key.clone(), readable(value)))
        .collect();
    all.insert(
        "buildx.build.ref".to_owned(),
        format!("default/default/{reference}").into(),
    );
    serde_json::to_string_pretty(&all).unwrap_or_default()
}

/// JSON that came in base64, or the text.
fn readable(text: &str) -> Value {
    let decoded = BASE64_STANDARD.decode(text).ok();
    let json = decoded.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    json.filter(|json| json.is_object() || json.is_array())
        .unwrap_or_else(|| text.into())
}

/// Writes one of these files.
pub(super) fn write(path: &str, text: &str) -> Result<(), CliError> {
    // It may be a device, or somebody's pipe: it is not replaced.
    let written = std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| CliError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_shown_as_json() {
        let answer = HashMap::from([
            ("containerimage.digest".to_owned(), "sha256:0".to_owned()),
            ("d".to_owned(), BASE64_STANDARD.encode(r#"{"size":1}"#)),
        ]);
        insta::assert_snapshot!(document(&answer, "x"), @r#"
        {
          "buildx.build.ref": "default/default/x",
          "containerimage.digest": "sha256:0",
          "d": {
            "size": 1
          }
        }
        "#);
    }
}
