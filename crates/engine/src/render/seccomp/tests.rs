//! Decisions of whole profiles.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::capabilities::of_container;
use super::super::tests::host;
use super::*;

/// Of each call what the filter says: actions with their conditions, in one order.
fn decisions(filter: &LinuxSeccomp) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in filter.syscalls().iter().flatten() {
        let args = rule.args().iter().flatten().map(|a| {
            let two = a.value_two().unwrap_or(0);
            format!(" {}:{}({:#x},{two:#x})", a.index(), a.op(), a.value())
        });
        let errno = rule.errno_ret().map_or(String::new(), |e| format!("({e})"));
        let text = format!("{}{errno}{}", rule.action(), args.collect::<String>());
        for name in rule.names() {
            let of = all.entry(name.clone()).or_default();
            of.push(text.clone());
            of.sort();
            of.dedup();
        }
    }
    all
}

fn rendered(
    seccomp: SeccompProfile,
    caps: &[&str],
    host: &HostFacts,
) -> Result<LinuxSeccomp, Error> {
    let security = Security {
        cap_add: caps.iter().map(|c| (*c).to_owned()).collect(),
        seccomp,
        ..Security::default()
    };
    let set = of_container(&security, host)?;
    filter(&security, &set, host).map(|filter| Arc::unwrap_or_clone(filter.unwrap()))
}

/// The facts of the published profile as a profile in Docker's format. A line that is not indented
/// begins a rule, the calls it is about are below it.
fn published() -> String {
    let (mut machines, mut rules) = (Vec::new(), Vec::<Value>::new());
    let mut default = Value::Null;
    let facts = include_str!("published.txt").lines();
    for line in facts.filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut words = line.split_whitespace();
        if line.starts_with(' ') {
            let rule = rules.last_mut().unwrap();
            rule["names"]
                .as_array_mut()
                .unwrap()
                .extend(words.map(Value::from));
            continue;
        }
        match words.next().unwrap() {
            "default" => default = rule(words),
            "machine" => machines.push(json!({
                "architecture": words.next(),
                "subArchitectures": words.collect::<Vec<_>>(),
            })),
            _ => rules.push(rule(line.split_whitespace())),
        }
    }
    let profile = json!({
        "defaultAction": default["action"],
        "defaultErrnoRet": default["errnoRet"],
        "archMap": machines,
        "syscalls": rules,
    });
    profile.to_string()
}

/// `ACTION [ERRNO] [where ARGUMENT OPERATOR VALUE] [if CONDITION...] [unless CONDITION...]`
fn rule<'a>(words: impl Iterator<Item = &'a str>) -> Value {
    let number = |word: &str| match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => word.parse().unwrap(),
    };
    let mut words = words.peekable();
    let mut rule = json!({"names": [], "includes": {}, "excludes": {}, "args": []});
    let mut part = "";
    while let Some(word) = words.next() {
        match (part, word) {
            (_, "allow") => rule["action"] = json!("SCMP_ACT_ALLOW"),
            (_, "errno") => {
                rule["action"] = json!("SCMP_ACT_ERRNO");
                rule["errnoRet"] = json!(number(words.next().unwrap()));
            }
            (_, "where") => {
                let [index, op, value] = [0; 3].map(|_| words.next().unwrap());
                rule["args"] = json!([{
                    "index": number(index),
                    "op": format!("SCMP_CMP_{op}"),
                    "value": number(value),
                }]);
            }
            (_, "if") => part = "includes",
            (_, "unless") => part = "excludes",
            (part, "kernel") => rule[part]["minKernel"] = json!(words.next()),
            (part, word) => {
                let kind = if word.starts_with("CAP_") {
                    "caps"
                } else {
                    "arches"
                };
                match rule[part][kind].as_array_mut() {
                    Some(known) => known.push(word.into()),
                    None => rule[part][kind] = json!([word]),
                }
            }
        }
    }
    rule
}

/// What is published has been written down as facts, in `published.txt`.
#[test]
fn the_default_decides_as_the_published_profile() {
    let published = published();
    let capabilities: Vec<String> = (0..41)
        .filter_map(super::super::capabilities::name)
        .collect();
    let singles = capabilities.iter().map(|c| vec![c.as_str()]);
    let sets: Vec<Vec<&str>> = singles.chain([vec![], vec!["ALL"]]).collect();
    for arch in ["x86_64", "aarch64", "riscv64", "s390x", "powerpc64"] {
        for kernel in [(4, 7), (4, 8), (6, 18)] {
            let host = HostFacts {
                arch,
                kernel,
                ..host()
            };
            for set in &sets {
                let ours = rendered(SeccompProfile::Default, set, &host).unwrap();
                let custom = SeccompProfile::Custom(published.clone());
                let theirs = rendered(custom, set, &host).unwrap();
                assert_eq!(
                    decisions(&ours),
                    decisions(&theirs),
                    "{arch} {kernel:?} {set:?}"
                );
                assert_eq!(ours.default_action(), theirs.default_action());
                assert_eq!(ours.default_errno_ret(), theirs.default_errno_ret());
                if matches!(arch, "x86_64" | "aarch64" | "riscv64") {
                    assert_eq!(ours.architectures(), theirs.architectures());
                }
            }
        }
    }
}

