//! Secrets: given as files in memory or as variables, changed while containers run, shown nowhere.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::path::Path;

use testkit::{Brig, Client, Output, Setup, clients, now, root};

const TIDE: &str = "tide-at-noon-4711";
const EBB: &str = "ebb-at-six-4711";

/// Whether a text is in any file below a directory.
fn is_in(dir: &Path, text: &str) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => is_in(&path, text),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            }
            _ => false,
        }
    })
}

#[track_caller]
fn keep(brig: &Brig, words: &[&str], text: &str) -> String {
    let kept = brig.with_input(Client::Brig, words, text.as_bytes());
    kept.ok().to_owned()
}

/// Runs one that sleeps, with these words more.
#[track_caller]
fn sleeps(brig: &Brig, name: &str, words: &[&str]) {
    let mut args = vec!["run", "-d", "--name", name];
    args.extend(words);
    args.extend(["bb", "sleep", "1000"]);
    brig.brig(&args).ok();
}

#[track_caller]
fn inside(brig: &Brig, name: &str, script: &str) -> String {
    let told = brig.brig(&["exec", name, "sh", "-c", script]);
    told.ok().to_owned()
}

#[test]
fn secrets_are_files_in_memory_and_variables() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let words = ["secret", "create", "--label", "a=b", "tide", "-"];
    let id = keep(&brig, &words, TIDE);
    let when = brig.brig(&["secret", "ls", "--format", "{{.CreatedAt}}|{{.UpdatedAt}}"]);
    assert!(
        when.lines()[0]
            .split('|')
            .all(|when| when.ends_with(" ago")),
        "{when}"
    );
    let listed = brig.brig(&["secret", "ls", "--format", "{{.ID}} {{.Name}} {{.Labels}}"]);
    assert_eq!(listed.ok(), format!("{id} tide a=b"));
    let words = [
        "--secret",
        "tide",
        "--secret",
        "tide,target=key,uid=1000,gid=1001,mode=0400",
        "-e",
        "TIDE=low",
        "--secret",
        "tide,type=env,target=TIDE",
        // Over what is mounted above it, and by its id.
        "--tmpfs",
        "/run",
        "--secret",
        &format!("{id},target=same"),
    ];
    sleeps(&brig, "sea", &words);
    let inside = |script: &str| inside(&brig, "sea", script);
    assert_eq!(
        inside("cat /run/secrets/tide; echo; cat /run/secrets/same; echo; echo $TIDE"),
        format!("{TIDE}\n{TIDE}\n{TIDE}")
    );
    assert_eq!(
        inside("stat -c '%u %g %a' /run/secrets/key /run/secrets/tide"),
        "1000 1001 400\n0 0 444"
    );
    assert_eq!(inside("stat -f -c %T /run/secrets"), "tmpfs");
    let first = inside("tr '\\0' '\\n' </proc/1/environ | grep ^TIDE=");
    assert_eq!(first, format!("TIDE={TIDE}"));
    let read = ["exec", "-u", "1000", "sea", "cat", "/run/secrets/key"];
    assert_eq!(brig.brig(&read).ok(), TIDE);
    let read = ["exec", "-u", "1002", "sea", "cat", "/run/secrets/key"];
    assert_ne!(brig.brig(&read).code, 0);
    brig.finish();
}

