//! Flags that Docker has and this version does not: naming them beats "unknown flag".

/// Flags of `run` and `create`, with or without a short form, and why they are missing.
const OF_RUN: &[(&str, &[&str])] = &[
    (
        "it is Windows only",
        &[
            "--cpu-count",
            "--cpu-percent",
            "--io-maxbandwidth",
            "--io-maxiops",
            "--isolation",
        ],
    ),
    (
        "the kernel has no such limit any more",
        &["--kernel-memory"],
    ),
    (
        "Docker itself has removed content trust",
        &["--disable-content-trust"],
    ),
    (
        "handing the API socket on is not in this version",
        &["--use-api-socket"],
    ),
];

/// Flags of the other verbs.
const OF_OTHERS: &[(&str, &str, &str)] = &[
    (
        "start",
        "--checkpoint",
        "checkpoints are not in this version",
    ),
    (
        "start",
        "--checkpoint-dir",
        "checkpoints are not in this version",
    ),
    (
        "update",
        "--kernel-memory",
        "the kernel has no such limit any more",
    ),
    ("volume create", "--availability", CLUSTER),
    ("volume create", "--group", CLUSTER),
    ("volume create", "--limit-bytes", CLUSTER),
    ("volume create", "--required-bytes", CLUSTER),
    ("volume create", "--scope", CLUSTER),
    ("volume create", "--secret", CLUSTER),
    ("volume create", "--sharing", CLUSTER),
    ("volume create", "--topology-preferred", CLUSTER),
    ("volume create", "--topology-required", CLUSTER),
    ("volume create", "--type", CLUSTER),
];

const CLUSTER: &str = "there is no cluster: such volumes are not in this version";

/// Why `verb` lacks a flag that Docker's has; none if Docker's lacks it too.
pub fn why_missing(verb: &str, flag: &str) -> Option<&'static str> {
    if matches!(verb, "run" | "create") {
        let named = |flags: &&[&str]| flags.contains(&flag);
        return OF_RUN
            .iter()
            .find(|(_, flags)| named(flags))
            .map(|(why, _)| *why);
    }
    OF_OTHERS
        .iter()
        .find(|(of, name, _)| *of == verb && *name == flag)
        .map(|(_, _, why)| *why)
}
