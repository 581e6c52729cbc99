//! Links: containers known to one other by further names, and on the default network told of in its environment.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use network::keeper::Endpoint as Named;
use types::{ContainerId, ContainerPort, ContainerSpec, NetworkMode, Protocol};

use super::connect;
use super::error::NetworkError;
use super::record::Endpoint;
use crate::container::Resolved;
use crate::table::{Container, lock};
use crate::{Engine, Error};

/// The network whose links are those of the container itself.
const DEFAULT: &str = "bridge";

/// `container[:alias]`, or as `inspect` shows it, `/container:/own/alias`.
fn parts(link: &str) -> (&str, &str) {
    let (who, alias) = link.split_once(':').unwrap_or((link, link));
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    (who.trim_start_matches('/'), alias)
}

/// Has the linked containers known by their ids from then on: names change. In a network of their own, links are
/// to whoever has the name then.
pub(super) fn resolve(engine: &Engine, spec: &mut ContainerSpec) -> Result<(), Error> {
    if spec.network.network() != Some(DEFAULT) {
        return Ok(());
    }
    for link in &mut spec.networking.links {
        let (who, alias) = parts(link);
        if who.is_empty() || alias.is_empty() || link.matches(':').count() > 1 {
            return Err(
                NetworkError::setting("link", format!("bad format for links: {link}")).into(),
            );
        }
        let found = |who: &str| {
            let found = engine.find(who);
            found.map_err(|_| NetworkError::NoLinked(who.to_owned()))
        };
        let mut other = found(who)?;
        // Whose network it shares is whom it is reached by.
        while let NetworkMode::Container(host) = &other.fixed.spec.network {
            other = found(host)?;
        }
        if other.fixed.spec.network == NetworkMode::Host {
            return Err(NetworkError::Conflict(
                "host type networking can't be used with links. This would result in undefined behavior",
            )
            .into());
        }
        *link = format!("{}:{alias}", other.id());
    }
    Ok(())
}

/// The container's own links that mean somebody: who, and by which name.
fn of_container<'a>(engine: &Engine, container: &'a Container) -> Vec<(Arc<Container>, &'a str)> {
    let gone = container.status().unlinked;
    let links = container.fixed.spec.networking.links.iter();
    let links = links.map(|link| parts(link));
    let meant = links
        .filter(|(_, alias)| !gone.contains(*alias))
        .filter_map(|(who, alias)| Some((engine.find(who).ok()?, alias)));
    meant.collect()
}

/// The container that another one knows by a name, said as `other/name`.
pub(crate) fn find(engine: &Engine, who: &str) -> Option<Arc<Container>> {
    let (owner, alias) = who.trim_start_matches('/').split_once('/')?;
    let owner = engine.table().find(owner).ok()?;
    let linked = of_default(engine, &owner);
    let mut known = linked.into_iter().filter(|(_, known)| known == alias);
    known.next().map(|(container, _)| container)
}

/// The further names of containers by the links of others, as `/other/name`.
pub(crate) fn all_names(engine: &Engine) -> BTreeMap<ContainerId, Vec<String>> {
    let containers = engine.table().all();
    let mut names: BTreeMap<ContainerId, Vec<String>> = BTreeMap::new();
    for owner in containers {
        for (linked, alias) in of_default(engine, &owner) {
            let name = format!("/{}/{alias}", owner.name());
            names.entry(linked.id().clone()).or_default().push(name);
        }
    }
    names
}

/// The container's own links, where it has such.
fn of_default(engine: &Engine, container: &Container) -> Vec<(Arc<Container>, String)> {
    let spec = &container.fixed.spec;
    if spec.networking.links.is_empty() || spec.network.network() != Some(DEFAULT) {
        return Vec::new();
    }
    let linked = of_container(engine, container).into_iter();
    linked
        .map(|(other, alias)| (other, alias.to_owned()))
        .collect()
}

/// Containers that have to run when this one is started.
pub(crate) fn wanted(engine: &Engine, container: &Container) -> Vec<ContainerId> {
    let wanted = of_container(engine, container).into_iter();
    wanted.map(|(other, _)| other.id().clone()).collect()
}

/// Whether the container is linked to another one by this name.
pub(super) fn has(engine: &Engine, container: &Container, alias: &str) -> bool {
    let of_container = of_container(engine, container);
    container.fixed.spec.network.network() == Some(DEFAULT)
        && of_container.iter().any(|(_, known)| *known == alias)
}

/// As `inspect` shows them.
pub(crate) fn shown(engine: &Engine, container: &Container) -> Vec<String> {
    let spec = &container.fixed.spec;
    if spec.network.network() != Some(DEFAULT) {
        return spec.networking.links.clone();
    }
    let own = container.name();
    let shown = |(other, alias): &(Arc<Container>, &str)| {
        format!("/{}:/{}/{alias}", other.name().as_str(), own.as_str())
    };
    of_container(engine, container).iter().map(shown).collect()
}