#[test]
fn no_answer_shows_what_a_secret_says() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    keep(&brig, &["secret", "create", "tide"], TIDE);
    let words = [
        "--secret",
        "tide",
        "--secret",
        "tide,type=env,target=TIDE",
        "--health-cmd",
        "true",
    ];
    sleeps(&brig, "sea", &words);
    // Nothing else is in the way of what they would say.
    inside(&brig, "sea", "echo ebb >/run/here; echo ebb >/here");
    for client in clients() {
        let hidden = |words: &[&str]| {
            let told = brig.with(client, words);
            let text = told.ok().to_owned();
            assert!(!text.contains(TIDE), "{told}");
            text
        };
        let inspected = hidden(&["inspect", "sea"]);
        assert!(client != Client::Brig || inspected.contains("\"Secrets\""));
        hidden(&["commit", "sea", "kept"]);
        hidden(&["history", "--no-trunc", "kept"]);
        hidden(&["image", "inspect", "kept"]);
        let all =
            "find / -xdev -type f -name 'tide*'; ls -A /run/secrets 2>/dev/null; env; cat /here";
        assert!(hidden(&["run", "--rm", "kept", "sh", "-c", all]).contains("ebb"));
        assert!(hidden(&["export", "sea"]).contains("here"));
        assert!(hidden(&["cp", "sea:/run", "-"]).contains("here"));
        assert!(hidden(&["cp", "-L", "sea:/run/secrets", "-"]).contains("secrets/"));
        assert!(hidden(&["diff", "sea"]).contains("/here"));
        hidden(&["logs", "sea"]);
        hidden(&["events", "--since", "1", "--until", &now()]);
        let refused = brig.with(client, &["cp", "sea:/run/secrets/tide", "-"]);
        assert!(refused.fails(1).contains("is a secret"), "{refused}");
        hidden(&["rmi", "kept"]);
    }
    let secret = brig.brig(&["-D", "secret", "inspect", "tide"]);
    assert!(!secret.ok().contains(TIDE), "{secret}");
    assert!(!brig.daemon_log().contains(TIDE));
    assert!(!is_in(&brig.data_root(), TIDE), "it is on disk as it is");
    brig.finish();
}

#[test]
fn a_secret_that_is_had_stays() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    keep(&brig, &["secret", "create", "tide"], TIDE);
    brig.brig(&["create", "--name", "sea", "--secret", "tide", "bb", "true"])
        .ok();
    let in_use = brig.brig(&["secret", "rm", "tide"]);
    let reason = in_use.fails(1);
    assert!(reason.contains("in use by container sea"), "{in_use}");
    brig.brig(&["rm", "sea"]).ok();
    brig.brig(&["secret", "rm", "tide"]).ok();
    assert_eq!(brig.brig(&["secret", "ls", "-q"]).ok(), "");
    let filter = ["events", "--since", "1", "--until", &now(), "--filter"];
    let told = |client| {
        let words = [
            &filter[..],
            &[
                "type=secret",
                "--format",
                "{{.Action}} {{.Actor.Attributes.name}}",
            ],
        ];
        brig.with(client, &words.concat()).ok().to_owned()
    };
    for client in clients() {
        assert_eq!(told(client), "create tide\nremove tide");
    }
    brig.finish();
}

#[test]
fn a_secret_changes_in_what_runs_and_outlives_the_daemon() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    keep(&brig, &["secret", "create", "tide"], TIDE);
    sleeps(&brig, "sea", &["--read-only", "--secret", "tide"]);
    // One that is in its own way, which is nobody else's.
    sleeps(&brig, "bay", &["--secret", "tide"]);
    inside(&brig, "bay", "mkdir -p /run/secrets/.new/in/the/way");
    sleeps(
        &brig,
        "lake",
        &["--secret", "tide,type=env,target=TIDE", "--secret", "tide"],
    );
    brig.brig(&["pause", "lake"]).ok();
    brig.kill_daemon();
    brig.start_daemon();
    let update = brig.with_input(
        Client::Brig,
        &["secret", "update", "tide", "-"],
        EBB.as_bytes(),
    );
    let reason = update.fails(1);
    assert!(
        reason.contains("give container bay its secrets"),
        "{update}"
    );
    brig.brig(&["unpause", "lake"]).ok();
    for name in ["sea", "lake"] {
        assert_eq!(inside(&brig, name, "cat /run/secrets/tide"), EBB);
    }
    assert_eq!(inside(&brig, "bay", "cat /run/secrets/tide"), TIDE);
    let first = "tr '\\0' '\\n' </proc/1/environ | grep ^TIDE=";
    assert_eq!(inside(&brig, "lake", first), format!("TIDE={TIDE}"));
    brig.brig(&["restart", "-t", "0", "sea", "bay", "lake"])
        .ok();
    for name in ["sea", "bay", "lake"] {
        assert_eq!(inside(&brig, name, "cat /run/secrets/tide"), EBB);
    }
    assert_eq!(inside(&brig, "lake", first), format!("TIDE={EBB}"));
    brig.finish();
}

