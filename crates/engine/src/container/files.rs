//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: generated at each start,
//! kept beside its log, mounted over the image's.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;

use types::{ContainerSpec, NetworkMode};

use super::{Files, Resolved};
use crate::Error;

const LOCAL_HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// Where the files of a container are.
pub(super) fn paths(dir: &Path) -> Files {
    Files {
        hostname: dir.join("hostname"),
        hosts: dir.join("hosts"),
        resolv_conf: dir.join("resolv.conf"),
    }
}

/// Writes them into the container's directory.
pub(super) fn write(dir: &Path, spec: &ContainerSpec, resolved: &Resolved) -> Result<Files, Error> {
    let files = paths(dir);
    let (hosts, resolv_conf) = if spec.network == NetworkMode::Host {
        (
            read("/etc/hosts").unwrap_or_else(|| LOCAL_HOSTS.to_owned()),
            read("/etc/resolv.conf").unwrap_or_default(),
        )
    } else {
        (
            hosts(&resolved.hostname),
            reachable_servers(&read("/etc/resolv.conf").unwrap_or_default()),
        )
    };
    for (path, text) in [
        (&files.hostname, format!("{}\n", resolved.hostname)),
        (&files.hosts, hosts),
        (&files.resolv_conf, resolv_conf),
    ] {
        put(path, &text).map_err(Error::io(format!("write {}", path.display())))?;
    }
    Ok(files)
}

/// Written in place: nothing reads them before the start is through, and the next start writes them
/// anew, so that a crash in between costs nothing.
fn put(path: &Path, text: &str) -> io::Result<()> {
    File::create(path)?.write_all(text.as_bytes())
}

/// A file of the host, if it is there and not absurdly long.
fn read(path: &str) -> Option<String> {
    use io::Read as _;
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text)
}

fn hosts(hostname: &str) -> String {
    if hostname.is_empty() || hostname == "localhost" {
        return LOCAL_HOSTS.to_owned();
    }
    format!("{LOCAL_HOSTS}127.0.0.1\t{hostname}\n")
}

/// The host's resolver configuration without servers on the host's own loopback, which is not the
/// container's.
fn reachable_servers(text: &str) -> String {
    let local = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver")
            && words.next().is_some_and(|address| {
                // A zone index follows a link-local address.
                let address = address.split('%').next().unwrap_or_default();
                address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            })
    };
    text.lines()
        .filter(|line| !local(line))
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_servers_are_left_out() {
        let text = "# made by x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.1\n\
            search lan\noptions edns0";
        assert_eq!(
            reachable_servers(text),
            "# made by x\nnameserver 10.0.0.1\nsearch lan\noptions edns0\n"
        );
    }

    #[test]
    fn the_own_name_is_known() {
        assert!(hosts("web").ends_with("\n127.0.0.1\tweb\n"));
        assert_eq!(hosts("localhost"), LOCAL_HOSTS);
    }
}
