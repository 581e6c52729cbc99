//! Requests by chance: every operation of the API, with names, arguments and bodies that are right, nearly
//! right and wrong. The daemon answers each, panics never, and is whole afterwards.
//!
//! `BRIG_FUZZ=20000` asks for more of them, `BRIG_SEED` for others. What fails is printed with its seed.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::env;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use testkit::{Brig, root};

const OPERATIONS: &str = include_str!("contract/operations.txt");

/// What asks others than the daemon, and what would take away what the rest asks for.
const LEFT_OUT: [&str; 9] = [
    "/auth",
    "/distribution",
    "/images/search",
    "/images/create",
    "/images/{name}/push",
    "/plugins/p",
    "/session",
    "/images/prune",
    "/build",
];

/// Marsaglia's xorshift: the same requests for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn often(&mut self) -> bool {
        self.below(4) != 0
    }
}

const NAMES: [&str; 11] = [
    "web", "web", "still", "bb", "bridge", "nobody", "..", "%00", "%ff", "a%2fb", "%20",
];

const WORDS: [&str; 20] = [
    "",
    "0",
    "1",
    "true",
    "-1",
    "9223372036854775808",
    "1e9",
    "%00",
    "%ff",
    "{}",
    "[]",
    "null",
    "TERM",
    "SIGKILL",
    "running",
    "a,b",
    "%7B%22label%22%3A%5B%22a%22%5D%7D",
    "%7B%22status%22%3A%7B%22x%22%3Atrue%7D%7D",
    "all",
    "bb",
];

/// Bodies, right ones first: pieces of them are cut out and put elsewhere.
const BODIES: [&str; 10] = [
    r#"{"Image":"bb","Cmd":["sleep","1000"],"Labels":{"a":"b"},"HostConfig":{"Memory":67108864,"AutoRemove":true}}"#,
    r#"{"Image":"bb","Cmd":"true","Env":["A=b","C"],"HostConfig":{"Binds":["/tmp:/t"],"NetworkMode":"none"}}"#,
    r#"{"Image":"bb","NetworkingConfig":{"EndpointsConfig":{"bridge":{"Aliases":["x"],"IPAMConfig":{"IPv4Address":"1"}}}}}"#,
    r#"{"AttachStdout":true,"Cmd":["true"],"Env":["X=y"],"WorkingDir":"/","User":"0"}"#,
    r#"{"Detach":true,"Tty":false,"ConsoleSize":[1,2]}"#,
    r#"{"Name":"v","Driver":"local","DriverOpts":{"size":"1m"},"Labels":{"a":"b"}}"#,
    r#"{"Name":"n","Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.1.2.0/24"}]},"Options":{"a":"b"}}"#,
    r#"{"Container":"web","EndpointConfig":{"Aliases":["y"]}}"#,
    r#"{"Memory":67108864,"CpuShares":512,"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3}}"#,
    r#"{"Mounts":[{"Type":"bind","Source":"/","Target":"/x"},{"Type":"tmpfs","Target":"/y","TmpfsOptions":{"SizeBytes":1}}]}"#,
];

/// What a value may become.
const VALUES: [&str; 12] = [
    "null",
    "true",
    "-1",
    "0",
    "1e308",
    "99999999999999999999",
    "\"\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[null]",
    "\"\\ud800\"",
];

fn body(chance: &mut Chance) -> Vec<u8> {
    let mut text = chance.one(&BODIES).to_owned();
    for _ in 0..chance.below(3) {
        // A value becomes another one, where a value begins.
        let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
        let at = colons[chance.below(colons.len())];
        let rest = &text[at..];
        let end = rest.find([',', '}']).map_or(text.len(), |end| at + end);
        text.replace_range(at..end, chance.one(&VALUES));
    }
    let mut bytes = text.into_bytes();
    if !chance.often() {
        let at = chance.below(bytes.len());
        match chance.below(3) {
            0 => bytes.truncate(at),
            1 => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            _ => bytes.insert(at, b'{'),
        }
    }
    bytes
}

/// A request of one operation: `METHOD PATH STATUSES ARGUMENT:TYPE...`.
fn request(line: &str, chance: &mut Chance) -> Vec<u8> {
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut target = chance.one(&["", "/v1.24", "/v1.44", "/v1.55"]).to_owned();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            target.push('/');
        }
        target.push_str(match segment.starts_with('{') {
            true => chance.one(&NAMES),
            false => segment,
        });
    }
    let mut separator = '?';
    for argument in words.skip(1).filter(|word| word.contains(':')) {
        let name = argument.split(':').next().unwrap();
        if chance.often() {
            // Nobody waits for one that takes no notice of a signal.
            let value = if name == "t" { "0" } else { chance.one(&WORDS) };
            let _ = write!(target, "{separator}{name}={value}");
            separator = '&';
        }
    }
    let body = match line.contains("body") || !chance.often() {
        true => body(chance),
        false => Vec::new(),
    };
    let upgrade = match chance.often() {
        true => "",
        false => "Upgrade: tcp\r\n",
    };
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{upgrade}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}

/// The first line of the answer. What follows is not waited for: some go on for ever.
fn first_line(brig: &Brig, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(brig.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

fn number(variable: &str, default: u64) -> u64 {
    let said = env::var(variable).ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn requests_by_chance_are_answered() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let seed = number("BRIG_SEED", 0x5eed);
    let mut chance = Chance(seed.max(1));
    let left_in = |line: &&str| {
        let path = line.split(' ').nth(1).unwrap_or_default();
        let out = |of: &str| path.starts_with(of);
        !line.starts_with('#') && !line.is_empty() && !LEFT_OUT.iter().any(|of| out(of))
    };
    let operations: Vec<&str> = OPERATIONS.lines().filter(left_in).collect();
    for count in 0..number("BRIG_FUZZ", 1200) {
        if count % 100 == 0 {
            // Somebody may have been removed, renamed or stopped for good.
            brig.brig(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]);
            brig.brig(&["create", "--name", "still", "bb", "true"]);
        }
        let line = operations[chance.below(operations.len())];
        let request = request(line, &mut chance);
        let shown = || String::from_utf8_lossy(&request).into_owned();
        let answer = first_line(&brig, &request);
        let status = answer.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok());
        assert!(
            status.is_some_and(|status| (101..=599).contains(&status)),
            "seed {seed}, request {count}: {answer:?} to {}",
            shown()
        );
        let log_is_calm = count % 100 != 99 || !brig.daemon_log().contains("panicked");
        assert!(
            log_is_calm,
            "seed {seed}: a handler panicked before request {count}"
        );
    }
    assert!(!brig.daemon_log().contains("panicked"), "seed {seed}");
    brig.brig(&["system", "check"]).ok();
    // Whatever came to be can be removed.
    for id in brig.brig(&["ps", "-aq"]).lines() {
        brig.brig(&["rm", "-f", id]).ok();
    }
    for name in brig.brig(&["volume", "ls", "-q"]).lines() {
        brig.brig(&["volume", "rm", name]).ok();
    }
    brig.finish();
}
