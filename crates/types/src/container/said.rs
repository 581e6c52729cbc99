//! A switch that somebody may have said, as it is recorded. It was once no more than on or off: `false` there means that
//! nobody has said anything, as it always did.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is recorded.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Recorded {
    Switch(bool),
    Word(String),
}

/// A "no" that was said.
const NO: &str = "no";

pub(super) fn serialize<S: Serializer>(
    said: &Option<bool>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let recorded = match said {
        None => Recorded::Switch(false),
        Some(true) => Recorded::Switch(true),
        Some(false) => Recorded::Word(NO.to_owned()),
    };
    recorded.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    match Option::<Recorded>::deserialize(deserializer)? {
        None | Some(Recorded::Switch(false)) => Ok(None),
        Some(Recorded::Switch(true)) => Ok(Some(true)),
        Some(Recorded::Word(word)) if word == NO => Ok(Some(false)),
        Some(Recorded::Word(word)) => Err(D::Error::custom(format!(
            "{word:?}: true, false or {NO:?} is expected"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use crate::ContainerSpec;

    #[test]
    fn an_old_off_is_nothing_that_was_said() {
        for (recorded, said) in [
            ("{}", None),
            (r#"{"init":false}"#, None),
            (r#"{"init":true}"#, Some(true)),
            (r#"{"init":"no"}"#, Some(false)),
        ] {
            let spec: ContainerSpec = serde_json::from_str(recorded).unwrap();
            assert_eq!(spec.init, said, "{recorded}");
            let again = serde_json::to_string(&spec).unwrap();
            let again: ContainerSpec = serde_json::from_str(&again).unwrap();
            assert_eq!(again.init, said, "{recorded}");
        }
        let old = r#"{"security":{"no_new_privileges":false}}"#;
        let old: ContainerSpec = serde_json::from_str(old).unwrap();
        assert_eq!(old.security.no_new_privileges, None);
        assert!(serde_json::from_str::<ContainerSpec>(r#"{"init":"maybe"}"#).is_err());
    }
}
