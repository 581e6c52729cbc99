//! A container from create to remove, through the real shim and runtime.

use std::io::Write;
use std::net::Shutdown;

use crate::common::{House, IMAGE, can_run, rest, shell, spec, within};
use engine::Error;
use engine::container::{self, WaitFor};
use types::{ContainerSpec, ErrorKind, Lifecycle, Signal};

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.chain())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_to_its_end_and_is_remembered() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house
        .create("first", shell("echo out; echo err >&2; exit 3"))
        .unwrap();
    assert_eq!(house.lifecycle("first"), Lifecycle::Created);
    assert_eq!(house.wait(&id, WaitFor::NotRunning).await.code, 0);
    let ended = container::wait(&house.engine, &id, WaitFor::NextExit).unwrap();
    house.start("first").await.unwrap();
    let status = within(ended).await.unwrap();
    assert_eq!((status.code, status.error.as_str()), (3, ""));
    assert_eq!(house.log("first").await, "out\n!err\n");
    assert!(matches!(
        house.lifecycle("first"),
        Lifecycle::Exited {
            started: Some(_),
            ..
        }
    ));
    // Once more: the first run must be cleaned away before the second can begin.
    house.start("first").await.unwrap();
    assert_eq!(house.wait("first", WaitFor::NotRunning).await.code, 3);
    container::remove(&house.engine, "/first", false)
        .await
        .unwrap();
    house.nothing_left().await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_when_it_ends() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let spec = ContainerSpec {
        auto_remove: true,
        ..shell("exit 7")
    };
    let id = house.create("gone", spec.clone()).unwrap();
    let removed = container::wait(&house.engine, &id, WaitFor::Removed).unwrap();
    house.start(&id).await.unwrap();
    assert_eq!(within(removed).await.unwrap().code, 7);
    // Its name is free at once.
    house.create("gone", spec.clone()).unwrap();
    container::remove(&house.engine, "gone", false)
        .await
        .unwrap();
    // Killed by removing it: both want it gone.
    house
        .run(
            "gone",
            ContainerSpec {
                auto_remove: true,
                ..self::spec(&["sleep", "1000"])
            },
        )
        .await;
    container::remove(&house.engine, "gone", true)
        .await
        .unwrap();
    house.nothing_left().await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_before_anything_is_made() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let create = |name: &str, change: &dyn Fn(&mut ContainerSpec)| {
        let mut spec = spec(&["true"]);
        change(&mut spec);
        refusal(house.create(name, spec))
    };
    let nothing = ContainerSpec {
        image: "nothing".into(),
        ..ContainerSpec::default()
    };
    assert_eq!(
        refusal(house.create("x1", nothing)),
        (ErrorKind::NotFound, "No such image: nothing:latest".into())
    );
    let taken = house.create("taken", spec(&["true"])).unwrap();
    assert_eq!(
        create("taken", &|_| ()),
        (
            ErrorKind::Conflict,
            format!(
                "Conflict. The container name \"/taken\" is already in use by container \
                 \"{taken}\". You have to remove (or rename) that container to be able to reuse \
                 that name."
            )
        )
    );
    assert_eq!(
        create("x1", &|s| s.resources.memory = Some(1)),
        (
            ErrorKind::Invalid,
            "Minimum memory limit allowed is 6MB".into()
        )
    );
    let (kind, text) = create("x1", &|s| s.resources.nano_cpus = Some(1 << 60));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.starts_with("range of CPUs is from 0.01 to "), "{text}");
    let (kind, text) = create("x1", &|s| s.security.cap_add = vec!["NONSENSE".into()]);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("NONSENSE"), "{text}");
    let missing = |who: &str| refusal(container::inspect(&house.engine, who));
    assert_eq!(
        missing("nobody"),
        (ErrorKind::NotFound, "No such container: nobody".into())
    );
    assert_eq!(container::list(&house.engine).count(), 1);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_cannot_be_run() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let table = [
        (
            spec(&["nosuch"]),
            ErrorKind::CommandNotFound,
            127,
            "executable file not found in $PATH",
        ),
        (
            spec(&["/bin/nosuch"]),
            ErrorKind::CommandNotFound,
            127,
            "no such file or directory",
        ),
        (
            spec(&["/bin/plain"]),
            ErrorKind::NotExecutable,
            126,
            "permission denied",
        ),
        (spec(&["/etc"]), ErrorKind::NotExecutable, 126, ""),
        (
            ContainerSpec {
                user: Some("nobody".into()),
                ..spec(&["true"])
            },
            ErrorKind::Internal,
            128,
            "unable to find user nobody: no matching entries in passwd file",
        ),
    ];
    for (at, (spec, kind, code, words)) in table.into_iter().enumerate() {
        let name = format!("bad{at}");
        house.create(&name, spec.clone()).unwrap();
        let (actual, text) = refusal(house.start(&name).await);
        assert!(text.contains(words), "{text}");
        assert_eq!((actual, at), (kind, at), "{text}");
        let Lifecycle::Exited {
            started: None,
            status,
        } = house.lifecycle(&name)
        else {
            panic!("{:?}", house.lifecycle(&name));
        };
        assert_eq!((status.code, status.error), (code, text));
        container::remove(&house.engine, &name, false)
            .await
            .unwrap();
        house.nothing_left().await;
        // One that goes when it ends is gone, and who waits is told.
        house
            .create(
                &name,
                ContainerSpec {
                    auto_remove: true,
                    ..spec
                },
            )
            .unwrap();
        let removed = container::wait(&house.engine, &name, WaitFor::Removed).unwrap();
        refusal(house.start(&name).await);
        assert_eq!(within(removed).await.unwrap().code, code);
        house.nothing_left().await;
    }
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stops_kills_and_restarts() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let polite = shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    house.run("polite", polite).await;
    let mut ready = follow(&house, "polite");
    assert_eq!(
        within(ready.recv()).await.unwrap().unwrap()[0].bytes,
        b"ready\n"
    );
    let engine = &house.engine;
    assert_eq!(
        refusal(house.start("polite").await).0,
        ErrorKind::NotModified
    );
    let (kind, text) = refusal(container::remove(engine, "polite", false).await);
    assert_eq!(kind, ErrorKind::Conflict);
    assert_eq!(
        text,
        "cannot remove container \"/polite\": container is running: stop the container before \
         removing or force remove"
    );
    container::stop(engine, "polite", None, Some(100))
        .await
        .unwrap();
    assert_eq!(house.wait("polite", WaitFor::NotRunning).await.code, 5);
    assert_eq!(
        refusal(container::stop(engine, "polite", None, None).await).0,
        ErrorKind::NotModified
    );

    house
        .run(
            "deaf",
            shell("trap '' TERM; echo ready; while :; do sleep 0.05; done"),
        )
        .await;
    let mut ready = follow(&house, "deaf");
    within(ready.recv()).await.unwrap().unwrap();
    container::stop(engine, "deaf", None, Some(0))
        .await
        .unwrap();
    assert_eq!(house.wait("deaf", WaitFor::NotRunning).await.code, 137);

    let id = house.run("victim", spec(&["sleep", "1000"])).await;
    container::restart(engine, "victim", Some(Signal::KILL), None)
        .await
        .unwrap();
    assert!(house.lifecycle("victim").is_running());
    container::kill(engine, "victim", None).await.unwrap();
    assert_eq!(house.wait("victim", WaitFor::NotRunning).await.code, 137);
    assert_eq!(
        refusal(container::kill(engine, "victim", None).await),
        (
            ErrorKind::Conflict,
            format!("cannot kill container: victim: container {id} is not running")
        )
    );
    house.finish().await;
}

