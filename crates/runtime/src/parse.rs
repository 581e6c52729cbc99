//! The documents of the specification, as it is: `oci_spec`, which has the types, knows a few names
//! by another spelling and takes a few optional things for required.
//!
//! Only what it does not understand is looked at a second time, so an ordinary configuration costs
//! nothing more.

use oci_spec::runtime::{LinuxResources, Process, Spec};
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Error, Map, Value, json};

use crate::warning::warn;

mod letters;
mod place;
mod shape;

/// Reads a configuration (config.json).
pub fn parse_spec(text: &[u8]) -> Result<Spec, Error> {
    let spec = parse(text, |whole| {
        if let Some(process) = object(whole, "process") {
            translate_process(process)?;
        }
        object(whole, "linux").map_or(Ok(()), translate_linux)
    })?;
    if has_pages_without_size(&spec) || letters::are_others(text) {
        return with_names_corrected(text, &spec);
    }
    Ok(spec)
}

fn has_pages_without_size(spec: &Spec) -> bool {
    let resources = spec.linux().as_ref().and_then(|l| l.resources().as_ref());
    let limits = resources.and_then(|r| r.hugepage_limits().as_deref());
    limits.is_some_and(|all| all.iter().any(|one| one.page_size().is_empty()))
}

/// The same, with the names of resources in whatever letters.
fn with_names_corrected(text: &[u8], spec: &Spec) -> Result<Spec, Error> {
    let mut value: Value = serde_json::from_slice(text)?;
    let resources = value.pointer_mut("/linux/resources");
    let Some(resources) = resources else {
        return Ok(spec.clone());
    };
    letters::correct(resources);
    let resources = serde_json::from_value(resources.take())?;
    let mut spec = spec.clone();
    let mut linux = spec.linux().clone().unwrap_or_default();
    linux.set_resources(resources);
    spec.set_linux(Some(linux));
    Ok(spec)
}

/// Reads the process of an exec (process.json).
pub fn parse_process(text: &[u8]) -> Result<Process, Error> {
    parse(text, translate_process)
}

/// Reads new limits (linux.resources).
pub fn parse_resources(text: &[u8]) -> Result<LinuxResources, Error> {
    let resources = serde_json::from_slice(text)?;
    shape::check(text)?;
    if !letters::are_others(text) {
        return Ok(resources);
    }
    let mut value: Value = serde_json::from_slice(text)?;
    letters::correct(&mut value);
    serde_json::from_value(value)
}

fn parse<T: DeserializeOwned>(
    text: &[u8],
    translate: impl FnOnce(&mut Map<String, Value>) -> Result<(), Error>,
) -> Result<T, Error> {
    let first = match serde_json::from_slice(text) {
        Err(error) if error.is_data() => error,
        Ok(document) => return shape::check(text).map(|()| document),
        Err(error) => return Err(error),
    };
    let mut value: Value = serde_json::from_slice(text)?;
    let first = Error::custom(format!("{}{first}", place::of(text, &first)));
    let before = value.clone();
    let Some(whole) = value.as_object_mut() else {
        return Err(first);
    };
    translate(whole)?;
    if value == before {
        // This error knows the line.
        return Err(first);
    }
    // As text again: to read a value would be all that code a second time.
    let document = serde_json::from_slice(&serde_json::to_vec(&value)?)?;
    shape::check(text).map(|()| document)
}

fn object<'a>(
    parent: &'a mut Map<String, Value>,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    parent.get_mut(name)?.as_object_mut()
}

fn translate_process(process: &mut Map<String, Value>) -> Result<(), Error> {
    // Without one it is the first.
    if process.get("user").is_none_or(Value::is_null) {
        process.insert("user".to_owned(), json!({}));
    }
    if let Some(flags) = object(process, "scheduler")
        .and_then(|scheduler| scheduler.get_mut("flags")?.as_array_mut())
    {
        flags.iter_mut().for_each(rename_flag);
    }
    if let Some(sets) = object(process, "capabilities") {
        drop_unknown(sets);
    }
    if let Some(affinity) = object(process, "execCPUAffinity") {
        // The schema allows blanks and nothing at all.
        for list in affinity.values_mut() {
            match list.as_str().map(|list| list.replace(' ', "")) {
                Some(text) if text.is_empty() => *list = Value::Null,
                Some(text) => *list = text.into(),
                None => {}
            }
        }
    }
    Ok(())
}

fn rename_flag(flag: &mut Value) {
    match flag.as_str() {
        Some("SCHED_FLAG_RESET_ON_FORK") => *flag = "SCHED_RESET_ON_FORK".into(),
        Some("SCHED_FLAG_DL_OVERRUN") => *flag = "SCHED_FLAG_D_L_OVERRUN".into(),
        _ => {}
    }
}

