//! Many at once, and verbs that meet each other half way.

use std::io::{BufRead, BufReader, Write};

use crate::common::{House, can_run, rest, shell, spec, within};
use engine::container::{self, WaitFor};
use types::{ContainerSpec, Lifecycle, MountKind, MountRequest, Signal};

fn throwaway(spec: ContainerSpec) -> ContainerSpec {
    ContainerSpec {
        auto_remove: true,
        ..spec
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let all: Vec<_> = (0..20)
        .map(|number| {
            let engine = house.engine.clone();
            tokio::spawn(async move {
                let spec = throwaway(shell(&format!("exit {number}")));
                let make = engine.clone();
                let work = move || container::create(&make, None, spec).unwrap().id.to_string();
                let id = tokio::task::spawn_blocking(work).await.unwrap();
                let removed = container::wait(&engine, &id, WaitFor::Removed).unwrap();
                let work = move || container::start(&engine, &id).unwrap();
                tokio::task::spawn_blocking(work).await.unwrap();
                within(removed).await.unwrap().code
            })
        })
        .collect();
    let mut codes = Vec::new();
    for one in all {
        codes.push(one.await.unwrap());
    }
    assert_eq!(codes, (0..20).collect::<Vec<_>>());
    house.nothing_left().await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_by_force_while_it_starts() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    for auto_remove in [false, true, false, true] {
        let spec = ContainerSpec {
            auto_remove,
            ..spec(&["sleep", "1000"])
        };
        let id = house.create("contested", spec).unwrap();
        let start = house.start(&id);
        let remove = container::remove(&house.engine, &id, true);
        let (started, removed) = tokio::join!(start, remove);
        // Whoever comes first: it is gone, and nothing of it is left.
        drop(started);
        if removed.is_err() {
            drop(container::remove(&house.engine, &id, true).await);
        }
        house.nothing_left().await;
    }
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_although_it_goes_when_it_ends() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house.run("kept", throwaway(spec(&["sleep", "1000"]))).await;
    container::restart(&house.engine, "kept", Some(Signal::KILL), None)
        .await
        .unwrap();
    assert!(house.lifecycle(&id).is_running());
    let removed = container::wait(&house.engine, &id, WaitFor::Removed).unwrap();
    container::kill(&house.engine, &id, None).await.unwrap();
    assert_eq!(within(removed).await.unwrap().code, 137);
    house.nothing_left().await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bind_mounts_of_the_host() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let mount = |source: &str, target: &str, create_source| MountRequest {
        kind: MountKind::Bind {
            source: house.root.join(source).to_str().unwrap().to_owned(),
            propagation: None,
            create_source,
            recursive: true,
            read_only_non_recursive: false,
            read_only_force_recursive: false,
            bind_mode: None,
            id_map: None,
        },
        target: target.to_owned(),
        read_only: false,
    };
    let with = |mount, spec| ContainerSpec {
        mounts: vec![mount],
        ..spec
    };
    let missing = with(mount("nowhere", "/x", false), spec(&["true"]));
    let error = house.create("refused", missing).unwrap_err();
    assert_eq!(
        error.chain(),
        format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            house.root.join("nowhere").display()
        )
    );
    let made = with(
        mount("made/deep", "/x", true),
        shell("echo from inside > /x/file"),
    );
    assert_eq!(house.output(made).await, (0, String::new()));
    let file = house.root.join("made/deep/file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "from inside\n");
    // Made for a start that fails: taken away again.
    let failing = with(mount("unmade/deep", "/x", true), spec(&["nosuch"]));
    house.create("failing", failing).unwrap();
    house.start("failing").await.unwrap_err();
    assert!(!house.root.join("unmade").exists());
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_slow_outlives_container_and_engine() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    house.create("wordy", shell("seq 1 30000")).unwrap();
    let client = house.attach("wordy").await;
    let ended = container::wait(&house.engine, "wordy", WaitFor::NextExit).unwrap();
    house.start("wordy").await.unwrap();
    // It ends although its client has read nothing yet; its shim goes on serving that client.
    assert_eq!(within(ended).await.unwrap().code, 0);
    let before = house.lifecycle("wordy");
    let house = house.reopened().await;
    assert_eq!(house.lifecycle("wordy"), before);
    let text = rest(client);
    assert!(text.ends_with("29999\n30000\n"));
    assert_eq!(text.lines().count(), 30_000);
    house.start("wordy").await.unwrap();
    assert_eq!(house.wait("wordy", WaitFor::NotRunning).await.code, 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_has_its_size() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let spec = ContainerSpec {
        tty: true,
        open_stdin: true,
        console_size: [11, 22],
        ..shell("stty size; read line; stty size")
    };
    house.create("screen", spec).unwrap();
    let mut client = house.attach("screen").await;
    house.start("screen").await.unwrap();
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "11 22");
    let engine = house.engine.clone();
    let resize = move || container::resize(&engine, "screen", [33, 44]).unwrap();
    tokio::task::spawn_blocking(resize).await.unwrap();
    client.write_all(b"\n").unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(rest, ["", "33 44"]);
    assert!(matches!(
        house.lifecycle("screen"),
        Lifecycle::Exited { .. } | Lifecycle::Running { .. }
    ));
    house.finish().await;
}
