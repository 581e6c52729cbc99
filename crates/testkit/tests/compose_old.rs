//! Docker's compose 1.29, the one in Python of Debian 12, with a project of three services, unmodified.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Brig, Output, old_compose, root};

const PROJECT: &str = r#"
version: "3.9"
services:
  store:
    image: bb
    command: sh -c 'echo hello > /data/index.html; echo stored; exec sleep 1000'
    stop_grace_period: 0s
    volumes: [data:/data]
    labels: {tier: back}
    healthcheck:
      test: [CMD, test, -f, /data/index.html]
      interval: 1s
  web:
    image: bb
    command: httpd -f -p 80 -h /data
    stop_grace_period: 0s
    depends_on: [store]
    volumes: ["data:/data:ro", "./notes:/etc/notes:ro"]
    networks: [default, front]
    environment: {COLOUR: red}
    ports: ["127.0.0.1::80"]
  guest:
    image: bb
    command: sh -c 'until wget -q -O - http://web; do sleep 0.1; done; exec sleep 1000'
    stop_grace_period: 0s
    depends_on: [web]
    networks: [front]
    cap_drop: [ALL]
volumes:
  data:
networks:
  front:
"#;

struct Project<'a> {
    brig: &'a Brig,
    program: PathBuf,
    dir: PathBuf,
}

impl Project<'_> {
    fn compose(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args(["--no-ansi", "--project-name", "harbour"])
            .args(words)
            .current_dir(&self.dir)
            .env("DOCKER_HOST", self.brig.host())
            // By itself, and not by a client that may be on this machine.
            .env("COMPOSE_DOCKER_CLI_BUILD", "0")
            .env("DOCKER_CONFIG", self.brig.root().join("home"))
            .env("HOME", self.brig.root().join("home"));
        self.brig.finish_command(&mut command)
    }

    /// Names of the project's containers in a state, sorted.
    fn containers(&self, state: &str) -> Vec<String> {
        let filter = format!("status={state}");
        let listed = [
            "ps",
            "-a",
            "--filter",
            "label=com.docker.compose.project=harbour",
            "--filter",
            &filter,
            "--format",
            "{{.Names}}",
        ];
        let shown = self.brig.brig(&listed);
        let mut names: Vec<String> = shown.lines().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }
}

