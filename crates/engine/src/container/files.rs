//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container: generated at each start,
//! kept beside its log, mounted over the image's.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;

use types::{ContainerSpec, DnsRequest, NetworkMode};

use super::{Files, Resolved};
use crate::Error;

/// Where containers in networks find their resolver.
const RESOLVER: &str = "127.0.0.11";

const LOCAL_HOSTS: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// Where the files of a container are.
pub(crate) fn paths(dir: &Path) -> Files {
    Files {
        hostname: dir.join("hostname"),
        hosts: dir.join("hosts"),
        resolv_conf: dir.join("resolv.conf"),
    }
}

/// Writes them into the container's directory. `dns` is where names are looked up, as far as that is not as on the host.
pub(crate) fn write(
    dir: &Path,
    (spec, dns): (&ContainerSpec, &DnsRequest),
    resolved: &Resolved,
    more_hosts: &str,
) -> Result<Files, Error> {
    let files = paths(dir);
    let of_host = read("/etc/resolv.conf").unwrap_or_default();
    let (hosts, resolv_conf) = match spec.network {
        NetworkMode::Host => {
            let hosts = read("/etc/hosts").unwrap_or_else(|| LOCAL_HOSTS.to_owned());
            (hosts + more_hosts, resolver_conf(&of_host, dns, None))
        }
        NetworkMode::None | NetworkMode::Container(_) => {
            let known = reachable_servers(&of_host);
            (
                hosts(&resolved.hostname) + more_hosts,
                resolver_conf(&known, dns, None),
            )
        }
        // Its own name is that of its addresses.
        NetworkMode::Default | NetworkMode::Named(_) => (
            LOCAL_HOSTS.to_owned() + more_hosts,
            resolver_conf(&of_host, dns, Some(RESOLVER)),
        ),
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

/// The host's configuration with what is asked for in its place; `resolver` is then the only server.
fn resolver_conf(of_host: &str, dns: &DnsRequest, resolver: Option<&str>) -> String {
    let words = |name: &str| -> Vec<String> {
        let mut lines = of_host.lines().filter_map(|line| line.strip_prefix(name));
        let last = lines.rfind(|rest| rest.starts_with([' ', '\t']));
        last.unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    if resolver.is_none() && *dns == DnsRequest::default() {
        return of_host.to_owned();
    }
    let servers: Vec<String> = match (resolver, dns.servers.as_slice()) {
        (Some(resolver), _) => vec![resolver.to_owned()],
        (None, []) => of_host
            .lines()
            .filter_map(|line| line.strip_prefix("nameserver"))
            .map(|rest| rest.trim().to_owned())
            .collect(),
        (None, servers) => servers.iter().map(ToString::to_string).collect(),
    };
    let search = match dns.search.as_slice() {
        [] => words("search"),
        [one] if one == "." => Vec::new(),
        search => search.to_vec(),
    };
    let mut options = match dns.options.as_slice() {
        [] => words("options"),
        options => options.to_vec(),
    };
    // The resolver looks itself where a name without a dot may be found.
    if resolver.is_some() && !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    let mut text = String::new();
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (name, words) in [("search", search), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{name} {}\n", words.join(" ")));
        }
    }
    text
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
    fn what_is_asked_for_replaces_what_the_host_has() {
        let of_host = "nameserver 10.0.0.1\nsearch lan\noptions edns0\n";
        let none = DnsRequest::default();
        assert_eq!(resolver_conf(of_host, &none, None), of_host);
        assert_eq!(
            resolver_conf(of_host, &none, Some(RESOLVER)),
            "nameserver 127.0.0.11\nsearch lan\noptions edns0 ndots:0\n"
        );
        let asked = DnsRequest {
            servers: vec!["9.9.9.9".parse().unwrap()],
            search: vec![".".into()],
            options: vec!["ndots:2".into()],
        };
        assert_eq!(
            resolver_conf(of_host, &asked, None),
            "nameserver 9.9.9.9\noptions ndots:2\n"
        );
        assert_eq!(
            resolver_conf(of_host, &asked, Some(RESOLVER)),
            "nameserver 127.0.0.11\noptions ndots:2\n"
        );
    }

    #[test]
    fn the_own_name_is_known() {
        assert!(hosts("web").ends_with("\n127.0.0.1\tweb\n"));
        assert_eq!(hosts("localhost"), LOCAL_HOSTS);
    }
}