fn follow(house: &House, who: &str) -> container::LogLines {
    let query = container::LogQuery {
        follow: true,
        stdout: true,
        stderr: true,
        ..container::LogQuery::default()
    };
    container::logs(&house.engine, who, query).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_to_the_end() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    house
        .create(
            "talker",
            ContainerSpec {
                open_stdin: true,
                ..spec(&["cat"])
            },
        )
        .unwrap();
    let mut client = house.attach("talker").await;
    house.start("talker").await.unwrap();
    let mut lines = follow(&house, "talker");
    client.write_all(b"one\n").unwrap();
    assert_eq!(
        within(lines.recv()).await.unwrap().unwrap()[0].bytes,
        b"one\n"
    );
    client.write_all(b"two\n").unwrap();
    assert_eq!(
        within(lines.recv()).await.unwrap().unwrap()[0].bytes,
        b"two\n"
    );
    container::kill(&house.engine, "talker", None)
        .await
        .unwrap();
    assert!(within(lines.recv()).await.is_none());
    let query = container::LogQuery {
        stdout: true,
        tail: Some(1),
        ..Default::default()
    };
    let mut last = container::logs(&house.engine, "talker", query).unwrap();
    assert_eq!(
        within(last.recv()).await.unwrap().unwrap()[0].bytes,
        b"two\n"
    );
    let mut silent = spec(&["echo", "x"]);
    silent.log.driver = "none".into();
    house.run("silent", silent).await;
    let query = container::LogQuery {
        stdout: true,
        ..Default::default()
    };
    assert_eq!(
        refusal(container::logs(&house.engine, "silent", query)),
        (
            ErrorKind::Unsupported,
            "configured logging driver does not support reading".into()
        )
    );
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attached_before_the_start_nothing_is_missed() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let spec = ContainerSpec {
        open_stdin: true,
        stdin_once: true,
        auto_remove: true,
        ..shell("echo begin; cat; echo end")
    };
    house.create("pipe", spec).unwrap();
    let mut client = house.attach("pipe").await;
    client.write_all(b"through\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    house.start("pipe").await.unwrap();
    assert_eq!(rest(client), "begin\nthrough\nend\n");
    // Attached but never started: the client is let go of when the container is removed.
    house.create("never", self::spec(&["true"])).unwrap();
    let client = house.attach("never").await;
    container::remove(&house.engine, "never", false)
        .await
        .unwrap();
    assert_eq!(rest(client), "");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_is_who_and_where_it_should_be() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let spec = ContainerSpec {
        user: Some("www".into()),
        working_dir: Some("/made/for/it".into()),
        env: vec!["A=1".into()],
        hostname: Some("named".into()),
        groups: vec!["99".into()],
        ..shell("id; pwd; hostname; echo $A $HOME; cat /etc/hostname; grep named /etc/hosts")
    };
    let (code, log) = house.output(spec).await;
    assert_eq!(
        log,
        "uid=33(www) gid=33(www) groups=33(www),44(video),99\n/made/for/it\nnamed\n1 /home\n\
         named\n127.0.0.1\tnamed\n"
    );
    assert_eq!(code, 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_listed_by_ps() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    house
        .run("busy", shell("sleep 1001 & sleep 1002 & wait"))
        .await;
    let engine = house.engine.clone();
    let work = move || {
        // The shell may not have come to its children yet.
        loop {
            let top = container::top(&engine, "busy", "").unwrap();
            let mut rows = top.processes.iter();
            // Nor they to their command.
            let sleep = |row: &Vec<String>| row.last().unwrap() == "sleep 1001";
            if top.processes.len() == 3 && rows.any(sleep) {
                let refused = container::top(&engine, "busy", "-o user").unwrap_err();
                assert_eq!(refused.to_string(), "Couldn't find PID field in ps output");
                return top;
            }
        }
    };
    let top = within(tokio::task::spawn_blocking(work)).await.unwrap();
    assert_eq!(top.titles.last().unwrap(), "CMD");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_in_use_stays() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house.create("user", spec(&["true"])).unwrap();
    let (kind, text) = refusal(engine::image::remove(&house.engine, IMAGE, false));
    assert_eq!(kind, ErrorKind::Conflict);
    let image = house.inspect("user").image;
    assert_eq!(
        text,
        format!(
            "conflict: unable to remove repository reference \"busybox:latest\" (must force) - \
             container {} is using its referenced image {}",
            &id[..12],
            image.short()
        )
    );
    assert_eq!(engine::image::list(&house.engine).unwrap()[0].1, 1);
    container::remove(&house.engine, "user", false)
        .await
        .unwrap();
    engine::image::remove(&house.engine, IMAGE, false).unwrap();
    assert!(engine::image::list(&house.engine).unwrap().is_empty());
    house.finish().await;
}

/// Everything about a container that holds its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_reads_the_environment() {
    use std::os::unix::fs::PermissionsExt;
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house.run("secret", spec(&["sleep", "1000"])).await;
    let mode = |path: &str| {
        let path = house.root.join(path);
        let metadata = std::fs::metadata(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        format!("{:o}", metadata.permissions().mode() & 0o7777)
    };
    let run = format!("run/containers/{id}");
    assert_eq!(mode("run/containers"), "700");
    assert_eq!(mode(&run), "700");
    assert_eq!(mode(&format!("{run}/config.json")), "600");
    container::kill(&house.engine, "secret", None)
        .await
        .unwrap();
    house.wait("secret", WaitFor::NotRunning).await;
    assert_eq!(mode(&format!("data/containers/{id}/exit.json")), "600");
    house.finish().await;
}

/// A daemon that goes away leaves its cgroup only to containers that run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_cgroup_parent_goes_with_the_engine() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let parent = house.parent.clone();
    house.run("last", spec(&["sleep", "1000"])).await;
    let house = house.reopened().await;
    assert!(house.lifecycle("last").is_running());
    assert!(!testkit::cgroups(&parent).is_empty());
    container::remove(&house.engine, "last", true)
        .await
        .unwrap();
    house.nothing_left().await;
    drop(house.closed().await);
    assert!(testkit::cgroups(&parent).is_empty());
}

/// Who wants a container made and started for it, and goes away before it is attached, has nothing run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_runs_for_a_client_that_is_gone() {
    if !can_run() {
        return;
    }
    let house = House::new().await;
    let id = house.create("for-nobody", shell("echo ran")).unwrap();
    let (coming, awaited) = container::coming();
    drop(coming);
    let (engine, who) = (house.engine.clone(), id.clone());
    let started = tokio::task::spawn_blocking(move || container::start_for(&engine, &who, awaited));
    let (kind, words) = refusal(started.await.unwrap());
    assert_eq!(kind, ErrorKind::Unavailable);
    assert_eq!(words, format!("the client of container {id} went away"));
    assert!(matches!(
        house.lifecycle("for-nobody"),
        Lifecycle::Exited { started: None, .. }
    ));
    // It starts for others.
    house.start("for-nobody").await.unwrap();
    assert_eq!(house.wait("for-nobody", WaitFor::NotRunning).await.code, 0);
    assert_eq!(house.log("for-nobody").await, "ran\n");
    container::remove(&house.engine, "for-nobody", false)
        .await
        .unwrap();
    house.nothing_left().await;
    house.finish().await;
}
