//! Docker's compose with a project of three services, unmodified.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Brig, Output, cache, root};

const PROJECT: &str = r#"
name: harbour
services:
  store:
    image: bb
    command: sh -c 'echo hello > /data/index.html; echo stored; exec sleep 1000'
    stop_grace_period: 0s
    volumes: [data:/data]
    labels: {tier: back}
  web:
    image: bb
    command: httpd -f -p 80 -h /data
    stop_grace_period: 0s
    depends_on: [store]
    volumes: [data:/data:ro]
    networks: [default, front]
    environment: {COLOUR: red}
    configs:
      - source: notes
        target: /etc/notes
  guest:
    image: bb
    command: sh -c 'until wget -q -O - http://web; do sleep 0.1; done; exec sleep 1000'
    stop_grace_period: 0s
    depends_on:
      web: {condition: service_started}
    networks: [front]
    cap_drop: [ALL]
    pids_limit: 50
    mem_limit: 64m
volumes:
  data:
networks:
  front:
configs:
  notes:
    content: "tide at noon"
"#;

fn program() -> Option<PathBuf> {
    let plugins = "tools/docker-plugins/usr/libexec/docker/cli-plugins/docker-compose";
    let path = cache().join(plugins);
    let there = path.exists();
    if !there {
        eprintln!("SKIP: docker compose is not on this machine (scripts/setup.sh test)");
    }
    there.then_some(path)
}

struct Project<'a> {
    brig: &'a Brig,
    program: PathBuf,
    file: PathBuf,
}

impl<'a> Project<'a> {
    fn new(brig: &'a Brig, program: PathBuf, text: &str) -> Self {
        let dir = brig.root().join("project");
        fs::create_dir(&dir).unwrap();
        let file = dir.join("compose.yaml");
        fs::write(&file, text).unwrap();
        Self {
            brig,
            program,
            file,
        }
    }

    fn compose(&self, words: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args(["--ansi", "never", "--progress", "plain", "-f"])
            .arg(&self.file)
            .args(words)
            .env("DOCKER_HOST", self.brig.host())
            .env("DOCKER_CONFIG", self.brig.root().join("home"))
            .env("HOME", self.brig.root().join("home"));
        self.brig.finish_command(&mut command)
    }

    /// States of its containers by service.
    fn states(&self) -> Vec<String> {
        let shown = self.compose(&["ps", "-a", "--format", "{{.Service}}={{.State}}"]);
        let mut states: Vec<String> = shown.ok().lines().map(str::to_owned).collect();
        states.sort();
        states
    }
}

#[test]
fn a_project_lives_and_is_taken_down() {
    let (Some(program), true) = (program(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let project = Project::new(&brig, program, PROJECT);
    project.compose(&["up", "-d"]).ok();
    assert_eq!(
        project.states(),
        ["guest=running", "store=running", "web=running"]
    );

    testkit::until("the guest's log", || {
        let logs = project.compose(&["logs", "--no-color", "guest", "store"]);
        let all = ["guest-1  | hello", "store-1  | stored"];
        all.iter()
            .all(|line| logs.ok().contains(line))
            .then_some(())
    });
    let inside = "echo $COLOUR; cat /etc/notes; touch /data/x 2>&1 | grep -o Read-only";
    let exec = project.compose(&["exec", "-T", "web", "sh", "-c", inside]);
    assert_eq!(exec.ok(), "red\ntide at noonRead-only", "{exec}");
    let limits = brig.inspect("harbour-guest-1")["HostConfig"].clone();
    assert_eq!(
        (&limits["Memory"], &limits["PidsLimit"]),
        (&(64 << 20).into(), &50.into())
    );
    let top = project.compose(&["top", "web"]);
    assert!(top.ok().contains("httpd"), "{top}");
    assert!(project.compose(&["images"]).ok().contains(" bb "));
    assert_eq!(project.compose(&["ls", "-q"]).ok(), "harbour");

    // Nothing has changed: nothing is made anew.
    let before = brig.inspect("harbour-web-1")["Id"].clone();
    project.compose(&["up", "-d"]).ok();
    assert_eq!(brig.inspect("harbour-web-1")["Id"], before);
    project
        .compose(&["up", "-d", "--force-recreate", "web"])
        .ok();
    assert_ne!(brig.inspect("harbour-web-1")["Id"], before);
    project.compose(&["up", "-d", "--scale", "guest=3"]).ok();
    assert_eq!(
        project
            .states()
            .iter()
            .filter(|s| *s == "guest=running")
            .count(),
        3
    );

    project.compose(&["pause", "web"]).ok();
    assert!(project.states().contains(&"web=paused".to_owned()));
    project.compose(&["unpause", "web"]).ok();
    project.compose(&["restart", "web"]).ok();
    project.compose(&["stop", "store"]).ok();
    assert!(project.states().contains(&"store=exited".to_owned()));
    project.compose(&["start", "store"]).ok();
    let once = project.compose(&[
        "run",
        "--rm",
        "-T",
        "guest",
        "wget",
        "-q",
        "-O",
        "-",
        "http://web",
    ]);
    assert!(once.ok().ends_with("hello"), "{once}");
    let copied = project.compose(&["cp", "web:/etc/notes", "-"]);
    assert!(copied.ok().contains("tide at noon"), "{copied}");

    project.compose(&["down", "-v"]).ok();
    assert_eq!(project.states(), Vec::<String>::new());
    for list in ["ps -aq", "volume ls -q"] {
        let words: Vec<&str> = list.split(' ').collect();
        assert_eq!(brig.brig(&words).ok(), "", "{list}");
    }
    let networks = brig.brig(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!networks.ok().contains("harbour"), "{networks}");
    brig.finish();
}

#[test]
fn a_project_in_the_foreground_ends_with_its_service() {
    let (Some(program), true) = (program(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let text = r#"
name: tide
services:
  bell:
    image: bb
    command: sh -c 'echo ding; exit 7'
    # Compose asks for events while it begins to start: what ends before it listens is never heard of.
    depends_on:
      sea: {condition: service_healthy}
  sea:
    image: bb
    command: sleep 1000
    stop_grace_period: 0s
    healthcheck: {test: [CMD, "true"], interval: 100ms}
"#;
    let project = Project::new(&brig, program, text);
    let ended = project.compose(&["up", "--exit-code-from", "bell"]);
    assert_eq!(ended.code, 7, "{ended}");
    assert!(ended.stdout.contains("bell-1  | ding"), "{ended}");
    project.compose(&["down"]).ok();
    brig.finish();
}
