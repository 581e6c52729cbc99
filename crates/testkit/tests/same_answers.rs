//! What Docker's own integration tests ask of the API, where its clients read the words: status and
//! message as Docker's.

use serde_json::json;
use testkit::{Brig, busybox_tar, root};

/// Path behind `/v1.51`, body, status, message.
type Case = (&'static str, &'static str, u16, &'static str);

const REFUSED: &[Case] = &[
    (
        "/containers/create",
        r#"{"Image":"bb","Env":["=foo"]}"#,
        400,
        "invalid environment variable: =foo",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"IpcMode":"invalid"}}"#,
        400,
        "invalid IPC mode: invalid",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"PidMode":"container"}}"#,
        400,
        "invalid PID mode: container",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"UTSMode":"invalid"}}"#,
        400,
        "invalid UTS mode: invalid",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"Annotations":{"":"a"}}}"#,
        400,
        "invalid Annotations: the empty string is not permitted as an annotation key",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"CpuShares":-1}}"#,
        400,
        "invalid CPU shares (-1): value must be a positive integer",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"SecurityOpt":["writable-cgroups=1"]}}"#,
        400,
        r#"invalid --security-opt 2: "writable-cgroups=1""#,
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","Cmd":["true"],"HostConfig":{"VolumesFrom":["nobody"]}}"#,
        400,
        "No such container: nobody",
    ),
    (
        "/containers/create?platform=linux/riscv64",
        r#"{"Image":"bb","Cmd":["true"]}"#,
        404,
        "image with reference bb was found but does not match the specified platform: \
         wanted linux/riscv64, actual: linux/amd64",
    ),
    (
        "/containers/create",
        "{wrong",
        400,
        "invalid JSON: invalid character 'w' looking for beginning of object key string",
    ),
    ("/commit", "{} more", 400, "unexpected content after JSON"),
    (
        "/volumes/create",
        "{wrong",
        400,
        "invalid JSON: invalid character 'w' looking for beginning of object key string",
    ),
    (
        "/volumes/create",
        "{} more",
        400,
        "unexpected content after JSON",
    ),
    (
        "/networks/create",
        "",
        400,
        "invalid JSON: got EOF while reading request body",
    ),
    (
        "/containers/c1/rename?name=c1",
        "",
        400,
        "Renaming a container with the same name as its current name",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb:sha256:12","Cmd":["true"]}"#,
        400,
        r#"invalid reference format: "bb:sha256:12""#,
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"Mounts":[{"Type":"image","Source":"bb","Target":"/i",
            "ImageOptions":{"Subpath":"../etc"}}]}}"#,
        400,
        "invalid HostConfig.Mounts: invalid mount config for type \"image\": subpath must be a \
         relative path within the volume: \"../etc\"",
    ),
    (
        "/images/create?fromImage=bb&platform=nintendo64",
        "",
        400,
        "invalid platform \"nintendo64\": unknown operating system or architecture: \
         os/arch[/variant] is expected, as in linux/arm64",
    ),
    (
        "/images/create?fromSrc=-&platform=/",
        "",
        400,
        "invalid platform \"/\": \"\" is an invalid OS component: os/arch[/variant] is expected, \
         as in linux/arm64",
    ),
    (
        "/containers/c1/resize",
        "",
        400,
        r#"invalid resize height "": invalid syntax"#,
    ),
    (
        "/containers/c1/resize?h=1&w=wide",
        "",
        400,
        r#"invalid resize width "wide": invalid syntax"#,
    ),
    (
        "/containers/c1/resize?h=-100&w=1",
        "",
        400,
        r#"invalid resize height "-100": value out of range"#,
    ),
    (
        "/images/bb/tag?repo=sha256&tag=some",
        "",
        400,
        "refusing to create an ambiguous tag using digest algorithm as name",
    ),
];

fn post(brig: &Brig, version: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let answer = brig.http(&format!(
        "POST /v{version}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

fn create(brig: &Brig, version: &str, name: &str, body: &serde_json::Value) -> serde_json::Value {
    let path = format!("/containers/create?name={name}");
    let (status, answer) = post(brig, version, &path, "", &body.to_string());
    assert_eq!(status, 201, "{answer}");
    let start = answer.find('{').unwrap();
    let end = answer.rfind('}').unwrap();
    serde_json::from_str(&answer[start..=end]).unwrap()
}

fn image(brig: &Brig, name: &str) -> serde_json::Value {
    brig.brig(&["image", "inspect", name]).json()[0].take()
}

#[test]
fn refusals_have_dockers_status_and_words() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "c1", "bb", "true"]).ok();
    for (path, body, status, message) in REFUSED {
        let (answered, said) = post(&brig, "1.51", path, "", body);
        assert_eq!(answered, *status, "{path} {body}: {said}");
        let message = json!({ "message": message }).to_string();
        assert!(said.contains(&message), "{path} {body}: {said}");
    }
    brig.brig(&["rm", "c1"]).ok();
    brig.finish();
}

