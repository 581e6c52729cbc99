//! CVE-2021-30465 and its kin: directories and links swapped in a shared volume while containers
//! are made.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::help::{assert_untouched, bind, treasure, without_mounts, writable};
use crate::support::{Bundle, text};

/// How often each race is run.
const ROUNDS: usize = 60;

/// Makes containers while `swap` is called over and over; what each printed or said.
fn race(bundle: &Bundle, swap: impl Fn() + Send + Sync) -> Vec<(bool, String)> {
    bundle.write();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                swap();
            }
        });
        let _over = AtEnd(&over);
        let rounds = (0..ROUNDS).map(|_| {
            let output = bundle.output(&["run", "ID"]);
            bundle.assert_nothing_left();
            let all = text(&output.stdout) + &text(&output.stderr);
            (output.status.success(), all)
        });
        rounds.collect()
    })
}

/// Raises a flag at the end, also when that is a panic: who works until then would never be done.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two things take turns at one name: a directory, and a link that leads out.
fn swapper(dir: &Path, name: &str, targets: [PathBuf; 2]) -> impl Fn() + Send + Sync + use<> {
    let (name, other, away) = (dir.join(name), dir.join("other"), dir.join("away"));
    std::fs::create_dir(&name).unwrap();
    move || {
        for target in &targets {
            let _ = symlink(target, &other);
            let _ = std::fs::rename(&name, &away);
            let _ = std::fs::rename(&other, &name);
            std::thread::yield_now();
            let _ = std::fs::remove_file(&name);
            let _ = std::fs::rename(&away, &name);
        }
    }
}

/// The second mount goes through the first, in which somebody else has rights.
#[test]
fn a_volume_that_changes_leads_no_mount_out() {
    need_containers!();
    let (dir, _) = treasure();
    let mut bundle = writable("cat /proc/self/mountinfo");
    let shared = bundle.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::create_dir(bundle.path().join("source")).unwrap();
    bundle.mount(bind("shared", "/volume"));
    bundle.mount(bind("source", "/volume/name/below"));
    bundle.mount(json!({"destination": "/volume/name/tmp", "type": "tmpfs", "source": "tmpfs"}));
    let up = "../".repeat(16);
    let out = Path::new(&up).join(dir.path().strip_prefix("/").unwrap());
    let rounds = race(
        &bundle,
        swapper(&shared, "name", [dir.path().to_owned(), out]),
    );
    assert_untouched(dir.path());
    for (ran, printed) in &rounds {
        if *ran {
            // Where the link led: the same path inside the container's root, or the volume.
            let mounted = printed.lines().filter(|line| line.contains("/source "));
            assert_eq!(mounted.count(), 1, "{printed}");
        } else {
            assert!(printed.contains("/volume/name/"), "{printed}");
        }
    }
    assert!(rounds.iter().any(|(ran, _)| *ran), "{rounds:?}");
}

/// /proc is mounted on a directory of a shared volume, in whose place a link comes and goes.
#[test]
fn a_proc_that_changes_is_refused_or_right() {
    need_containers!();
    let bundle = writable(
        "for dir in /proc /away /other; do if [ -e $dir/version ]; then wc -c < $dir/keys; fi; done 2>/dev/null",
    );
    let shared = bundle.path().join("rootfs");
    let inside = PathBuf::from("/etc");
    let rounds = race(&bundle, swapper(&shared, "proc", [inside.clone(), inside]));
    for (ran, printed) in &rounds {
        if *ran {
            // Wherever it has been moved meanwhile: what is masked is masked.
            assert!(printed.lines().all(|line| line == "0"), "{printed}");
        } else {
            assert!(printed.contains("/proc"), "{printed}");
        }
    }
    assert_eq!(std::fs::read_dir(bundle.in_root("etc")).unwrap().count(), 0);
}

/// CVE-2025-31133: the null device of a shared /dev becomes a link while masks are made of it.
#[test]
fn a_null_device_that_changes_is_no_mask() {
    need_containers!();
    let mut bundle =
        writable("stat -c '%F %t:%T' /proc/keys; grep ' /proc/keys ' /proc/self/mountinfo");
    without_mounts(
        &mut bundle,
        &["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"],
    );
    let dev = bundle.path().join("dev");
    std::fs::create_dir(&dev).unwrap();
    let node = std::process::Command::new("mknod")
        .arg(dev.join("kept"))
        .args(["c", "1", "3"])
        .status();
    assert!(node.unwrap().success());
    bundle.mount(bind("dev", "/dev"));
    let (null, kept, link) = (dev.join("null"), dev.join("kept"), dev.join("link"));
    let rounds = race(&bundle, move || {
        for target in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"] {
            let _ = symlink(target, &link);
            let _ = std::fs::rename(&link, &null);
            let _ = std::fs::remove_file(&null);
            let _ = std::fs::hard_link(&kept, &null);
        }
    });
    for (ran, printed) in &rounds {
        if *ran {
            assert!(
                printed.starts_with("character special file 1:3\n"),
                "{printed}"
            );
            assert!(printed.contains(" /null /proc/keys "), "{printed}");
        } else {
            assert!(printed.contains("/dev"), "{printed}");
        }
    }
    assert!(rounds.iter().any(|(ran, _)| *ran), "{rounds:?}");
}
