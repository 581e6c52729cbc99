//! Options of what keeps a container's root: Docker's `HostConfig.StorageOpt`.

use std::collections::BTreeMap;

use super::Refusal;

const FIELD: &str = "HostConfig.StorageOpt";
/// The only option that there is: bytes, as `1g` or plain.
const SIZE: &str = "size";

/// The most that the root may take on disk, in bytes.
pub(super) fn root_size(options: &BTreeMap<String, String>) -> Result<Option<i64>, Refusal> {
    if let Some(other) = options.keys().find(|key| *key != SIZE) {
        let problem = format!("there is no option {other:?}, only {SIZE}");
        return Err(Refusal::invalid(FIELD, problem));
    }
    let Some(text) = options.get(SIZE) else {
        return Ok(None);
    };
    match types::parse_bytes(text) {
        Ok(0) => Ok(None),
        Ok(size) if size > 0 => Ok(Some(size)),
        _ => {
            let problem = format!("{SIZE} is {text:?}: a number of bytes is expected, as in 10g");
            Err(Refusal::invalid(FIELD, problem))
        }
    }
}

/// The same as options.
pub(super) fn options(root_size: Option<i64>) -> BTreeMap<String, String> {
    root_size
        .map(|size| (SIZE.to_owned(), size.to_string()))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_both_ways() {
        let options_of = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        for (text, expected) in [("1g", Some(1 << 30)), ("4096", Some(4096)), ("0", None)] {
            let size = root_size(&options_of(SIZE, text)).unwrap();
            assert_eq!(size, expected, "{text}");
            assert_eq!(root_size(&options(size)).unwrap(), expected);
        }
        assert_eq!(root_size(&BTreeMap::new()).unwrap(), None);
        for (key, value) in [(SIZE, "much"), (SIZE, "-1"), ("inodes", "5")] {
            root_size(&options_of(key, value)).unwrap_err();
        }
    }
}
