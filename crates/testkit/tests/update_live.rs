//! What of a container is changed by `update` while it runs, beside its limits: labels, variables, ports.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Read;
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use testkit::{Brig, Client, address, clients, root, until};

/// Answers every connection to port 80 with a word.
fn serve(brig: &Brig, name: &str, flags: &[&str]) {
    let script = format!("while :; do echo {name} | nc -l -p 80; done");
    let run = ["run", "-d", "--name", name];
    let command = ["bb", "sh", "-c", &script];
    brig.brig(&[&run[..], flags, &command].concat()).ok();
}

/// What is said at an address, once somebody listens there.
fn said(address: SocketAddrV4) -> String {
    until(&format!("an answer of {address}"), || {
        let mut stream =
            TcpStream::connect_timeout(&address.into(), Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    })
}

/// Whether nobody takes connections there.
fn is_closed(address: SocketAddrV4) -> bool {
    TcpStream::connect_timeout(&address.into(), Duration::from_secs(5)).is_err()
}

fn publish(address: SocketAddrV4) -> String {
    format!("{}:{}:80", address.ip(), address.port())
}

fn port_lines(brig: &Brig, name: &str) -> Vec<String> {
    let shown = brig.brig(&["port", name]).ok().to_owned();
    shown.lines().map(str::to_owned).collect()
}

/// What is executed in it sees of a variable.
fn seen(brig: &Brig, name: &str, variable: &str) -> String {
    let script = format!("echo ${{{variable}-none}}");
    let out = brig.brig(&["exec", name, "sh", "-c", &script]);
    out.ok().trim().to_owned()
}

#[test]
fn labels_and_variables_change_while_it_runs() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let run = "run -d --name web --label old=1 --label stays=1 -e OLD=1 -e STAYS=1 bb sleep 1000";
    brig.brig(&run.split(' ').collect::<Vec<_>>()).ok();
    let first = brig.inspect("web")["State"]["Pid"].clone();
    let update = "update --label-add new=2 --label-rm old --env-add NEW=a=b --env-rm OLD web";
    let words: Vec<&str> = update.split(' ').collect();
    assert_eq!(brig.brig(&words).ok().trim(), "web");
    let check = |brig: &Brig| {
        for client in clients() {
            let ps = |filter: &str| {
                let filter = format!("label={filter}");
                let out = brig.with(
                    client,
                    &["ps", "--filter", &filter, "--format", "{{.Names}}"],
                );
                out.ok().trim().to_owned()
            };
            assert_eq!(ps("new=2"), "web", "{client:?}");
            assert_eq!(ps("stays"), "web", "{client:?}");
            assert_eq!(ps("old"), "", "{client:?}");
        }
        let config = &brig.inspect("web")["Config"];
        assert_eq!(config["Labels"]["new"], "2");
        assert!(config["Labels"]["old"].is_null(), "{config}");
        let env = config["Env"].to_string();
        assert!(env.contains("NEW=a=b") && env.contains("STAYS=1"), "{env}");
        assert!(!env.contains("OLD="), "{env}");
        assert_eq!(seen(brig, "web", "NEW"), "a=b");
        assert_eq!(seen(brig, "web", "OLD"), "none");
        assert_eq!(seen(brig, "web", "STAYS"), "1");
    };
    check(&brig);
    // The process itself has what it was started with, until its next start.
    assert_eq!(brig.inspect("web")["State"]["Pid"], first);
    let own = "tr '\\0' '\\n' </proc/1/environ";
    let environment = |brig: &Brig| brig.brig(&["exec", "web", "sh", "-c", own]).ok().to_owned();
    assert!(environment(&brig).contains("OLD=1"));
    // Whoever looks at what has happened is told, with the labels as they are.
    let events = [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=update",
    ];
    let told = brig.brig(&events).ok().to_owned();
    assert!(told.contains("new=2") && !told.contains("old=1"), "{told}");
    brig.kill_daemon();
    brig.start_daemon();
    check(&brig);
    brig.brig(&["restart", "-t", "0", "web"]).ok();
    check(&brig);
    let now = environment(&brig);
    assert!(now.contains("NEW=a=b") && !now.contains("OLD="), "{now}");
    refused_names(&brig);
    brig.finish();
}

