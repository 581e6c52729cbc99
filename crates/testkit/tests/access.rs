//! Who may come in and what is told of it: TLS with client certificates, sockets with policies, the audit
//! log, metrics.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::registry::Authority;
use testkit::{Brig, Client, Output, Setup, address, clients, root};

/// Files in a directory of the daemon's.
fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The flags of a client that comes by TLS.
struct Certified {
    flags: Vec<String>,
}

impl Certified {
    fn new(authority: &Authority, dir: &Path, host: &str, name: &str) -> Self {
        let pair = authority.client_called(name);
        let file = |what: &str, text: &str| write(dir, &format!("{name}-{what}.pem"), text);
        let flags = [
            "--host".to_owned(),
            host.to_owned(),
            "--tlsverify".to_owned(),
            "--tlscacert".to_owned(),
            file("authority", authority.certificate()),
            "--tlscert".to_owned(),
            file("certificate", &pair.certificate),
            "--tlskey".to_owned(),
            file("key", &pair.key),
        ];
        Self {
            flags: flags.to_vec(),
        }
    }

    fn run(&self, brig: &Brig, client: Client, words: &[&str]) -> Output {
        let mut args: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        args.extend(words);
        let mut command = brig.command(client, &args);
        // It is said by flags, and not twice.
        command.env_remove("DOCKER_HOST").env_remove("BRIG_HOST");
        brig.finish_command(&mut command)
    }
}

#[test]
fn clients_on_tcp_show_certificates() {
    let (Some(ours), Some(theirs), true) = (Authority::new(), Authority::new(), root()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let address = address();
    let host = format!("tcp://{address}");
    let shown = ours.server_at(*address.ip());
    let authority = write(dir.path(), "authority.pem", ours.certificate());
    let certificate = write(dir.path(), "certificate.pem", &shown.certificate);
    let key = write(dir.path(), "key.pem", &shown.key);
    let log = dir.path().join("audit.log");
    let flags = [
        ["--host", &host],
        ["--tlscacert", &authority],
        ["--tlscert", &certificate],
        ["--tlskey", &key],
        ["--audit-log", log.to_str().unwrap()],
    ];
    let mut flags: Vec<String> = flags.concat().into_iter().map(str::to_owned).collect();
    flags.push("--tlsverify".to_owned());
    let brig = Brig::start_with(Setup {
        flags,
        ..Setup::default()
    });
    brig.import_busybox();

    let alice = Certified::new(&ours, dir.path(), &host, "alice");
    let dockers = clients()
        .into_iter()
        .filter(|client| *client != Client::Brig);
    for client in dockers {
        let run = ["run", "--rm", "-i", "bb", "echo", "by TLS"];
        assert_eq!(alice.run(&brig, client, &run).ok(), "by TLS");
        // Somebody whom another authority knows, and somebody who shows nothing.
        let mallory = Certified::new(&theirs, dir.path(), &host, "mallory");
        assert_ne!(mallory.run(&brig, client, &["ps"]).code, 0);
        let mut nobody = brig.command(client, &["--host", &host, "--tls", "ps"]);
        nobody.env_remove("DOCKER_HOST");
        let refused = brig.finish_command(&mut nobody);
        assert_ne!(refused.code, 0, "{refused}");
    }
    let plain = asked(address.into(), "GET /_ping HTTP/1.1\r\nHost: brig\r\n\r\n");
    assert!(!plain.contains("200 OK"), "{plain}");
    let text = fs::read_to_string(&log).unwrap();
    let line = text.lines().find(|line| line.contains("\"alice\""));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["certificate"].as_str().unwrap().len(), 64, "{line}");
    assert!(!text.contains("mallory"), "{text}");
    brig.finish();
}

