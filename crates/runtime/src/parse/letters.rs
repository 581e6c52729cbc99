//! Names of resources in other letters than the specification's. Other runtimes read them in any, so
//! that some have come to write `CPU`.

use serde_json::{Map, Value};

/// The names below `linux.resources`, at each of its levels.
const NAMES: &[&str] = &[
    "blockIO",
    "burst",
    "checkBeforeUpdate",
    "cpu",
    "cpus",
    "devices",
    "disableOOMKiller",
    "hugepageLimits",
    "idle",
    "kernel",
    "kernelTCP",
    "leafWeight",
    "leafWeightDevice",
    "limit",
    "memory",
    "mems",
    "network",
    "pageSize",
    "period",
    "pids",
    "quota",
    "rdma",
    "realtimePeriod",
    "realtimeRuntime",
    "reservation",
    "shares",
    "swap",
    "swappiness",
    "throttleReadBpsDevice",
    "throttleReadIOPSDevice",
    "throttleWriteBpsDevice",
    "throttleWriteIOPSDevice",
    "unified",
    "useHierarchy",
    "weight",
    "weightDevice",
];

/// Whether any name in this document begins with a capital letter, as none of the specification's does.
/// Costs one look at each quote, and is no but for names that the caller has made up.
pub(super) fn are_others(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'"') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if !rest.first().is_some_and(u8::is_ascii_uppercase) {
            continue;
        }
        let end = rest.iter().position(|byte| *byte == b'"');
        let after = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        if after.trim_ascii_start().first() == Some(&b':') {
            return true;
        }
    }
    false
}

/// Gives the resources their names, where another in other letters does not stand beside it: of two the
/// one in other letters adds to the other. Files of version 2 and devices' names are the machine's own.
pub(super) fn correct(resources: &mut Value) {
    match resources {
        Value::Object(fields) => correct_names(fields),
        Value::Array(all) => all.iter_mut().for_each(correct),
        _ => {}
    }
}

fn correct_names(fields: &mut Map<String, Value>) {
    let others: Vec<_> = fields
        .keys()
        .filter_map(|key| {
            let name = NAMES.iter().find(|name| name.eq_ignore_ascii_case(key))?;
            (*name != key).then(|| (key.clone(), *name))
        })
        .collect();
    for (other, name) in others {
        let Some(value) = fields.remove(&other) else {
            continue;
        };
        match (fields.get_mut(name), value) {
            (Some(Value::Object(had)), Value::Object(more)) => had.extend(more),
            (_, value) => drop(fields.insert(name.to_owned(), value)),
        }
    }
    for (name, value) in fields {
        if !matches!(name.as_str(), "unified" | "rdma") {
            correct(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_in_other_letters_are_found() {
        let found = |text: &str| are_others(text.as_bytes());
        assert!(found(r#"{"a": {"CPU" : 1}}"#));
        assert!(found(r#"{"x": "A", "Cpus": "0"}"#));
        assert!(!found(r#"{"a": ["PATH=/", "SCMP_ACT_ALLOW"], "b": "X"}"#));
        assert!(!found(r#""A"#));
    }

    #[test]
    fn they_get_the_specifications() {
        let mut resources = json!({
            "CPU": {"Cpus": "1", "QUOTA": 5},
            "cpu": {"cpus": "0", "mems": "0"},
            "HugepageLimits": [{"PageSize": "2MB"}],
            "unified": {"Cpus": "kept"},
        });
        correct(&mut resources);
        let wanted = json!({
            "cpu": {"cpus": "1", "mems": "0", "quota": 5},
            "hugepageLimits": [{"pageSize": "2MB"}],
            "unified": {"Cpus": "kept"},
        });
        assert_eq!(resources, wanted);
    }
}
