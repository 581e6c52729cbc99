//! Mounts, devices and the root, looked at from inside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// Ends the test with a visible reason where containers cannot run.
macro_rules! need_containers {
    () => {
        if let Some(reason) = crate::support::cannot_run() {
            crate::skip(reason);
            return;
        }
    };
}

#[path = "../support/mod.rs"]
mod support;

mod binds;
mod devices;
mod file_systems;
mod ids;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::Bundle;
use sys::mount::{Attributes, Change, Mounted, Propagation};

fn skip(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{reason}");
}

/// Runs with mounts of its own, which no other test and not the machine sees.
fn with_own_mounts(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        sys::ns::unshare(sys::ns::Namespaces::MOUNT).unwrap();
        propagate(Path::new("/"), Propagation::Private);
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn propagate(path: &Path, propagation: Propagation) {
    let change = Change {
        propagation: Some(propagation),
        ..Change::default()
    };
    sys::mount::change(path, change, true).unwrap();
}

/// A new tmpfs on a directory, which is made.
fn tmpfs(path: &Path) -> Mounted {
    std::fs::create_dir_all(path).unwrap();
    let mounted =
        sys::mount::file_system("tmpfs", Some("tmpfs"), &[], Attributes::empty()).unwrap();
    mounted.attach(sys::fd::open_path(path).unwrap()).unwrap();
    mounted
}

fn bind(target: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": target, "type": "bind", "source": source, "options": options})
}

/// Ids of a container's users on the machine.
const FIRST_ID: u32 = 100_000;

fn in_user_namespace(bundle: &mut Bundle) {
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    for name in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][name] =
            json!([{"containerID": 0, "hostID": FIRST_ID, "size": 65536}]);
    }
    let owner = format!("{FIRST_ID}:{FIRST_ID}");
    let mut chown = Command::new("chown");
    chown.args(["-hR", &owner]).arg(bundle.in_root(""));
    assert!(chown.status().unwrap().success());
}

fn without_namespace(bundle: &mut Bundle, kind: &str) {
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != kind);
}

fn without_mounts_below(bundle: &mut Bundle, top: &str) {
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with(top));
}

/// The options of the mount at a path, of the text of /proc/self/mounts.
fn options_of<'a>(mounts: &'a str, path: &str) -> Vec<&'a str> {
    let line = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(1) == Some(path));
    let line = line.unwrap_or_else(|| panic!("no {path} in\n{mounts}"));
    line.split(' ').nth(3).unwrap().split(',').collect()
}

fn assert_options(mounts: &str, path: &str, wanted: &[&str], unwanted: &[&str], case: &str) {
    let options = options_of(mounts, path);
    for option in wanted {
        assert!(options.contains(option), "{case}: no {option}: {options:?}");
    }
    for option in unwanted {
        assert!(!options.contains(option), "{case}: {option}: {options:?}");
    }
}

/// Runs it, unless the file system of the test's directory cannot translate ids.
fn run_translated(bundle: &Bundle) -> Option<String> {
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    bundle.assert_nothing_left();
    let said = support::text(&output.stderr);
    if said.contains("translate the ids") && said.contains("nvalid argument") {
        skip("SKIP: the file system of the temporary directory translates no ids");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(support::text(&output.stdout))
}

fn mapped(mut mount: Value, uids: &[[u32; 3]], gids: &[[u32; 3]]) -> Value {
    let maps = |all: &[[u32; 3]]| -> Vec<Value> {
        let one = |[container, host, size]: &[u32; 3]| json!({"containerID": container, "hostID": host, "size": size});
        all.iter().map(one).collect()
    };
    mount["uidMappings"] = json!(maps(uids));
    mount["gidMappings"] = json!(maps(gids));
    mount
}
