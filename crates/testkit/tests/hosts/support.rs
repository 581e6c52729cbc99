//! A daemon on a host, and servers in its containers that say who asks.

use std::sync::Arc;

use testkit::{Brig, Host, Output, Setup, until};

/// A daemon on a host, with more lines of configuration.
pub(crate) fn daemon(host: &Arc<Host>, network: &str) -> Brig {
    let brig = Brig::start_with(Setup {
        host: Some(host.clone()),
        network: network.to_owned(),
        ..Setup::default()
    });
    brig.import_busybox();
    brig
}

/// A web server that says its name and who asks, on port 80.
pub(crate) fn serve(brig: &Brig, name: &str, flags: &[&str]) {
    let script = format!(
        "mkdir -p /www/cgi-bin; cd /www/cgi-bin; \
         printf '#!/bin/sh\\necho\\necho {name} $REMOTE_ADDR\\n' >who; chmod +x who; \
         exec httpd -f -p 80 -h /www"
    );
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(flags);
    words.extend(["bb", "sh", "-c", &script]);
    brig.brig(&words).ok();
    // From its loopback: nobody else has to be able to reach it.
    until(&format!("{name} serves"), || {
        heard_by(brig, name, "127.0.0.1")
    });
}

/// A container that does nothing.
pub(crate) fn idle(brig: &Brig, name: &str, flags: &[&str]) {
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(flags);
    words.extend(["bb", "sleep", "1000"]);
    brig.brig(&words).ok();
}

/// A shell's command that asks a server at an address, `10.0.0.1`, `10.0.0.1:80` or `[fd00::1]:80`.
fn ask(program: &str, address: &str, patience: u8) -> String {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (address, "80"),
    };
    let host = host.trim_matches(['[', ']']);
    format!(
        "printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | {program} -w {patience} {host} {port}"
    )
}

/// The last line, which is what the server says.
fn said(output: &Output) -> Option<String> {
    let last = output.stdout.trim().lines().last().unwrap_or_default();
    // An address of version 4 is seen in a form of version 6 by who listens for both.
    let plain = last.replace("::ffff:", "").replace(['[', ']'], "");
    Some(plain).filter(|text| !text.is_empty())
}

/// How many seconds are waited for an answer that has to come.
const PATIENCE: u8 = 60;

/// What a server says to a host, or nothing if it is not reached.
pub(crate) fn heard(host: &Host, address: &str) -> Option<String> {
    said(&host.run(&["sh", "-c", &ask("busybox nc", address, PATIENCE)]))
}

/// That a server is not reached from a host.
pub(crate) fn silent(host: &Host, address: &str) -> bool {
    said(&host.run(&["sh", "-c", &ask("busybox nc", address, 1)])).is_none()
}

/// What a server says to a container.
pub(crate) fn heard_by(brig: &Brig, container: &str, address: &str) -> Option<String> {
    said(&brig.brig(&["exec", container, "sh", "-c", &ask("nc", address, PATIENCE)]))
}

/// That a server is not reached from a container.
pub(crate) fn silent_to(brig: &Brig, container: &str, address: &str) -> bool {
    said(&brig.brig(&["exec", container, "sh", "-c", &ask("nc", address, 1)])).is_none()
}

/// What a container has in a network: `IPAddress`, `GlobalIPv6Address`, `MacAddress`, ...
pub(crate) fn endpoint(brig: &Brig, container: &str, network: &str, field: &str) -> String {
    let inspect = brig.inspect(container);
    let value = &inspect["NetworkSettings"]["Networks"][network][field];
    value.as_str().unwrap_or_default().to_owned()
}

/// Waits until a container reaches an address or a name: a datagram may be lost.
#[track_caller]
pub(crate) fn pings(brig: &Brig, container: &str, to: &str) {
    let ping = ["exec", container, "ping", "-c", "1", "-W", "5", to];
    until(&format!("{container} reaches {to}"), || {
        (brig.brig(&ping).code == 0).then_some(())
    });
}
