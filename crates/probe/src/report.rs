//! Everything about this process that the kernel tells in files.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};

/// Files reported as they are, those that are not there as null.
const FILES: [(&str, &str); 14] = [
    ("stat", "/proc/self/stat"),
    ("limits", "/proc/self/limits"),
    ("mountinfo", "/proc/self/mountinfo"),
    ("cgroup", "/proc/self/cgroup"),
    ("oom_score_adj", "/proc/self/oom_score_adj"),
    ("personality", "/proc/self/personality"),
    ("timens_offsets", "/proc/self/timens_offsets"),
    ("uid_map", "/proc/self/uid_map"),
    ("gid_map", "/proc/self/gid_map"),
    ("label", "/proc/self/attr/current"),
    ("hostname", "/proc/sys/kernel/hostname"),
    ("domainname", "/proc/sys/kernel/domainname"),
    ("uptime", "/proc/uptime"),
    ("numa", "/proc/self/numa_maps"),
];

/// The whole report.
pub(crate) fn report() -> Value {
    let mut all = Map::new();
    for (name, path) in FILES {
        all.insert(name.to_owned(), fs::read_to_string(path).ok().into());
    }
    all.insert("args".to_owned(), args());
    all.insert("env".to_owned(), environment());
    all.insert("cwd".to_owned(), cwd());
    all.insert("status".to_owned(), status());
    all.insert("namespaces".to_owned(), links("/proc/self/ns"));
    all.insert("fds".to_owned(), links("/proc/self/fd"));
    all.insert("processes".to_owned(), processes());
    all.insert("interfaces".to_owned(), interfaces());
    Value::Object(all)
}

/// The arguments, the program's name first.
pub(crate) fn args() -> Value {
    std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// The environment as it was given, `NAME=value` in its order.
pub(crate) fn environment() -> Value {
    std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect()
}

/// The working directory; null if it has none.
pub(crate) fn cwd() -> Value {
    let path = std::env::current_dir().ok();
    path.map(|path| path.to_string_lossy().into_owned()).into()
}

/// `/proc/self/status` as a map.
fn status() -> Value {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), json!(value.trim())))
        .collect::<Map<_, _>>()
        .into()
}

/// Where the links in a directory lead.
pub(crate) fn links(directory: &str) -> Value {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all = BTreeMap::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Ok(target) = fs::read_link(entry.path())
            // The descriptor of this very listing.
            && !(target.starts_with("/proc") && target.ends_with("fd"))
        {
            all.insert(name, target.to_string_lossy().into_owned());
        }
    }
    json!(all)
}

/// The processes that /proc shows.
fn processes() -> Value {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .collect()
}

/// The network interfaces by their names.
fn interfaces() -> Value {
    let text = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    text.lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
        .collect()
}
