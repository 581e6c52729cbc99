//! CVE-2019-19921, CVE-2023-27561, CVE-2025-31133, CVE-2025-52565: symbolic links and strange files
//! in the image, where the runtime expects the kernel's.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::help::{applets, assert_untouched, bind, treasure, without_mounts, writable};
use crate::support::Bundle;

#[test]
fn proc_and_sys_are_mounted_on_no_link() {
    need_containers!();
    for name in ["proc", "sys"] {
        for target in ["/etc", "../../../../../etc", "etc", "/volume/proc"] {
            let bundle = Bundle::new(&["true"]);
            std::fs::create_dir_all(bundle.in_root("volume/proc")).unwrap();
            symlink(target, bundle.in_root(name)).unwrap();
            let said = bundle.fail();
            assert!(said.contains(&format!(" /{name}")), "{said}");
        }
    }
}

/// The parent of /proc/self as a volume (CVE-2019-19921): what is mounted there is no procfs.
#[test]
fn what_is_bound_to_proc_must_be_procfs() {
    need_containers!();
    for (target, link) in [
        ("/proc", None),
        ("/volume", Some("/volume/../proc")),
        ("/p", Some("/proc")),
    ] {
        let mut bundle = Bundle::new(&["true"]);
        std::fs::create_dir_all(bundle.path().join("fake/self")).unwrap();
        if let Some(link) = link {
            symlink(link, bundle.in_root(target.trim_start_matches('/'))).unwrap();
        }
        bundle.mount(bind("fake", target));
        let said = bundle.fail();
        assert!(!said.is_empty(), "{target}");
    }
}

/// The mask over /proc/keys is the machine's null device, whatever the image has under its name.
#[test]
fn masks_are_not_made_of_the_images_null() {
    need_containers!();
    let script = "stat -c '%F %t:%T' /proc/keys; grep -c . /proc/keys; \
                  echo x > /proc/keys; grep -E ' /proc/keys ' /proc/self/mountinfo";
    // A tmpfs for /dev leaves the image's hidden; without one the image's is what is there.
    let bundle = writable(script);
    std::fs::create_dir_all(bundle.in_root("dev")).unwrap();
    symlink("/proc/sys/kernel/core_pattern", bundle.in_root("dev/null")).unwrap();
    let printed = bundle.run();
    assert!(
        printed.starts_with("character special file 1:3\n0\n"),
        "{printed}"
    );
    for line in printed.lines().skip(2) {
        assert!(line.contains(" /null /proc/"), "{line}");
    }
    let mut bundle = bundle;
    without_mounts(
        &mut bundle,
        &["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"],
    );
    let said = bundle.fail();
    assert!(said.contains("the device /dev/null"), "{said}");
}

#[test]
fn a_device_of_the_image_is_not_taken_for_another() {
    need_containers!();
    let (dir, file) = treasure();
    let up = format!(
        "{}{}",
        "../".repeat(16),
        file.strip_prefix("/").unwrap().display()
    );
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        for target in [
            up.as_str(),
            "/etc/passwd",
            "/proc/sysrq-trigger",
            "/no/where",
        ] {
            let mut bundle = writable("true");
            without_mounts(
                &mut bundle,
                &["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"],
            );
            std::fs::create_dir_all(bundle.in_root("dev")).unwrap();
            symlink(target, bundle.in_root("dev").join(name)).unwrap();
            let said = bundle.fail();
            assert!(said.contains(&format!("the device /dev/{name}")), "{said}");
        }
    }
    assert_untouched(dir.path());
}

/// The terminal is bound to /dev/console, which the image has as a link into /proc.
#[test]
fn the_console_is_laid_over_nothing_of_proc() {
    need_containers!();
    for target in [
        "/proc/sys/kernel/core_pattern",
        "/proc/self/comm",
        "../proc/uptime",
    ] {
        let mut bundle = writable("true");
        without_mounts(&mut bundle, &["/dev", "/dev/shm", "/dev/mqueue"]);
        for dir in ["dev/pts", "proc"] {
            std::fs::create_dir_all(bundle.in_root(dir)).unwrap();
        }
        symlink(target, bundle.in_root("dev/console")).unwrap();
        bundle.config["process"]["terminal"] = json!(true);
        let said = bundle.fail();
        assert!(
            said.contains("/dev/console") && said.contains("/proc"),
            "{said}"
        );
    }
}

/// Mount points, device files, links and the working directory are made inside, whatever leads out.
#[test]
fn nothing_is_made_outside() {
    need_containers!();
    let (dir, _) = treasure();
    let out = dir.path().to_str().unwrap();
    let up = format!("{}{}", "../".repeat(16), &out[1..]);
    for target in [out, &up] {
        let mut bundle = writable("true");
        std::fs::create_dir(bundle.path().join("source")).unwrap();
        std::fs::write(bundle.path().join("source/file"), "").unwrap();
        for name in ["a", "b", "c", "d"] {
            symlink(target, bundle.in_root(name)).unwrap();
        }
        symlink(format!("{target}/deep/er"), bundle.in_root("e")).unwrap();
        bundle.mount(bind("source", "/a/mnt"));
        bundle.mount(bind("source/file", "/b/file"));
        bundle.mount(json!({"destination": "/c/tmp", "type": "tmpfs", "source": "tmpfs"}));
        bundle.mount(bind("source", "/e"));
        bundle.config["linux"]["devices"] =
            json!([{"path": "/d/null", "type": "c", "major": 1, "minor": 3}]);
        bundle.config["linux"]["maskedPaths"] = json!(["/a/mnt", format!("/{up}/treasure")]);
        bundle.config["linux"]["readonlyPaths"] = json!(["/b", format!("/{up}")]);
        bundle.config["process"]["cwd"] = json!("/d/work");
        bundle.run();
        assert_untouched(dir.path());
    }
}

#[test]
fn links_that_go_round_end() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    std::fs::create_dir(bundle.path().join("source")).unwrap();
    symlink("y", bundle.in_root("x")).unwrap();
    symlink("x", bundle.in_root("y")).unwrap();
    bundle.mount(bind("source", "/x/z"));
    let said = bundle.fail();
    assert!(
        said.contains("mount point /x/z") && said.contains("too many"),
        "{said}"
    );
}

/// Copying up what is below a tmpfs opens no device and follows no link.
#[test]
fn copying_up_follows_no_link() {
    need_containers!();
    let (dir, file) = treasure();
    let mut bundle = writable("readlink /conf/link; cat /conf/link/treasure 2>&1; ls /conf");
    std::fs::create_dir(bundle.in_root("conf")).unwrap();
    symlink(dir.path(), bundle.in_root("conf/link")).unwrap();
    applets(&bundle, &["mkfifo"]);
    let made = std::process::Command::new("mkfifo")
        .arg(bundle.in_root("conf/fifo"))
        .status();
    assert!(made.unwrap().success());
    bundle.mount(json!({
        "destination": "/conf", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"],
    }));
    let printed = bundle.run();
    assert!(!printed.contains("untouched"), "{printed}");
    assert!(
        printed.contains("No such file") && file.exists(),
        "{printed}"
    );
}
