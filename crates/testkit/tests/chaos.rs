//! Eight clients do at random what clients do, while the daemon and shims are killed: every answer is
//! right or says what is wrong, and afterwards the store is whole and nothing is left.
//!
//! `BRIG_CHAOS_SECONDS` says for how long (`cargo xtask soak chaos`), and `BRIG_CHAOS_SEED` which walk.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "a walk tells what it was")]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use testkit::{AtEnd, Brig, kill, processes_naming, root, until};

const CLIENTS: u64 = 8;

/// For how many seconds, if nobody says.
const SHORT: u64 = 20;

/// No request takes longer, but `wait`, which is given up.
const PATIENCE: Duration = Duration::from_secs(120);
const WAITS: Duration = Duration::from_millis(300);

/// Containers, volumes and networks of these names come and go.
const NAMES: [&str; 6] = ["oak", "ash", "yew", "elm", "fir", "bay"];

/// xorshift64*: a walk is known by its seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % limit
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }
}

/// What came of one request.
enum Answer {
    /// A status and a body.
    Told(u16, String),
    /// The connection ended before: the daemon was killed.
    Cut,
    /// Nothing came for too long.
    Silence,
}

fn ask(socket: &Path, method: &str, path: &str, body: Option<&Value>, limit: Duration) -> Answer {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return Answer::Cut;
    };
    stream.set_read_timeout(Some(limit)).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: brig\r\n");
    if !body.is_empty() {
        head.push_str("Content-Type: application/json\r\n");
    }
    write!(head, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    if stream.write_all(head.as_bytes()).is_err() {
        return Answer::Cut;
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer)
        && matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        )
    {
        return Answer::Silence;
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    match (status, text.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Answer::Told(status, body.to_owned()),
        _ => Answer::Cut,
    }
}

/// A step of a walk: what is asked, and which answers are right.
struct Step {
    what: &'static str,
    method: &'static str,
    path: String,
    body: Option<Value>,
    right: &'static [u16],
    limit: Duration,
}

fn step(what: &'static str, method: &'static str, path: String, right: &'static [u16]) -> Step {
    Step {
        what,
        method,
        path,
        body: None,
        right,
        limit: PATIENCE,
    }
}

fn create(random: &mut Random) -> Step {
    let name = random.name();
    let commands = [
        json!(["sleep", "1000"]),
        json!([
            "sh",
            "-c",
            "trap 'exit 3' TERM; while :; do sleep 0.05; done"
        ]),
        json!(["sh", "-c", "echo out; echo err >&2; exit 5"]),
        json!(["sh", "-c", "while :; do echo line; sleep 0.01; done"]),
        json!(["no-such-command"]),
    ];
    let restarts = ["no", "no", "always", "on-failure", "unless-stopped"];
    let restart = restarts[random.below(restarts.len())];
    let networks = ["none", "default", "default", random.name()];
    let body = json!({
        "Image": "bb",
        "Cmd": commands[random.below(commands.len())],
        "Tty": random.below(4) == 0,
        "OpenStdin": random.below(4) == 0,
        "Healthcheck": { "Test": ["CMD", "true"], "Interval": 100_000_000 },
        "HostConfig": {
            "NetworkMode": networks[random.below(networks.len())],
            "AutoRemove": restart == "no" && random.below(3) == 0,
            "RestartPolicy": { "Name": restart },
            "Init": random.below(2) == 0,
            "Mounts": [{ "Type": "volume", "Source": random.name(), "Target": "/data" }],
        },
    });
    Step {
        body: Some(body),
        ..step(
            "create",
            "POST",
            format!("/containers/create?name={name}"),
            &[201, 400, 404, 409],
        )
    }
}

/// One of the things that are done with containers.
fn of_container(random: &mut Random) -> Step {
    let name = random.name();
    let post =
        |what, verb: &str, right| step(what, "POST", format!("/containers/{name}/{verb}"), right);
    match random.below(17) {
        0..=3 => post("start", "start", &[204, 304, 400, 404, 409]),
        4 => post("stop", "stop?t=0", &[204, 304, 404, 409]),
        5 => post("kill", "kill", &[204, 404, 409]),
        6 => post("signal", "kill?signal=TERM", &[204, 404, 409]),
        7 => post("restart", "restart?t=0", &[204, 400, 404, 409]),
        8 => post("pause", "pause", &[204, 404, 409]),
        9 | 10 => post("unpause", "unpause", &[204, 404, 409]),
        11 => Step {
            limit: WAITS,
            ..post("wait", "wait", &[200, 404, 409])
        },
        12 => step(
            "rename",
            "POST",
            format!("/containers/{name}/rename?name={}", random.name()),
            &[204, 400, 404, 409],
        ),
        13 => Step {
            body: Some(json!({ "Memory": 64 << 20, "MemorySwap": -1, "PidsLimit": 100 })),
            ..post("update", "update", &[200, 404, 409])
        },
        14 => step(
            "remove",
            "DELETE",
            format!("/containers/{name}?force={}&v=1", random.below(2)),
            &[204, 404, 409],
        ),
        15 => step(
            "top",
            "GET",
            format!("/containers/{name}/top"),
            &[200, 404, 409],
        ),
        _ => step(
            "stats",
            "GET",
            format!("/containers/{name}/stats?stream=false&one-shot=true"),
            &[200, 404, 409],
        ),
    }
}

