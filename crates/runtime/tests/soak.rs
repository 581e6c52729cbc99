//! Many containers in a row, eight at a time: nothing is left, and nothing grows.
//!
//! Two hundred by default; `cargo xtask soak runtime` makes ten thousand (`BRIG_SOAK_ROUNDS`) and
//! then compares what the kernel holds, which other tests beside this one would disturb.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; a long one says what it has found"
)]

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{Bundle, text};

const AT_ONCE: usize = 8;

/// How many containers, and whether this machine is ours alone.
fn rounds() -> (usize, bool) {
    let asked = std::env::var("BRIG_SOAK_ROUNDS").ok();
    let asked = asked.map(|text| text.parse().unwrap());
    (asked.unwrap_or(200), asked.is_some())
}

fn call(bundle: &Bundle, words: &[&str]) {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = bundle.command(words);
    command.stdout(Stdio::null()).stderr(said.reopen().unwrap());
    let status = command.status().unwrap();
    let said = std::fs::read(said.path()).unwrap();
    assert!(status.success(), "{words:?}: {}", text(&said));
}

/// One container's life; every tenth is joined meanwhile.
fn live(bundle: &Bundle, number: usize) {
    call(bundle, &["create", "ID"]);
    call(bundle, &["start", "ID"]);
    if number.is_multiple_of(10) {
        call(bundle, &["exec", "ID", "true"]);
    }
    call(bundle, &["delete", "--force", "ID"]);
}

/// What the kernel holds for everybody.
fn held() -> BTreeMap<String, u64> {
    const CACHES: [&str; 6] = [
        "mnt_cache",
        "net_namespace",
        "pid_namespace",
        "nsproxy",
        "task_struct",
        "files_cache",
    ];
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |line: &str, at: usize| line.split_whitespace().nth(at)?.parse::<u64>().ok();
    let mut held = BTreeMap::new();
    for line in read("/proc/slabinfo").lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if CACHES.contains(&name) {
            held.insert(format!("objects of {name}"), field(line, 1).unwrap());
        }
    }
    let cgroups = read("/proc/cgroups");
    let counts = cgroups.lines().filter_map(|line| field(line, 2));
    held.insert("cgroups".to_owned(), counts.sum());
    held.insert(
        "open files".to_owned(),
        field(&read("/proc/sys/fs/file-nr"), 0).unwrap(),
    );
    let mounts = read("/proc/self/mountinfo").lines().count();
    held.insert("mounts".to_owned(), u64::try_from(mounts).unwrap());
    let slab = read("/proc/meminfo");
    let slab = slab.lines().find(|line| line.starts_with("SUnreclaim:"));
    held.insert(
        "kB of slab".to_owned(),
        slab.and_then(|line| field(line, 1)).unwrap_or(0),
    );
    held
}

/// What has grown by a tenth of a thing a container, or more; less is somebody else's. Of memory by
/// what the smallest namespace or cgroup holds, because everybody on the machine takes some.
fn grown(before: &BTreeMap<String, u64>, rounds: usize) -> Vec<String> {
    let rounds = u64::try_from(rounds).unwrap();
    let now = held();
    let allowed = |name: &str| {
        if name.starts_with("kB") {
            rounds * 32
        } else {
            rounds / 10
        }
    };
    let grown = before
        .iter()
        .filter(|(name, before)| now[*name] > **before + allowed(name));
    grown
        .map(|(name, before)| format!("{name}: {before}, now {}", now[name]))
        .collect()
}

/// The kernel takes things apart some time after they are gone.
fn assert_nothing_grows(before: &BTreeMap<String, u64>, rounds: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !grown(before, rounds).is_empty() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    let now = held();
    for (name, before) in before {
        eprintln!("{name}: {before} before, {} after", now[name]);
    }
    assert_eq!(grown(before, rounds), Vec::<String>::new());
}

#[test]
fn many_lives_leave_nothing() {
    if let Some(reason) = support::cannot_run() {
        eprintln!("{reason}");
        return;
    }
    let (rounds, alone) = rounds();
    let bundles: Vec<_> = (0..AT_ONCE)
        .map(|_| Bundle::new(&["sleep", "1000"]))
        .collect();
    bundles.iter().for_each(Bundle::write);
    // What is made once and kept, as a cgroup of the first hierarchy, is there from here on.
    bundles.iter().for_each(|bundle| live(bundle, 0));
    let before = held();
    let next = AtomicUsize::new(0);
    let since = Instant::now();
    std::thread::scope(|scope| {
        for bundle in &bundles {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= rounds {
                        break;
                    }
                    live(bundle, number);
                }
            });
        }
    });
    for bundle in &bundles {
        bundle.assert_nothing_left();
        assert_eq!(std::fs::read_dir(bundle.state()).unwrap().count(), 0);
        assert_eq!(support::processes(bundle), Vec::<String>::new());
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    for bundle in &bundles {
        assert!(
            !mounts.contains(bundle.path().to_str().unwrap()),
            "{mounts}"
        );
    }
    if alone {
        eprintln!(
            "{rounds} containers in {:.1} s",
            since.elapsed().as_secs_f64()
        );
        assert_nothing_grows(&before, rounds);
    }
}
