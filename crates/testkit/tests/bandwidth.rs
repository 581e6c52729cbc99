//! How many bytes a second a container may receive and send: measured with traffic, changed while it flows, kept.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use testkit::{Brig, Client, clients, root, until};

/// What is moved for a measurement.
const BYTES: usize = 2_000_000;
/// 8 Mbit/s.
const RATE: f64 = 1e6;
/// What such a limit lets through at once, and the network's own headers count in.
const AT_ONCE: f64 = 65536.0;

/// A container that sends [`BYTES`] to whoever connects to port 80, and counts what comes to port 81.
fn serve(brig: &Brig, client: Client, flags: &[&str]) {
    let script = format!(
        "while :; do nc -l -p 80 -e head -c {BYTES} /dev/zero; done & \
         while :; do nc -l -p 81 -e sh -c 'head -c {BYTES} | wc -c'; done"
    );
    let start = ["run", "-d", "--name", "web"];
    let command = ["bb", "sh", "-c", &script];
    brig.with(client, &[&start[..], flags, &command[..]].concat())
        .ok();
}

fn address(brig: &Brig, network: &str) -> String {
    let networks = &brig.inspect("web")["NetworkSettings"]["Networks"];
    networks[network]["IPAddress"].as_str().unwrap().to_owned()
}

/// A connection, and when it was begun: from then on the other side may send.
fn connect(address: &str, port: u16) -> (TcpStream, Instant) {
    let (stream, start) = until(&format!("{address}:{port} is listened at"), || {
        let start = Instant::now();
        Some((TcpStream::connect((address, port)).ok()?, start))
    });
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    (stream, start)
}

/// How long the container takes to send its bytes.
fn receive(address: &str) -> Duration {
    let (mut stream, start) = connect(address, 80);
    let (mut buffer, mut got) = (vec![0; 65536], 0);
    while got < BYTES {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            n => got += n,
        }
    }
    assert_eq!(got, BYTES);
    start.elapsed()
}

/// How long the container takes to get them: it answers when it has.
fn send(address: &str) -> Duration {
    let (mut stream, start) = connect(address, 81);
    stream.write_all(&vec![0; BYTES]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.trim(), BYTES.to_string());
    start.elapsed()
}

/// Whether it took as long as the limit demands, give or take a tenth. It may always take longer.
fn held(took: Duration) -> bool {
    took.as_secs_f64() * RATE * 1.1 + AT_ONCE > BYTES as f64
}

#[test]
fn a_limit_holds_and_is_lifted() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    serve(
        &brig,
        Client::Brig,
        &["--net-ingress", "8mbit", "--net-egress=8mbit:64k"],
    );
    let own = address(&brig, "bridge");
    let (came, went) = (send(&own), receive(&own));
    assert!(held(came), "{BYTES} bytes came in {came:?}");
    assert!(held(went), "{BYTES} bytes went in {went:?}");
    let host = &brig.inspect("web")["HostConfig"];
    assert_eq!(host["NetIngress"]["Rate"], 1_000_000);
    assert_eq!(host["NetEgress"]["Burst"], 65536);
    // What waited too long was dropped, and is counted as the container sees it.
    let stats = stats(&brig, "web");
    let eth0 = &stats["networks"]["eth0"];
    assert!(eth0["rx_bytes"].as_u64().unwrap() > BYTES as u64, "{eth0}");
    assert!(eth0["tx_bytes"].as_u64().unwrap() > BYTES as u64, "{eth0}");
    // One direction is lifted, the other stays.
    brig.brig(&["update", "--net-egress", "0", "web"]).ok();
    until("what is sent is not limited any more", || {
        (!held(receive(&own))).then_some(())
    });
    let came = send(&own);
    assert!(held(came), "{BYTES} bytes came in {came:?}");
    assert!(brig.inspect("web")["HostConfig"]["NetEgress"].is_null());
    brig.finish();
}