/// What only looks.
fn look(random: &mut Random) -> Step {
    let name = random.name();
    let get = |what, path: String, right| step(what, "GET", path, right);
    match random.below(5) {
        0 => get("list", "/containers/json?all=1&size=1".to_owned(), &[200]),
        1 => get(
            "inspect",
            format!("/containers/{name}/json?size=1"),
            &[200, 404],
        ),
        2 => get(
            "logs",
            format!("/containers/{name}/logs?stdout=1&stderr=1&tail=50"),
            &[200, 404],
        ),
        3 => get("df", "/system/df".to_owned(), &[200]),
        _ => get(
            "changes",
            format!("/containers/{name}/changes"),
            &[200, 404],
        ),
    }
}

/// Networks and volumes.
fn around(random: &mut Random) -> Step {
    let (name, other) = (random.name(), random.name());
    let with = |body, step: Step| Step {
        body: Some(body),
        ..step
    };
    match random.below(7) {
        0 => with(
            json!({ "Name": name }),
            // There are hardly more subnets than names: those of networks that are just going are not free yet.
            step(
                "network create",
                "POST",
                "/networks/create".into(),
                &[201, 409, 503],
            ),
        ),
        1 => step(
            "network remove",
            "DELETE",
            format!("/networks/{name}"),
            &[204, 403, 404, 409],
        ),
        2 => with(
            json!({ "Container": other }),
            step(
                "connect",
                "POST",
                format!("/networks/{name}/connect"),
                &[200, 400, 403, 404, 409],
            ),
        ),
        3 => with(
            json!({ "Container": other, "Force": true }),
            step(
                "disconnect",
                "POST",
                format!("/networks/{name}/disconnect"),
                &[200, 400, 403, 404, 409],
            ),
        ),
        4 => with(
            json!({ "Name": name }),
            step(
                "volume create",
                "POST",
                "/volumes/create".into(),
                &[201, 409],
            ),
        ),
        5 => step(
            "volume remove",
            "DELETE",
            format!("/volumes/{name}"),
            &[204, 404, 409],
        ),
        _ => step("prune", "POST", "/containers/prune".into(), &[200, 409]),
    }
}