/// A capability that a newer kernel has is no reason not to run; nobody gets it.
fn drop_unknown(sets: &mut Map<String, Value>) {
    let known = |name: &Value| {
        name.as_str()
            .is_none_or(|name| sys::caps::Capabilities::named(&name.to_uppercase()).is_some())
    };
    let mut unknown: Vec<String> = Vec::new();
    for names in sets.values_mut().filter_map(Value::as_array_mut) {
        let dropped = names.iter().filter(|name| !known(name));
        unknown.extend(dropped.filter_map(Value::as_str).map(str::to_owned));
        names.retain(known);
    }
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        let names = unknown.join(" ");
        warn(|| format!("ignoring unknown or unavailable capabilities: [{names}]"));
    }
}

fn translate_linux(linux: &mut Map<String, Value>) -> Result<(), Error> {
    let Some(policy) = object(linux, "memoryPolicy") else {
        return Ok(());
    };
    match policy
        .get("mode")
        .and_then(Value::as_str)
        .map(str::to_owned)
    {
        None if policy.is_empty() => {
            linux.remove("memoryPolicy");
            Ok(())
        }
        None => Err(Error::custom("invalid memory policy mode: it is missing")),
        Some(mode) if !MODES.contains(&mode.as_str()) => {
            let known = MODES.join(", ");
            let reason = format!("invalid memory policy mode {mode:?}: {known} are known");
            Err(Error::custom(reason))
        }
        Some(_) => check_flags(policy),
    }
}

/// Of `linux.memoryPolicy.mode`.
pub(crate) const MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_WEIGHTED_INTERLEAVE",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_LOCAL",
];

/// Of `linux.memoryPolicy.flags`.
pub(crate) const FLAGS: [&str; 3] = [
    "MPOL_F_NUMA_BALANCING",
    "MPOL_F_RELATIVE_NODES",
    "MPOL_F_STATIC_NODES",
];

