//! What Docker's own integration tests ask of the API, where its clients read the words: status and
//! message as Docker's.

#![allow(clippy::unwrap_used, reason = "a test")]

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
        r#"{"Image":"bb","HostConfig":{"OomScoreAdj":1001}}"#,
        400,
        "Invalid value 1001, range for oom score adj is [-1000, 1000]",
    ),
    (
        "/containers/create",
        r#"{"Image":"bb","HostConfig":{"NanoCpus":20000000,"CpuQuota":5000}}"#,
        400,
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
    ),
    (
        "/containers/create?name=me",
        r#"{"Image":"bb","Cmd":["true"],"HostConfig":{"NetworkMode":"container:me"}}"#,
        400,
        "invalid network mode: cannot join own network",
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
        "invalid reference format",
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
        "/images/bb/tag?repo=docker.io/library/sha256&tag=some",
        "",
        400,
        "refusing to create an ambiguous tag using digest algorithm as name",
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
        // Docker's client takes what is not there for a command that is not.
        for (part, code, words) in [
            ("nowhere", 127, ": cannot access path nowhere: "),
            (
                "out",
                125,
                ": path concatenation escapes the base directory: ",
            ),
        ] {
            let mount = format!("type={kind},src={source},dst=/m,{kind}-subpath={part}");
            let refused = brig.brig(&["run", "--rm", "--mount", &mount, "bb", "true"]);
            assert!(refused.fails(code).contains(words), "{refused}");
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
    let listed = |version: &str| {
        let path = format!("/v{version}/containers/json?all=1");
        let answer = brig.http(&format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n"));
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<serde_json::Value>(body).unwrap()[0].take()
    };
    assert_eq!(listed("1.48")["ImageManifestDescriptor"], *manifest);
    assert!(listed("1.47")["ImageManifestDescriptor"].is_null());
    assert_eq!(listed("1.47")["Image"], "bb");
    // The name is another image's now.
    brig.brig(&["commit", "-c", "LABEL x=y", "c1", "bb"]).ok();
    assert_eq!(listed("1.47")["Image"], told["Image"]);
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

#[test]
fn parameters_of_interfaces_are_heeded() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["network", "create", "--ipv6", "six"]).ok();
    // Without version 6 it is in the network all the same.
    let flags = ["--sysctl", "net.ipv6.conf.all.disable_ipv6=1"];
    let words = ["run", "-d", "--name", "four", "--network", "six"];
    brig.brig(&[&words[..], &flags, &["bb", "sleep", "1000"]].concat())
        .ok();
    let place = &brig.inspect("four")["NetworkSettings"]["Networks"]["six"];
    assert_eq!(place["GlobalIPv6Address"], "", "{place}");
    assert_ne!(place["IPAddress"], "", "{place}");
    let shown = brig.brig(&["exec", "four", "ip", "addr"]).ok().to_owned();
    assert!(!shown.contains("inet6"), "{shown}");
    brig.brig(&["rm", "-f", "four"]).ok();

    let body = json!({
        "Image": "bb",
        "Cmd": ["cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"],
        "HostConfig": { "Sysctls": { "net.ipv4.conf.eth0.log_martians": "1" } },
    });
    let made = create(&brig, "1.46", "moved", &body);
    let warning = made["Warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("Migrated sysctl"), "{warning}");
    assert_eq!(brig.brig(&["start", "-a", "moved"]).ok().trim(), "1");
    let (status, said) = post(&brig, "1.48", "/containers/create", "", &body.to_string());
    assert_eq!(status, 400, "{said}");
    assert!(
        said.contains("must be supplied using driver option"),
        "{said}"
    );
    brig.brig(&["rm", "moved"]).ok();

    // To older clients a network has version 4 whatever is said.
    let body = r#"{"Name":"old","EnableIPv4":false,"EnableIPv6":true}"#;
    let (status, said) = post(&brig, "1.46", "/networks/create", "", body);
    assert_eq!(status, 201, "{said}");
    let words = ["run", "--rm", "--network", "old", "bb", "ip", "-4", "addr"];
    let shown = brig.brig(&words).ok().to_owned();
    assert!(shown.contains("eth0"), "{shown}");
    // Whoever saw its end need not wait before the network goes.
    brig.brig(&["network", "rm", "old", "six"]).ok();
    brig.finish();
}

#[test]
fn places_in_networks_are_as_asked() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let option = "com.docker.network.bridge.gateway_mode_ipv4=isolated";
    let words = ["network", "create", "--internal", "-o", option];
    brig.brig(&[&words[..], &["--subnet", "10.213.7.0/31", "pair"]].concat())
        .ok();
    brig.brig(&["network", "create", "--subnet", "10.213.8.0/24", "b"])
        .ok();
    for name in ["first", "second"] {
        let words = ["run", "-d", "--name", name, "--network", "pair"];
        brig.brig(&[&words[..], &["bb", "sleep", "1000"]].concat())
            .ok();
    }
    let said = brig
        .brig(&["exec", "second", "ping", "-c1", "-W9", "first"])
        .ok()
        .to_owned();
    assert!(said.contains("1 packets received"), "{said}");
    let words = ["run", "--name", "third", "--network", "pair", "bb", "true"];
    let refused = brig.brig(&words).fails(125).to_owned();
    assert!(
        refused.contains("failed to set up container networking: no address is left"),
        "{refused}"
    );
    brig.brig(&["rm", "-f", "first", "second", "third"]).ok();

    // Who names networks does not mean the default one; and names that are asked for come first.
    let name = json!({ "com.docker.network.endpoint.ifname": "eth0" });
    brig.brig(&["network", "create", "--subnet", "10.213.9.0/24", "c"])
        .ok();
    let body = json!({
        "Image": "bb",
        "Cmd": ["ip", "-o", "-4", "addr"],
        "NetworkingConfig": { "EndpointsConfig": { "b": {}, "c": { "DriverOpts": name } } },
    });
    create(&brig, "1.51", "named", &body);
    let shown = brig.brig(&["start", "-a", "named"]).ok().to_owned();
    let of = |interface: &str| {
        let line = shown.lines().find(|line| line.contains(interface));
        line.unwrap_or_default().to_owned()
    };
    assert!(of("eth0").contains("10.213.9."), "{shown}");
    assert!(of("eth1").contains("10.213.8."), "{shown}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
    brig.brig(&["rm", "named"]).ok();
    brig.brig(&["network", "rm", "pair", "b", "c"]).ok();
    brig.finish();
}

#[test]
fn containers_are_known_by_their_links() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let run = |flags: &[&str]| {
        brig.brig(&[&["run", "-d"][..], flags, &["bb", "sleep", "1000"]].concat())
            .ok();
    };
    run(&["--name", "db"]);
    run(&["--name", "web", "--link", "db:store"]);
    let answer = brig.http("GET /v1.51/containers/json HTTP/1.0\r\nHost: x\r\n\r\n");
    assert!(
        answer.contains(r#""Names":["/db","/web/store"]"#),
        "{answer}"
    );
    brig.brig(&["rename", "web", "app"]).ok();
    let answer = brig.http("GET /v1.51/containers/app/store/json HTTP/1.0\r\nHost: x\r\n\r\n");
    assert!(answer.contains(r#""Name":"/db""#), "{answer}");
    let answer = brig.http("GET /v1.51/containers/app/other/json HTTP/1.0\r\nHost: x\r\n\r\n");
    assert!(answer.contains("No such container: app/other"), "{answer}");

    brig.brig(&["rm", "-f", "app"]).ok();
    brig.brig(&["stop", "-t", "0", "db"]).ok();
    let body = json!({
        "Image": "bb",
        "Cmd": ["true"],
        "MacAddress": "02:42:ac:11:00:42",
        "HostConfig": { "PidMode": "container:db" },
    });
    create(&brig, "1.43", "beside", &body);
    let mac = &brig.inspect("beside")["Config"]["MacAddress"];
    assert!(mac.is_null(), "{mac}");
    let answer = brig.http("GET /v1.43/containers/beside/json HTTP/1.0\r\nHost: x\r\n\r\n");
    let shown = answer.split_once("\r\n\r\n").unwrap().1;
    let shown: serde_json::Value = serde_json::from_str(shown).unwrap();
    assert_eq!(shown["Config"]["MacAddress"], "02:42:ac:11:00:42");
    let (status, said) = post(&brig, "1.51", "/containers/beside/start", "", "");
    let words = "failed to join PID namespace: cannot join PID of a non running container: ";
    assert!(status == 500 && said.contains(words), "{status} {said}");
    brig.brig(&["rm", "beside", "db"]).ok();
    brig.finish();
}

#[test]
fn a_bind_of_the_daemons_own_files_follows_the_machines_mounts() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let data = brig.data_root();
    let above = data.parent().unwrap().to_owned();
    let body = |source: &std::path::Path, propagation: &str| {
        let options = json!({ "Propagation": propagation });
        let mount =
            json!({ "Type": "bind", "Source": source, "Target": "/d", "BindOptions": options });
        json!({ "Image": "bb", "Cmd": ["true"], "HostConfig": { "Mounts": [mount] } })
    };
    for (source, propagation, expected) in [
        (&data, "", "rslave"),
        (&above, "", "rslave"),
        (&data, "rshared", "rshared"),
    ] {
        create(&brig, "1.51", "bound", &body(source, propagation));
        let shown = brig.inspect("bound")["Mounts"][0]["Propagation"].clone();
        assert_eq!(shown, expected);
        brig.brig(&["rm", "bound"]).ok();
    }
    let refused = body(&data, "private").to_string();
    let (status, said) = post(&brig, "1.51", "/containers/create", "", &refused);
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("within the daemon root"), "{said}");
    let flag = format!("{}:/d:ro", data.display());
    let run = brig.brig(&["run", "--rm", "-v", &flag, "bb", "ls", "/d"]);
    assert!(run.ok().contains("brig.db"), "{run}");
    brig.finish();
}

#[test]
fn what_is_executed_is_checked_when_it_is_made() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "c1", "bb", "sleep", "1000"])
        .ok();
    let make = |body: &serde_json::Value| {
        post(&brig, "1.51", "/containers/c1/exec", "", &body.to_string())
    };
    let (status, said) = make(&json!({ "Cmd": ["true"], "User": "nobodyhere" }));
    let words = "unable to find user nobodyhere: no matching entries in passwd file";
    assert!(status == 400 && said.contains(words), "{status} {said}");

    let of = |body: &serde_json::Value| {
        let (status, said) = make(body);
        assert_eq!(status, 201, "{said}");
        let id = said.split('"').find(|word| word.len() == 64);
        id.unwrap().to_owned()
    };
    let terminal = json!({ "Cmd": ["stty", "size"], "Tty": true, "AttachStdout": true, "ConsoleSize": [57, 123] });
    let id = of(&terminal);
    let start = format!("/exec/{id}/start");
    let (_, said) = post(&brig, "1.51", &start, "", r#"{"Tty":true}"#);
    assert!(said.contains("57 123"), "{said}");
    let ids = || brig.inspect("c1")["ExecIDs"].clone();
    testkit::until("it is not listed any more", || {
        ids().is_null().then_some(())
    });

    // An upgrade needs no more than the header that says to what.
    let id = of(&json!({ "Cmd": ["echo", "taken over"], "AttachStdout": true }));
    let answer = brig.http(&format!(
        "POST /v1.51/exec/{id}/start HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    ));
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("taken over"), "{answer}");
    brig.brig(&["rm", "-f", "c1"]).ok();
    brig.finish();
}

#[test]
fn the_client_of_docker_means_what_it_meant() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in testkit::clients() {
        let docker = |words: &[&str]| brig.with(client, words);
        docker(&["run", "--name", "own", "-v", "/v", "bb", "touch", "/v/file"]).ok();
        let heir = ["run", "--rm", "--volumes-from", "own", "-v", "/v", "bb"];
        let heir = docker(&[&heir[..], &["ls", "/v"]].concat());
        assert_eq!(heir.ok(), "file", "{client:?}");
        docker(&[
            "commit",
            "-c",
            "ENTRYPOINT [\"echo\"]",
            "-c",
            "CMD [\"x\"]",
            "own",
            "made:a",
        ])
        .ok();
        let bare = docker(&["run", "--rm", "--entrypoint", "", "made:a"]);
        assert!(bare.fails(125).contains("no command specified"), "{bare}");

        docker(&["tag", "made:a", "made:b"]).ok();
        let archive = brig.root().join("made.tar");
        docker(&["save", "-o", archive.to_str().unwrap(), "made"]).ok();
        let digest = image(&brig, "made:a")["Id"].as_str().unwrap().to_owned();
        docker(&["tag", "made:a", "kept"]).ok();
        docker(&["rmi", &format!("made@{digest}")]).ok();
        assert_eq!(image(&brig, "kept")["RepoTags"], json!(["kept:latest"]));
        docker(&["load", "-i", archive.to_str().unwrap()]).ok();
        let mut tags = image(&brig, "kept")["RepoTags"].as_array().unwrap().clone();
        tags.sort_by_key(ToString::to_string);
        assert_eq!(
            tags,
            [json!("kept:latest"), json!("made:a"), json!("made:b")]
        );
        docker(&["rm", "-v", "own"]).ok();
        docker(&["rmi", "made:a", "made:b", "kept"]).ok();
    }
    brig.finish();
}
