//! Log drivers that send lines elsewhere, what is kept of them here, and files that are packed.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::registry::Authority;
use testkit::{Brig, Client, clients, kill, root, until};

/// A server's patience with a container.
const PATIENCE: Duration = Duration::from_secs(60);

const TALK: &str = "echo one; echo two >&2";

/// Runs a container that says two lines, one on each stream.
fn run(brig: &Brig, client: Client, driver: &str, options: &[&str], more: &[&str]) {
    let options = options.iter().flat_map(|option| ["--log-opt", option]);
    let words: Vec<&str> = ["run", "--log-driver", driver]
        .into_iter()
        .chain(options)
        .chain(more.iter().copied())
        .chain(["bb", "sh", "-c", TALK])
        .collect();
    brig.with(client, &words).ok();
}

fn datagrams(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let take = |_| {
        let mut buffer = vec![0; 65536];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    (0..count).map(take).collect()
}

fn texts(datagrams: Vec<Vec<u8>>) -> Vec<String> {
    let mut texts: Vec<String> = datagrams
        .into_iter()
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .collect();
    texts.sort();
    texts
}

/// What comes over the next connection until there are so many of these bytes.
fn stream(server: &TcpListener, end: u8, count: usize) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while read.iter().filter(|byte| **byte == end).count() < count {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..length]);
    }
    (stream, read)
}

/// What `logs` says on both its streams.
fn logs(brig: &Brig, client: Client, name: &str) -> (String, String) {
    let shown = brig.with(client, &["logs", name]);
    shown.ok();
    (shown.stdout.clone(), shown.stderr.clone())
}

#[test]
fn syslog_servers_get_every_line_and_logs_reads_them_too() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("syslog-address=udp://{}", server.local_addr().unwrap());
    for (number, client) in clients().into_iter().enumerate() {
        let name = format!("talker{number}");
        let options = [
            address.as_str(),
            "syslog-facility=local0",
            "syslog-format=rfc5424",
            "tag={{.ImageName}}/{{.Name}}",
        ];
        run(&brig, client, "syslog", &options, &["--name", &name]);
        let told = texts(datagrams(&server, 2));
        // Priorities of local0 are 128 and what the stream adds.
        assert!(told[0].starts_with("<131>1 "), "{told:?}");
        assert!(
            told[0].ends_with(&format!(" bb/{name} - two\n")),
            "{told:?}"
        );
        assert!(told[1].starts_with("<134>1 "), "{told:?}");
        assert!(
            told[1].ends_with(&format!(" bb/{name} - one\n")),
            "{told:?}"
        );
        let kept = logs(&brig, client, &name);
        assert_eq!(kept, ("one\n".to_owned(), "two\n".to_owned()), "{client:?}");
    }
    // One that goes when it ends takes nothing along that was not sent.
    run(&brig, Client::Brig, "syslog", &[&address], &["--rm"]);
    let told = texts(datagrams(&server, 2));
    assert!(told[0].starts_with("<27>") && told[0].ends_with("]: two\n"));
    assert!(told[1].starts_with("<30>") && told[1].ends_with("]: one\n"));
    brig.finish();
}

