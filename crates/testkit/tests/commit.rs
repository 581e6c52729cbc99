//! `commit`: images made of containers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::process::Command;

use testkit::{Brig, Client, busybox_tar, clients, docker_py, root, until};

/// What a container does to its image's files: something of every kind.
const WORK: &str = "set -e; cd /; umask 022; mkdir -p /made/deep /tmp; echo text > /made/deep/file; \
    cp /bin/busybox /made/su; chown 7:3000000 /made/su; chmod 6755 /made/su; ln /made/su /made/sudo; \
    ln -s deep/file /made/link; mkfifo /made/pipe; mknod /made/null c 1 3; \
    dd if=/dev/zero of=/made/holes bs=1 count=1 seek=10M 2>/dev/null; \
    rm /gone; rm -r /hidden; mkdir /hidden; echo new > /hidden/new; \
    i=0; while [ $i -lt 60 ]; do i=$((i+1)); mkdir -p /made/long-name-of-a-directory-$i; done; \
    echo ready; exec sleep 1000";

/// What shows it.
const LOOK: &str = "cd /; cat made/deep/file made/link; stat -c '%n %a %u:%g %h %s' made/su made/holes; \
    [ made/su -ef made/sudo ] && echo one; stat -c '%n %F' made/pipe made/null; \
    ls hidden; ls gone 2>&1; ls made | wc -l";

fn image(brig: &Brig) {
    // An image with something to remove.
    let script = "mkdir -p /hidden /tmp; echo old > /hidden/old; echo gone > /gone; mkdir /kept";
    brig.brig(&[
        "run",
        "--network",
        "none",
        "--name",
        "base",
        "bb",
        "sh",
        "-c",
        script,
    ])
    .ok();
    brig.brig(&["commit", "-c", "ONBUILD RUN true", "base", "base"])
        .ok();
    brig.brig(&["rm", "base"]).ok();
}

fn ready(brig: &Brig, name: &str) {
    until("the container's files", || {
        let logged = brig.brig(&["logs", name]);
        logged.stdout.contains("ready").then_some(())
    });
}

fn look(brig: &Brig, client: Client, image: &str) -> String {
    let words = ["run", "--rm", "--network", "none", image, "sh", "-c", LOOK];
    brig.with(client, &words).ok().to_owned()
}

#[test]
fn an_image_has_what_its_container_has() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    image(&brig);
    for client in clients() {
        let run = ["run", "-d", "--network", "none", "--name", "web", "base"];
        brig.with(client, &[&run[..], &["sh", "-c", WORK]].concat())
            .ok();
        ready(&brig, "web");
        let seen = brig
            .with(client, &["exec", "web", "sh", "-c", LOOK])
            .ok()
            .to_owned();
        assert!(seen.contains("made/su 6755 7:3000000 2 "), "{seen}");
        let id = brig
            .with(client, &["commit", "web", "new:v1"])
            .ok()
            .to_owned();
        assert!(id.starts_with("sha256:"), "{id}");
        let state = &brig.inspect("web")["State"]["Status"];
        assert_eq!(state, "running", "it goes on");
        assert_eq!(look(&brig, client, "new:v1"), seen);
        // Of one that has ended the same becomes the same layer.
        brig.with(client, &["kill", "web"]).ok();
        brig.with(client, &["wait", "web"]).ok();
        brig.with(client, &["commit", "-m", "again", "web", "again"])
            .ok();
        let layers =
            |name: &str| brig.brig(&["image", "inspect", name]).json()[0]["RootFS"].clone();
        assert_eq!(layers("again"), layers("new:v1"));
        let of_base = layers("base")["Layers"].as_array().unwrap().len();
        assert_eq!(
            layers("again")["Layers"].as_array().unwrap().len(),
            of_base + 1
        );
        // It goes to other places and back with its digest.
        let archive = brig.root().join("new.tar");
        let archive = archive.to_str().unwrap();
        brig.with(client, &["save", "-o", archive, "new:v1"]).ok();
        brig.with(client, &["rm", "web"]).ok();
        brig.with(client, &["rmi", "again", "new:v1"]).ok();
        brig.with(client, &["load", "-i", archive]).ok();
        let format = ["image", "inspect", "-f", "{{.Id}}", "new:v1"];
        assert_eq!(brig.with(client, &format).ok(), id);
        assert_eq!(look(&brig, client, "new:v1"), seen);
        brig.with(client, &["rmi", "new:v1"]).ok();
    }
    brig.finish();
}