fn check_flags(policy: &Map<String, Value>) -> Result<(), Error> {
    let flags = policy.get("flags").and_then(Value::as_array);
    let mut names = flags.into_iter().flatten().filter_map(Value::as_str);
    match names.find(|name| !FLAGS.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let known = FLAGS.join(", ");
            let reason = format!("invalid memory policy flag {name:?}: {known} are known");
            Err(Error::custom(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(part: &str) -> Result<Spec, String> {
        let text = format!(r#"{{"ociVersion": "1.3.0", {part}}}"#);
        parse_spec(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// What is not there any more when it is written again was never read.
    #[test]
    fn every_property_of_the_specification_is_read() {
        let text = include_bytes!("../tests/data/every-property.json");
        let asked: Value = serde_json::from_slice(text).unwrap();
        let read = serde_json::to_value(parse_spec(text).unwrap()).unwrap();
        let mut lost = Vec::new();
        missing(&asked, &read, String::new(), &mut lost);
        assert_eq!(lost, [""; 0]);
    }

    #[test]
    fn every_word_of_the_specification_is_read() {
        let words = [
            (
                "/linux/namespaces/0/type",
                "mount pid network uts ipc user cgroup time",
            ),
            ("/linux/devices/0/type", "c b u p"),
            ("/linux/resources/devices/0/type", "a c b"),
            ("/linux/personality/domain", "LINUX LINUX32"),
            (
                "/linux/seccomp/defaultAction",
                "SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_TRAP \
                 SCMP_ACT_ERRNO SCMP_ACT_TRACE SCMP_ACT_ALLOW SCMP_ACT_LOG SCMP_ACT_NOTIFY",
            ),
            (
                "/linux/seccomp/flags/0",
                "SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW \
                 SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
            ),
            (
                "/linux/seccomp/syscalls/0/args/0/op",
                "SCMP_CMP_NE SCMP_CMP_LT SCMP_CMP_LE SCMP_CMP_EQ SCMP_CMP_GE SCMP_CMP_GT \
                 SCMP_CMP_MASKED_EQ",
            ),
            (
                "/linux/seccomp/architectures/0",
                "SCMP_ARCH_X86 SCMP_ARCH_X86_64 SCMP_ARCH_X32 SCMP_ARCH_ARM SCMP_ARCH_AARCH64 \
                 SCMP_ARCH_LOONGARCH64 SCMP_ARCH_M68K SCMP_ARCH_MIPS SCMP_ARCH_MIPS64 \
                 SCMP_ARCH_MIPS64N32 SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64 SCMP_ARCH_MIPSEL64N32 \
                 SCMP_ARCH_PPC SCMP_ARCH_PPC64 SCMP_ARCH_PPC64LE SCMP_ARCH_S390 SCMP_ARCH_S390X \
                 SCMP_ARCH_SH SCMP_ARCH_SHEB SCMP_ARCH_PARISC SCMP_ARCH_PARISC64 SCMP_ARCH_RISCV64",
            ),
            (
                "/process/scheduler/policy",
                "SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_ISO SCHED_IDLE SCHED_DEADLINE",
            ),
            (
                "/process/scheduler/flags/0",
                "SCHED_FLAG_RESET_ON_FORK SCHED_FLAG_RECLAIM SCHED_FLAG_DL_OVERRUN \
                 SCHED_FLAG_KEEP_POLICY SCHED_FLAG_KEEP_PARAMS SCHED_FLAG_UTIL_CLAMP_MIN \
                 SCHED_FLAG_UTIL_CLAMP_MAX",
            ),
            (
                "/process/ioPriority/class",
                "IOPRIO_CLASS_RT IOPRIO_CLASS_BE IOPRIO_CLASS_IDLE",
            ),
            (
                "/process/rlimits/0/type",
                "RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_LOCKS \
                 RLIMIT_MEMLOCK RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS \
                 RLIMIT_RTPRIO RLIMIT_RTTIME RLIMIT_SIGPENDING RLIMIT_STACK",
            ),
        ];
        let mut words = words.map(|(path, words)| (path, words.to_owned())).to_vec();
        words.push(("/linux/memoryPolicy/mode", MODES.join(" ")));
        words.push(("/linux/memoryPolicy/flags/0", FLAGS.join(" ")));
        let text = include_bytes!("../tests/data/every-property.json");
        let whole: Value = serde_json::from_slice(text).unwrap();
        for (path, words) in &words {
            for word in words.split_whitespace() {
                let mut changed = whole.clone();
                *changed.pointer_mut(path).unwrap() = word.into();
                let read = parse_spec(changed.to_string().as_bytes());
                assert!(read.is_ok(), "{path} {word}: {:?}", read.err());
            }
        }
    }

    /// The paths of what is asked for and not there.
    fn missing(asked: &Value, read: &Value, path: String, lost: &mut Vec<String>) {
        match (asked, read) {
            (Value::Object(asked), Value::Object(read)) => {
                for (name, value) in asked {
                    let path = format!("{path}.{name}");
                    missing(value, read.get(name).unwrap_or(&Value::Null), path, lost);
                }
            }
            (Value::Array(asked), Value::Array(read)) if asked.len() == read.len() => {
                for (asked, read) in asked.iter().zip(read) {
                    missing(asked, read, format!("{path}[]"), lost);
                }
            }
            _ if asked == read => {}
            _ => lost.push(path),
        }
    }

    #[test]
    fn the_specifications_spelling_is_read() {
        let process = parse_process(
            br#"{"args": ["x"], "cwd": "/", "scheduler": {"policy": "SCHED_DEADLINE", "flags":
            ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY"]},
            "execCPUAffinity": {"initial": "", "final": "0, 2-3"}}"#,
        )
        .unwrap();
        let scheduler = process.scheduler().clone().unwrap();
        assert_eq!(scheduler.flags().as_ref().unwrap().len(), 3);
        let affinity = process.exec_cpu_affinity().clone().unwrap();
        assert_eq!(affinity.initial(), &None);
        assert_eq!(affinity.cpu_affinity_final().as_deref(), Some("0,2-3"));
        assert_eq!(process.user().uid(), 0);
    }

    #[test]
    fn unknown_capabilities_are_dropped() {
        let part = r#""process": {"cwd": "/", "user": {},
            "capabilities": {"bounding": ["CAP_KILL", "CAP_UNKNOWN", "UNKNOWN_CAP"]}}"#;
        let spec = spec(part).unwrap();
        let sets = spec.process().clone().unwrap().capabilities().clone();
        assert_eq!(sets.unwrap().bounding().as_ref().unwrap().len(), 1);
    }

    #[test]
    fn memory_policies_are_checked() {
        let policy = |text: &str| spec(&format!(r#""linux": {{"memoryPolicy": {text}}}"#));
        let linux = policy("{}").unwrap().linux().clone().unwrap();
        assert!(linux.memory_policy().is_none());
        let told = policy(r#"{"nodes": "0"}"#).unwrap_err();
        assert_eq!(told, "invalid memory policy mode: it is missing");
        let told = policy(r#"{"mode": "INTERLEAVE"}"#).unwrap_err();
        assert!(told.starts_with("invalid memory policy mode \"INTERLEAVE\""));
        let told = policy(r#"{"mode": "MPOL_BIND", "flags": ["x"]}"#).unwrap_err();
        assert!(told.starts_with("invalid memory policy flag \"x\""));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let told = parse_spec(b"{\"ociVersion\": 1}").unwrap_err().to_string();
        assert!(told.contains("line 1 column 16"), "{told}");
        let told = parse_spec(b"[").unwrap_err().to_string();
        assert!(told.contains("EOF"), "{told}");
        assert!(parse_process(b"3").is_err());
    }

    #[test]
    fn the_size_of_pages_is_known_in_any_case() {
        let text = br#"{"ociVersion": "1.3.0", "linux": {"resources": {
            "hugepageLimits": [{"pagesize": "2MB", "limit": 5}]}}}"#;
        let spec = parse_spec(text).unwrap();
        let resources = spec.linux().as_ref().unwrap().resources().as_ref().unwrap();
        let limits = resources.hugepage_limits().as_ref().unwrap();
        assert_eq!(
            (limits[0].page_size().as_str(), limits[0].limit()),
            ("2MB", 5)
        );
    }
}
