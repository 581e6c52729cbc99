//! Devices, and the /dev they are in.

use std::os::unix::fs::{FileTypeExt as _, symlink};

use serde_json::json;

use crate::support::Bundle;
use crate::{
    assert_options, bind, in_user_namespace, tmpfs, with_own_mounts, without_mounts_below,
};

#[test]
fn a_bound_dev_is_known_below_a_recursive_bind_too() {
    need_containers!();
    with_own_mounts(|| {
        let mut bundle = Bundle::new(&["true"]);
        without_mounts_below(&mut bundle, "/dev");
        // The host's /dev, as a mount below what is bound; the image leads there by a link.
        let outer = bundle.path().join("outer");
        let _dev = tmpfs(&outer.join("dev"));
        std::fs::create_dir(outer.join("dev/pts")).unwrap();
        sys::file::replace_unsynced(&outer.join("dev/ptmx"), b"the host's", 0o600).unwrap();
        bundle.mount(bind("/outer", &outer, &["rbind"]));
        symlink("/outer/dev", bundle.in_root("dev")).unwrap();
        bundle.mount(json!({"destination": "/dev/pts", "type": "devpts"}));
        bundle.run();
        let mut names: Vec<_> = std::fs::read_dir(outer.join("dev"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["ptmx", "pts"]);
        assert_eq!(
            std::fs::read(outer.join("dev/ptmx")).unwrap(),
            b"the host's"
        );
    });
}

#[test]
fn a_read_only_dev_has_its_devices() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/self/mounts; ls /dev; ls -l /dev/ptmx >/dev/null");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    let dev = mounts
        .iter_mut()
        .find(|m| m["destination"] == "/dev")
        .unwrap();
    dev["options"].as_array_mut().unwrap().push(json!("ro"));
    let printed = bundle.run();
    assert_options(&printed, "/dev", &["ro"], &["rw"], "/dev");
    assert!(printed.contains("urandom\n"), "{printed}");
}

/// config-linux.md, "Devices".
#[test]
fn devices_of_every_kind_are_made_anywhere() {
    need_containers!();
    let mut bundle = Bundle::script(
        "stat -c '%n %F %a %u:%g %t:%T' /dev/blk /opt/chr /opt/raw /opt/deep/pipe /dev/zero; \
         ls -lLn /dev/ptmx | cut -c1-10",
    );
    symlink("busybox", bundle.in_root("bin/cut")).unwrap();
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/blk", "type": "b", "major": 7, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/opt/chr", "type": "c", "major": 1, "minor": 3, "fileMode": 0o1777},
        {"path": "/opt/raw", "type": "u", "major": 1, "minor": 5},
        {"path": "/opt/deep/pipe", "type": "p", "major": 0, "minor": 0, "fileMode": 0o600},
        // The usual ones may be asked for.
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "gid": 9},
        {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2},
    ]);
    bundle.config["process"]["terminal"] = json!(false);
    let expected = "/dev/blk block special file 640 3:4 7:3\n\
        /opt/chr character special file 1777 0:0 1:3\n\
        /opt/raw character special file 666 0:0 1:5\n\
        /opt/deep/pipe fifo 600 0:0 0:0\n\
        /dev/zero character special file 600 0:9 1:5\n\
        crw-rw-rw-\n";
    assert_eq!(bundle.run(), expected);
    assert!(
        bundle
            .in_root("opt/deep/pipe")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_fifo()
    );
}

#[test]
fn devices_in_a_user_namespace_are_the_hosts() {
    need_containers!();
    let mut bundle = Bundle::script(
        "head -c 4 /dev/zero | wc -c; echo x > /dev/null; stat -c '%n %t:%T' /dev/null /dev/mine",
    );
    in_user_namespace(&mut bundle);
    let outside = bundle.path().join("outside");
    sys::file::replace_unsynced(&outside, b"", 0o644).unwrap();
    bundle.config["linux"]["devices"] =
        json!([{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5}]);
    // By its numbers, whatever it is called there.
    assert_eq!(bundle.run(), "4\n/dev/null 1:3\n/dev/mine 1:5\n");
    // Only what the host itself has can be bound.
    bundle.config["linux"]["devices"] =
        json!([{"path": "/dev/mine", "type": "c", "major": 240, "minor": 99}]);
    let said = bundle.fail();
    assert!(said.contains("cannot bind the device /dev/mine"), "{said}");
    bundle.config["linux"]["devices"] = json!([]);
    bundle.config["process"]["args"][2] =
        json!("head -c 4 /dev/zero | wc -c; echo x > /dev/null; stat -c '%n %t:%T' /dev/null");
    assert_eq!(bundle.run(), "4\n/dev/null 1:3\n");
}

#[test]
fn the_terminal_is_not_bound_on_a_file_of_proc() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    // An image's own /dev, in which the console is a link.
    without_mounts_below(&mut bundle, "/dev/shm");
    without_mounts_below(&mut bundle, "/dev/mqueue");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/dev");
    std::fs::create_dir(bundle.in_root("dev")).unwrap();
    symlink("/proc/version", bundle.in_root("dev/console")).unwrap();
    bundle.config["process"]["terminal"] = json!(true);
    let said = bundle.fail();
    assert!(
        said.contains("cannot mount on /dev/console: it is inside /proc"),
        "{said}"
    );
}
