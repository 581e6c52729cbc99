//! The log under pressure.

use shim::log::Stream;

use crate::guest::{OUTPUT, Setup, can_run, read_all};

/// A file system of 256 KiB in a mount namespace of this thread: the shim, its child, is born there.
fn tiny_disk(at: &std::path::Path) {
    use sys::mount::{Attributes, Change, Propagation, change, file_system};
    sys::ns::unshare(sys::ns::Namespaces::MOUNT).unwrap();
    let slave = Change {
        propagation: Some(Propagation::Slave),
        ..Change::default()
    };
    change("/".as_ref(), slave, true).unwrap();
    let disk = file_system(
        "tmpfs",
        None,
        &[("size", Some("256k"))],
        Attributes::default(),
    )
    .unwrap();
    disk.attach(sys::fd::open_path(at).unwrap()).unwrap();
}

#[test]
fn a_full_disk_stops_the_log_and_not_the_container() {
    if !can_run() {
        return;
    }
    // A thread of its own, as the namespace is the thread's.
    std::thread::spawn(|| {
        let disk = tempfile::tempdir().unwrap();
        tiny_disk(disk.path());
        let log = disk.path().join("log");
        let filler = disk.path().join("filler");
        std::fs::write(&filler, vec![0; 200 << 10]).unwrap();
        let mut setup = Setup::shell("echo first; seq 1 20000; read go; echo last").stdin();
        setup.launch.log = Some(log);
        let guest = setup.create();
        let mut client = guest.attach(crate::guest::ALL, false);
        guest.start();
        crate::guest::read_until(&mut client, "20000\n");
        std::fs::remove_file(filler).unwrap();
        crate::guest::send_all(&client, b"\n");
        assert_eq!(read_all(&mut client), b"last\n");
        assert_eq!(guest.wait().code, 0);
        let text = guest.logged(Stream::Stdout);
        assert!(text.starts_with("first\n1\n2\n3\n") && text.ends_with("\nlast\n"));
        let notice = guest.logged(Stream::Stderr);
        assert!(
            notice.starts_with("brig: ") && notice.contains("bytes of the log are lost"),
            "{notice}"
        );
        drop(guest);
        sys::mount::detach(disk.path()).unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn a_log_is_bounded_if_asked_for() {
    if !can_run() {
        return;
    }
    let mut setup = Setup::shell("seq 1 5000");
    (setup.launch.log_max_size, setup.launch.log_max_files) = (100_000, 3);
    let guest = setup.start();
    guest.wait();
    let path = guest.launch.log.clone().unwrap();
    let sizes: Vec<_> = ["", ".1", ".2", ".3"]
        .map(|end| {
            std::fs::metadata(format!("{}{end}", path.display()))
                .map(|m| m.len())
                .ok()
        })
        .into();
    assert!(
        sizes[..3].iter().all(|s| s.is_some_and(|s| s <= 100_000)),
        "{sizes:?}"
    );
    assert_eq!(sizes[3], None);
    assert!(guest.logged(Stream::Stdout).ends_with("\n4999\n5000\n"));
}

#[test]
fn a_container_without_a_log_leaves_none() {
    if !can_run() {
        return;
    }
    let mut setup = Setup::shell("echo to nobody; echo to the client");
    setup.launch.log = None;
    let guest = setup.create();
    let mut client = guest.attach(OUTPUT, false);
    guest.start();
    assert_eq!(read_all(&mut client), b"to nobody\nto the client\n");
    guest.wait();
    assert!(!guest.dir.path().join("log.json").exists());
}