/// Sends a request by TCP and reads until the other end closes, as what is not asked for may be.
fn asked(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is cut has said what it had to say.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A daemon with sockets of its own, whose table is given by the name of each.
struct Doors {
    brig: Brig,
    dir: tempfile::TempDir,
}

impl Doors {
    fn open(sockets: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let log = dir.path().join("audit.log");
        let flags = ["--audit-log".to_owned(), log.display().to_string()];
        let mut brig = Brig::prepare(Setup {
            flags: flags.to_vec(),
            ..Setup::default()
        });
        let mut text = fs::read_to_string(brig.config_file()).unwrap();
        for (name, lines) in sockets {
            let path = dir.path().join(name);
            text.push_str(&format!(
                "\n[sockets.{name}]\nhost = \"unix://{}\"\n{lines}\n",
                path.display()
            ));
        }
        fs::write(brig.config_file(), text).unwrap();
        brig.start_daemon();
        brig.import_busybox();
        Self { brig, dir }
    }

    fn host(&self, name: &str) -> String {
        format!("unix://{}", self.dir.path().join(name).display())
    }

    fn by(&self, name: &str, client: Client, words: &[&str]) -> Output {
        let mut command: Command = self.brig.command(client, words);
        let host = self.host(name);
        command.env("DOCKER_HOST", &host).env("BRIG_HOST", &host);
        self.brig.finish_command(&mut command)
    }

    #[track_caller]
    fn refused(&self, name: &str, words: &[&str], why: &str) {
        for client in clients() {
            let output = self.by(name, client, words);
            assert_ne!(output.code, 0, "{output}");
            assert!(output.stderr.contains(why), "{why}: {output}");
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("audit.log")
    }
}

#[test]
fn a_socket_that_only_looks_changes_nothing() {
    if !root() {
        return;
    }
    let doors = Doors::open(&[("look", "read-only = true")]);
    doors
        .brig
        .brig(&["run", "-d", "--name", "web", "bb", "sleep", "1000"])
        .ok();
    for client in clients() {
        let ps = doors.by("look", client, &["ps", "--format", "{{.Names}}"]);
        assert_eq!(ps.ok(), "web");
        doors.by("look", client, &["logs", "web"]).ok();
        doors.by("look", client, &["inspect", "web"]).ok();
        doors.by("look", client, &["images"]).ok();
    }
    let why = "only looking is allowed through this socket";
    for words in [
        &["rm", "-f", "web"][..],
        &["run", "bb", "true"],
        &["exec", "web", "true"],
        &["stop", "web"],
        &["tag", "bb", "other"],
        &["volume", "create", "v"],
        &["network", "create", "n"],
        &["container", "prune", "-f"],
    ] {
        doors.refused("look", words, why);
    }
    registries_are_not_asked(&doors);
    assert_eq!(doors.brig.inspect("web")["State"]["Running"], true);
    let text = fs::read_to_string(doors.log()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let refused = |line: &&Value| line["status"] == 403 && line["path"] == "/v1.55/containers/web";
    let refused = lines.iter().find(refused).unwrap();
    assert_eq!(
        (&refused["socket"], &refused["uid"], &refused["method"]),
        (&"look".into(), &0.into(), &"DELETE".into())
    );
    assert!(lines.iter().all(|line| line["path"] != "/_ping"), "{text}");
    doors.brig.finish();
}

/// Whom the daemon connects to is not for who only looks to say.
fn registries_are_not_asked(doors: &Doors) {
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    registry.set_nonblocking(true).unwrap();
    let there = registry.local_addr().unwrap();
    let auth = format!("{{\"serveraddress\":\"{there}\",\"username\":\"a\",\"password\":\"b\"}}");
    let login = format!(
        "POST /v1.44/auth HTTP/1.1\r\nHost: brig\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{auth}",
        auth.len()
    );
    let get = |path: &str| {
        format!("GET /v1.44{path} HTTP/1.1\r\nHost: brig\r\nConnection: close\r\n\r\n")
    };
    for request in [
        login,
        get(&format!("/distribution/{there}/image/json")),
        get(&format!("/images/search?term={there}/image")),
        get(&format!("/brig/manifests/{there}/image")),
    ] {
        let mut stream = UnixStream::connect(doors.dir.path().join("look")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let refused = answer.starts_with("HTTP/1.1 403")
            && answer.contains("registries are not asked through this socket");
        assert!(refused, "{request}: {answer}");
    }
    let nobody = registry.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_socket_of_a_team_has_its_containers_only() {
    if !root() {
        return;
    }
    let doors = Doors::open(&[("team", "label = \"team=ci\"")]);
    let brig = &doors.brig;
    brig.brig(&["run", "-d", "--name", "theirs", "bb", "sleep", "1000"])
        .ok();
    let ours = [
        "run", "-d", "--name", "ours", "--label", "team=ci", "bb", "sleep", "1000",
    ];
    doors.by("team", Client::Brig, &ours).ok();
    for client in clients() {
        let ps = doors.by("team", client, &["ps", "-a", "--format", "{{.Names}}"]);
        assert_eq!(ps.ok(), "ours");
        let said = doors.by("team", client, &["exec", "ours", "echo", "in"]);
        assert_eq!(said.ok(), "in");
        let events = [
            "events",
            "--since",
            "1",
            "--until",
            &testkit::now(),
            "--filter",
            "event=start",
        ];
        // Docker's clients ask until the second that has begun.
        let told = testkit::until("the events of the last second", || {
            let told = doors.by("team", client, &events);
            told.ok().contains("ours").then_some(told)
        });
        assert!(!told.ok().contains("theirs"), "{told}");
    }
    doors.refused("team", &["stop", "theirs"], "No such container");
    doors.refused("team", &["logs", "theirs"], "No such container");
    doors.refused(
        "team",
        &["run", "bb", "true"],
        "has the label team=ci: add it",
    );
    for change in [["--label-rm", "team"], ["--label-add", "team=other"]] {
        let update = [&["update"][..], &change, &["ours"]].concat();
        let refused = doors.by("team", Client::Brig, &update);
        let words = refused.fails(1);
        assert!(words.contains("keeps the label team=ci"), "{refused}");
    }
    for shared in [
        "--network=container:theirs",
        "--volumes-from=theirs",
        "--link=theirs",
    ] {
        let run = ["run", "--label=team=ci", shared, "bb", "true"];
        doors.refused("team", &run, "No such container");
    }
    doors.refused("team", &["system", "df"], "not told through this socket");
    // What is imported gets any name, also that of the image that others run.
    doors.refused("team", &["import", "-", "bb"], "pulled, not imported");
    names_for_a_moment(&doors);
    names_of_others(&doors);
    let network = doors.by("team", Client::Brig, &["network", "inspect", "bridge"]);
    assert!(
        network.ok().contains("ours") && !network.ok().contains("theirs"),
        "{network}"
    );
    doors.refused(
        "team",
        &["volume", "create", "v"],
        "only containers may be changed",
    );
    doors
        .by("team", Client::Brig, &["container", "prune", "-f"])
        .ok();
    doors.by("team", Client::Brig, &["rm", "-f", "ours"]).ok();
    assert_eq!(brig.inspect("theirs")["State"]["Running"], true);
    doors.brig.finish();
}

/// That a name is taken is all that is told of a container that is not seen.
fn names_of_others(doors: &Doors) {
    let id = |name: &str| doors.brig.inspect(name)["Id"].as_str().unwrap().to_owned();
    let create =
        |name: &'static str| ["create", "--label", "team=ci", "--name", name, "bb", "true"];
    let taken = "The container name \"/theirs\" is already in use";
    for words in [&create("theirs")[..], &["rename", "ours", "theirs"]] {
        let refused = doors.by("team", Client::Brig, words);
        assert!(
            refused.code != 0 && refused.stderr.contains(taken),
            "{refused}"
        );
        assert!(!refused.stderr.contains(&id("theirs")), "{refused}");
    }
    // Of one's own all is told.
    let refused = doors.by("team", Client::Brig, &create("ours"));
    assert!(refused.stderr.contains(&id("ours")), "{refused}");
}

/// A container that shares with another does so by its id: another may have the name a moment later.
fn names_for_a_moment(doors: &Doors) {
    let id = doors.brig.inspect("ours")["Id"].clone();
    let id = id.as_str().unwrap();
    let run = "create --name sharer --label team=ci --pid container:ours \
               --volumes-from ours:ro --network container:ours bb true";
    let run: Vec<&str> = run.split_whitespace().collect();
    doors.by("team", Client::Brig, &run).ok();
    let host = doors.brig.inspect("sharer")["HostConfig"].clone();
    for shared in ["PidMode", "NetworkMode"] {
        assert_eq!(host[shared], format!("container:{id}"), "{shared}");
    }
    assert_eq!(host["VolumesFrom"][0], format!("{id}:ro"));
}

#[test]
fn a_socket_without_the_host_lends_none_of_it() {
    if !root() {
        return;
    }
    let doors = Doors::open(&[("safe", "host-mounts = false\nprivileged = false")]);
    let mounts = "mounts of the host are not allowed through this socket";
    doors.refused("safe", &["run", "-v", "/etc:/etc", "bb", "true"], mounts);
    let mount = "type=bind,source=/,target=/host";
    doors.refused("safe", &["run", "--mount", mount, "bb", "true"], mounts);
    let volume =
        "type=volume,target=/host,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/";
    doors.refused("safe", &["run", "--mount", volume, "bb", "true"], mounts);
    let made = [
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind",
        "-o",
        "device=/",
        "v",
    ];
    doors.refused("safe", &made, mounts);
    let beyond = "privileges beyond the default are not allowed through this socket";
    for flag in [
        "--privileged",
        "--cap-add=SYS_ADMIN",
        "--pid=host",
        "--network=host",
        "--security-opt=seccomp=unconfined",
        "--device=/dev/null",
        "--ipc=host",
    ] {
        doors.refused("safe", &["run", flag, "bb", "true"], beyond);
    }
    let usual = [
        "run",
        "--rm",
        "--security-opt=seccomp=builtin",
        "bb",
        "true",
    ];
    doors.by("safe", Client::Brig, &usual).ok();
    let logs = [
        "--log-driver=fluentd",
        "--log-opt=fluentd-address=unix:///run/any.sock",
    ];
    let run = [&["run"][..], &logs, &["bb", "true"]].concat();
    doors.refused("safe", &run, "the log driver fluentd");
    others(&doors, mounts, beyond);
    networks_are_of_containers(&doors);
    doors.brig.finish();
}

/// A network that is made by who lends nothing of the host is none of the host's: not its links, nor its bridges, nor
/// addresses that it would send packets for somebody else to.
fn networks_are_of_containers(doors: &Doors) {
    let made = |words: &[&str]| doors.brig.brig(&[&["network"][..], words].concat());
    made(&["create", "--config-only", "-o", "parent=eth0", "lender"]).ok();
    for flags in [
        &["-d", "macvlan", "-o", "parent=eth0"][..],
        &["-d", "ipvlan", "-o", "parent=eth0"],
        &["-d", "macvlan", "--config-from", "lender"],
        &["-o", "com.docker.network.bridge.name=br-theirs"],
        &[
            "-o",
            "com.docker.network.bridge.trusted_host_interfaces=eth0",
        ],
        &["-o", "com.docker.network.host_ipv4=192.0.2.1"],
        &["--subnet", "8.8.8.0/24"],
        &["--subnet", "127.0.0.0/16"],
    ] {
        let words = [&["network", "create"][..], flags, &["n"]].concat();
        doors.refused("safe", &words, "privileges beyond the default");
    }
    made(&["rm", "lender"]).ok();
    let plain = ["network", "create", "--internal", "plain-net"];
    doors.by("safe", Client::Brig, &plain).ok();
    made(&["rm", "plain-net"]).ok();
}

/// What somebody else has made with more than that is not entered, and lent by nobody.
fn others(doors: &Doors, mounts: &str, beyond: &str) {
    let made = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        doors.brig.brig(&words).ok();
    };
    made("volume create -o type=none -o o=bind -o device=/etc etc");
    doors.refused("safe", &["run", "-v", "etc:/x", "bb", "true"], mounts);
    made("run -d --name etced -v etc:/x:ro bb sleep 1000");
    doors.refused("safe", &["exec", "etced", "true"], mounts);
    let copied = ["export", "etced"];
    doors.refused("safe", &copied, "of the host");
    let exported = doors.by("safe", Client::Brig, &["volume", "export", "etc"]);
    assert!(
        exported.code != 0 && exported.stderr.contains(mounts),
        "{exported}"
    );
    made("rm -f etced");
    made("run -d --name strong --privileged bb sleep 1000");
    made("run -d --name host -v /etc:/host:ro bb sleep 1000");
    made("run -d --name plain bb sleep 1000");
    doors.refused("safe", &["exec", "strong", "true"], beyond);
    doors.refused("safe", &["exec", "host", "true"], mounts);
    let lent = ["run", "--volumes-from", "host", "bb", "true"];
    doors.refused("safe", &lent, mounts);
    let exec = ["exec", "--privileged", "plain", "true"];
    doors.refused("safe", &exec, "privileges");
    let real_time = ["update", "--cpu-rt-runtime", "1000", "plain"];
    doors.refused("safe", &real_time, "privileges");
    let bind = "type=bind,source=/etc,target=/x";
    for mount in [bind, "type=volume,source=etc,target=/x"] {
        let update = ["update", "--mount-add", mount, "plain"];
        let refused = doors.by("safe", Client::Brig, &update);
        assert!(refused.fails(1).contains(mounts), "{refused}");
    }
    made("volume rm etc");
    let scratch = ["update", "--mount-add", "type=tmpfs,target=/x", "plain"];
    doors.by("safe", Client::Brig, &scratch).ok();
    let label = ["update", "--label-add", "a=b", "plain"];
    doors.by("safe", Client::Brig, &label).ok();
    let strong = ["update", "--pids-limit", "50", "strong"];
    doors.refused("safe", &strong, beyond);
    let run = "run --rm -v kept:/data --tmpfs /t bb echo well";
    let run: Vec<&str> = run.split(' ').collect();
    for client in clients() {
        assert_eq!(doors.by("safe", client, &run).ok(), "well");
        let exec = ["exec", "plain", "echo", "in"];
        assert_eq!(doors.by("safe", client, &exec).ok(), "in");
    }
    made("volume rm kept");
}

#[test]
fn metrics_count_what_containers_use() {
    if !root() {
        return;
    }
    let address = address();
    let flags = ["--metrics-addr".to_owned(), address.to_string()];
    let brig = Brig::start_with(Setup {
        flags: flags.to_vec(),
        ..Setup::default()
    });
    brig.import_busybox();
    let busy = [
        "run",
        "-d",
        "--name",
        "busy",
        "--memory",
        "64m",
        "--health-cmd",
        "true",
    ];
    let command = [
        "--health-interval",
        "1s",
        "bb",
        "sh",
        "-c",
        "yes | head -c 50m >/dev/null; exec sleep 1000",
    ];
    brig.brig(&[&busy[..], &command].concat()).ok();
    brig.brig(&["create", "--name", "still", "bb", "true"]).ok();
    let request = "GET /metrics HTTP/1.1\r\nHost: brig\r\nConnection: close\r\n\r\n";
    let value = |text: &str, name: &str, label: &str| -> Option<f64> {
        let mut lines = text.lines();
        let line = lines.find(|l| l.starts_with(&format!("{name}{{")) && l.contains(label))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let text = testkit::until("the counters of a busy container", || {
        let text = asked(address.into(), request);
        let used = value(&text, "brig_container_cpu_seconds_total", "\"busy\"")?;
        let well = value(&text, "brig_container_health", "status=\"healthy\"")?;
        (used > 0.0 && well > 0.5).then_some(text)
    });
    assert!(text.contains("text/plain; version=0.0.4"), "{text}");
    for (name, label, least) in [
        ("brig_container_memory_bytes", "\"busy\"", 4096.0),
        ("brig_container_processes", "\"busy\"", 1.0),
        ("brig_container_info", "state=\"created\"", 1.0),
        ("brig_container_restarts_total", "\"still\"", 0.0),
        ("brig_requests_total", "result=\"ok\"", 1.0),
    ] {
        let found = value(&text, name, label);
        assert!(
            found.is_some_and(|found| found >= least),
            "{name}: {found:?}\n{text}"
        );
    }
    let limit = value(&text, "brig_container_memory_limit_bytes", "\"busy\"");
    assert_eq!(limit, Some(f64::from(64 << 20)));
    assert_eq!(value(&text, "brig_container_processes", "\"still\""), None);
    let other = asked(
        address.into(),
        &request.replace("/metrics", "/containers/json"),
    );
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    brig.finish();
}

/// Browsers send what pages ask for to any address, and say which page it was.
/// Those who have not shown who they are take so many places and no more, and give them back.
#[test]
fn handshakes_that_dawdle_are_bounded() {
    const PLACES: usize = 256;
    const MORE: usize = 20;
    let docker = clients().into_iter().find(|client| *client != Client::Brig);
    let (Some(ours), Some(docker), true) = (Authority::new(), docker, root()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let address = address();
    let host = format!("tcp://{address}");
    let shown = ours.server_at(*address.ip());
    let authority = write(dir.path(), "authority.pem", ours.certificate());
    let certificate = write(dir.path(), "certificate.pem", &shown.certificate);
    let key = write(dir.path(), "key.pem", &shown.key);
    let flags = [
        ["--host", &host],
        ["--tlscacert", &authority],
        ["--tlscert", &certificate],
        ["--tlskey", &key],
    ];
    let mut flags: Vec<String> = flags.concat().into_iter().map(str::to_owned).collect();
    flags.push("--tlsverify".to_owned());
    let brig = Brig::start_with(Setup {
        flags,
        ..Setup::default()
    });
    let silent: Vec<TcpStream> = (0..PLACES + MORE)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let refused = |last: &TcpStream| {
        let peer = last.local_addr().unwrap();
        let words = format!("{peer} is let go of: {PLACES} others are at their handshakes");
        brig.daemon_log().contains(&words)
    };
    for late in &silent[PLACES..] {
        testkit::until("one too many to be let go of", || {
            refused(late).then_some(())
        });
    }
    assert!(!silent[..PLACES].iter().any(refused));
    // By another socket everything goes on.
    brig.brig(&["ps"]).ok();
    drop(silent);
    let alice = Certified::new(&ours, dir.path(), &host, "alice");
    testkit::until("a place for who shows a certificate", || {
        (alice.run(&brig, docker, &["ps"]).code == 0).then_some(())
    });
    brig.finish();
}

#[test]
fn web_pages_are_not_served() {
    if !root() {
        return;
    }
    let address = address();
    let brig = Brig::start_with(Setup {
        flags: vec!["--host".to_owned(), format!("tcp://{address}")],
        ..Setup::default()
    });
    let ask = |origin: &str| {
        let close = "Connection: close\r\n";
        asked(
            address.into(),
            &format!("POST /volumes/create HTTP/1.1\r\nHost: {address}\r\n{origin}{close}\r\n"),
        )
    };
    for origin in ["http://a.example", "null", "http://127.0.0.1:1"] {
        let answer = ask(&format!("Origin: {origin}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{origin}: {answer}");
    }
    assert!(brig.brig(&["volume", "ls", "-q"]).ok().is_empty());
    // Clients that are no browsers name the daemon itself, or nothing.
    for origin in [String::new(), format!("Origin: http://{address}\r\n")] {
        let answer = ask(&origin);
        assert!(answer.starts_with("HTTP/1.1 201"), "{origin}: {answer}");
    }
    brig.finish();
}

/// What somebody begins and does not wait for is in the log of who did what.
#[test]
fn who_hangs_up_is_written_down() {
    if !root() {
        return;
    }
    let doors = Doors::open(&[("look", "read-only = true")]);
    // The first process of a container passes SIGTERM over: to stop it takes as long as it may.
    let run = ["run", "-d", "--name", "long", "bb", "sleep", "1000"];
    doors.brig.brig(&run).ok();
    let stop = b"POST /containers/long/stop?t=4 HTTP/1.1\r\nHost: b\r\n\r\n";
    let mut hasty = UnixStream::connect(doors.brig.socket()).unwrap();
    hasty.write_all(stop).unwrap();
    testkit::until("the first signal", || {
        let words = ["events", "--since", "1", "--until", &testkit::now()];
        let events = doors.brig.brig(&words);
        events.ok().contains("container kill").then_some(())
    });
    drop(hasty);
    testkit::until("the line of who hung up", || {
        let text = fs::read_to_string(doors.log()).unwrap();
        text.contains("/containers/long/stop").then_some(())
    });
    doors.brig.brig(&["rm", "-f", "long"]).ok();
    doors.brig.finish();
}
