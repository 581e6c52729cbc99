//! What a change makes of what create decided. Pure: what is live of it, others do.

use types::{ContainerChange, ContainerSpec, MountRequest, PortRequest};

use super::check::Invalid;
use super::{Resolved, remount};
use crate::network::republish;
use crate::record::{Both, Changed};

/// All that comes of a change beside other limits.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// What is kept from then on.
    pub(super) changed: Changed,
    /// Ports as they were asked for.
    pub(super) ports: republish::Change,
    /// Mounts.
    pub(super) mounts: remount::Change,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Plans it over what the container is now: as it was asked for, and what that came to. What is to be
/// mounted has been completed.
pub(super) fn plan(
    name: &str,
    (spec, resolved): (&ContainerSpec, &Resolved),
    before: Changed,
    change: &ContainerChange,
    mount: Vec<MountRequest>,
) -> Result<Planned, Invalid> {
    let mut planned = Planned {
        changed: before,
        ..Planned::default()
    };
    if !change.labels.is_empty() {
        planned.labels(name, resolved, change);
        planned.changed.labels = Some(Both {
            asked: change.labels_of(&spec.labels),
            resolved: change.labels_of(&resolved.labels),
        });
    }
    if !change.env.is_empty() {
        planned.env(name, resolved, change);
        planned.changed.env = Some(Both {
            asked: change.env_of(&spec.env),
            resolved: change.env_of(&resolved.env),
        });
    }
    if !change.publish.is_empty() || !change.unpublish.is_empty() {
        let (ports, all) = ports(name, spec, change)?;
        planned.ports = ports;
        planned.changed.ports = Some(all);
    }
    if !mount.is_empty() || !change.unmount.is_empty() {
        let (mounts, all) = remount::plan(name, (spec, resolved), mount, &change.unmount)?;
        planned.mounts = mounts;
        planned.changed.mounts = Some(all);
    }
    Ok(planned)
}

impl Planned {
    /// Tells of labels that are to go and are not there.
    fn labels(&mut self, who: &str, resolved: &Resolved, change: &ContainerChange) {
        let gone = change.labels.iter().filter(|(_, value)| value.is_none());
        let missing = gone.filter(|(name, _)| !resolved.labels.contains_key(*name));
        let told = missing.map(|(name, _)| format!("container {who} has no label {name}"));
        self.warnings.extend(told);
    }

    /// The same of variables.
    fn env(&mut self, who: &str, resolved: &Resolved, change: &ContainerChange) {
        let has = |name: &str| {
            let mut all = resolved.env.iter();
            all.any(|entry| entry.split('=').next() == Some(name))
        };
        let gone = change.env.iter().filter(|(_, value)| value.is_none());
        let missing = gone.filter(|(name, _)| !has(name));
        let told = missing.map(|(name, _)| format!("container {who} has no variable {name}"));
        self.warnings.extend(told);
    }
}

/// Which ports go and which come, and all that are asked for then.
fn ports(
    who: &str,
    spec: &ContainerSpec,
    change: &ContainerChange,
) -> Result<(republish::Change, Vec<PortRequest>), Invalid> {
    let mut all = spec.networking.ports.clone();
    let mut remove = Vec::new();
    for gone in &change.unpublish {
        let is = |port: &PortRequest| {
            port.port == gone.port
                && gone.host_ip.is_none_or(|ip| port.host_ip == Some(ip))
                && gone
                    .host_ports
                    .is_none_or(|range| port.host_ports == Some(range))
        };
        let (out, stays): (Vec<_>, Vec<_>) = all.into_iter().partition(is);
        if out.is_empty() {
            return Err(Invalid::NotPublished {
                name: who.to_owned(),
                port: text(gone),
                published: published(spec, &stays),
            });
        }
        remove.extend(out);
        all = stays;
    }
    for new in &change.publish {
        let place = |port: &PortRequest| (port.port, port.host_ip, port.host_ports);
        if all.iter().any(|port| place(port) == place(new)) {
            return Err(Invalid::Published {
                name: who.to_owned(),
                port: text(new),
            });
        }
        all.push(new.clone());
    }
    let add = change.publish.clone();
    Ok((republish::Change { add, remove }, all))
}

fn published(spec: &ContainerSpec, ports: &[PortRequest]) -> String {
    let all: Vec<String> = ports.iter().map(text).collect();
    match (all.is_empty(), spec.networking.publish_all) {
        (true, true) => "all that it exposes is published, by --publish-all".to_owned(),
        (true, false) => "it publishes nothing".to_owned(),
        (false, _) => format!("it publishes {}", all.join(", ")),
    }
}

/// As it is written for `--publish`.
fn text(port: &PortRequest) -> String {
    let address = port.host_ip.map(|ip| match ip.is_ipv4() {
        true => format!("{ip}:"),
        false => format!("[{ip}]:"),
    });
    let number = port.host_ports.map(|(first, last)| match first == last {
        true => format!("{first}:"),
        false => format!("{first}-{last}:"),
    });
    let between = if address.is_some() && number.is_none() {
        ":"
    } else {
        ""
    };
    let before = [address, number].map(Option::unwrap_or_default).concat();
    format!("{before}{between}{}", port.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(inside: &str, host: Option<u16>, ip: Option<&str>) -> PortRequest {
        PortRequest {
            port: inside.parse().unwrap(),
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            host_ports: host.map(|port| (port, port)),
            allow: Vec::new(),
        }
    }

    fn ports_of(
        old: Vec<PortRequest>,
        publish: Vec<PortRequest>,
        unpublish: Vec<PortRequest>,
    ) -> Result<Vec<String>, String> {
        let mut spec = ContainerSpec::default();
        spec.networking.ports = old;
        let change = ContainerChange {
            publish,
            unpublish,
            ..ContainerChange::default()
        };
        match ports("web", &spec, &change) {
            Ok((_, all)) => Ok(all.iter().map(text).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn ports_come_and_go() {
        let old = || {
            vec![
                port("80", Some(8080), None),
                port("80", Some(8081), Some("127.0.0.1")),
                port("53/udp", None, Some("::1")),
            ]
        };
        let all = ports_of(
            old(),
            vec![port("81", Some(81), None)],
            vec![port("80", Some(8080), None)],
        );
        let expected = ["127.0.0.1:8081:80/tcp", "[::1]::53/udp", "81:81/tcp"];
        assert_eq!(all.unwrap(), expected);
        // The container's port alone is all of its places.
        let all = ports_of(old(), vec![], vec![port("80", None, None)]);
        assert_eq!(all.unwrap(), ["[::1]::53/udp"]);
        let error = ports_of(old(), vec![], vec![port("80/udp", Some(8080), None)]);
        assert_eq!(
            error.unwrap_err(),
            "container web does not publish 8080:80/udp: it publishes 8080:80/tcp, \
             127.0.0.1:8081:80/tcp, [::1]::53/udp"
        );
        let error = ports_of(vec![], vec![], vec![port("80", None, None)]);
        assert_eq!(
            error.unwrap_err(),
            "container web does not publish 80/tcp: it publishes nothing"
        );
        let error = ports_of(old(), vec![port("80", Some(8080), None)], vec![]);
        assert_eq!(
            error.unwrap_err(),
            "container web publishes 8080:80/tcp already"
        );
    }
}
