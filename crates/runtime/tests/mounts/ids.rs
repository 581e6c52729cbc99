//! Mounts that translate ids.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::Bundle;
use crate::{bind, in_user_namespace, mapped, run_translated, tmpfs, with_own_mounts};

/// Owners of the files in /mnt and below, as the container sees them.
const OWNERS: &str = "stat -c '%n %u:%g' /mnt/* 2>&1";

/// A source with files of several owners.
fn owned_files(bundle: &Bundle) -> std::path::PathBuf {
    let source = bundle.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for (name, uid, gid) in [("a", 0, 0), ("b", 1, 2), ("c", 1000, 1000)] {
        let path = source.join(name);
        sys::file::replace_unsynced(&path, b"", 0o644).unwrap();
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
    }
    source
}

/// config.md: "uidMappings ... The format is the same as user namespace mappings."
#[test]
fn a_mount_translates_ids_by_its_own_mappings() {
    need_containers!();
    let mut bundle = Bundle::script(OWNERS);
    let source = owned_files(&bundle);
    let mount = bind("/mnt", &source, &["bind"]);
    bundle.mount(mapped(
        mount,
        &[[0, 5000, 100], [1000, 7, 1]],
        &[[0, 6000, 1], [2, 9, 1]],
    ));
    let Some(printed) = run_translated(&bundle) else {
        return;
    };
    // What no mapping names belongs to nobody.
    assert_eq!(printed, "/mnt/a 5000:6000\n/mnt/b 5001:9\n/mnt/c 7:65534\n");
}

#[test]
fn a_mount_translates_ids_as_the_user_namespace_does() {
    need_containers!();
    for option in ["idmap", "ridmap"] {
        let mut bundle = Bundle::script(OWNERS);
        let source = owned_files(&bundle);
        in_user_namespace(&mut bundle);
        bundle.mount(bind("/mnt", &source, &["rbind", option]));
        let Some(printed) = run_translated(&bundle) else {
            return;
        };
        assert_eq!(printed, "/mnt/a 0:0\n/mnt/b 1:2\n/mnt/c 1000:1000\n");
    }
}

/// Which only a process outside of the user namespace may do.
#[test]
fn what_is_mounted_inside_is_translated_too() {
    need_containers!();
    let mut bundle = Bundle::script("stat -c '%n %u:%g' /mnt/a /other/*");
    let source = owned_files(&bundle);
    in_user_namespace(&mut bundle);
    bundle.mount(bind("/mnt", &source, &["rbind"]));
    let inside = bundle.in_root("mnt");
    bundle.mount(bind("/other", &inside, &["rbind", "idmap"]));
    let Some(printed) = run_translated(&bundle) else {
        return;
    };
    let expected = "/mnt/a 65534:65534\n/other/a 0:0\n/other/b 1:2\n/other/c 1000:1000\n";
    assert_eq!(printed, expected);
}

#[test]
fn translations_of_mounts_below_are_asked_for() {
    need_containers!();
    for (option, owner) in [("idmap", "1:1"), ("ridmap", "501:501")] {
        with_own_mounts(move || {
            let mut bundle = Bundle::script("stat -c %u:%g /mnt/a /mnt/below/a");
            let top = bundle.path().join("source");
            let (_top, _below) = (tmpfs(&top), tmpfs(&top.join("below")));
            for path in [top.join("a"), top.join("below/a")] {
                sys::file::replace_unsynced(&path, b"", 0o644).unwrap();
                std::os::unix::fs::chown(&path, Some(1), Some(1)).unwrap();
            }
            let mount = bind("/mnt", &top, &["rbind", option]);
            bundle.mount(mapped(mount, &[[0, 500, 10]], &[[0, 500, 10]]));
            if let Some(printed) = run_translated(&bundle) {
                assert_eq!(printed, format!("501:501\n{owner}\n"), "{option}");
            }
        });
    }
}

#[test]
fn impossible_translations_are_refused() {
    need_containers!();
    let one = json!([{"containerID": 0, "hostID": 5, "size": 1}]);
    let refused = |mount: Value, why: &str| {
        let mut bundle = Bundle::new(&["true"]);
        bundle.mount(mount);
        let said = bundle.fail();
        assert!(said.contains(why), "{said}");
    };
    let mut half = bind("/mnt", Path::new("rootfs"), &["bind"]);
    half["uidMappings"] = one.clone();
    refused(half, "go together");
    refused(
        bind("/mnt", Path::new("rootfs"), &["bind", "idmap"]),
        "needs uidMappings and gidMappings, or a user namespace",
    );
    refused(
        json!({"destination": "/mnt", "type": "tmpfs", "uidMappings": one, "gidMappings": one}),
        "only a bind mount translates ids",
    );
}