/// One list of what is allowed, and the few rules with arguments.
#[test]
fn the_default_is_short() {
    for caps in [&[][..], &["ALL"]] {
        let filter = rendered(SeccompProfile::Default, caps, &host()).unwrap();
        let rules = filter.syscalls().as_ref().unwrap();
        assert!(rules.len() < 14, "{}", rules.len());
    }
}

/// A misspelt name would refuse a call silently.
#[test]
fn the_default_names_calls_that_exist() {
    let elsewhere = ["riscv_", "s390_", "swapcontext"];
    for entry in default::entries() {
        for name in entry.names {
            let foreign = elsewhere.iter().any(|e| name.starts_with(e));
            assert!(foreign || sys::seccomp::is_known(&name), "{name}");
        }
    }
}

#[test]
fn the_default_by_capability() {
    let of = |caps: &[&str], name: &str| {
        let filter = rendered(SeccompProfile::Default, caps, &host()).unwrap();
        decisions(&filter)
            .remove(name)
            .unwrap_or_default()
            .join("; ")
    };
    assert_eq!(of(&[], "read"), "SCMP_ACT_ALLOW");
    assert_eq!(of(&[], "mount"), "");
    assert_eq!(of(&["SYS_ADMIN"], "mount"), "SCMP_ACT_ALLOW");
    assert_eq!(of(&["SYS_ADMIN"], "clone3"), "SCMP_ACT_ALLOW");
    assert_eq!(of(&[], "clone3"), "SCMP_ACT_ERRNO(38)");
    assert_eq!(
        of(&[], "clone"),
        "SCMP_ACT_ALLOW 0:SCMP_CMP_MASKED_EQ(0x7e020000,0x0)"
    );
    assert_eq!(of(&[], "arch_prctl"), "SCMP_ACT_ALLOW");
    assert_eq!(of(&[], "swapcontext"), "");
}

fn custom(json: &str) -> String {
    match rendered(SeccompProfile::Custom(json.to_owned()), &[], &host()) {
        Ok(filter) => serde_json::to_string(&filter).unwrap(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn custom_profiles() {
    insta::assert_snapshot!(custom(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "comment": "x", "archMap": [
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_OF_TOMORROW"]}],
           "syscalls": [
            {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "args": null},
            {"names": ["chmod", "fchmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": [],
             "includes": {"arches": ["amd64"], "minKernel": "4.8"}, "excludes": {}},
            {"names": ["chown"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}},
            {"names": ["kill"], "action": "SCMP_ACT_LOG",
             "args": [{"index": 1, "value": 9, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}],
           "flags": ["SECCOMP_FILTER_FLAG_LOG"]}"#
    ), @r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"},{"names":["chmod","fchmod"],"action":"SCMP_ACT_ERRNO","errnoRet":13},{"names":["kill"],"action":"SCMP_ACT_LOG","args":[{"index":1,"value":9,"op":"SCMP_CMP_EQ"}]}]}"#);
}

#[test]
fn broken_profiles_are_refused() {
    let table = [
        ("{", "EOF while parsing"),
        (
            r#"{"syscalls": [{"name": "a", "action": "SCMP_ACT_ALLOW"}]}"#,
            "defaultAction is missing",
        ),
        (r#"{"defaultAction": "ALLOW"}"#, "unknown variant `ALLOW`"),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}"#,
            "both 'architectures' and 'archMap'",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_LOG"}]}"#,
            "both 'name' and 'names'",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["b"],
                "action": "SCMP_ACT_LOG", "includes": {"minKernel": "new"}}]}"#,
            "minKernel \"new\" is no kernel version",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["b"],
                "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
            "argument 6",
        ),
    ];
    for (json, reason) in table {
        let text = custom(json);
        assert!(text.starts_with("invalid seccomp profile: "), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn an_empty_profile_and_privilege_filter_nothing() {
    let none = |security: &Security| {
        let set = of_container(security, &host()).unwrap();
        filter(security, &set, &host()).unwrap().is_none()
    };
    let with = |seccomp| Security {
        seccomp,
        ..Security::default()
    };
    assert!(none(&with(SeccompProfile::Unconfined)));
    assert!(none(&with(SeccompProfile::Custom("{}".to_owned()))));
    let privileged = Security {
        privileged: true,
        ..Security::default()
    };
    assert!(none(&privileged));
    let both = Security {
        seccomp: SeccompProfile::Custom(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#.to_owned()),
        ..privileged
    };
    assert!(!none(&both));
}
