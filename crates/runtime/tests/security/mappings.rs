//! CVE-2021-43784: lists so long that their length overflows, or is cut, on the way to the kernel.

use serde_json::{Value, json};

use crate::support::Bundle;

fn with(uids: Value, gids: Value) -> Bundle {
    let mut bundle = Bundle::script("cat /proc/self/uid_map | wc -l; id -u");
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    bundle.config["linux"]["uidMappings"] = uids;
    bundle.config["linux"]["gidMappings"] = gids;
    for dir in ["proc", "sys", "dev"] {
        std::fs::create_dir(bundle.in_root(dir)).unwrap();
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bundle.path(), mode).unwrap();
    bundle
}

fn many(count: u32) -> Value {
    let entry = |n: u32| json!({"containerID": n, "hostID": 200_000 + n * 2, "size": 1});
    (0..count).map(entry).collect()
}

#[test]
fn as_many_mappings_as_the_kernel_takes_are_all_there() {
    need_containers!();
    // Two hundred lines stay below the one page that can be written at once.
    let printed = with(many(200), many(200)).run();
    assert_eq!(printed, "200\n0\n");
}

#[test]
fn longer_lists_are_refused_as_a_whole() {
    need_containers!();
    for count in [341, 700, 5_000, 70_000] {
        for (uids, gids) in [(many(count), many(1)), (many(1), many(count))] {
            let said = with(uids, gids).fail();
            assert!(
                said.contains("_map") || said.contains("Mappings"),
                "{count}: {said:.300}"
            );
            assert!(
                said.len() < 2_000,
                "{count}: an answer of {} bytes",
                said.len()
            );
        }
    }
}

#[test]
fn mappings_that_overflow_are_refused() {
    need_containers!();
    let one = |container: u32, host: u32, size: u32| json!([{"containerID": container, "hostID": host, "size": size}]);
    for wrong in [
        one(u32::MAX, 0, 2),
        one(0, u32::MAX, 2),
        one(0, 0, 0),
        one(1, 100_000, u32::MAX),
        json!([{"containerID": 0, "hostID": 1, "size": 10}, {"containerID": 5, "hostID": 100, "size": 1}]),
    ] {
        let said = with(wrong.clone(), one(0, 100_000, 1)).fail();
        assert!(
            said.contains("uid_map") || said.contains("uidMappings"),
            "{wrong}: {said}"
        );
    }
}

/// Other lists that are as long as anybody likes.
#[test]
fn long_lists_elsewhere_are_refused_or_taken_whole() {
    need_containers!();
    let mut bundle = Bundle::script("env | grep -c X");
    let env: Vec<_> = (0..20_000).map(|n| json!(format!("X{n}=1"))).collect();
    bundle.config["process"]["env"] = json!(env);
    bundle.config["process"]["env"]
        .as_array_mut()
        .unwrap()
        .push(json!("PATH=/bin"));
    assert_eq!(bundle.run(), "20000\n");
    bundle.config["process"]["env"] = json!(["PATH=/bin", format!("A={}", "x".repeat(3 << 20))]);
    assert!(bundle.fail().contains("argument list too long"));
    let mut bundle = Bundle::new(&["true"]);
    let gids: Vec<u32> = (0..70_000).collect();
    bundle.config["process"]["user"]["additionalGids"] = json!(gids);
    let said = bundle.fail();
    assert!(
        said.contains("additionalGids") || said.contains("groups"),
        "{said:.300}"
    );
    assert!(said.len() < 2_000, "an answer of {} bytes", said.len());
}