#[test]
fn a_start_without_the_key_leaves_nothing() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    let key = brig.root().join("secrets.key");
    brig.set_flags(&["--secret-key", key.to_str().unwrap()]);
    brig.start_daemon();
    brig.import_busybox();
    keep(&brig, &["secret", "create", "tide"], TIDE);
    fs::rename(&key, key.with_extension("away")).unwrap();
    let run = ["run", "--name", "sea", "--secret", "tide", "bb", "true"];
    let failed = brig.brig(&run);
    let reason = failed.fails(125);
    assert!(
        reason.contains("the secret tide cannot be opened with the key"),
        "{failed}"
    );
    let refused = brig.with_input(Client::Brig, &["secret", "create", "ebb"], b"x");
    assert!(refused.fails(1).contains("bring it back"), "{refused}");
    fs::rename(key.with_extension("away"), &key).unwrap();
    brig.brig(&["start", "-a", "sea"]).ok();
    brig.finish();
}

#[test]
fn sockets_with_policies_give_none() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    let host = |brig: &Brig, name: &str| format!("unix://{}/{name}", brig.root().display());
    let mut text = fs::read_to_string(brig.config_file()).unwrap();
    for (name, rule) in [("look", "read-only = true"), ("ci", "label = \"team=ci\"")] {
        let host = host(&brig, name);
        text.push_str(&format!("\n[sockets.{name}]\nhost = \"{host}\"\n{rule}\n"));
    }
    fs::write(brig.config_file(), text).unwrap();
    brig.start_daemon();
    brig.import_busybox();
    keep(&brig, &["secret", "create", "tide"], TIDE);
    sleeps(&brig, "sea", &["--secret", "tide"]);
    let by = |door: &str, words: &[&str]| -> Output {
        let host = host(&brig, door);
        let words = [&["--host", &host], words].concat();
        let mut command = brig.command(Client::Brig, &words);
        command.env_remove("DOCKER_HOST").env_remove("BRIG_HOST");
        command.stdin(std::process::Stdio::null());
        brig.finish_command(&mut command)
    };
    for door in ["look", "ci"] {
        assert!(by(door, &["secret", "ls"]).ok().contains("tide"));
        for words in [
            &["secret", "create", "ebb", "/etc/hostname"][..],
            &["secret", "update", "tide", "/etc/hostname"],
            &["secret", "rm", "tide"],
        ] {
            let refused = by(door, words);
            assert!(
                refused.fails(1).contains("through this socket"),
                "{refused}"
            );
        }
    }
    let refused = by("look", &["cp", "sea:/run/secrets/tide", "-"]);
    assert!(refused.fails(1).contains("is a secret"), "{refused}");
    let words = [
        "run", "--label", "team=ci", "--secret", "tide", "bb", "true",
    ];
    let refused = by("ci", &words);
    let reason = refused.fails(125);
    assert!(
        reason.contains("secrets are not given through this socket"),
        "{refused}"
    );
    brig.finish();
}

#[test]
fn what_cannot_be_is_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let refused = |words: &[&str], why: &str| {
        let output = brig.with_input(Client::Brig, words, b"x\0");
        assert_ne!(output.code, 0, "{output}");
        assert!(output.stderr.contains(why), "{why}: {output}");
    };
    refused(&["secret", "create", "a/b"], "invalid secret name");
    refused(
        &["run", "--secret", "none", "bb", "true"],
        "No such secret: none",
    );
    refused(&["secret", "rm", "none"], "No such secret: none");
    refused(&["secret", "update", "none"], "No such secret: none");
    refused(&["secret", "create", "tide", "/dev/null"], "has 0 bytes");
    brig.with_input(Client::Brig, &["secret", "create", "tide"], b"x\0")
        .ok();
    refused(&["secret", "create", "tide"], "exists already");
    let outside = ["run", "--secret", "tide,target=/etc/tide", "bb", "true"];
    refused(&outside, "the name of a file in /run/secrets is expected");
    refused(
        &["run", "--secret", "tide,mode=rw", "bb", "true"],
        "a number is expected",
    );
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    let variable = ["run", "--rm", "--secret", "tide,type=env", "bb", "true"];
    refused(&variable, "it is no text, or has a byte 0 in it");
    brig.brig(&["container", "prune", "-f"]).ok();
    brig.finish();
}
