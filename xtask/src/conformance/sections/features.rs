//! features.md and features-linux.md: the features document, and whether it is true.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::find::holds;
use super::super::suite::{Row, Suite, Test, skip, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "features/types",
        "features.md, Features Document: properties are of their schema's types, or absent, or null",
        types,
    ),
    (
        "features/versions",
        "features.md, Specification version: ociVersionMin and ociVersionMax are REQUIRED; the second MUST NOT be less",
        versions,
    ),
    (
        "features/accepts-minimum",
        "features.md, Specification version: the runtime MUST accept ociVersionMin in config.json",
        |suite| accepts(suite, "ociVersionMin"),
    ),
    (
        "features/accepts-maximum",
        "features.md, Specification version: the runtime MUST accept ociVersionMax in config.json",
        |suite| accepts(suite, "ociVersionMax"),
    ),
    (
        "features/nothing-undefined",
        "features.md, Specification version: there MUST NOT be properties that the version does not define",
        nothing_undefined,
    ),
    (
        "features/hooks",
        "features.md, Hooks: the elements are names of hooks",
        hooks,
    ),
    (
        "features/mount-options",
        "features.md, Mount Options: the runtime MUST recognize the elements as options",
        mount_options,
    ),
    (
        "features/namespaces",
        "features-linux.md, Namespaces: the elements are types of namespaces",
        |suite| {
            among(
                suite,
                "/linux/namespaces",
                "pid network mount ipc uts user cgroup time",
            )
        },
    ),
    (
        "features/capabilities",
        "features-linux.md, Capabilities: the runtime MUST recognize the elements as capabilities",
        capabilities,
    ),
    (
        "features/seccomp-actions",
        "features-linux.md, Seccomp: the elements of actions are those of config-linux.md",
        |suite| among(suite, "/linux/seccomp/actions", ACTIONS),
    ),
    (
        "features/seccomp-operators",
        "features-linux.md, Seccomp: the elements of operators are those of config-linux.md",
        |suite| among(suite, "/linux/seccomp/operators", OPERATORS),
    ),
    (
        "features/seccomp-archs",
        "features-linux.md, Seccomp: the runtime MUST recognize the elements of archs",
        archs,
    ),
    (
        "features/seccomp-flags",
        "features-linux.md, Seccomp: the runtime MUST support the elements of supportedFlags",
        flags,
    ),
    (
        "features/annotations",
        "features.md, Annotations: they MUST be a map of strings",
        annotations,
    ),
];

const ACTIONS: &str = "SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_TRAP SCMP_ACT_ERRNO \
    SCMP_ACT_TRACE SCMP_ACT_ALLOW SCMP_ACT_LOG SCMP_ACT_NOTIFY";
const OPERATORS: &str =
    "SCMP_CMP_NE SCMP_CMP_LT SCMP_CMP_LE SCMP_CMP_EQ SCMP_CMP_GE SCMP_CMP_GT SCMP_CMP_MASKED_EQ";

const BIG_ENDIAN: &[&str] = &[
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
];

/// The properties with their types: `s` string, `a` array of strings, `b` bool, `m` map.
const TYPES: &[(&str, char)] = &[
    ("/ociVersionMin", 's'),
    ("/ociVersionMax", 's'),
    ("/hooks", 'a'),
    ("/mountOptions", 'a'),
    ("/annotations", 'm'),
    ("/potentiallyUnsafeConfigAnnotations", 'a'),
    ("/linux", 'm'),
    ("/linux/namespaces", 'a'),
    ("/linux/capabilities", 'a'),
    ("/linux/cgroup", 'm'),
    ("/linux/cgroup/v1", 'b'),
    ("/linux/cgroup/v2", 'b'),
    ("/linux/cgroup/systemd", 'b'),
    ("/linux/cgroup/systemdUser", 'b'),
    ("/linux/cgroup/rdma", 'b'),
    ("/linux/seccomp", 'm'),
    ("/linux/seccomp/enabled", 'b'),
    ("/linux/seccomp/actions", 'a'),
    ("/linux/seccomp/operators", 'a'),
    ("/linux/seccomp/archs", 'a'),
    ("/linux/seccomp/knownFlags", 'a'),
    ("/linux/seccomp/supportedFlags", 'a'),
    ("/linux/apparmor", 'm'),
    ("/linux/apparmor/enabled", 'b'),
    ("/linux/selinux", 'm'),
    ("/linux/selinux/enabled", 'b'),
    ("/linux/intelRdt", 'm'),
    ("/linux/intelRdt/enabled", 'b'),
    ("/linux/intelRdt/schemata", 'b'),
    ("/linux/intelRdt/monitoring", 'b'),
    ("/linux/memoryPolicy", 'm'),
    ("/linux/memoryPolicy/modes", 'a'),
    ("/linux/memoryPolicy/flags", 'a'),
    ("/linux/mountExtensions", 'm'),
    ("/linux/mountExtensions/idmap", 'm'),
    ("/linux/mountExtensions/idmap/enabled", 'b'),
    ("/linux/netDevices", 'm'),
    ("/linux/netDevices/enabled", 'b'),
];

/// The document. Runtimes MAY have one.
fn document(suite: &Suite) -> Result<Value> {
    let bundle = suite.bundle()?;
    let said = bundle.call(&["features"])?;
    if !said.ok() {
        return skip(format!(
            "this runtime has no features document: {}",
            said.err
        ));
    }
    Ok(serde_json::from_str(&said.out)?)
}

