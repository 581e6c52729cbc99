//! Links between containers: names, addresses that change, and what is told in the environment.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use testkit::{Brig, Host, Setup, clients, root};

/// A daemon on a host of its own, with the image.
fn daemon() -> Brig {
    let brig = Brig::start_with(Setup {
        host: Some(Arc::new(Host::new())),
        ..Setup::default()
    });
    brig.import_busybox();
    brig
}

/// Runs a container that does nothing.
fn idle(brig: &Brig, name: &str, flags: &[&str]) {
    let head = ["run", "-d", "--name", name];
    brig.brig(&[&head[..], flags, &["bb", "sleep", "1000"]].concat())
        .ok();
}

fn address(brig: &Brig, container: &str, network: &str) -> String {
    let inspect = brig.inspect(container);
    let endpoint = &inspect["NetworkSettings"]["Networks"][network];
    endpoint["IPAddress"].as_str().unwrap().to_owned()
}

#[test]
fn a_linked_container_is_told_of_as_docker_tells() {
    if !root() {
        return;
    }
    let brig = daemon();
    for client in clients() {
        let store = ["--expose", "6379", "--expose", "53/udp", "-e", "KEY=a=b"];
        idle(&brig, "store", &store);
        let own = address(&brig, "store", "bridge");
        let run = ["run", "-d", "--name", "web", "-e", "MY_KV_NAME=own"];
        let link = ["--link", "store:my-kv", "bb", "sleep", "1000"];
        brig.with(client, &[&run[..], &link].concat()).ok();
        let env = brig.with(client, &["exec", "web", "env"]).ok().to_owned();
        let told = |line: String| assert!(env.lines().any(|l| l == line), "{line}: {env}");
        told(format!("MY_KV_PORT=tcp://{own}:6379"));
        told(format!("MY_KV_PORT_6379_TCP_ADDR={own}"));
        told(format!("MY_KV_PORT_53_UDP=udp://{own}:53"));
        told("MY_KV_ENV_KEY=a=b".to_owned());
        told("MY_KV_NAME=own".to_owned());
        let inspect = brig.inspect("web");
        assert_eq!(inspect["HostConfig"]["Links"][0], "/store:/web/my-kv");
        // By whatever name it goes.
        brig.with(client, &["rename", "store", "shelf"]).ok();
        let inspect = brig.inspect("web");
        assert_eq!(inspect["HostConfig"]["Links"][0], "/shelf:/web/my-kv");
        let ping = ["exec", "web", "ping", "-c", "1", "-W", "5", "my-kv"];
        brig.with(client, &ping).ok();
        // One that rests cannot be linked to, one that is not there neither.
        brig.with(client, &["stop", "-t", "0", "shelf", "web"]).ok();
        let rests = brig.with(client, &["start", "web"]).fails(1).to_owned();
        let words = "Cannot link to a non running container: /shelf AS /web/my-kv";
        assert!(rests.contains(words), "{rests}");
        let none = brig.with(client, &["run", "--link", "nobody", "bb", "true"]);
        let none = none.fails(125);
        assert!(
            none.contains("could not get container for nobody"),
            "{none}"
        );
        brig.with(client, &["rm", "-f", "shelf", "web"]).ok();
    }
    brig.finish();
}

#[test]
fn a_link_follows_its_container_to_other_addresses() {
    if !root() {
        return;
    }
    let mut brig = daemon();
    brig.brig(&["network", "create", "shop"]).ok();
    idle(&brig, "store", &[]);
    idle(&brig, "web", &["--link", "store:kv"]);
    idle(&brig, "till", &["--network", "shop", "--link", "store:kv"]);
    let hosts = |brig: &Brig| {
        let hosts = brig.brig(&["exec", "web", "cat", "/etc/hosts"]);
        hosts.ok().to_owned()
    };
    let pings = |brig: &Brig, who: &str| {
        let ping = ["exec", who, "ping", "-c", "1", "-W", "5", "kv"];
        brig.brig(&ping).code == 0
    };
    // In a network of its own, a link means who is there.
    assert!(!pings(&brig, "till"));
    brig.brig(&["network", "connect", "shop", "store"]).ok();
    assert!(pings(&brig, "till"));
    brig.brig(&["network", "disconnect", "shop", "store"]).ok();
    assert!(!pings(&brig, "till"));
    // Its address is another's when it comes back, and the daemon is another.
    brig.kill_daemon();
    brig.start_daemon();
    brig.brig(&["stop", "-t", "0", "store"]).ok();
    idle(&brig, "guest", &["--network", "name=bridge"]);
    brig.brig(&["start", "store"]).ok();
    let now = address(&brig, "store", "bridge");
    let line = |hosts: &str| {
        let line = hosts.lines().find(|line| line.contains("\tkv "));
        line.and_then(|line| line.split('\t').next().map(str::to_owned))
    };
    assert_eq!(line(&hosts(&brig)), Some(now));
    assert!(pings(&brig, "web"));
    brig.finish();
}

#[test]
fn a_link_is_taken_away() {
    if !root() {
        return;
    }
    let mut brig = daemon();
    for client in clients() {
        idle(&brig, "store", &[]);
        idle(
            &brig,
            "web",
            &["--link", "store:kv", "--link", "store:second"],
        );
        let gone = brig.with(client, &["rm", "--link", "/web/kv"]);
        assert_eq!(gone.ok(), "/web/kv", "{client:?}");
        let looks = |brig: &Brig| {
            let links = brig.inspect("web")["HostConfig"]["Links"].clone();
            let hosts = brig.brig(&["exec", "web", "cat", "/etc/hosts"]);
            let known = ["kv", "second"].map(|name| {
                let mut lines = hosts.ok().lines();
                lines.any(|line| line.split(['\t', ' ']).any(|word| word == name))
            });
            (links, known)
        };
        let left = (serde_json::json!(["/store:/web/second"]), [false, true]);
        assert_eq!(looks(&brig), left, "{client:?}");
        // For good, and nobody is harmed.
        brig.kill_daemon();
        brig.start_daemon();
        brig.brig(&["restart", "-t", "0", "web"]).ok();
        assert_eq!(looks(&brig), left, "{client:?}");
        let env = brig.brig(&["exec", "web", "env"]).ok().to_owned();
        assert!(
            env.contains("SECOND_NAME=") && !env.contains("KV_NAME="),
            "{env}"
        );
        for (link, words) in [
            // Docker 20.10 has words of its own for what is not there.
            ("web/kv", "web/kv"),
            (
                "web",
                "cannot remove the default link name of the container",
            ),
            ("nobody/kv", "nobody"),
        ] {
            let refused = brig.with(client, &["rm", "--link", link]);
            assert!(refused.fails(1).contains(words), "{client:?}: {refused}");
        }
        brig.with(client, &["rm", "-f", "web", "store"]).ok();
    }
    brig.finish();
}
