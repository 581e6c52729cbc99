//! What this daemon has none of: it answers as Docker does outside of a swarm and without plugins.

#![allow(clippy::unwrap_used, reason = "a test")]

use testkit::{Brig, Client, clients, root};

const NO_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \
                          \"docker swarm join\" to connect this node to swarm and try again.";

#[test]
fn docker_is_told_that_there_is_no_swarm() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    for client in clients().into_iter().filter(|c| *c != Client::Brig) {
        for words in [
            "node ls",
            "service ls",
            "secret ls",
            "config ls",
            "stack ls",
            "service inspect web",
            "node inspect self",
            "swarm join-token worker",
            "swarm unlock-key",
            "swarm update --autolock",
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let told = brig.with(client, &words);
            assert!(
                told.fails(1).contains(NO_MANAGER),
                "{client:?} {words:?}: {told}"
            );
        }
        let left = brig.with(client, &["swarm", "leave"]);
        assert!(
            left.fails(1).contains("This node is not part of a swarm"),
            "{left}"
        );
        let begun = brig.with(client, &["swarm", "init"]);
        assert!(begun.fails(1).contains("no swarm mode"), "{begun}");
    }
    brig.finish();
}

#[test]
fn docker_is_told_that_there_is_no_plugin() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    for client in clients().into_iter().filter(|c| *c != Client::Brig) {
        assert_eq!(brig.with(client, &["plugin", "ls", "-q"]).ok(), "");
        let wrong = brig.with(client, &["plugin", "ls", "--filter", "colour=red"]);
        assert!(
            wrong.fails(1).contains("invalid filter 'colour'"),
            "{wrong}"
        );
        for verb in ["inspect", "rm", "enable", "disable"] {
            let told = brig.with(client, &["plugin", verb, "nobody/knows"]);
            let missing = ["not found", "No such plugin"];
            let said = told.fails(1);
            assert!(missing.iter().any(|m| said.contains(m)), "{verb}: {told}");
        }
    }
    brig.finish();
}
