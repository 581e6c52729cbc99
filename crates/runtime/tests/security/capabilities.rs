//! CVE-2022-29162, and groups of the machine: nobody gets by inheritance what was not asked for.

use serde_json::json;

use crate::help::{delete, inside, start, writable};
use crate::support::{Bundle, status_line, text};

const NONE: &str = "0000000000000000";

/// Runs a verb as a caller that has capabilities to inherit and a group of its own.
fn by_a_generous_caller(bundle: &Bundle, words: &[&str]) -> String {
    let usual = bundle.command(words);
    let output = std::process::Command::new("setpriv")
        .args(["--inh-caps", "+chown,+net_raw,+sys_admin"])
        .args(["--ambient-caps", "+chown,+net_raw,+sys_admin"])
        .args(["--groups", "4242,4243"])
        .arg(usual.get_program())
        .args(usual.get_args())
        .current_dir(bundle.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    text(&output.stdout)
}

#[test]
fn nothing_is_inherited_by_the_first_process() {
    need_containers!();
    for user in [0, 1000] {
        let mut bundle = Bundle::new(&["cat", "/proc/self/status"]);
        bundle.config["process"]["user"] = json!({"uid": user, "gid": user});
        bundle.write();
        let status = by_a_generous_caller(&bundle, &["run", "ID"]);
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(status_line(&status, set), NONE, "{set}");
        }
        assert_eq!(status_line(&status, "CapBnd"), "0000000020000420");
        assert_eq!(status_line(&status, "Groups").trim(), "");
    }
}

/// A configuration that says nothing about capabilities does not ask for the caller's.
#[test]
fn nothing_is_inherited_where_nothing_is_said() {
    need_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/status"]);
    let process = bundle.config["process"].as_object_mut().unwrap();
    process.remove("capabilities");
    bundle.write();
    let status = by_a_generous_caller(&bundle, &["run", "ID"]);
    for set in ["CapInh", "CapAmb", "CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status_line(&status, set), NONE, "{set}");
    }
}

#[test]
fn nothing_is_inherited_by_a_process_that_joins() {
    need_containers!();
    let bundle = writable("sleep 1000");
    start(&bundle);
    for more in [&[][..], &["--cap", "CAP_SYS_CHROOT"]] {
        let words: Vec<&str> = ["exec"]
            .iter()
            .chain(more)
            .chain(&["ID", "cat", "/proc/self/status"])
            .copied()
            .collect();
        let status = by_a_generous_caller(&bundle, &words);
        assert_eq!(status_line(&status, "CapInh"), NONE);
        assert_eq!(status_line(&status, "CapAmb"), NONE);
        assert_eq!(status_line(&status, "Groups").trim(), "");
        let bounding = status_line(&status, "CapBnd");
        assert!(
            ["0000000020000420", "0000000020040420"].contains(&bounding),
            "{bounding}"
        );
    }
    // And nothing can be had back.
    let shown = inside(&bundle, &["grep", "NoNewPrivs", "/proc/self/status"]);
    assert_eq!(shown, "NoNewPrivs:\t1\n");
    delete(&bundle);
}

/// In a user namespace the caller's groups could take away rights from others: they are dropped.
#[test]
fn a_user_namespace_has_no_group_of_the_machine() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/self/status; cat /proc/self/setgroups; id -G");
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    for path in [bundle.path().to_owned(), bundle.in_root("")] {
        std::os::unix::fs::chown(&path, Some(100_000), Some(100_000)).unwrap();
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.path(), mode).unwrap();
    crate::help::applets(&bundle, &["groups"]);
    bundle.write();
    let printed = by_a_generous_caller(&bundle, &["run", "ID"]);
    assert_eq!(status_line(&printed, "Groups").trim(), "", "{printed}");
    assert!(printed.ends_with("allow\n0\n"), "{printed}");
    assert_eq!(status_line(&printed, "CapInh"), NONE);
}