#[test]
fn older_clients_get_what_they_expect() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let body = json!({ "Image": "bb", "Cmd": ["true"], "HostConfig": { "PidsLimit": 32 } });
    create(&brig, "1.39", "old", &body);
    create(&brig, "1.51", "new", &body);
    let host = |name: &str| brig.inspect(name)["HostConfig"].clone();
    assert_eq!(host("old")["IpcMode"], "shareable");
    assert_eq!(host("new")["IpcMode"], "private");

    let change = r#"{"PidsLimit":16}"#;
    let (status, said) = post(&brig, "1.39", "/containers/new/update", "", change);
    assert_eq!(status, 200, "{said}");
    assert_eq!(host("new")["PidsLimit"], 32);
    let change = r#"{"PidsLimit":-2}"#;
    let (status, said) = post(&brig, "1.51", "/containers/new/update", "", change);
    assert_eq!(status, 200, "{said}");
    assert_eq!(host("new")["PidsLimit"], 0);

    brig.brig(&["rm", "old", "new"]).ok();
    brig.finish();
}

#[test]
fn an_image_for_another_machine_is_taken_with_a_warning() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let tar = busybox_tar();
    let words = [
        "import",
        "--platform",
        "linux/s390x",
        tar.to_str().unwrap(),
        "far",
    ];
    brig.brig(&words).ok();
    let made = create(
        &brig,
        "1.51",
        "c1",
        &json!({ "Image": "far", "Cmd": ["true"] }),
    );
    let warning = made["Warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("The requested image's platform (linux/s390x) does not match"),
        "{warning}"
    );
    // What it holds is for this machine after all, as what the kernel is told to emulate would be.
    brig.brig(&["start", "-a", "c1"]).ok();
    brig.brig(&["rm", "c1"]).ok();
    brig.finish();
}

#[test]
fn nobody_is_a_registrys_user_by_null() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // `null` in base64: what Docker's library says where no registry is known.
    let headers = "X-Registry-Config: bnVsbA==\r\n";
    let (status, said) = post(&brig, "1.51", "/build?remote=nowhere", headers, "");
    assert!(!said.contains("X-Registry-Config"), "{status} {said}");
    brig.finish();
}

#[test]
fn a_part_that_is_not_there_or_leads_out_is_refused_in_dockers_words() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let fill = "ln -s /etc /v/out";
    brig.brig(&["run", "--rm", "-v", "parts:/v", "bb", "sh", "-c", fill])
        .ok();
    brig.brig(&["run", "--name", "linked", "bb", "ln", "-s", "/proc", "/out"])
        .ok();
    brig.brig(&["commit", "linked", "linked"]).ok();
    for (kind, source) in [("volume", "parts"), ("image", "linked")] {
        for (part, words) in [
            ("nowhere", ": cannot access path nowhere: "),
            ("out", ": path concatenation escapes the base directory: "),
        ] {
            let mount = format!("type={kind},src={source},dst=/m,{kind}-subpath={part}");
            let refused = brig.brig(&["run", "--rm", "--mount", &mount, "bb", "true"]);
            assert!(refused.fails(125).contains(words), "{refused}");
        }
    }
    brig.brig(&["rm", "linked"]).ok();
    brig.brig(&["volume", "rm", "parts"]).ok();
    brig.finish();
}

#[test]
fn a_container_tells_the_manifest_it_was_made_from() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    create(
        &brig,
        "1.51",
        "c1",
        &json!({ "Image": "bb", "Cmd": ["true"] }),
    );
    let told = brig.inspect("c1");
    let manifest = &told["ImageManifestDescriptor"];
    assert_eq!(manifest["platform"]["os"], "linux");
    assert_eq!(
        manifest["platform"]["architecture"],
        image(&brig, "bb")["Architecture"]
    );
    assert_eq!(manifest["digest"], told["Image"]);
    assert!(manifest["size"].as_i64().unwrap() > 0, "{manifest}");
    brig.brig(&["rm", "c1"]).ok();
    brig.finish();
}

#[test]
fn a_prune_leaves_the_name_that_a_container_was_made_by() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for tag in ["bb:a", "bb:z"] {
        brig.brig(&["tag", "bb", tag]).ok();
    }
    brig.brig(&["create", "--name", "c1", "bb:a", "true"]).ok();
    let gone = brig.brig(&["image", "prune", "-a", "-f"]);
    assert!(gone.ok().contains("untagged: bb:latest"), "{gone}");
    assert!(!gone.ok().contains("deleted: "), "{gone}");
    let tags = image(&brig, "bb:a")["RepoTags"].clone();
    assert_eq!(tags, json!(["bb:a"]));
    brig.brig(&["rm", "c1"]).ok();
    brig.finish();
}

#[test]
fn what_an_update_mounts_is_told_of_and_the_daemon_counts_its_threads() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "c1", "bb", "true"]).ok();
    let mount = "type=volume,src=late,dst=/v";
    brig.brig(&["update", "--mount-add", mount, "c1"]).ok();
    brig.brig(&["start", "-a", "c1"]).ok();
    let words = [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "-f",
        "volume=late",
    ];
    let seen = testkit::until("the volume is told of as unmounted", || {
        let told = brig.brig(&[&words[..], &["--format", "{{.Action}}"]].concat());
        let seen = told.ok().replace('\n', " ");
        seen.contains("unmount").then_some(seen)
    });
    assert_eq!(seen, "create mount unmount");
    let threads = brig.brig(&["info", "--format", "{{.NGoroutines}}"]);
    assert!(threads.ok().parse::<u32>().unwrap() > 0, "{threads}");
    brig.brig(&["rm", "c1"]).ok();
    brig.brig(&["volume", "rm", "late"]).ok();
    brig.finish();
}