/// What is not there need not go, which is said; and what makes no sense is not done.
fn refused_names(brig: &Brig) {
    let words = ["update", "--label-rm", "no", "--env-rm", "NO", "web"];
    let out = brig.brig(&words);
    out.ok();
    for warning in [
        "container web has no label no",
        "container web has no variable NO",
    ] {
        assert!(out.stderr.contains(warning), "{out}");
    }
    let both = brig.brig(&["update", "--env-add", "A=1", "--env-rm", "A", "web"]);
    assert!(both.fails(1).contains("cannot both name A"), "{both}");
    let value = brig.brig(&["update", "--label-rm", "a=1", "web"]);
    assert!(
        value.fails(125).contains("a name alone is expected"),
        "{value}"
    );
    let body = r#"{"Env":{"A=B":"1"}}"#;
    let request = format!(
        "POST /v1.48/containers/web/update HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = brig.http(&request);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("invalid environment variable"), "{answer}");
    // Docker's client changes what it knows, and nothing else changes with it.
    for client in clients() {
        brig.with(client, &["update", "--pids-limit", "50", "web"])
            .ok();
        let inspect = brig.inspect("web");
        assert_eq!(inspect["HostConfig"]["PidsLimit"], 50);
        assert_eq!(inspect["Config"]["Labels"]["new"], "2");
    }
}

#[test]
fn ports_come_and_go_while_it_runs() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let [one, two] = [address(), address()];
    serve(&brig, "web", &["-p", &publish(one)]);
    assert_eq!(said(one), "web");
    let first = brig.inspect("web")["State"]["Pid"].clone();
    brig.brig(&["update", "--publish-add", &publish(two), "web"])
        .ok();
    assert_eq!((said(one), said(two)), ("web".into(), "web".into()));
    assert_eq!(port_lines(&brig, "web").len(), 2);
    brig.brig(&["update", "--publish-rm", &publish(one), "web"])
        .ok();
    until("the first is closed", || is_closed(one).then_some(()));
    assert_eq!(said(two), "web");
    let check = |brig: &Brig| {
        assert_eq!(port_lines(brig, "web"), [format!("80/tcp -> {two}")]);
        let bindings = &brig.inspect("web")["HostConfig"]["PortBindings"]["80/tcp"];
        assert_eq!(bindings.as_array().unwrap().len(), 1, "{bindings}");
        assert_eq!(bindings[0]["HostPort"], two.port().to_string());
        assert_eq!(said(two), "web");
        assert!(is_closed(one));
    };
    check(&brig);
    assert_eq!(brig.inspect("web")["State"]["Pid"], first);
    // What is known of it outlives the daemon, and is there after the next start.
    brig.kill_daemon();
    brig.start_daemon();
    check(&brig);
    brig.brig(&["restart", "-t", "0", "web"]).ok();
    check(&brig);
    // The port that went is anybody's.
    serve(&brig, "next", &["-p", &publish(one)]);
    assert_eq!(said(one), "next");
    brig.brig(&["rm", "-f", "next"]).ok();
    // One port takes another's place in one go, and again of one that does not run.
    let allowed = format!("{},allow=127.0.0.0/8", publish(two));
    let swap = [
        "update",
        "--publish-rm",
        "80",
        "--publish-add",
        &allowed,
        "web",
    ];
    brig.brig(&swap).ok();
    let bindings = &brig.inspect("web")["HostConfig"]["PortBindings"]["80/tcp"];
    assert_eq!(bindings[0]["Allow"][0], "127.0.0.0/8");
    assert_eq!(said(two), "web");
    brig.brig(&["stop", "-t", "0", "web"]).ok();
    let swap = [
        "update",
        "--publish-rm",
        "80",
        "--publish-add",
        &publish(one),
        "web",
    ];
    brig.brig(&swap).ok();
    brig.brig(&["start", "web"]).ok();
    assert_eq!(said(one), "web");
    assert!(is_closed(two));
    brig.finish();
}

#[test]
fn ports_that_cannot_be_had_change_nothing() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let [mine, free, taken] = [address(), address(), address()];
    serve(&brig, "web", &["-p", &publish(mine)]);
    serve(&brig, "other", &["-p", &publish(taken)]);
    assert_eq!((said(mine), said(taken)), ("web".into(), "other".into()));
    let before = port_lines(&brig, "web");
    let update = |flags: &[&str]| brig.brig(&[&["update"][..], flags, &["web"]].concat());
    let unchanged = || {
        assert_eq!(port_lines(&brig, "web"), before);
        assert_eq!((said(mine), said(taken)), ("web".into(), "other".into()));
        assert!(is_closed(free));
        let bindings = &brig.inspect("web")["HostConfig"]["PortBindings"]["80/tcp"];
        assert_eq!(bindings.as_array().unwrap().len(), 1, "{bindings}");
    };
    // One of two is another container's: the first is not published either, and the old one stays.
    let (add, bad) = (publish(free), publish(taken));
    let refused = update(&[
        "--publish-rm",
        "80",
        "--publish-add",
        &add,
        "--publish-add",
        &bad,
        "--label-add",
        "a=b",
    ]);
    let words = refused.fails(1);
    assert!(words.contains("container other has it"), "{words}");
    assert!(words.contains("port is already allocated"), "{words}");
    unchanged();
    assert!(brig.inspect("web")["Config"]["Labels"]["a"].is_null());
    // A process of the host has it, which is named.
    let listener = std::net::TcpListener::bind(free).unwrap();
    let refused = update(&["--publish-add", &add]);
    assert!(refused.fails(1).contains("update_live"), "{refused}");
    drop(listener);
    unchanged();
    let refused = update(&["--publish-rm", "81"]);
    let expected = format!(
        "container web does not publish 81/tcp: it publishes {}/tcp",
        publish(mine)
    );
    assert!(refused.fails(1).contains(&expected), "{refused}");
    let refused = update(&["--publish-add", &publish(mine)]);
    assert!(refused.fails(1).contains("publishes"), "{refused}");
    unchanged();
    brig.brig(&[
        "run",
        "-d",
        "--name",
        "alone",
        "--network",
        "none",
        "bb",
        "sleep",
        "1000",
    ])
    .ok();
    let refused = brig.brig(&["update", "--publish-add", &add, "alone"]);
    let words = refused.fails(1);
    assert!(
        words.contains("nothing of container alone can be published"),
        "{words}"
    );
    brig.finish();
}

#[test]
fn docker_starts_what_brig_has_changed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let address = address();
    for client in clients()
        .into_iter()
        .filter(|client| *client != Client::Brig)
    {
        brig.with(
            client,
            &[
                "create",
                "--name",
                "web",
                "bb",
                "sh",
                "-c",
                "nc -l -p 80 -e env",
            ],
        )
        .ok();
        let (at, set) = (publish(address), ["--env-add", "SET=here"]);
        brig.brig(&[&["update", "--publish-add", &at][..], &set, &["web"]].concat())
            .ok();
        brig.with(client, &["start", "web"]).ok();
        let shown = brig.with(client, &["port", "web", "80"]).ok().to_owned();
        assert_eq!(shown.trim(), at.trim_end_matches(":80"));
        assert!(said(address).contains("SET=here"));
        brig.with(client, &["rm", "-f", "web"]).ok();
    }
    brig.finish();
}
