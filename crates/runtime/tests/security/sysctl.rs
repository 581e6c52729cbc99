//! /sys and sysctls outside of the container's namespaces.

use serde_json::{Value, json};

use crate::support::Bundle;

/// Without these namespaces of its own.
fn without(kinds: &[&str]) -> Bundle {
    let mut bundle = Bundle::new(&["true"]);
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| !kinds.contains(&namespace["type"].as_str().unwrap()));
    bundle.config["hostname"] = Value::Null;
    bundle
}

/// The value is the one that is there, so that a hole would be noticed and do no harm.
fn refused(bundle: &mut Bundle, name: &str) -> String {
    let value = read(name).unwrap_or_default();
    bundle.config["linux"]["sysctl"] = json!({name: value.trim()});
    let said = bundle.fail();
    assert!(
        said.contains("sysctl") && said.contains(name),
        "{name}: {said}"
    );
    said
}

fn read(name: &str) -> Option<String> {
    let path = std::path::Path::new("/proc/sys").join(name.replace('.', "/"));
    std::fs::read_to_string(path).ok()
}

#[test]
fn what_is_the_whole_machines_is_refused() {
    need_containers!();
    for name in [
        "kernel.core_pattern",
        "kernel.modprobe",
        "kernel.panic",
        "kernel.sysrq",
        "vm.overcommit_memory",
        "fs.file-max",
        "fs.suid_dumpable",
        "user.max_user_namespaces",
        "net/../kernel/core_pattern",
        "net/../../sys/kernel/core_pattern",
        "net.//.//kernel.core_pattern",
        "net..kernel.core_pattern",
        "/proc/sys/kernel/core_pattern",
        "kernel/../net/core/somaxconn",
        "../proc/sys/kernel/panic",
        "",
    ] {
        refused(&mut Bundle::new(&["true"]), name);
    }
}

#[test]
fn what_is_a_namespaces_needs_that_namespace() {
    need_containers!();
    let cases = [
        ("network", "net.ipv4.ip_forward"),
        ("network", "net/core/somaxconn"),
        ("ipc", "kernel.shmmax"),
        ("ipc", "fs.mqueue.msg_max"),
        ("uts", "kernel.domainname"),
    ];
    for (kind, name) in cases {
        let said = refused(&mut without(&[kind]), name);
        assert!(said.contains("would change the host's"), "{said}");
    }
}

/// The machine's own namespaces of a kind, by the paths that this process may open.
fn own(file: &str) -> Vec<String> {
    let paths = ["self", "1"].map(|process| format!("/proc/{process}/ns/{file}"));
    let own = std::fs::read_link(&paths[0]).unwrap();
    let may = |path: &String| {
        std::fs::File::open(path).is_ok() && std::fs::read_link(path).is_ok_and(|ns| ns == own)
    };
    paths.into_iter().filter(may).collect()
}

/// Joining the machine's own namespace by its path is no way round.
#[test]
fn the_machines_namespaces_are_no_containers() {
    need_containers!();
    let cases = [
        ("network", "net", "net.ipv4.ip_forward"),
        ("ipc", "ipc", "kernel.shmmni"),
    ];
    for (kind, file, name) in cases {
        for path in own(file) {
            let mut bundle = without(&[kind]);
            let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({"type": kind, "path": path}));
            let said = refused(&mut bundle, name);
            assert!(said.contains("would change the host's"), "{path}: {said}");
        }
    }
}

#[test]
fn the_machines_name_stays() {
    need_containers!();
    let name = read("kernel.hostname").unwrap();
    let paths = own("uts").into_iter().map(Some).chain([None]);
    for path in paths {
        let mut bundle = without(&["uts"]);
        if let Some(path) = path {
            let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({"type": "uts", "path": path}));
        }
        bundle.config["hostname"] = json!(name.trim());
        let said = bundle.fail();
        assert!(said.contains("hostname"), "{said}");
        bundle.config["hostname"] = Value::Null;
        bundle.config["domainname"] = json!(name.trim());
        assert!(bundle.fail().contains("domainname"));
    }
}

#[test]
fn sys_is_read_only() {
    need_containers!();
    let bundle = Bundle::script(
        "for f in /sys/kernel/uevent_helper /sys/power/state /sys/kernel/mm/ksm/run \
         /sys/module/kernel/parameters/panic; do \
         if [ -e $f ]; then echo 1 > $f && echo written $f; fi; done 2>/dev/null; \
         mount -o remount,rw /sys 2>/dev/null && echo remounted; touch /sys/x 2>/dev/null && echo made; \
         echo end",
    );
    assert_eq!(bundle.run(), "end\n");
}