/// A server that prints what comes by TLS from those whose certificate it knows.
fn encrypted_server(authority: &Authority, dir: &Path, place: SocketAddrV4) -> Child {
    let shown = authority.server_at(*place.ip());
    let own = |name: &str, text: &str| written(dir, &format!("server-{name}"), text);
    // Who reads from it waits for lines: not for ever.
    Command::new("timeout")
        .args([
            "150",
            "openssl",
            "s_server",
            "-quiet",
            "-naccept",
            "64",
            "-accept",
            &place.to_string(),
        ])
        .args(["-cert", &own("certificate.pem", &shown.certificate)])
        .args(["-key", &own("key.pem", &shown.key)])
        .args(["-Verify", "1", "-verify_return_error"])
        .args(["-CAfile", &own("authority.pem", authority.certificate())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn syslog_goes_by_tls_to_who_is_known() {
    let (Some(authority), Some(other), true) = (Authority::new(), Authority::new(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let dir = tempfile::tempdir().unwrap();
    let place = testkit::address();
    let mut server = encrypted_server(&authority, dir.path(), place);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let client = authority.client();
    let file = |name: &str, text: &str| written(dir.path(), name, text);
    let address = format!("syslog-address=tcp+tls://{place}");
    let certificate = format!(
        "syslog-tls-cert={}",
        file("certificate.pem", &client.certificate)
    );
    let key = format!("syslog-tls-key={}", file("key.pem", &client.key));
    let ca = format!(
        "syslog-tls-ca-cert={}",
        file("authority.pem", authority.certificate())
    );
    let stranger = format!(
        "syslog-tls-ca-cert={}",
        file("stranger.pem", other.certificate())
    );
    let same = [
        address.as_str(),
        &certificate,
        &key,
        "syslog-format=rfc5424",
    ];
    // Nothing is told to a server that nobody vouches for: what comes first is the next one's.
    run(
        &brig,
        Client::Brig,
        "syslog",
        &[&same[..], &[&stranger, "tag=lost"]].concat(),
        &[],
    );
    for client in clients() {
        for more in [
            &[ca.as_str()][..],
            &[&stranger, "syslog-tls-skip-verify=true"],
        ] {
            run(
                &brig,
                client,
                "syslog",
                &[&same[..], more, &["tag=kept"]].concat(),
                &[],
            );
            let mut told = Vec::new();
            for line in lines.by_ref().take(2) {
                let line = line.unwrap();
                let (count, message) = line.split_once(' ').unwrap();
                // The newline that ended it is one of them.
                assert_eq!(count.parse(), Ok(message.len() + 1), "{line}");
                assert!(message.contains(" kept "), "{line}");
                told.extend(message.rsplit(' ').next().map(str::to_owned));
            }
            told.sort();
            assert_eq!(told, ["one", "two"]);
        }
    }
    kill("TERM", server.id());
    server.wait().unwrap();
    refused_of_tls(
        &brig,
        &[&address, "syslog-tls-ca-cert=/none.pem"],
        "cannot read /none.pem",
    );
    let together = "syslog-tls-cert and syslog-tls-key belong together";
    refused_of_tls(&brig, &[&address, &certificate], together);
    brig.finish();
}

#[track_caller]
fn refused_of_tls(brig: &Brig, options: &[&str], why: &str) {
    let mut words = vec!["create", "--log-driver", "syslog"];
    words.extend(options.iter().flat_map(|option| ["--log-opt", option]));
    words.extend(["bb", "true"]);
    let refused = brig.brig(&words);
    assert!(refused.fails(1).contains(why), "{refused}");
}

#[test]
fn what_is_not_kept_is_not_read() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("gelf-address=udp://{}", server.local_addr().unwrap());
    let options = [
        address.as_str(),
        "gelf-compression-type=none",
        "cache-disabled=true",
        "labels=tier",
        "env-regex=^COL",
    ];
    let more = [
        "--name",
        "quiet",
        "--label",
        "tier=front",
        "-e",
        "COLOUR=red",
    ];
    run(&brig, Client::Brig, "gelf", &options, &more);
    let told = texts(datagrams(&server, 2));
    let told: Vec<serde_json::Value> = told
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    for message in &told {
        let stderr = message["short_message"] == "two";
        assert_eq!(message["level"], if stderr { 3 } else { 6 }, "{message}");
        assert_eq!(message["version"], "1.1");
        assert_eq!(message["_container_name"], "quiet");
        assert_eq!(message["_image_name"], "bb");
        assert_eq!(message["_tier"], "front");
        assert_eq!(message["_COLOUR"], "red");
        assert_eq!(message["_command"], format!("sh -c {TALK}"));
    }
    let refused = brig.brig(&["logs", "quiet"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("does not support reading"),
        "{refused}"
    );
    brig.finish();
}

#[test]
fn gelf_goes_packed_by_datagrams_and_plain_by_streams() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("gelf-address=tcp://{}", server.local_addr().unwrap());
    run(&brig, Client::Brig, "gelf", &[&address], &[]);
    let (_open, told) = stream(&server, 0, 2);
    let messages: Vec<&[u8]> = told.split(|byte| *byte == 0).collect();
    let mut said: Vec<String> = messages[..2]
        .iter()
        .map(|text| serde_json::from_slice::<serde_json::Value>(text).unwrap())
        .map(|message| message["short_message"].as_str().unwrap().to_owned())
        .collect();
    said.sort();
    assert_eq!(said, ["one", "two"]);
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("gelf-address=udp://{}", server.local_addr().unwrap());
    run(&brig, Client::Brig, "gelf", &[&address], &[]);
    for datagram in datagrams(&server, 2) {
        assert_eq!(datagram[..2], [0x1f, 0x8b], "gzip");
    }
    brig.finish();
}

#[test]
fn fluentd_gets_lines_and_says_that_it_has_them() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("fluentd-address={}", server.local_addr().unwrap());
    let options = [address.as_str(), "tag=docker.{{.Name}}"];
    run(
        &brig,
        Client::Brig,
        "fluentd",
        &options,
        &["--name", "flow"],
    );
    let (_open, told) = stream(&server, 0xde, 2);
    let told = String::from_utf8_lossy(&told).into_owned();
    for part in ["docker.flow", "container_name", "/flow", "source", "stdout"] {
        assert!(told.contains(part), "{part} {told}");
    }
    // A server that says it has a line is waited for before the next.
    let options = [address.as_str(), "fluentd-request-ack=true"];
    run(
        &brig,
        Client::Brig,
        "fluentd",
        &options,
        &["--name", "sure"],
    );
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut chunks = Vec::new();
    for _ in 0..2 {
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        let chunk = loop {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0);
            read.extend_from_slice(&buffer[..length]);
            if let Some(chunk) = chunk_of(&read) {
                break chunk;
            }
        };
        stream
            .write_all(
                &[
                    &b"\x81\xa3ack\xd9"[..],
                    &[u8::try_from(chunk.len()).unwrap()],
                    &chunk,
                ]
                .concat(),
            )
            .unwrap();
        chunks.push(chunk);
    }
    assert_ne!(chunks[0], chunks[1]);
    brig.finish();
}

/// What the client wants to be told, at the end of its message.
fn chunk_of(message: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"\xa5chunk";
    let at = message.windows(NAME.len()).position(|part| part == NAME)?;
    let rest = &message[at + NAME.len()..];
    let (length, text) = match *rest.first()? {
        0xd9 => (usize::from(*rest.get(1)?), rest.get(2..)?),
        short => (usize::from(short & 31), rest.get(1..)?),
    };
    text.get(..length).map(<[u8]>::to_vec)
}

#[test]
fn nothing_is_lost_while_a_server_or_the_daemon_is_away() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.sock");
    let option = format!("syslog-address=unixgram://{}", path.display());
    let script = "for n in $(seq 200); do echo line$n; done; read x; \
                  for n in $(seq 201 400); do echo line$n; done; read x; echo line401";
    let words = [
        "run",
        "-d",
        "-i",
        "--name",
        "steady",
        "--log-driver",
        "syslog",
        "--log-opt",
        &option,
        "bb",
        "sh",
        "-c",
        script,
    ];
    brig.brig(&words).ok();
    // Nobody listens: the container goes on.
    until("its lines", || {
        let (out, _) = logs(&brig, Client::Brig, "steady");
        out.contains("line200\n").then_some(())
    });
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = vec![0; 4096];
    let mut take = |last: usize| {
        let mut told = Vec::new();
        let end = format!("line{last}\n");
        while !told
            .last()
            .is_some_and(|line: &String| line.ends_with(&end))
        {
            let length = server.recv(&mut buffer).unwrap();
            let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
            // Without what is in front, which names the daemon's process.
            told.push(line[line.find("line").unwrap()..].to_owned());
        }
        told
    };
    let first = take(200);
    assert_eq!(first.len(), 200);
    brig.kill_daemon();
    // Written while nobody looks after it.
    let id = fs::read_dir(brig.data_root().join("containers")).unwrap();
    let id: Vec<PathBuf> = id.map(|entry| entry.unwrap().path()).collect();
    poke(&brig, &id[0]);
    brig.start_daemon();
    let second = take(400);
    // What was sent within the last moment before the kill may come once more.
    let repeated = second.iter().filter(|line| first.contains(line)).count();
    assert_eq!(second.len() - repeated, 200);
    brig.brig(&["kill", "steady"]).ok();
    brig.finish();
}

/// Has the container of this directory go on, by its standard input.
fn poke(brig: &Brig, dir: &Path) {
    let id = dir.file_name().unwrap().to_str().unwrap();
    let shim = brig.shim_of(id);
    let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    let first = children.split_whitespace().next().unwrap();
    let mut input = fs::File::options()
        .write(true)
        .open(format!("/proc/{first}/fd/0"))
        .unwrap();
    input.write_all(b"\n").unwrap();
    let log = dir.join(format!("{id}-json.log"));
    until("the lines of a container without a daemon", || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("line400").then_some(())
    });
}

