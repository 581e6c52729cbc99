//! `secret create`

use std::collections::BTreeMap;

use super::sealed::new_id;
use super::{LONGEST, Secret, SecretError, told};
use crate::{Engine, Error, clock};

/// Keeps a secret. Blocking.
pub fn create(
    engine: &Engine,
    name: &str,
    labels: BTreeMap<String, String>,
    data: &[u8],
) -> Result<Secret, Error> {
    check_name(name)?;
    check_length(name, data)?;
    let now = clock::now();
    let secret = Secret {
        id: new_id()?,
        name: name.to_owned(),
        created: now,
        updated: now,
        labels,
    };
    engine.vault().add(&secret, data)?;
    told(engine, &secret, "create");
    Ok(secret)
}

fn check_name(name: &str) -> Result<(), SecretError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match begins && name.len() <= 253 && name.chars().all(plain) {
        true => Ok(()),
        false => Err(SecretError::Name(name.to_owned())),
    }
}

pub(super) fn check_length(name: &str, data: &[u8]) -> Result<(), SecretError> {
    match data.len() {
        1..=LONGEST => Ok(()),
        length => Err(SecretError::Length {
            name: name.to_owned(),
            length,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_files() {
        for name in ["a", "db-password", "tls.key", "A_1"] {
            check_name(name).unwrap();
        }
        for name in ["", ".", "..", "a/b", "-a", "a b", "ä"] {
            check_name(name).unwrap_err();
        }
    }
}
