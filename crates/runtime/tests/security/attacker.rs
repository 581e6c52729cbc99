//! The hostile program: this very test program, executed in the container.
//!
//! Only what a file system can do is needed, because looking into another process by /proc is under
//! the same rule as ptrace(2).

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{Bundle, copy_program};

/// O_PATH.
const NAME_ONLY: i32 = 0o10_000_000;

/// Makes the hostile program the bundle's command, in a root that can be written.
pub(crate) fn command(bundle: &mut Bundle, role: &str, argument: &str) {
    install(bundle);
    bundle.config["root"]["readonly"] = json!(false);
    bundle.config["process"]["args"] = json!([
        "/attacker",
        "--exact",
        "attacker::act",
        "--test-threads=1",
        "--nocapture"
    ]);
    let env = bundle.config["process"]["env"].as_array_mut().unwrap();
    env.push(json!(format!("BRIG_ATTACK={role}")));
    env.push(json!(format!("BRIG_ATTACK_ON={argument}")));
}

/// Copies this program and the libraries it has loaded into the root.
pub(crate) fn install(bundle: &Bundle) {
    let own = std::env::current_exe().unwrap();
    copy_program(&own, &bundle.in_root("attacker"));
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let paths: BTreeSet<&Path> = maps
        .lines()
        .filter_map(|line| Some(Path::new(&line[line.find('/')?..])))
        .filter(|path| path.to_string_lossy().contains(".so"))
        .collect();
    let libc = paths
        .iter()
        .find(|path| path.file_name().unwrap() == "libc.so.6");
    // What the runtime needs and this program may not.
    let libm = libc.map(|libc| libc.with_file_name("libm.so.6"));
    let paths: BTreeSet<&Path> = paths.iter().copied().chain(libm.as_deref()).collect();
    for dir in ["lib", "lib64"] {
        fs::create_dir_all(bundle.in_root(dir)).unwrap();
        for path in &paths {
            let to = bundle.in_root(dir).join(path.file_name().unwrap());
            copy_program(path, &to);
        }
    }
}

/// Plays its part when it is told one; in the usual run of the tests it is told none.
#[test]
fn act() {
    let (Ok(role), Ok(on)) = (
        std::env::var("BRIG_ATTACK"),
        std::env::var("BRIG_ATTACK_ON"),
    ) else {
        return;
    };
    match role.as_str() {
        "overwrite" => overwrite(on.parse().unwrap()),
        "peek" => peek(Path::new(&on)),
        "trace" => trace(&on),
        "forge" => forge(&on),
        other => panic!("no part {other:?}"),
    }
}

/// Whether the attack is to end.
fn over() -> bool {
    Path::new("/over").exists()
}

/// Every other process that is seen.
fn others() -> impl Iterator<Item = PathBuf> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(move |entry| {
            let name = entry.file_name();
            name.to_string_lossy()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                && *name != *own
        })
        .map(|entry| entry.path())
}

/// Takes hold of the program with this inode, by which a process was executed, and then tries to
/// write to it until told to stop, when long nobody executes it any more.
fn overwrite(inode: u64) {
    let mut handles = Vec::new();
    let mut answers = BTreeSet::new();
    while !over() {
        for process in others() {
            let exe = OpenOptions::new()
                .read(true)
                .custom_flags(NAME_ONLY)
                .open(process.join("exe"));
            let held = exe
                .ok()
                .filter(|exe| exe.metadata().is_ok_and(|found| found.ino() == inode));
            if let Some(exe) = held
                && handles.len() < 8
            {
                handles.push(exe);
                fs::write("/held", "yes\n").unwrap();
            }
        }
        for handle in &handles {
            let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
            let wrote = OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"#!/bin/evil\n"));
            answers.insert(match wrote {
                Ok(()) => "written".to_owned(),
                Err(error) => format!("{:?}", error.kind()),
            });
        }
    }
    let answers: Vec<_> = answers.into_iter().collect();
    fs::write("/answers", format!("{}\n", answers.join(" "))).unwrap();
}