#[test]
fn the_journal_knows_whose_lines_they_are() {
    if !root() {
        return;
    }
    let there = Path::new("/run/systemd/journal/socket").exists();
    if !there
        || Command::new("journalctl")
            .arg("--version")
            .output()
            .is_err()
    {
        eprintln!("SKIP: there is no journal on this machine");
        return;
    }
    let brig = Brig::with_image();
    let name = format!("voyager-{}", std::process::id());
    run(
        &brig,
        Client::Brig,
        "journald",
        &["tag=sea"],
        &["--name", &name],
    );
    until("both lines in the journal", || {
        let asked = [
            "-o",
            "json",
            "--no-pager",
            &format!("CONTAINER_NAME={name}"),
        ];
        let shown = Command::new("journalctl").args(asked).output().unwrap();
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let has = |said: &str, priority: &str| {
            lines.iter().any(|line| {
                line["MESSAGE"] == said
                    && line["PRIORITY"] == priority
                    && line["SYSLOG_IDENTIFIER"] == "sea"
            })
        };
        (has("one", "6") && has("two", "3")).then_some(())
    });
    brig.finish();
}

#[test]
fn files_that_were_put_aside_are_packed_and_read() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let script = "seq 100000";
    let options = ["max-size=1m", "max-file=5", "compress=true"];
    let options = options.iter().flat_map(|option| ["--log-opt", option]);
    let words: Vec<&str> = ["run", "-d", "--name", "long"]
        .into_iter()
        .chain(options)
        .chain(["bb", "sh", "-c", script])
        .collect();
    brig.brig(&words).ok();
    brig.brig(&["wait", "long"]).ok();
    let path = brig.inspect("long")["LogPath"].as_str().unwrap().to_owned();
    let packed = |number: u32| PathBuf::from(format!("{path}.{number}.gz"));
    until("the last file to be packed", || {
        let plain = (1..5).any(|number| Path::new(&format!("{path}.{number}")).exists());
        (!plain && packed(1).exists()).then_some(())
    });
    let (out, _) = logs(&brig, Client::Brig, "long");
    let lines: Vec<u32> = out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines.last(), Some(&100_000));
    // Without a gap, from wherever it begins.
    assert!(lines.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!(lines.len() > 20_000, "{}", lines.len());
    let tail = brig.brig(&["logs", "--tail", "30000", "long"]);
    let tail: Vec<u32> = tail
        .ok()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!((tail.len(), tail[0]), (30_000, 70_001));
    brig.finish();
}
