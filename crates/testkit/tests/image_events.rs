//! `events` of images: what is told of pulls, pushes, archives, names and removals.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::time::{SystemTime, UNIX_EPOCH};

use testkit::registry::Registry;
use testkit::{Brig, Client, busybox_tar, clients, root};

/// What happened to images since then: `ACTION NAME`.
fn told(brig: &Brig, client: Client, since: &str) -> Vec<String> {
    let format = "{{.Action}} {{.Actor.Attributes.name}}";
    // Docker's clients know how long ago something was by the second only.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    let words = [
        "events",
        "--since",
        since,
        "--until",
        &now,
        "-f",
        "type=image",
    ];
    let text = brig.with(client, &[&words[..], &["--format", format]].concat());
    text.ok().lines().map(str::to_owned).collect()
}

#[test]
fn what_happens_to_images_is_told() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = Brig::start();
    let name = format!("{}/bb:v1", registry.address());
    let repository = name.strip_suffix(":v1").unwrap();
    let archive = brig.root().join("bb.tar");
    let archive = archive.to_str().unwrap();
    let tar = busybox_tar();
    let tar = tar.to_str().unwrap();
    for client in clients() {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let start = format!("{}.{:09}", start.as_secs(), start.subsec_nanos());
        let run = |words: &[&str]| brig.with(client, words).ok().to_owned();
        let id = run(&["import", "-c", "LABEL a=b", tar, "bb"]);
        run(&["tag", "bb", &name]);
        run(&["push", &name]);
        run(&["save", "-o", archive, &name]);
        run(&["rmi", "bb"]);
        run(&["rmi", &name]);
        run(&["pull", &name]);
        run(&["rmi", &name]);
        run(&["load", "-i", archive]);
        run(&["create", "--name", "web", &name, "true"]);
        let made = run(&["commit", "web", "made"]);
        run(&["rm", "web"]);
        run(&["image", "prune", "-a", "-f"]);
        let expected = [
            format!("import {id}"),
            format!("tag {name}"),
            format!("push {repository}"),
            format!("save {name}"),
            format!("untag {id}"),
            format!("untag {id}"),
            format!("delete {id}"),
            format!("pull {repository}"),
            format!("untag {id}"),
            format!("delete {id}"),
            format!("load {name}"),
            format!("create {made}"),
            "tag made:latest".to_owned(),
        ];
        let all = told(&brig, client, &start);
        assert_eq!(&all[..expected.len()], expected, "{client:?}");
        // Both go; in which order is nobody's business.
        let mut gone = all[expected.len()..].to_vec();
        let pruned = gone.pop().unwrap();
        assert!(pruned.starts_with("prune "), "{pruned}");
        gone.sort();
        let mut both: Vec<_> = [&id, &made]
            .iter()
            .flat_map(|id| [format!("untag {id}"), format!("delete {id}")])
            .collect();
        both.sort();
        assert_eq!(gone, both, "{client:?}");
        let label = [
            "events",
            "--since",
            &start,
            "--until",
            "0s",
            "-f",
            "label=a=b",
        ];
        let labelled = brig.brig(&[&label[..], &["--format", "{{.Type}} {{.Action}}"]].concat());
        assert!(
            labelled.ok().starts_with("image import\nimage tag\n"),
            "{labelled}"
        );
    }
    brig.finish();
}

#[test]
fn what_is_built_is_told() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let context = tempfile::tempdir().unwrap();
    let dir = context.path().to_str().unwrap();
    std::fs::write(
        context.path().join("Dockerfile"),
        "FROM bb\nLABEL a=b\nRUN true\n",
    )
    .unwrap();
    for client in clients() {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let start = format!("{}.{:09}", start.as_secs(), start.subsec_nanos());
        let mut command = brig.command(client, &["build", "-t", "one", "-t", "two:3", dir]);
        command.env("DOCKER_BUILDKIT", "0");
        brig.finish_command(&mut command).ok();
        let id = brig.brig(&["image", "inspect", "--format", "{{.Id}}", "one"]);
        let created = format!("create {}", id.ok());
        let all = told(&brig, client, &start);
        assert_eq!(
            all,
            [&*created, "tag one:latest", "tag two:3"],
            "{client:?}"
        );
        brig.brig(&["rmi", "one", "two:3"]).ok();
    }
    brig.finish();
}
