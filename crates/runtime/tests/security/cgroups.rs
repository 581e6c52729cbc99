//! CVE-2022-0492: programs that the kernel runs for a cgroup of version 1, outside of the container.

use serde_json::json;

use crate::help::{applets, writable};

const TRY: &str = "find / -name release_agent 2>/dev/null; \
    for c in rdma memory pids cpu; do mount -t cgroup -o $c cgroup /mnt 2>/dev/null && \
        { echo mounted $c; echo /evil > /mnt/release_agent && echo written; umount /mnt; }; done; \
    unshare -U -r -m sh -c 'for c in rdma memory pids cpu; do mount -t cgroup -o $c cgroup /mnt && \
        { echo mounted $c; echo /evil > /mnt/release_agent && echo written; }; done; true' 2>/dev/null; \
    echo end";

#[test]
fn no_release_agent_is_within_reach() {
    need_containers!();
    for options in [json!(["ro"]), json!(["rw"])] {
        let mut bundle = writable(TRY);
        crate::help::grant(&mut bundle, &["CAP_SETFCAP"]);
        std::fs::create_dir(bundle.in_root("mnt")).unwrap();
        applets(&bundle, &["find", "unshare"]);
        let mounts = bundle.config["mounts"].as_array_mut().unwrap();
        let cgroup = mounts.iter_mut().find(|m| m["type"] == "cgroup").unwrap();
        cgroup["options"] = options;
        let printed = bundle.run();
        assert_eq!(printed, "end\n");
    }
}

/// Its own limits are not the container's to raise, nor those of others to see.
#[test]
fn cgroups_are_read_only_and_only_the_own() {
    need_containers!();
    let bundle = writable(
        "for f in pids/pids.max memory/memory.limit_in_bytes pids.max memory.max cgroup.procs; do \
             if [ -e /sys/fs/cgroup/$f ]; then echo 1 > /sys/fs/cgroup/$f && echo written $f; fi; \
         done 2>/dev/null; ls -d /sys/fs/cgroup/*/brig-runtime-test* /sys/fs/cgroup/brig-runtime-test* \
         2>/dev/null; echo end",
    );
    assert_eq!(bundle.run(), "end\n");
}