/// Whether those that it is linked to run.
pub(super) fn check(engine: &Engine, container: &Container) -> Result<(), NetworkError> {
    let spec = &container.fixed.spec;
    if spec.networking.links.is_empty() || spec.network.network() != Some(DEFAULT) {
        return Ok(());
    }
    for (other, alias) in of_container(engine, container) {
        if !other.lifecycle().is_running() {
            return Err(NetworkError::LinkedRests {
                container: other.name().to_string(),
                own: container.name().to_string(),
                alias: alias.to_owned(),
            });
        }
        if addresses(&other, DEFAULT).is_empty() {
            return Err(NetworkError::LinkedElsewhere(other.name().to_string()));
        }
    }
    Ok(())
}

/// The linked containers that run, with the names that are meant and their addresses on a network that
/// both are in.
pub(crate) fn names(
    engine: &Engine,
    container: &Container,
    endpoints: &BTreeMap<String, Endpoint>,
) -> Vec<Named> {
    let mut all = Vec::new();
    for (name, endpoint) in endpoints {
        let of_endpoint = endpoint.request.links.iter();
        let old = container.fixed.spec.networking.links.iter();
        let gone = container.status().unlinked;
        let old = old.filter(|link| name == DEFAULT && !gone.contains(parts(link).1));
        for (who, alias) in of_endpoint.chain(old).map(|link| parts(link)) {
            let Ok(other) = engine.find(who) else {
                continue;
            };
            let addresses = addresses(&other, name);
            if !addresses.is_empty() {
                let host = &other.fixed.resolved.hostname;
                let names = [alias, host, other.name().as_str()].map(str::to_owned);
                all.push(Named {
                    names: super::table::distinct(names),
                    addresses,
                });
            }
        }
    }
    all
}

fn addresses(container: &Container, network: &str) -> Vec<IpAddr> {
    let status = container.status();
    let live = status.networks.get(network).and_then(|e| e.live.as_ref());
    live.map(|live| live.addresses.iter().map(|a| a.address()).collect())
        .unwrap_or_default()
}

/// What a process of the container gets, with what it is told of linked ones in its environment.
pub(crate) fn resolved<'a>(engine: &Engine, container: &'a Container) -> Cow<'a, Resolved> {
    let (spec, own) = (&container.fixed.spec, container.resolved());
    if spec.networking.links.is_empty() || spec.network.network() != Some(DEFAULT) {
        return own;
    }
    let mut env = Vec::new();
    for (other, alias) in of_container(engine, container) {
        if let Some(address) = addresses(&other, DEFAULT).first() {
            env.extend(environment(&Linked {
                alias,
                own: container.name().as_str(),
                address: *address,
                ports: super::exposed(&other.fixed),
                env: &other.resolved().env,
            }));
        }
    }
    // What was asked for takes its place.
    env.extend(own.env.iter().cloned());
    Cow::Owned(Resolved {
        env,
        ..own.into_owned()
    })
}

/// What is told of a linked container.
struct Linked<'a> {
    alias: &'a str,
    /// The name of the container that is told.
    own: &'a str,
    address: IpAddr,
    ports: Vec<ContainerPort>,
    env: &'a [String],
}

/// Docker's variables.
fn environment(linked: &Linked<'_>) -> Vec<String> {
    let alias = linked.alias.to_uppercase().replace('-', "_");
    let mut ports = linked.ports.clone();
    ports.sort_by_key(|port| (port.protocol != Protocol::Tcp, port.number, port.protocol));
    let mut all = Vec::new();
    if let Some(first) = ports.first() {
        all.push(format!("{alias}_PORT={}", url(linked.address, *first)));
    }
    for range in ranges(&ports) {
        for port in range {
            let prefix = prefix(&alias, *port);
            all.push(format!("{prefix}={}", url(linked.address, *port)));
            all.push(format!("{prefix}_ADDR={}", linked.address));
            all.push(format!("{prefix}_PORT={}", port.number));
            all.push(format!("{prefix}_PROTO={}", port.protocol));
        }
        if let [first, .., last] = range {
            let prefix = prefix(&alias, *first);
            all.push(format!("{prefix}_START={}", url(linked.address, *first)));
            all.push(format!("{prefix}_PORT_START={}", first.number));
            all.push(format!("{prefix}_END={}", url(linked.address, *last)));
            all.push(format!("{prefix}_PORT_END={}", last.number));
        }
    }
    all.push(format!("{alias}_NAME=/{}/{}", linked.own, linked.alias));
    let told = linked.env.iter().filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        // Those are about the other's own root.
        (!matches!(name, "HOME" | "PATH")).then(|| format!("{alias}_ENV_{name}={value}"))
    });
    all.extend(told);
    all
}

