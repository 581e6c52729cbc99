//! The main job: a real web server from a real Debian, limited, asked, looked into, stopped.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};

use testkit::{Brig, Client, cgroup_setting, clients, debian_tar, root, until};

/// Asks a web server on this machine; nothing while there is none.
fn get(server: SocketAddrV4, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn import() -> Option<Brig> {
    let tar = debian_tar()?;
    let brig = Brig::start();
    brig.brig(&["import", tar.to_str().unwrap(), "debian"]).ok();
    Some(brig)
}

#[test]
fn a_web_server_from_debian_serves() {
    if !root() {
        return;
    }
    let Some(brig) = import() else { return };
    for client in clients() {
        let server = testkit::address();
        let (address, port) = (server.ip(), server.port());
        let site = brig.root().join(format!("site-{port}"));
        fs::create_dir(&site).unwrap();
        fs::write(site.join("index.html"), "from the hold\n").unwrap();
        let config = format!(
            "server.document-root = \"/srv\"\nserver.port = {port}\nserver.bind = \"{address}\"\n\
             index-file.names = (\"index.html\")\nserver.errorlog = \"/dev/stderr\"\n"
        );
        fs::write(site.join("lighttpd.conf"), config).unwrap();
        let (volume, settings) = (
            format!("{}:/srv:ro", site.display()),
            format!("{}/lighttpd.conf:/etc/web.conf:ro", site.display()),
        );
        let run = [
            "run",
            "-d",
            "--name",
            "web",
            "-m",
            "64m",
            "--cpus",
            "0.5",
            "--network",
            "host",
            "-v",
            &volume,
            "-v",
            &settings,
            "debian",
            "lighttpd",
            "-D",
            "-f",
            "/etc/web.conf",
        ];
        brig.with(client, &run).ok();
        let answer = until("an answer of the web server", || get(server, "/"));
        assert!(
            answer.contains("200 OK") && answer.contains("from the hold"),
            "{answer}"
        );
        let inside = brig.with(
            client,
            &["exec", "web", "cat", "/etc/os-release", "/etc/web.conf"],
        );
        assert!(
            inside.ok().contains("VERSION_CODENAME") && inside.ok().contains("document-root"),
            "{inside}"
        );
        let pid = brig.inspect("web")["State"]["Pid"].as_u64().unwrap();
        let limit = cgroup_setting(pid, "memory", "memory.limit_in_bytes", "memory.max");
        assert_eq!(limit.as_deref(), Some("67108864"));
        // It answers as soon as it has said so, and the log is written by somebody else.
        until("the server's word in the log", || {
            let log = brig.with(client, &["logs", "web"]);
            log.stderr.contains("server started").then_some(())
        });
        brig.with(client, &["stop", "-t", "100", "web"]).ok();
        assert_eq!(brig.inspect("web")["State"]["ExitCode"], 0);
        brig.with(client, &["rm", "web"]).ok();
        assert!(get(server, "/").is_none());
    }
    brig.finish();
}

#[test]
fn programs_of_debian_run_as_on_debian() {
    if !root() {
        return;
    }
    let Some(brig) = import() else { return };
    let cases: &[(&str, &str)] = &[
        ("id -un", "root"),
        (
            "test -d /var/lib/dpkg && dpkg -s libc6 | grep -c ^Package",
            "1",
        ),
        ("perl -e 'print 6*7'", "42"),
        ("su www-data -s /bin/sh -c 'id -un'", "www-data"),
        ("bash -c 'echo $((2**10))'", "1024"),
        // Into a file: ps may or may not see the other end of a pipeline.
        ("ps -e --no-headers > /tmp/ps; wc -l < /tmp/ps", "2"),
        ("setpriv --reuid=33 --clear-groups id -u", "33"),
        ("mktemp -d >/dev/null && echo made", "made"),
        ("umask; ulimit -s >/dev/null; echo fine", "0022 fine"),
    ];
    for (script, expected) in cases {
        let output = brig.with(
            Client::Brig,
            &[
                "run",
                "--rm",
                "--network",
                "none",
                "debian",
                "sh",
                "-c",
                script,
            ],
        );
        let shown = output.ok().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(shown, *expected, "{script}");
    }
    brig.finish();
}