#[test]
fn its_configuration_is_the_containers_with_what_is_changed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    image(&brig);
    for client in clients() {
        let run = "create --name web -e A=1 -u 7:8 -w /kept -l of=container --expose 80 -v /data \
                   --stop-signal SIGINT base echo it";
        let words: Vec<&str> = run.split_whitespace().collect();
        brig.with(client, &words).ok();
        let commit = |flags: &[&str], name: &str| {
            let words = [&["commit"], flags, &["web", name]].concat();
            brig.with(client, &words).ok();
            brig.brig(&["image", "inspect", name]).json()[0].clone()
        };
        let plain = commit(&["-a", "Ann <a@b>", "-m", "it works"], "plain");
        let config = &plain["Config"];
        assert_eq!(plain["Author"], "Ann <a@b>");
        assert_eq!(config["Cmd"], serde_json::json!(["echo", "it"]));
        assert_eq!(config["User"], "7:8");
        assert_eq!(config["WorkingDir"], "/kept");
        assert_eq!(config["StopSignal"], "SIGINT");
        assert_eq!(config["Labels"]["of"], "container");
        assert_eq!(config["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
        assert_eq!(config["Volumes"], serde_json::json!({"/data": {}}));
        assert!(config["Env"].as_array().unwrap().contains(&"A=1".into()));
        // What the image asks of builds upon it was asked of the container's, not of this one's.
        assert!(config["OnBuild"].is_null(), "{config}");
        let history = brig.with(client, &["history", "--no-trunc", "plain"]);
        assert!(history.ok().contains("echo it"), "{history}");
        assert!(history.ok().contains("it works"), "{history}");
        let changes = [
            "ENTRYPOINT [\"/bin/sh\", \"-c\"]",
            "CMD [\"echo $A $B\"]",
            "ENV B=2 A=3",
            "LABEL of=image more=yes",
            "EXPOSE 443",
            "USER 0",
            "WORKDIR deep",
            "VOLUME /more",
            "ONBUILD RUN make",
            "STOPSIGNAL SIGQUIT",
            "HEALTHCHECK --interval=1m CMD true",
        ];
        let flags: Vec<&str> = changes.iter().flat_map(|change| ["-c", change]).collect();
        let changed = commit(&flags, "changed");
        let config = &changed["Config"];
        assert_eq!(config["WorkingDir"], "/kept/deep");
        assert_eq!(config["Labels"]["of"], "image");
        assert_eq!(
            config["Volumes"],
            serde_json::json!({"/data": {}, "/more": {}})
        );
        assert_eq!(config["OnBuild"], serde_json::json!(["RUN make"]));
        assert_eq!(config["StopSignal"], "SIGQUIT");
        assert_eq!(config["Healthcheck"]["Interval"], 60_000_000_000_i64);
        let ran = brig.with(client, &["run", "--rm", "--network", "none", "changed"]);
        assert_eq!(ran.ok(), "3 2");
        let entry = commit(&["--change", "ENTRYPOINT [\"echo\"]"], "entry");
        assert!(entry["Config"]["Cmd"].is_null(), "{entry}");
        brig.with(client, &["rm", "-v", "web"]).ok();
        brig.with(client, &["rmi", "plain", "changed", "entry"])
            .ok();
    }
    brig.finish();
}

#[test]
fn bad_input_is_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "web", "bb", "true"]).ok();
    for client in clients() {
        let refused = |words: &[&str], why: &str| {
            let answer = brig.with(client, words);
            assert!(
                answer.code != 0 && answer.stderr.contains(why),
                "{client:?} {words:?} {answer}"
            );
        };
        refused(&["commit", "nobody"], "No such container: nobody");
        refused(&["commit", "web", "Upper"], "must be lowercase");
        refused(&["commit", "-c", "RUN make", "web"], "RUN");
        refused(
            &["commit", "-c", "EXPOSE x", "web"],
            "invalid containerPort",
        );
        refused(&["commit"], "at least 1");
    }
    let images = brig.brig(&["images", "-q"]);
    assert_eq!(images.ok().lines().count(), 1);
    brig.brig(&["rm", "web"]).ok();
    brig.finish();
}

#[test]
fn one_without_a_name_is_there() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "web", "bb", "true"]).ok();
    for client in clients() {
        let id = brig
            .with(client, &["commit", "--pause=false", "web"])
            .ok()
            .to_owned();
        let dangling = ["images", "-q", "--no-trunc", "-f", "dangling=true"];
        assert_eq!(brig.with(client, &dangling).ok(), id);
        let since = ["images", "-q", "--no-trunc", "-f", "since=bb"];
        assert_eq!(brig.with(client, &since).ok(), id);
        brig.with(client, &["rmi", &id]).ok();
    }
    brig.brig(&["rm", "web"]).ok();
    brig.finish();
}

#[test]
fn docker_py_commits() {
    let (Some(python), true) = (docker_py(), root()) else {
        return;
    };
    let brig = Brig::start();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker_py/commit.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(busybox_tar())
        .env("DOCKER_HOST", brig.host());
    let done = brig.finish_command(&mut command);
    assert_eq!(done.ok(), "committed", "{done}");
    brig.finish();
}

#[test]
fn containers_are_found_by_what_their_image_was_made_from() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let make = |name: &str, image: &str| {
        brig.brig(&["create", "--name", name, "--network", "none", image, "true"])
            .ok();
    };
    make("first", "bb");
    brig.brig(&["commit", "-c", "LABEL step=1", "first", "mine"])
        .ok();
    make("second", "mine");
    brig.brig(&["commit", "-c", "LABEL step=2", "second", "mine:later"])
        .ok();
    make("third", "mine:later");
    // Another image of the same files was made from none of them.
    let files = busybox_tar();
    brig.brig(&["import", "-m", "another", files.to_str().unwrap(), "other"])
        .ok();
    make("fourth", "other");
    for client in clients() {
        let found = |ancestors: &[&str]| {
            let filters = ancestors
                .iter()
                .map(|name| format!("--filter=ancestor={name}"));
            let filters: Vec<String> = filters.collect();
            let mut words = vec!["ps", "-a", "--format", "{{.Names}}"];
            words.extend(filters.iter().map(String::as_str));
            let said = brig.with(client, &words);
            let mut names: Vec<String> = said.lines().into_iter().map(str::to_owned).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(found(&["bb"]), "first second third", "{client:?}");
        assert_eq!(found(&["mine"]), "second third", "{client:?}");
        assert_eq!(
            found(&["mine:later", "other"]),
            "fourth third",
            "{client:?}"
        );
        assert_eq!(found(&["never"]), "", "{client:?}");
    }
    brig.finish();
}
