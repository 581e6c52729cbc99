//! Every operation as it should be asked, in an order in which each finds what it needs.

use super::daemon::Daemon;
use super::http::Answer;
use super::table::Operation;

/// What is asked, with a body of JSON if there is one, and the status it is to have.
type Step = (&'static str, &'static str, Option<&'static str>, u16);

pub(crate) const SLEEP: &str = r#"{"Image": "bb", "Cmd": ["sleep", "1000"], "StopTimeout": 0}"#;

/// One with a terminal.
const SCREEN: &str = r#"{"Image": "bb", "Cmd": ["sleep", "1000"], "Tty": true}"#;

/// One without a network of its own.
const HOSTED: &str = r#"{"Image": "bb", "Cmd": ["sleep", "1000"], "StopTimeout": 0,
    "HostConfig": {"NetworkMode": "host"}}"#;

/// Of a container from its beginning to its end.
const CONTAINERS: &[Step] = &[
    ("POST", "/containers/create?name=one", Some(SLEEP), 201),
    ("POST", "/containers/create?name=one", Some(SLEEP), 409),
    ("POST", "/containers/create?name=-", Some(SLEEP), 400),
    (
        "POST",
        "/containers/create?name=none",
        Some(r#"{"Image": "nobody-knows"}"#),
        404,
    ),
    (
        "POST",
        "/containers/create",
        Some(r#"{"Image": "bb"}"#),
        400,
    ),
    ("GET", "/containers/one/json?size=1", None, 200),
    ("GET", "/containers/json?all=1", None, 200),
    ("GET", "/containers/one/top", None, 409),
    ("POST", "/containers/one/kill", None, 409),
    ("POST", "/containers/one/pause", None, 409),
    ("POST", "/containers/one/stop", None, 304),
    (
        "POST",
        "/containers/one/exec",
        Some(r#"{"Cmd": ["true"]}"#),
        409,
    ),
    ("POST", "/containers/one/start", None, 204),
    ("POST", "/containers/one/start", None, 304),
    ("GET", "/containers/one/top", None, 200),
    ("GET", "/containers/one/top?ps_args=aux", None, 200),
    ("GET", "/containers/one/logs?stdout=1", None, 200),
    ("GET", "/containers/one/logs", None, 400),
    ("GET", "/containers/one/logs?stdout=1&since=x", None, 400),
    ("GET", "/containers/one/changes", None, 200),
    ("GET", "/containers/one/export", None, 200),
    ("GET", "/containers/one/stats?stream=0", None, 200),
    (
        "GET",
        "/containers/one/stats?stream=0&one-shot=1",
        None,
        200,
    ),
    ("POST", "/containers/one/resize?h=x&w=20", None, 400),
    ("POST", "/containers/create?name=screen", Some(SCREEN), 201),
    ("POST", "/containers/screen/start", None, 204),
    ("POST", "/containers/screen/resize?h=20&w=20", None, 200),
    ("DELETE", "/containers/screen?force=1", None, 204),
    ("POST", "/containers/one/pause", None, 204),
    ("POST", "/containers/one/pause", None, 409),
    ("POST", "/containers/one/start", None, 409),
    ("POST", "/containers/one/unpause", None, 204),
    ("POST", "/containers/one/unpause", None, 409),
    (
        "POST",
        "/containers/one/update",
        Some(r#"{"CpuShares": 512}"#),
        200,
    ),
    (
        "POST",
        "/containers/one/update",
        Some(r#"{"Memory": 1}"#),
        400,
    ),
    ("POST", "/containers/one/rename?name=two", None, 204),
    ("POST", "/containers/two/rename?name=", None, 400),
    ("POST", "/containers/create?name=other", Some(SLEEP), 201),
    ("POST", "/containers/two/rename?name=other", None, 409),
    ("HEAD", "/containers/two/archive?path=/bin", None, 200),
    ("HEAD", "/containers/two/archive", None, 400),
    ("HEAD", "/containers/two/archive?path=/not/there", None, 404),
    (
        "GET",
        "/containers/two/archive?path=/bin/busybox",
        None,
        200,
    ),
    ("GET", "/containers/two/archive?path=/not/there", None, 404),
    ("GET", "/containers/two/archive", None, 400),
    ("POST", "/containers/two/wait?condition=sometime", None, 400),
    ("DELETE", "/containers/two", None, 409),
    ("POST", "/containers/two/kill?signal=NONE", None, 400),
    ("POST", "/containers/two/stop?t=x", None, 400),
    ("POST", "/containers/two/restart?t=0", None, 204),
    ("POST", "/containers/two/kill", None, 204),
    ("POST", "/containers/two/wait", None, 200),
    ("POST", "/containers/two/stop", None, 304),
    ("POST", "/containers/two/start", None, 204),
    ("POST", "/containers/two/stop?t=0", None, 204),
    ("DELETE", "/containers/two?force=1&v=1", None, 204),
    ("POST", "/containers/prune", None, 200),
    ("GET", "/containers/json?limit=x", None, 400),
    (
        "GET",
        "/containers/json?filters=%7B%22status%22%3A%5B%22strange%22%5D%7D",
        None,
        400,
    ),
];

/// Of images, networks, volumes and the daemon itself.
const REST: &[Step] = &[
    ("GET", "/images/json?all=1&digests=1", None, 200),
    ("GET", "/images/bb/json", None, 200),
    ("GET", "/images/bb/history", None, 200),
    ("POST", "/images/bb/tag?repo=copy&tag=x", None, 201),
    ("POST", "/images/bb/tag?repo=UPPER", None, 400),
    ("GET", "/images/bb/get", None, 200),
    ("GET", "/images/get?names=bb&names=copy:x", None, 200),
    ("DELETE", "/images/copy:x", None, 200),
    ("POST", "/images/create?fromImage=UPPER", None, 400),
    ("POST", "/containers/create?name=holder", Some(SLEEP), 201),
    ("POST", "/containers/holder/start", None, 204),
    ("DELETE", "/images/bb", None, 409),
    ("DELETE", "/containers/holder?force=1", None, 204),
    ("POST", "/images/prune", None, 200),
    ("POST", "/build/prune", None, 200),
    (
        "POST",
        "/build/prune?filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D",
        None,
        200,
    ),
    ("GET", "/networks", None, 200),
    ("GET", "/networks/", None, 200),
    ("GET", "/networks/none", None, 200),
    (
        "POST",
        "/networks/create",
        Some(r#"{"Name": "lan", "Driver": "bridge"}"#),
        201,
    ),
    (
        "POST",
        "/networks/create",
        Some(r#"{"Name": "lan", "Driver": "bridge"}"#),
        409,
    ),
    (
        "POST",
        "/networks/create",
        Some(r#"{"Name": "x", "Driver": "nobody"}"#),
        404,
    ),
    ("POST", "/containers/create?name=guest", Some(SLEEP), 201),
    (
        "POST",
        "/networks/lan/connect",
        Some(r#"{"Container": "guest"}"#),
        200,
    ),
    (
        "POST",
        "/networks/lan/connect",
        Some(r#"{"Container": "nobody-knows"}"#),
        404,
    ),
    (
        "POST",
        "/networks/lan/disconnect",
        Some(r#"{"Container": "guest"}"#),
        200,
    ),
    ("DELETE", "/containers/guest", None, 204),
    ("DELETE", "/networks/none", None, 403),
    (
        "POST",
        "/networks/create",
        Some(r#"{"Name": "host", "Driver": "host"}"#),
        403,
    ),
    ("POST", "/containers/create?name=hosted", Some(HOSTED), 201),
    ("POST", "/containers/hosted/start", None, 204),
    (
        "POST",
        "/networks/lan/connect",
        Some(r#"{"Container": "hosted"}"#),
        400,
    ),
    (
        "POST",
        "/networks/host/disconnect",
        Some(r#"{"Container": "hosted"}"#),
        400,
    ),
    ("DELETE", "/containers/hosted?force=1", None, 204),
    ("DELETE", "/networks/lan", None, 204),
    ("POST", "/networks/prune", None, 200),
    ("GET", "/volumes", None, 200),
    ("POST", "/volumes/create", Some(r#"{"Name": "box"}"#), 201),
    ("POST", "/volumes/create", Some(r#"{"Name": "box"}"#), 201),
    ("POST", "/volumes/create", Some(r#"{"Name": "/"}"#), 400),
    ("GET", "/volumes/box", None, 200),
    (
        "POST",
        "/containers/create?name=keeper",
        Some(r#"{"Image": "bb", "Cmd": ["true"], "HostConfig": {"Binds": ["box:/box"]}}"#),
        201,
    ),
    ("DELETE", "/volumes/box", None, 409),
    ("DELETE", "/containers/keeper", None, 204),
    ("DELETE", "/volumes/box", None, 204),
    ("DELETE", "/volumes/box", None, 404),
    ("DELETE", "/volumes/box?force=1", None, 204),
    ("POST", "/volumes/prune", None, 200),
    ("GET", "/info", None, 200),
    ("GET", "/version", None, 200),
    ("GET", "/_ping", None, 200),
    ("HEAD", "/_ping", None, 200),
    ("GET", "/events?since=0&until=1", None, 200),
    ("GET", "/events?since=x", None, 400),
    ("GET", "/system/df", None, 200),
    ("GET", "/system/df?type=image&type=volume", None, 200),
    ("GET", "/system/df?type=colour", None, 400),
    ("GET", "/plugins", None, 200),
    ("GET", "/swarm", None, 503),
    ("POST", "/swarm/leave", None, 503),
    ("GET", "/nodes", None, 503),
    ("GET", "/services", None, 503),
    ("GET", "/tasks", None, 503),
    ("GET", "/secrets", None, 503),
    ("GET", "/configs", None, 503),
    ("GET", "/v1.23/info", None, 400),
    ("GET", "/v9.99/info", None, 400),
    ("GET", "/nothing", None, 404),
];

/// What went otherwise.
pub(crate) fn tell(daemon: &Daemon, table: &[Operation]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (method, target, body, expected) in CONTAINERS.iter().chain(REST) {
        let answer = daemon.ask(method, target, *body);
        if !fits(daemon, &answer, *expected) {
            wrong.push(format!("{method} {target}: {answer}, not {expected}"));
        }
        wrong.extend(undocumented(table, method, target, *expected));
    }
    wrong.extend(exec(daemon));
    wrong.extend(archives(daemon));
    wrong.extend(images(daemon));
    wrong.extend(upgrades(daemon));
    wrong.extend(swarm(daemon, table));
    wrong
}

/// Everything of swarm that is not asked elsewhere. Docker itself would form one.
fn swarm(daemon: &Daemon, table: &[Operation]) -> Vec<String> {
    let forms = |path: &str| ["/swarm/init", "/swarm/join"].contains(&path);
    let all = table
        .iter()
        .filter(|operation| operation.statuses.contains(&503));
    let ask = |operation: &Operation| {
        let target = operation.target("nobody-knows");
        let answer = daemon.ask(&operation.method, &target, operation.body());
        // Docker reads some bodies before it says so.
        let right = answer.status == 503 || daemon.docker && answer.status == 400;
        (!right).then(|| format!("{} {target}: {answer}, not 503", operation.method))
    };
    all.filter(|operation| !(daemon.docker && forms(&operation.path)))
        .filter_map(ask)
        .collect()
}

/// Whether the answer is the one that is to be. Docker takes some mistakes of its client, and what a
/// state does not allow, for its own (500), and a read-only root for a mistake of the client (400); its
/// tree has no ps(1).
fn fits(daemon: &Daemon, answer: &Answer, expected: u16) -> bool {
    let leeway = match answer.status {
        500 => [400, 409].contains(&expected) || answer.body.contains("ps: exec"),
        400 => expected == 403,
        _ => false,
    };
    answer.status == expected || daemon.docker && leeway
}

/// Statuses that the specification forgets, though Docker has them: what makes no sense, what is in
/// nobody's state, and versions.
fn undocumented(table: &[Operation], method: &str, target: &str, status: u16) -> Option<String> {
    let path = target.split('?').next().unwrap_or_default();
    let same = |operation: &&Operation| operation.is(method, path);
    let known: Vec<&Operation> = table.iter().filter(same).collect();
    let forgotten = [400, 404, 409].contains(&status);
    let documented = known
        .iter()
        .any(|operation| operation.statuses.contains(&status));
    (!known.is_empty() && !documented && !forgotten)
        .then(|| format!("{method} {target}: {status} is not in the specification"))
}

fn differs(what: &str, answer: &Answer, expected: u16) -> Option<String> {
    (answer.status != expected).then(|| format!("{what}: {answer}, not {expected}"))
}

fn exec(daemon: &Daemon) -> Vec<String> {
    let post = |target: &str, body: Option<&str>| daemon.ask("POST", target, body);
    let mut wrong = Vec::new();
    post("/containers/create?name=runner", Some(SLEEP));
    post("/containers/runner/start", None);
    let made = post("/containers/runner/exec", Some(r#"{"Cmd": ["true"]}"#));
    wrong.extend(differs("exec create", &made, 201));
    let id = made.field("Id");
    let started = post(&format!("/exec/{id}/start"), Some(r#"{"Detach": true}"#));
    wrong.extend(differs("exec start", &started, 200));
    let again = post(&format!("/exec/{id}/start"), Some(r#"{"Detach": true}"#));
    wrong.extend(differs("exec start again", &again, 409));
    let shown = daemon.ask("GET", &format!("/exec/{id}/json"), None);
    wrong.extend(differs("exec inspect", &shown, 200));
    let sleeps = r#"{"Cmd": ["sleep", "1000"], "Tty": true}"#;
    let id = post("/containers/runner/exec", Some(sleeps)).field("Id");
    post(
        &format!("/exec/{id}/start"),
        Some(r#"{"Detach": true, "Tty": true}"#),
    );
    let resized = post(&format!("/exec/{id}/resize?h=20&w=20"), None);
    wrong.extend(differs("exec resize", &resized, 200));
    let empty = post("/containers/runner/exec", Some("{}"));
    wrong.extend(differs("exec create without a command", &empty, 400));
    let gone = daemon.ask("DELETE", "/containers/runner?force=1", None);
    wrong.extend(differs("remove", &gone, 204));
    wrong
}

/// A tar with nothing in it.
const EMPTY: [u8; 1024] = [0; 1024];

fn archives(daemon: &Daemon) -> Vec<String> {
    let mut wrong = Vec::new();
    let read_only = r#"{"Image": "bb", "Cmd": ["true"], "HostConfig": {"ReadonlyRootfs": true}}"#;
    daemon.ask("POST", "/containers/create?name=open", Some(SLEEP));
    daemon.ask("POST", "/containers/create?name=shut", Some(read_only));
    for (target, expected) in [
        ("/containers/open/archive?path=/", 200),
        ("/containers/open/archive?path=/not/there", 404),
        ("/containers/shut/archive?path=/", 403),
    ] {
        let answer = daemon.put("PUT", target, &EMPTY);
        if !fits(daemon, &answer, expected) {
            wrong.extend(differs(&format!("PUT {target}"), &answer, expected));
        }
    }
    let rubbish = daemon.put(
        "PUT",
        "/containers/open/archive?path=/",
        b"rubbish that is no tar",
    );
    // Docker takes it for a mistake of its own.
    if rubbish.status != 400 && !(daemon.docker && rubbish.status == 500) {
        wrong.push(format!("PUT of rubbish: {rubbish}"));
    }
    for name in ["open", "shut"] {
        daemon.ask("DELETE", &format!("/containers/{name}"), None);
    }
    wrong
}

/// A tar of one file.
fn tar(name: &str, text: &str) -> Vec<u8> {
    let mut header = [0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", text.len()));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut all = header.to_vec();
    all.extend(text.as_bytes());
    all.resize(all.len().next_multiple_of(512) + 1024, 0);
    all
}

/// What takes archives: an import, a load that is none, a build, a commit.
fn images(daemon: &Daemon) -> Vec<String> {
    let mut wrong = Vec::new();
    let import = tar("file", "text");
    let imported = daemon.put(
        "POST",
        "/images/create?fromSrc=-&repo=imported&tag=x",
        &import,
    );
    wrong.extend(differs("import", &imported, 200));
    // What is no archive is told in the stream, or by a status of its own.
    let loaded = daemon.put("POST", "/images/load", b"rubbish");
    if ![200, 400, 500].contains(&loaded.status) {
        wrong.push(format!("load of rubbish: {loaded}"));
    }
    let file = tar("Dockerfile", "FROM bb\nLABEL of=contract\n");
    let built = daemon.put("POST", "/build?t=built:x", &file);
    wrong.extend(differs("build", &built, 200));
    assert!(!built.body.contains("errorDetail"), "{built}");
    let misnamed = daemon.put("POST", "/build?t=UPPER", &file);
    if !fits(daemon, &misnamed, 400) {
        wrong.push(format!("a build with a name that is none: {misnamed}"));
    }
    for text in ["", "\n \n", "# only words\n", "FROM bb\nRUNN x\n"] {
        let unreadable = daemon.put("POST", "/build", &tar("Dockerfile", text));
        if !fits(daemon, &unreadable, 400) {
            wrong.push(format!("a build of {text:?}: {unreadable}"));
        }
    }
    // A build of BuildKit's whose files come with the request.
    let posted = daemon.put("POST", "/build?version=2&t=posted:x", &file);
    wrong.extend(differs("build of BuildKit's", &posted, 200));
    assert!(posted.body.contains("moby.image.id"), "{posted}");
    daemon.ask("POST", "/containers/create?name=parent", Some(SLEEP));
    let committed = daemon.ask(
        "POST",
        "/commit?container=parent&repo=kept&tag=x",
        Some("{}"),
    );
    wrong.extend(differs("commit", &committed, 201));
    let nobody = daemon.ask("POST", "/commit?container=nobody-knows", Some("{}"));
    wrong.extend(differs("commit of nobody", &nobody, 404));
    daemon.ask("DELETE", "/containers/parent?force=1", None);
    for image in ["imported:x", "built:x", "posted:x", "kept:x"] {
        testkit::until(image, || {
            let gone = daemon.ask("DELETE", &format!("/images/{image}"), None);
            (gone.status == 200).then_some(())
        });
    }
    wrong
}

/// Connections that become the container's.
fn upgrades(daemon: &Daemon) -> Vec<String> {
    let mut wrong = Vec::new();
    daemon.ask("POST", "/containers/create?name=talker", Some(SLEEP));
    daemon.ask("POST", "/containers/talker/start", None);
    let attach = "/containers/talker/attach?stream=1&stdout=1";
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    let upgraded = daemon.send("POST", attach, upgrade, None);
    wrong.extend(differs("attach with an upgrade", &upgraded, 101));
    let plain = daemon.send("POST", attach, "", None);
    wrong.extend(differs("attach", &plain, 200));
    let keys = daemon.send(
        "POST",
        &format!("{attach}&detachKeys=none-such"),
        upgrade,
        None,
    );
    wrong.extend(differs("attach with keys that are none", &keys, 400));
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://test\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let web = "/containers/talker/attach/ws?stream=1&stdout=1";
    let opened = daemon.send("GET", web, socket, None);
    wrong.extend(differs("attach by a socket of the web", &opened, 101));
    let plain = daemon.send("GET", web, "", None);
    wrong.extend(differs("the same without one", &plain, 400));
    daemon.ask("DELETE", "/containers/talker?force=1", None);
    wrong
}
