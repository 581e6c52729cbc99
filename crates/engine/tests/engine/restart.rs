//! The daemon goes away, in good order or by kill -9, and another one takes up its work.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{House, can_run, shell, spec, within};
use engine::container::{self, WaitFor};
use types::{ContainerSpec, Lifecycle};

/// Names the directory in which the other half of a test works.
const CHILD: &str = "BRIG_TEST_DAEMON";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_and_opened_again() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    house
        .run(
            "echo",
            ContainerSpec {
                open_stdin: true,
                ..spec(&["cat"])
            },
        )
        .await;
    let before = house.lifecycle("echo");
    let house = house.reopened().await;
    assert_eq!(house.lifecycle("echo"), before);
    // Attaching works again, and so does the end.
    let mut client = house.attach("echo").await;
    client.write_all(b"still here\n").unwrap();
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).unwrap();
    assert_eq!(line, "still here\n");
    let ended = container::wait(&house.engine, "echo", WaitFor::NextExit).unwrap();
    container::kill(&house.engine, "echo", None).await.unwrap();
    assert_eq!(within(ended).await.unwrap().code, 137);
    assert_eq!(house.log("echo").await, "still here\n");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shim_that_is_killed_takes_its_container_along() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house.run("orphan", spec(&["sleep", "1000"])).await;
    let shim = shim_of(&house, &id);
    let ended = container::wait(&house.engine, &id, WaitFor::NotRunning).unwrap();
    testkit::kill("KILL", shim);
    let status = within(ended).await.unwrap();
    assert_eq!(status.code, 137);
    assert_eq!(status.error, format!("its shim (pid {shim}) died"));
    assert!(matches!(house.lifecycle(&id), Lifecycle::Dead { .. }));
    // Dead is not gone: it can be started again.
    house.start("orphan").await.unwrap();
    assert!(house.lifecycle(&id).is_running());

    // The same while no daemon looks.
    let shim = shim_of(&house, &id);
    house.engine.close().await;
    // A daemon that comes back is not the parent of the shims before it; this process is.
    let pidfd = sys::pidfd::open(shim.try_into().unwrap()).unwrap();
    testkit::kill("KILL", shim);
    sys::pidfd::wait(&pidfd).unwrap();
    let house = house.reopened().await;
    let Lifecycle::Dead { status, .. } = house.lifecycle(&id) else {
        panic!("{:?}", house.lifecycle(&id));
    };
    assert_eq!(status.error, format!("its shim (pid {shim}) died"));
    house.finish().await;
}

fn shim_of(house: &House, id: &str) -> u32 {
    let naming = testkit::processes_naming(&house.root.display().to_string());
    let shims = naming.iter().filter(|p| p.command.contains(id));
    shims
        .clone()
        .next()
        .unwrap_or_else(|| panic!("no shim of {id} in {naming:?}"))
        .pid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_containers_run() {
    if !can_run() {
        return;
    }
    let house = House::new().await.closed().await;
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "restart::the_daemon_that_is_killed",
            "--nocapture",
        ])
        .env(CHILD, house.path())
        .env("BRIG_DIST", crate::common::shim().parent().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(daemon.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the daemon failed");
    }
    // Their ends come while nobody looks: each waits for its own pipe to be opened.
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    for name in ["brief", "goes"] {
        let go = house.path().join(name);
        std::fs::OpenOptions::new()
            .write(true)
            .open(go)
            .unwrap()
            .write_all(b"x\n")
            .unwrap();
    }
    wait_for_ends(house.path());
    let house = House::reopen(house).await;
    assert!(house.lifecycle("stays").is_running());
    let Lifecycle::Exited {
        started: Some(_),
        status,
    } = house.lifecycle("brief")
    else {
        panic!("{:?}", house.lifecycle("brief"));
    };
    assert_eq!((status.code, status.error.as_str()), (6, ""));
    assert_eq!(house.log("brief").await, "last words\n");
    // It went when it ended: only those who wait for it, by its full id, hear how that was.
    let goes = std::fs::read_to_string(house.root.join("goes.id")).unwrap();
    assert!(container::inspect(&house.engine, &goes).is_err());
    assert!(container::wait(&house.engine, "goes", WaitFor::Removed).is_err());
    for condition in [WaitFor::NotRunning, WaitFor::NextExit, WaitFor::Removed] {
        assert_eq!(house.wait(&goes, condition).await.code, 6);
    }
    assert_eq!(house.lifecycle("made"), Lifecycle::Created);
    house.start("made").await.unwrap();
    assert_eq!(house.wait("made", WaitFor::NotRunning).await.code, 0);
    house.finish().await;
}

/// Until only one shim is left.
fn wait_for_ends(root: &Path) {
    let text = root.join("run").display().to_string();
    testkit::until("two shims end", || {
        let shims = testkit::processes_naming(&text);
        let running = shims.iter().filter(|p| p.command.contains("brig-shim"));
        (running.count() == 1).then_some(())
    });
}

/// The other half of the test above, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_that_is_killed() {
    let Some(root) = std::env::var_os(CHILD) else {
        return;
    };
    let house = std::mem::ManuallyDrop::new(House::open(root.as_ref(), None).await);
    for (name, auto_remove) in [("brief", false), ("goes", true)] {
        let pipe = house.root.join(name);
        Command::new("mkfifo").arg(&pipe).status().unwrap();
        let mut spec = shell("read x < /go; echo last words; exit 6");
        spec.auto_remove = auto_remove;
        spec.mounts.push(types::MountRequest {
            kind: types::MountKind::Bind {
                source: pipe.to_str().unwrap().to_owned(),
                propagation: None,
                create_source: false,
                recursive: true,
                read_only_non_recursive: false,
                read_only_force_recursive: false,
                bind_mode: None,
                id_map: None,
            },
            target: "/go".into(),
            read_only: false,
        });
        let id = house.run(name, spec).await;
        let file = house.root.join(format!("{name}.id"));
        sys::file::replace_unsynced(&file, id.as_bytes(), 0o644).unwrap();
    }
    house.run("stays", spec(&["sleep", "1000"])).await;
    house.create("made", spec(&["true"])).unwrap();
    println!("ready");
    // Until it is killed.
    drop(std::io::stdin().read(&mut [0]));
    std::thread::park();
}