/// What a whole walk came to.
#[derive(Default)]
struct Tally {
    /// How often what was answered with which status; zero is a cut connection.
    answers: BTreeMap<(&'static str, u16), usize>,
    wrong: Vec<String>,
}

fn walk(socket: &Path, seed: u64, over: &AtomicBool, tally: &Mutex<Tally>) {
    let mut random = Random::new(seed);
    while !over.load(Ordering::Relaxed) {
        let step = match random.below(10) {
            0 | 1 => create(&mut random),
            2..=6 => of_container(&mut random),
            7 => {
                exec(socket, &mut random, tally);
                continue;
            }
            8 => look(&mut random),
            _ => around(&mut random),
        };
        take(socket, &step, tally);
    }
}

/// Takes a step, notes what came of it, and answers with what was said.
fn take(socket: &Path, step: &Step, tally: &Mutex<Tally>) -> Option<Value> {
    let answer = ask(
        socket,
        step.method,
        &step.path,
        step.body.as_ref(),
        step.limit,
    );
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let told = |status| (step.what, status);
    match answer {
        Answer::Told(status, body) => {
            *tally.answers.entry(told(status)).or_default() += 1;
            if !step.right.contains(&status) && !is_honest(status, &body) {
                let Step { method, path, .. } = step;
                tally
                    .wrong
                    .push(format!("{method} {path}: {status} {}", body.trim()));
            }
            serde_json::from_str(&body).ok()
        }
        Answer::Cut => {
            *tally.answers.entry(told(0)).or_default() += 1;
            drop(tally);
            // It comes back.
            std::thread::sleep(Duration::from_millis(20));
            None
        }
        Answer::Silence => {
            if step.limit == PATIENCE {
                tally.wrong.push(format!("{}: no answer", step.path));
            }
            None
        }
    }
}

/// What is to be said when a shim was killed amid a request; and what Docker calls an error of its own
/// although it is none.
fn is_honest(status: u16, body: &str) -> bool {
    match status {
        500 => [
            "shim",
            "is not connected to the network",
            "ended before it was ready",
        ]
        .iter()
        .any(|said| body.contains(said)),
        503 => body.contains("shim"),
        _ => false,
    }
}

fn exec(socket: &Path, random: &mut Random, tally: &Mutex<Tally>) {
    let name = random.name();
    let made = Step {
        body: Some(json!({ "Cmd": ["sh", "-c", "echo x; exit 4"], "AttachStdout": true })),
        ..step(
            "exec",
            "POST",
            format!("/containers/{name}/exec"),
            &[201, 404, 409],
        )
    };
    let made = take(socket, &made, tally);
    if let Some(id) = made.as_ref().and_then(|made| made["Id"].as_str()) {
        let start = Step {
            body: Some(json!({ "Detach": random.below(2) == 0 })),
            ..step(
                "exec start",
                "POST",
                format!("/exec/{id}/start"),
                &[200, 404, 409],
            )
        };
        take(socket, &start, tally);
        let inspect = format!("/exec/{id}/json");
        take(
            socket,
            &step("exec inspect", "GET", inspect, &[200, 404]),
            tally,
        );
    }
}

fn from_environment(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn clients_go_on_while_all_is_killed() {
    if !root() {
        return;
    }
    let time = from_environment("BRIG_CHAOS_SECONDS").unwrap_or(SHORT);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = from_environment("BRIG_CHAOS_SEED").unwrap_or(u64::from(since.subsec_nanos()));
    eprintln!("a walk of {time} s: BRIG_CHAOS_SEED={seed}");
    let mut brig = Brig::with_image();
    let socket: PathBuf = brig.socket();
    let (over, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
    let end = Instant::now() + Duration::from_secs(time);
    let mut kills = [0; 2];
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (socket, over, tally) = (&socket, &over, &tally);
            scope.spawn(move || walk(socket, seed + 1 + client, over, tally));
        }
        let _over = AtEnd(&over);
        let mut random = Random::new(seed);
        while Instant::now() < end {
            let pause = 200 + u64::try_from(random.below(1500)).unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            if random.below(3) == 0 {
                brig.kill_daemon();
                brig.start_daemon();
                kills[0] += 1;
            } else if kill_a_shim(&brig, &mut random) {
                kills[1] += 1;
            }
        }
    });
    let tally = tally.into_inner().unwrap();
    let asked: usize = tally.answers.values().sum();
    eprintln!(
        "{asked} requests, killed: daemon {}, shims {}",
        kills[0], kills[1]
    );
    eprintln!("{:?}", tally.answers);
    assert!(
        tally.wrong.is_empty(),
        "seed {seed}: {} wrong answers:\n{}",
        tally.wrong.len(),
        tally.wrong[..tally.wrong.len().min(40)].join("\n")
    );
    settle(&brig);
    clear(&brig);
    brig.finish();
}

/// Kills one of the shims of this daemon's containers, if there is one.
fn kill_a_shim(brig: &Brig, random: &mut Random) -> bool {
    let mut shims = processes_naming(brig.run_root().to_str().unwrap());
    shims.retain(|process| process.command.contains("brig-shim"));
    if shims.is_empty() {
        return false;
    }
    kill("KILL", shims[random.below(shims.len())].pid);
    true
}

/// What the daemon says of each container is what the kernel says.
fn settle(brig: &Brig) {
    let ids = brig.brig(&["ps", "-aq", "--no-trunc"]);
    for id in ids.ok().lines() {
        until(&format!("what is said of {id} to be so"), || {
            let shown = brig.brig(&["inspect", id]);
            if shown.code != 0 {
                // It went as it ended.
                return Some(());
            }
            let state = shown.json()[0]["State"].take();
            let runs = processes_naming(id)
                .iter()
                .any(|process| process.command.contains("brig-shim"));
            (state["Running"] == runs || state["Restarting"] == true).then_some(())
        });
    }
}

/// Removes everything, and has the store looked at.
fn clear(brig: &Brig) {
    let ids = brig.brig(&["ps", "-aq"]);
    for id in ids.ok().lines() {
        let removed = brig.brig(&["rm", "-f", "-v", id]);
        assert!(
            removed.code == 0 || removed.stderr.contains("no such container"),
            "{removed}"
        );
    }
    for kind in ["network", "volume"] {
        let there = brig.brig(&[kind, "ls", "-q"]);
        for name in NAMES {
            if there.ok().lines().any(|line| line == name) {
                brig.brig(&[kind, "rm", name]).ok();
            }
        }
    }
    brig.brig(&["network", "prune", "-f"]).ok();
    // Every subnet was given back.
    for verb in ["create", "rm"] {
        for name in NAMES {
            brig.brig(&["network", verb, name]).ok();
        }
    }
    brig.brig(&["system", "check"]).ok();
}