fn url(address: IpAddr, port: ContainerPort) -> String {
    let at = std::net::SocketAddr::new(address, port.number);
    format!("{}://{at}", port.protocol)
}

fn prefix(alias: &str, port: ContainerPort) -> String {
    let protocol = port.protocol.to_string().to_uppercase();
    format!("{alias}_PORT_{}_{protocol}", port.number)
}

/// Ports that follow each other.
fn ranges(ports: &[ContainerPort]) -> impl Iterator<Item = &[ContainerPort]> {
    ports.chunk_by(|one, next| {
        one.protocol == next.protocol && one.number.checked_add(1) == Some(next.number)
    })
}

/// Remembers a container that runs and has links: where those are that it is linked to may change.
pub(super) fn remember(
    engine: &Engine,
    container: &Container,
    endpoints: &BTreeMap<String, Endpoint>,
) {
    let links = endpoints.values().any(|e| !e.request.links.is_empty())
        || !container.fixed.spec.networking.links.is_empty();
    if links {
        lock(&engine.networks().linking).insert(container.id().clone());
    }
}

/// Tells those that run and are linked to this container where it is now. It must hold no lock of networks.
pub(crate) fn follow(engine: &Engine, container: &Container) {
    let linking = lock(&engine.networks().linking).clone();
    for id in linking {
        let Ok(other) = engine.find(id.as_str()) else {
            continue;
        };
        if !is_linked(engine, &other, container) {
            continue;
        }
        let _order = lock(&other.networking);
        let Some(process) = other.lifecycle().process() else {
            continue;
        };
        if let Err(error) = connect::retell(engine, &other, process) {
            tracing::warn!(container = %id, error = %error.chain(),
                "cannot tell a container where the one is that it is linked to");
        }
    }
}

fn is_linked(engine: &Engine, container: &Container, to: &Container) -> bool {
    let status = container.status();
    let of_endpoints = status.networks.values().flat_map(|e| &e.request.links);
    let mut links = of_endpoints.chain(&container.fixed.spec.networking.links);
    links.any(|link| {
        let found = engine.find(parts(link).0);
        found.is_ok_and(|found| found.id() == to.id())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_said_in_three_ways() {
        assert_eq!(parts("db"), ("db", "db"));
        assert_eq!(parts("db:store"), ("db", "store"));
        assert_eq!(parts("/db:/web/store"), ("db", "store"));
    }

    #[test]
    fn the_environment_tells_ports_ranges_and_variables() {
        let port = |text: &str| text.parse::<ContainerPort>().unwrap();
        let env = environment(&Linked {
            alias: "my-db",
            own: "web",
            address: [172, 17, 0, 2].into(),
            ports: ["53/udp", "81", "80", "9"].map(port).into(),
            env: &["PATH=/bin", "HOME=/", "KEY=a=b", "bare"].map(str::to_owned),
        });
        let wanted = "MY_DB_PORT=tcp://172.17.0.2:9
MY_DB_PORT_9_TCP=tcp://172.17.0.2:9
MY_DB_PORT_9_TCP_ADDR=172.17.0.2
MY_DB_PORT_9_TCP_PORT=9
MY_DB_PORT_9_TCP_PROTO=tcp
MY_DB_PORT_80_TCP=tcp://172.17.0.2:80
MY_DB_PORT_80_TCP_ADDR=172.17.0.2
MY_DB_PORT_80_TCP_PORT=80
MY_DB_PORT_80_TCP_PROTO=tcp
MY_DB_PORT_81_TCP=tcp://172.17.0.2:81
MY_DB_PORT_81_TCP_ADDR=172.17.0.2
MY_DB_PORT_81_TCP_PORT=81
MY_DB_PORT_81_TCP_PROTO=tcp
MY_DB_PORT_80_TCP_START=tcp://172.17.0.2:80
MY_DB_PORT_80_TCP_PORT_START=80
MY_DB_PORT_80_TCP_END=tcp://172.17.0.2:81
MY_DB_PORT_80_TCP_PORT_END=81
MY_DB_PORT_53_UDP=udp://172.17.0.2:53
MY_DB_PORT_53_UDP_ADDR=172.17.0.2
MY_DB_PORT_53_UDP_PORT=53
MY_DB_PORT_53_UDP_PROTO=udp
MY_DB_NAME=/web/my-db
MY_DB_ENV_KEY=a=b";
        assert_eq!(env.join("\n"), wanted);
    }
}