/// With CAP_SYS_PTRACE: takes the channel of every process that joins and says on it that it is another
/// one now, with the number of a process of the machine, and then nonsense.
fn forge(victim: &str) {
    let born = format!("{{\"init\":\"born-at\",\"pid\":{victim}}}");
    let mut said = 0_u64;
    fs::write("/ready", "yes\n").unwrap();
    while !over() {
        for process in others() {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let number = process
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let (true, Some(number)) = (name.starts_with("brig-runtime"), number) else {
                continue;
            };
            let Ok(pidfd) = sys::pidfd::open(number) else {
                continue;
            };
            for taken in (3..32).filter_map(|fd| sys::pidfd::descriptor(&pidfd, fd).ok()) {
                said += u64::from(sys::fd::write_once(&taken, born.as_bytes()).is_ok());
                let _ = sys::fd::write_once(&taken, b"nonsense");
            }
        }
    }
    fs::write("/found", format!("{said}\n")).unwrap();
}

/// With CAP_SYS_PTRACE: what could be taken over in every process that appears before it is at its
/// command. Its rights, the environment of who made it, and files of the machine.
fn trace(name: &str) {
    // The whole word is in no environment of the container's own.
    let secret = format!("SECRET_OF_{name}");
    let mut found = BTreeSet::new();
    let mut joiners = 0_u64;
    fs::write("/ready", "yes\n").unwrap();
    while !over() {
        for process in others() {
            let text = |name| fs::read(process.join(name)).unwrap_or_default();
            let (status, environment) = (text("status"), text("environ"));
            let status = String::from_utf8_lossy(&status);
            if !status.starts_with("Name:\tbrig-runtime") {
                continue;
            }
            joiners += 1;
            let telling = |line: &&str| line.starts_with("CapPrm:") || line.starts_with("Seccomp:");
            found.extend(status.lines().filter(telling).map(str::to_owned));
            let windows = &mut environment.windows(secret.len());
            if windows.any(|part| part == secret.as_bytes()) {
                found.insert("the caller's environment".to_owned());
            }
            for link in fs::read_dir(process.join("fd")).into_iter().flatten() {
                let target = link.and_then(|link| fs::read_link(link.path()));
                found.extend(target.map(|target| target.to_string_lossy().into_owned()));
            }
        }
    }
    let found: Vec<_> = found.into_iter().collect();
    fs::write("/found", format!("{joiners}\n{}\n", found.join("\n"))).unwrap();
}

/// Looks into every process that appears: its descriptors, and the machine's file `marker` by way of
/// its root and working directory.
fn peek(marker: &Path) {
    let marker = marker.strip_prefix("/").unwrap();
    let mut found = BTreeSet::new();
    let mut joiners = 0_u64;
    fs::write("/ready", "yes\n").unwrap();
    while !over() {
        for process in others() {
            let name = || fs::read_to_string(process.join("comm")).unwrap_or_default();
            let is_joiner = name().starts_with("brig-runtime");
            joiners += u64::from(is_joiner);
            for link in fs::read_dir(process.join("fd")).into_iter().flatten() {
                let target = link.and_then(|link| fs::read_link(link.path()));
                found.extend(target.map(|target| target.to_string_lossy().into_owned()));
            }
            for way in ["root", "cwd"] {
                if process.join(way).join(marker).exists() {
                    found.insert(format!("the machine by {way}"));
                }
            }
            let memory = OpenOptions::new()
                .read(true)
                .write(true)
                .open(process.join("mem"));
            if is_joiner && memory.is_ok() && name().starts_with("brig-runtime") {
                found.insert("memory".to_owned());
            }
        }
    }
    let found: Vec<_> = found.into_iter().collect();
    fs::write("/found", format!("{joiners}\n{}\n", found.join("\n"))).unwrap();
}
