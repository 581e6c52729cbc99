//! Manifest lists: made, annotated, pushed and forgotten; the same words, bytes and digests as by Docker's
//! client, and each goes on with what the other began.

#![allow(clippy::unwrap_used, reason = "a test")]

use testkit::registry::{Registry, RegistrySetup};
use testkit::{Brig, Client, busybox_tar, clients, root};

/// Images for three platforms in two repositories of a registry.
fn with_images(registry: &Registry) -> Brig {
    let brig = Brig::start();
    let tar = busybox_tar();
    let images = [
        ("a:amd", "linux/amd64"),
        ("a:arm", "linux/arm/v7"),
        ("b:arm64", "linux/arm64"),
    ];
    for (name, platform) in images {
        let name = format!("{}/{name}", registry.address());
        let change = format!("LABEL platform={platform}");
        brig.brig(&[
            "import",
            "--platform",
            platform,
            "-c",
            &change,
            tar.to_str().unwrap(),
            &name,
        ])
        .ok();
        brig.brig(&["push", &name]).ok();
        brig.brig(&["rmi", &name]).ok();
    }
    brig
}

/// What a client does with manifest lists, in order; `R` is the registry.
const STEPS: &[&str] = &[
    "create --insecure R/l:1 R/a:amd R/a:arm",
    "create --insecure R/l:1 R/a:amd",
    "create --insecure --amend R/l:1 R/b:arm64",
    "inspect R/l:1",
    "inspect -v R/l:1",
    "inspect R/l:1 R/a:arm",
    "inspect R/l:1 R/a:none",
    "inspect --insecure R/a:amd",
    "inspect --insecure -v R/a:amd",
    "annotate R/l:1 R/a:arm --variant v8 --os-features x,y --os-version 7",
    "annotate R/l:1 R/a:arm --os none --arch z80",
    "annotate R/l:1 R/a:none --os linux",
    "annotate R/none:1 R/a:amd --os linux",
    "inspect R/l:1",
    "push --insecure R/l:1",
    "inspect R/l:1",
    "create --insecure R/a R/a:amd R/a:arm",
    "push --insecure --purge R/a",
    "push --insecure R/a",
    "inspect --insecure R/a",
    "inspect --insecure -v R/a",
    "rm R/l:1",
    "rm R/l:1 R/x",
    "create --insecure R/l:2 R/l:1",
    "create --insecure R/l:2 R/none:1",
    "create --insecure R/UP:1 R/a:amd",
    "inspect --insecure R/none",
    "create --insecure 127.0.0.2:1/l R/a:amd",
    "push --insecure 127.0.0.2:1/l",
    "rm 127.0.0.2:1/l",
];

/// What each step printed, and how it ended.
fn steps(brig: &Brig, client: Client, registry: &Registry) -> Vec<String> {
    let run = |step: &&str| {
        let step = step.replace("R/", &format!("{}/", registry.address()));
        let words: Vec<&str> = ["manifest"].into_iter().chain(step.split(' ')).collect();
        let done = brig.with(client, &words);
        format!("{step}\n{}{}{}", done.stdout, done.stderr, done.code)
    };
    STEPS.iter().map(run).collect()
}

#[test]
fn every_byte_is_that_of_dockers_client() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = with_images(&registry);
    let ours = steps(&brig, Client::Brig, &registry);
    let list = format!("{}/l:1", registry.address());
    assert!(ours[0].contains(&format!("Created manifest list {list}\n0")));
    if clients().contains(&Client::Docker28) {
        let theirs = steps(&brig, Client::Docker28, &registry);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
    }
    // The list is one that can be pulled: each machine gets its own.
    for (platform, label) in [
        ("linux/arm64", "linux/arm64"),
        ("linux/amd64", "linux/amd64"),
    ] {
        brig.brig(&["pull", "--platform", platform, &list]).ok();
        let format = "{{index .Config.Labels \"platform\"}}";
        let shown = [
            "image",
            "inspect",
            "--platform",
            platform,
            "-f",
            format,
            &list,
        ];
        assert_eq!(brig.brig(&shown).ok(), label);
    }
    brig.finish();
}

#[test]
fn one_client_goes_on_with_what_the_other_began() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = with_images(&registry);
    let name = |name: &str| format!("{}/{name}", registry.address());
    let (list, image) = (name("l:1"), name("a:arm"));
    let mut digests = Vec::new();
    for (first, second) in [
        (Client::Brig, Client::Docker28),
        (Client::Docker28, Client::Brig),
        (Client::Brig, Client::Brig),
    ] {
        let known = clients();
        if !known.contains(&first) || !known.contains(&second) {
            continue;
        }
        let create = [
            "manifest",
            "create",
            "--insecure",
            &list,
            &name("a:amd"),
            &image,
        ];
        brig.with(first, &create).ok();
        let annotate = ["manifest", "annotate", "--variant", "v6", &list, &image];
        brig.with(second, &annotate).ok();
        let push = ["manifest", "push", "--insecure", "--purge", &list];
        let pushed = brig.with(first, &push);
        digests.push(pushed.lines().last().unwrap().to_string());
        brig.with(second, &["manifest", "rm", &list]).fails(1);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    brig.finish();
}

#[test]
fn a_list_is_pushed_by_who_is_logged_in() {
    let setup = RegistrySetup::default().basic().start();
    let Some(registry) = setup.filter(|_| root()) else {
        return;
    };
    let brig = Brig::with_image();
    let name = |name: &str| format!("{}/{name}", registry.address());
    brig.brig(&["tag", "bb", &name("a:1")]).ok();
    let create = ["manifest", "create", &name("l:1"), &name("a:1")];
    let refused = brig.brig(&create);
    assert!(refused.fails(1).contains("unauthorized"), "{refused}");
    let words = [
        "login",
        "-u",
        testkit::registry::USER,
        "--password-stdin",
        registry.address(),
    ];
    brig.with_input(Client::Brig, &words, testkit::registry::PASSWORD.as_bytes())
        .ok();
    brig.brig(&["push", &name("a:1")]).ok();
    brig.brig(&create).ok();
    let pushed = brig.brig(&["manifest", "push", &name("l:1")]);
    assert!(pushed.lines()[0].starts_with("Pushed ref "), "{pushed}");
    brig.brig(&["pull", &name("l:1")]).ok();
    brig.finish();
}