#[test]
fn a_project_lives_and_is_taken_down() {
    let (Some(program), true) = (old_compose(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let dir = brig.root().join("project");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("docker-compose.yml"), PROJECT).unwrap();
    fs::write(dir.join("notes"), "tide at noon").unwrap();
    let project = Project {
        brig: &brig,
        program,
        dir,
    };
    project.compose(&["up", "-d"]).ok();
    let all = ["harbour_guest_1", "harbour_store_1", "harbour_web_1"];
    assert_eq!(project.containers("running"), all);
    reads(&project);
    changes(&project);
    project.compose(&["down", "-v"]).ok();
    for list in ["ps -aq", "volume ls -q"] {
        let words: Vec<&str> = list.split(' ').collect();
        assert_eq!(brig.brig(&words).ok(), "", "{list}");
    }
    let networks = brig.brig(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!networks.ok().contains("harbour"), "{networks}");
    brig.finish();
}

/// What only looks.
fn reads(project: &Project<'_>) {
    testkit::until("the logs", || {
        let logs = project.compose(&["logs", "--no-color", "guest", "store"]);
        let there = |name: &str, text: &str| {
            let mut lines = logs.ok().lines();
            lines.any(|line| line.starts_with(name) && line.ends_with(text))
        };
        (there("guest_1", "| hello") && there("store_1", "| stored")).then_some(())
    });
    testkit::until("the store's health", || {
        let health = &project.brig.inspect("harbour_store_1")["State"]["Health"]["Status"];
        (health == "healthy").then_some(())
    });
    let shown = project.compose(&["ps"]);
    assert!(shown.ok().contains("harbour_web_1"), "{shown}");
    let inside = "echo $COLOUR; cat /etc/notes; touch /data/x 2>&1 | grep -o Read-only";
    let exec = project.compose(&["exec", "-T", "web", "sh", "-c", inside]);
    assert_eq!(exec.ok(), "red\ntide at noonRead-only", "{exec}");
    let port = project.compose(&["port", "web", "80"]);
    assert!(port.ok().starts_with("127.0.0.1:"), "{port}");
    let top = project.compose(&["top", "web"]);
    assert!(top.ok().contains("httpd"), "{top}");
    assert!(project.compose(&["images"]).ok().contains(" bb "));
    project.compose(&["config", "-q"]).ok();
}

/// What makes a difference.
fn changes(project: &Project<'_>) {
    // Nothing has changed: nothing is made anew.
    let id = || project.brig.inspect("harbour_web_1")["Id"].clone();
    let before = id();
    project.compose(&["up", "-d"]).ok();
    assert_eq!(id(), before);
    project
        .compose(&["up", "-d", "--force-recreate", "web"])
        .ok();
    assert_ne!(id(), before);
    project.compose(&["up", "-d", "--scale", "guest=3"]).ok();
    assert_eq!(project.containers("running").len(), 5);
    project.compose(&["pause", "web"]).ok();
    assert_eq!(project.containers("paused"), ["harbour_web_1"]);
    project.compose(&["unpause", "web"]).ok();
    project.compose(&["restart", "web"]).ok();
    project.compose(&["stop", "store"]).ok();
    assert_eq!(project.containers("exited"), ["harbour_store_1"]);
    project.compose(&["start", "store"]).ok();
    let asked = [
        "run",
        "--rm",
        "-T",
        "guest",
        "wget",
        "-q",
        "-O",
        "-",
        "http://web",
    ];
    let once = project.compose(&asked);
    assert!(once.ok().ends_with("hello"), "{once}");
    project.compose(&["kill", "guest"]).ok();
    project.compose(&["rm", "-f", "guest"]).ok();
    assert_eq!(project.containers("running").len(), 2);
}

const BUILDS: &str = r#"
version: "3.9"
services:
  api:
    image: harbour/api:1
    build:
      context: api
      dockerfile: Dockerfile.api
      args: {who: world, FROMENV: }
      target: run
      cache_from: ["harbour/api:0", "bb"]
      labels: {tier: front}
      network: none
      shm_size: 32m
  job:
    build:
      context: job
      args: ["a=1"]
      extra_hosts: ["db.local:10.1.2.3"]
"#;
const API: &str = "FROM bb AS base\nARG who\nARG FROMENV\nRUN echo \"hello $who $FROMENV\" >/said\n\
    RUN df -k /dev/shm | awk 'END { print $2 }' >/shm\nRUN ls /sys/class/net >/links\n\
    FROM base AS run\nCMD [\"cat\", \"/said\"]\nFROM base AS never\nRUN false\n";
const JOB: &str = "FROM bb\nARG a\nRUN echo $a >/a; grep db.local /etc/hosts >/hosts-then\n";

#[test]
fn a_project_is_built() {
    let (Some(program), true) = (old_compose(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let dir = brig.root().join("project");
    for (name, text) in [
        ("docker-compose.yml", BUILDS),
        (".env", "FROMENV=there\n"),
        ("api/Dockerfile.api", API),
        ("job/Dockerfile", JOB),
    ] {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let project = Project {
        brig: &brig,
        program,
        dir,
    };
    let says = |image: &str, words: &[&str]| {
        let all = [&["run", "--rm", "--network=none", image], words].concat();
        brig.brig(&all).ok().to_owned()
    };
    let built = project.compose(&["build"]);
    assert!(
        built
            .ok()
            .contains("Successfully tagged harbour_job:latest")
    );
    assert_eq!(says("harbour/api:1", &[]), "hello world there");
    assert_eq!(
        says("harbour/api:1", &["cat", "/shm", "/links"]),
        "32768\nlo"
    );
    let labels = "{{.Config.Labels.tier}}";
    let label = brig.brig(&["image", "inspect", "--format", labels, "harbour/api:1"]);
    assert_eq!(label.ok(), "front");
    let job = says("harbour_job", &["cat", "/a", "/hosts-then"]);
    assert_eq!(job, "1\n10.1.2.3\tdb.local");
    // Side by side, with another argument, silently.
    let words = ["build", "--parallel", "--quiet", "--build-arg", "who=again"];
    project.compose(&words).ok();
    assert_eq!(says("harbour/api:1", &[]), "hello again there");
    // What fails is said, and nothing is named by it.
    fs::write(
        project.dir.join("job/Dockerfile"),
        "FROM bb\nRUN echo no >&2; exit 3\n",
    )
    .unwrap();
    let failed = project.compose(&["build", "job"]);
    assert_eq!(failed.code, 1, "{failed}");
    let said = "returned a non-zero code: 3";
    assert!(failed.stderr.contains(said), "{failed}");
    assert_eq!(says("harbour_job", &["cat", "/a"]), "1");
    project.compose(&["down", "--rmi", "all"]).ok();
    brig.finish();
}
