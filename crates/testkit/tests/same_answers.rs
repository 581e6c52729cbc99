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