fn list(document: &Value, pointer: &str) -> Vec<String> {
    let all = document.pointer(pointer).and_then(Value::as_array);
    let words = all.into_iter().flatten().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

fn types(suite: &Suite) -> Result<()> {
    let document = document(suite)?;
    for (pointer, kind) in TYPES {
        let Some(value) = document.pointer(pointer).filter(|value| !value.is_null()) else {
            continue;
        };
        let is = match kind {
            's' => value.is_string(),
            'b' => value.is_boolean(),
            'm' => value.is_object(),
            _ => value
                .as_array()
                .is_some_and(|all| all.iter().all(Value::is_string)),
        };
        holds(&format!("{pointer} is of its type"), is, value)?;
    }
    Ok(())
}

/// The numbers of a version, and whether it is a release.
fn version(document: &Value, name: &str) -> Result<(Vec<u64>, bool)> {
    let text = document[name].as_str().unwrap_or_default();
    // What is built of it is no part of the order.
    let text = text.split('+').next().unwrap_or_default();
    let (numbers, before) = text
        .split_once('-')
        .map_or((text, false), |(numbers, _)| (numbers, true));
    let numbers: Vec<u64> = numbers
        .split('.')
        .filter_map(|number| number.parse().ok())
        .collect();
    holds(
        &format!("{name} is a SemVer version"),
        numbers.len() == 3,
        text,
    )?;
    Ok((numbers, !before))
}

fn versions(suite: &Suite) -> Result<()> {
    let document = document(suite)?;
    let (least, most) = (
        version(&document, "ociVersionMin")?,
        version(&document, "ociVersionMax")?,
    );
    holds(
        "the maximum is no less",
        most >= least,
        (least, most.clone()),
    )
}

fn accepts(suite: &Suite, name: &str) -> Result<()> {
    let version = document(suite)?[name].clone();
    let mut bundle = suite.bundle()?;
    bundle.set("/ociVersion", version);
    bundle.report().map(drop)
}

fn nothing_undefined(suite: &Suite) -> Result<()> {
    let document = document(suite)?;
    for parent in [
        "",
        "/linux",
        "/linux/cgroup",
        "/linux/seccomp",
        "/linux/mountExtensions",
    ] {
        let names = document.pointer(parent).and_then(Value::as_object);
        for name in names
            .into_iter()
            .flatten()
            .map(|(name, _)| format!("{parent}/{name}"))
        {
            let defined = TYPES.iter().any(|(known, _)| *known == name);
            holds("the property is defined", defined, name)?;
        }
    }
    Ok(())
}

fn among(suite: &Suite, pointer: &str, known: &str) -> Result<()> {
    for word in list(&document(suite)?, pointer) {
        holds(
            "it is one of the specification's",
            known.split_whitespace().any(|one| one == word),
            word,
        )?;
    }
    Ok(())
}

fn hooks(suite: &Suite) -> Result<()> {
    among(
        suite,
        "/hooks",
        "prestart createRuntime createContainer startContainer poststart poststop",
    )
}

/// All of them at once, each on a mount of its own.
fn mount_options(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    // What is bound needs a source, what is mapped a mapping, and a remount something to remount.
    let special = [
        "bind",
        "rbind",
        "remount",
        "idmap",
        "ridmap",
        "acl",
        "noacl",
        "mand",
        "nomand",
        "tmpcopyup",
    ];
    for (at, option) in list(&document(suite)?, "/mountOptions").iter().enumerate() {
        if special.contains(&option.as_str()) {
            continue;
        }
        let place = format!("/var/{at}");
        std::fs::create_dir(bundle.in_root(&place))?;
        bundle.mount("tmpfs", "tmpfs", &place, &[option]);
    }
    bundle.report().map(drop)
}

fn capabilities(suite: &Suite) -> Result<()> {
    let names = list(&document(suite)?, "/linux/capabilities");
    let mut bundle = suite.bundle()?;
    bundle.set("/process/capabilities/bounding", json!(names));
    bundle.report().map(drop)
}

fn archs(suite: &Suite) -> Result<()> {
    let mut archs = list(&document(suite)?, "/linux/seccomp/archs");
    // libseccomp makes no filter for both orders of bytes.
    archs.retain(|arch| !BIG_ENDIAN.contains(&arch.as_str()));
    if archs.is_empty() {
        return skip("the document names none");
    }
    let mut bundle = suite.bundle()?;
    let rule = json!({ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" });
    let filter =
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": archs, "syscalls": [rule] });
    bundle.set("/linux/seccomp", filter);
    bundle.report().map(drop)
}

fn flags(suite: &Suite) -> Result<()> {
    let document = document(suite)?;
    let known = list(&document, "/linux/seccomp/knownFlags");
    let mut flags = list(&document, "/linux/seccomp/supportedFlags");
    for flag in &flags {
        holds(
            "a supported flag is a known one",
            known.contains(flag),
            flag,
        )?;
    }
    // That one is for filters with a listener only.
    flags.retain(|flag| !flag.ends_with("WAIT_KILLABLE_RECV"));
    let mut bundle = suite.bundle()?;
    let rule = json!({ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" });
    bundle.set(
        "/linux/seccomp",
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "syscalls": [rule] }),
    );
    bundle.report().map(drop)
}

fn annotations(suite: &Suite) -> Result<()> {
    let document = document(suite)?;
    let all = document["annotations"].as_object();
    let fine = all.is_none_or(|all| {
        all.iter()
            .all(|(key, value)| !key.is_empty() && value.is_string())
    });
    holds("keys and values are strings", fine, all)
}
