//! Masked paths and tricks with /dev.

use std::os::unix::fs::MetadataExt;

use crate::help::{applets, grant, writable};
use crate::support::Bundle;

/// The device the test's own files are on, which no container may read.
fn disk() -> (u32, u32) {
    let device = std::fs::metadata("/").unwrap().dev();
    let number = |n: u64| u32::try_from(n).unwrap();
    (
        number((device >> 8) & 0xfff),
        number((device & 0xff) | ((device >> 12) & 0xfff00)),
    )
}

#[test]
fn devices_that_are_made_inside_cannot_be_opened() {
    need_containers!();
    let (major, minor) = disk();
    let mut bundle = writable(&format!(
        "mknod /disk b {major} {minor} && mknod /mem c 1 1 && mknod /kmsg c 1 11; \
         for d in /disk /mem /kmsg; do dd if=$d of=/dev/null count=1 bs=1 2>&1 | grep -c -v permitted; \
         done; dd if=/dev/zero of=/dev/null count=1 bs=1 2>/dev/null && echo zero"
    ));
    grant(
        &mut bundle,
        &[
            "CAP_MKNOD",
            "CAP_DAC_OVERRIDE",
            "CAP_SYS_RAWIO",
            "CAP_SYSLOG",
        ],
    );
    assert_eq!(bundle.run(), "0\n0\n0\nzero\n");
}

#[test]
fn without_the_right_none_is_made() {
    need_containers!();
    let bundle = writable("mknod /disk b 8 0 2>&1; ls /dev");
    let printed = bundle.run();
    assert!(
        printed.starts_with("mknod: /disk: Operation not permitted\n"),
        "{printed}"
    );
    let expected = "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\n\
                    tty\nurandom\nzero\n";
    assert!(printed.ends_with(expected), "{printed}");
}

/// Root without CAP_SYS_ADMIN, and root in a user namespace of its own, which has it there.
#[test]
fn masks_stay() {
    need_containers!();
    let mut bundle = writable(
        "umount /proc/keys; mount -o remount,rw /proc/sys; mount -t proc proc /mnt; \
         for f in keys kcore timer_list; do if [ -e /proc/$f ]; then wc -c < /proc/$f; fi; done; \
         echo 1 > /proc/sys/kernel/panic; ls /sys/firmware; \
         unshare -U -r -m sh -c 'echo inside; umount /proc/keys && cat /proc/keys; \
         mount -o remount,rw,bind /proc/sys && echo 1 > /proc/sys/kernel/panic && echo written'; true",
    );
    grant(&mut bundle, &["CAP_SETFCAP"]);
    std::fs::create_dir(bundle.in_root("mnt")).unwrap();
    applets(&bundle, &["unshare"]);
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    let said = crate::support::text(&output.stderr);
    let printed = crate::support::text(&output.stdout);
    let rest: Vec<_> = printed.lines().filter(|line| *line != "0").collect();
    assert_eq!(rest, ["inside"], "{printed}{said}");
    assert!(
        said.contains("/proc/sys/kernel/panic: Read-only file system"),
        "{said}"
    );
    bundle.assert_nothing_left();
}

/// The multiplexer that opens terminals is the container's own, not the machine's.
#[test]
fn terminals_are_the_containers_own() {
    need_containers!();
    let printed = Bundle::script("readlink /dev/ptmx; ls /dev/pts").run();
    assert_eq!(printed, "pts/ptmx\nptmx\n");
}