fn stats(brig: &Brig, container: &str) -> serde_json::Value {
    let path = format!("/containers/{container}/stats?stream=false&one-shot=true");
    let answer = brig.http(&format!("GET {path} HTTP/1.0\r\n\r\n"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn a_limit_stays_wherever_its_container_goes() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["network", "create", "other"]).ok();
    serve(&brig, Client::Brig, &[]);
    brig.brig(&["update", "--net-egress", "8mbit", "web"]).ok();
    let went = receive(&address(&brig, "bridge"));
    assert!(held(went), "after update: {went:?}");
    brig.brig(&["network", "connect", "other", "web"]).ok();
    let other = address(&brig, "other");
    let went = receive(&other);
    assert!(held(went), "on a network that came later: {went:?}");
    brig.kill_daemon();
    let went = receive(&other);
    assert!(held(went), "without a daemon: {went:?}");
    brig.start_daemon();
    assert_eq!(
        brig.inspect("web")["HostConfig"]["NetEgress"]["Rate"],
        1_000_000
    );
    brig.brig(&["restart", "-t", "0", "web"]).ok();
    let went = receive(&address(&brig, "bridge"));
    assert!(held(went), "after a restart: {went:?}");
    brig.finish();
}

/// As when it ends or leaves its network at that moment.
#[test]
fn an_interface_that_is_gone_needs_no_limit() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let run = ["run", "-d", "--name", "web", "--cap-add", "NET_ADMIN"];
    brig.brig(&[&run[..], &["bb", "sleep", "1000"]].concat())
        .ok();
    brig.brig(&["exec", "web", "ip", "link", "delete", "eth0"])
        .ok();
    let limit = ["update", "--net-egress", "8mbit", "--net-ingress", "8mbit"];
    brig.brig(&[&limit[..], &["web"]].concat()).ok();
    let host = &brig.inspect("web")["HostConfig"];
    assert_eq!(host["NetEgress"]["Rate"], 1_000_000);
    brig.brig(&["rm", "-f", "web"]).ok();
    brig.finish();
}

/// Docker's clients have no such flags: they say it of the place in a network.
#[test]
fn an_option_of_the_endpoint_limits_it() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["network", "create", "shop"]).ok();
    for client in clients() {
        let place = "name=shop,driver-opt=brig.net.egress=8mbit";
        serve(&brig, client, &["--network", place]);
        let went = receive(&address(&brig, "shop"));
        assert!(held(went), "{client:?}: {went:?}");
        brig.with(client, &["rm", "-f", "web"]).ok();
    }
    brig.finish();
}

#[test]
fn what_cannot_be_limited_is_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["network", "create", "-d", "macvlan", "--internal", "apart"])
        .ok();
    let limited = |flags: &[&str]| {
        let out = brig.brig(&[&["create"], flags, &["bb", "true"]].concat());
        out.fails(1).to_owned()
    };
    let said = limited(&["--network", "host", "--net-egress", "8mbit"]);
    assert!(said.contains("network mode is host"), "{said}");
    let said = limited(&["--network", "none", "--net-ingress", "8mbit"]);
    assert!(said.contains("network mode is none"), "{said}");
    let said = limited(&["--network", "apart", "--net-ingress", "8mbit"]);
    assert!(said.contains("only what is sent can be limited"), "{said}");
    let said = limited(&["--network", "name=bridge,driver-opt=brig.net.egress=fast"]);
    assert!(said.contains("invalid rate: 'fast'"), "{said}");
    let out = brig.brig(&["create", "--net-egress", "8mbit:100", "bb", "true"]);
    assert!(out.stderr.contains("a burst from 2k"), "{out}");
    let host = [
        "create",
        "--name",
        "hosted",
        "--network",
        "host",
        "bb",
        "true",
    ];
    brig.brig(&host).ok();
    let out = brig.brig(&["update", "--net-egress", "8mbit", "hosted"]);
    assert!(out.fails(1).contains("network mode is host"), "{out}");
    brig.finish();
}
