//! Networks after a start of the daemon: records read, addresses of running containers taken back,
//! what belongs to those that have ended let go of. Packets pass meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use network::Cidr;
use network::keeper::protocol::STATE;
use network::keeper::{Change as Told, Model};
use network::ruleset::{Change as RuleChange, Firewall};
use types::{NetworkId, NetworkSpec, PoolSpec};

use super::error::NetworkError;
use super::plan::{self, Surroundings};
use super::record::{self, Record};
use super::settings::Settings;
use super::table::{Network, PREDEFINED};
use super::{attach, create};
use crate::container::create::random;
use crate::table::{Container, lock};
use crate::{Engine, Error, clock};

/// Reads the records; makes those of the networks that are always there. Before containers are
/// recovered.
pub(crate) fn load(engine: &Engine) -> Result<(), Error> {
    let networks = engine.networks();
    let mut default = None;
    for row in engine.storage().networks().all()? {
        match record::decode(&row.body) {
            Ok(record) if record.spec.name == "bridge" => default = Some(record),
            Ok(record) => match Network::new(record) {
                Ok(network) => networks.table_mut().insert(Arc::new(network)),
                Err(error) => {
                    tracing::error!(network = row.name, %error, "a network is passed over")
                }
            },
            Err(reason) => {
                tracing::error!(network = row.name, reason, "a network is passed over");
            }
        }
    }
    // What the configuration says of it must not be another's: they are all known by now.
    let has_default = networks.settings.has_default();
    if let Some(record) = default.filter(|_| has_default) {
        let default = default_network(engine, Some(record))?;
        networks.table_mut().insert(Arc::new(default));
    }
    for name in PREDEFINED {
        if name == "bridge" && !has_default {
            continue;
        }
        if networks.table().named(name).is_none() {
            let network = predefined(engine, name)?;
            create::keep(engine, &network.record)?;
            networks.table_mut().insert(Arc::new(network));
        }
    }
    Ok(())
}

fn predefined(engine: &Engine, name: &str) -> Result<Network, Error> {
    if name == "bridge" {
        return default_network(engine, None);
    }
    let driver = if name == "none" { "null" } else { name };
    Ok(Network::new(Record {
        id: NetworkId::from_random(random()?),
        created: clock::now(),
        spec: NetworkSpec {
            name: name.to_owned(),
            driver: driver.to_owned(),
            scope: "local".to_owned(),
            ..NetworkSpec::default()
        },
        plan: None,
    })?)
}

/// As the configuration has it now; its subnet stays what it was unless the configuration names one.
fn default_network(engine: &Engine, known: Option<Record>) -> Result<Network, Error> {
    let networks = engine.networks();
    let settings = &networks.settings;
    let (id, created, pools) = match known {
        Some(record) => (record.id, record.created, record.spec.pools),
        None => (NetworkId::from_random(random()?), clock::now(), Vec::new()),
    };
    let mut spec = NetworkSpec {
        name: "bridge".to_owned(),
        driver: "bridge".to_owned(),
        scope: "local".to_owned(),
        ipv6: Some(settings.ipv6),
        pools: default_pools(settings, pools),
        options: default_options(engine),
        ..NetworkSpec::default()
    };
    let routes = match spec.pools.is_empty() {
        true => network::host_routes().map_err(NetworkError::network("look for a free subnet"))?,
        false => Vec::new(),
    };
    let around = Surroundings {
        networks: networks.table().subnets(),
        routes: &routes,
        pools: &settings.pools,
        bridges: networks.table().bridges(),
        link_exists: &|_| false,
    };
    let plan = plan::plan(&id, &mut spec, &around)?;
    Ok(Network::new(Record {
        id,
        created,
        spec,
        plan: Some(plan),
    })?)
}

/// What the configuration says of the default network's addresses, else what they are already.
fn default_pools(settings: &Settings, known: Vec<PoolSpec>) -> Vec<PoolSpec> {
    let (known6, known4): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|pool| pool.subnet.contains(':'));
    // A range alone is the subnet, too.
    let subnet = settings.subnet.or(settings.ip_range);
    let mut pools4 = subnet.map_or(known4, |subnet| vec![pool(subnet)]);
    let known6 = if settings.ipv6 { known6 } else { Vec::new() };
    let pools6 = settings
        .subnet_v6
        .map_or(known6, |subnet| vec![pool(subnet)]);
    for pool in &mut pools4 {
        let range = settings.ip_range.map(|range| range.network().to_string());
        pool.ip_range = range.unwrap_or_default();
    }
    pools4.into_iter().chain(pools6).collect()
}

/// A subnet whose own address is that of the host in it.
fn pool(subnet: Cidr) -> PoolSpec {
    let address = Some(subnet.address()).filter(|address| *address != subnet.network().address());
    let gateway = address.filter(|address| *address != subnet.first());
    PoolSpec {
        subnet: subnet.network().to_string(),
        gateway: gateway
            .map(|address| address.to_string())
            .unwrap_or_default(),
        ..PoolSpec::default()
    }
}

fn default_options(engine: &Engine) -> BTreeMap<String, String> {
    let settings = &engine.networks().settings;
    let address = settings.publish_address;
    let address = address.map_or_else(|| "0.0.0.0".to_owned(), |a| a.to_string());
    [
        (
            "com.docker.network.bridge.default_bridge",
            "true".to_owned(),
        ),
        (
            "com.docker.network.bridge.enable_icc",
            settings.icc.to_string(),
        ),
        (
            "com.docker.network.bridge.enable_ip_masquerade",
            "true".to_owned(),
        ),
        (plan::BINDING, address),
        ("com.docker.network.bridge.name", settings.bridge.clone()),
        (
            "com.docker.network.driver.mtu",
            settings.mtu.unwrap_or(1500).to_string(),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// After containers have been recovered: takes back what those that run have, and lets go of the rest.
pub(crate) fn recover(engine: &Engine) -> Result<(), Error> {
    let mut model = Model::default();
    let mut rules = Vec::new();
    let containers = engine.table().all();
    for container in containers {
        let status = container.status();
        if status
            .networks
            .values()
            .all(|endpoint| endpoint.live.is_none())
        {
            continue;
        }
        if status.lifecycle.is_running() {
            take_back(engine, &container, &mut model, &mut rules);
        } else {
            forget(engine, &container)?;
        }
    }
    remove_former_default(engine)?;
    if model.is_empty() {
        return dismiss(engine);
    }
    let networks = engine.networks();
    model.rules = lock(&networks.rules).after(&rules)?;
    networks
        .keeper
        .replace(&model)
        .map_err(NetworkError::keeper("take back names and ports"))?;
    for change in &rules {
        if let RuleChange::AddNetwork(plan) = change {
            lock(&networks.rules).forward(plan)?;
        }
    }
    networks.watch_keeper();
    tell_left_out(engine, &model);
    Ok(())
}

/// Takes away the bridge that there was before the configuration said that there is none, unless a container
/// is in that network still.
fn remove_former_default(engine: &Engine) -> Result<(), Error> {
    if engine.networks().settings.has_default() {
        return Ok(());
    }
    let rows = engine.storage().networks().all()?;
    let mut known = rows.iter().filter_map(|row| record::decode(&row.body).ok());
    let Some(record) = known.find(|record| record.spec.name == "bridge") else {
        return Ok(());
    };
    let in_it = |container: &Arc<Container>| {
        let endpoints = container.status().networks;
        let mut live = endpoints.values().filter(|one| one.live.is_some());
        live.any(|one| one.network.as_ref() == Some(&record.id))
    };
    if let Some(container) = engine.table().all().iter().find(|one| in_it(one)) {
        tracing::warn!(container = %container.id(), "the default network stays: a container is in it");
        return Ok(());
    }
    match &record.plan {
        Some(plan) => network::bridge::remove(plan)
            .map_err(|error| NetworkError::network("remove the default network")(error).into()),
        None => Ok(()),
    }
}

/// Says whose ports and names could not be taken back; why is in the keeper's log.
fn tell_left_out(engine: &Engine, wanted: &Model) {
    let kept = match engine.networks().keeper.model() {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(%error, "cannot see what the keeper of networks has taken back");
            return;
        }
    };
    for container in wanted.views.keys() {
        if !kept.views.contains_key(container) {
            tracing::error!(
                container,
                "nobody answers the container's questions of names"
            );
        }
    }
    for (container, ports) in &wanted.ports {
        let has = kept.ports.get(container).map_or(0, Vec::len);
        if has < ports.len() {
            let missing = ports.len() - has;
            tracing::error!(container, missing, "ports of the container are another's");
        }
    }
}

fn take_back(
    engine: &Engine,
    container: &Container,
    model: &mut Model,
    rules: &mut Vec<RuleChange>,
) {
    let status = container.status();
    for endpoint in status.networks.values() {
        let (Some(network), Some(live)) = (engine.networks().of(endpoint), &endpoint.live) else {
            continue;
        };
        for address in &live.addresses {
            if let Err(error) = network.take_this(address.address()) {
                tracing::warn!(container = %container.id(), %error, "an address is another's");
            }
        }
        if !std::mem::replace(&mut lock(&network.made), true)
            && let Some(plan) = &network.record.plan
        {
            rules.push(RuleChange::AddNetwork(plan.clone()));
            let id = network.id().to_string();
            model.apply(Told::Network {
                id,
                network: attach::named(&network),
            });
        }
    }
    for told in attach::named_endpoints(container, &status.networks) {
        model.apply(told);
    }
    super::links::remember(engine, container, &status.networks);
    if let Some(process) = status.lifecycle.process() {
        model.apply(Told::View {
            id: container.id().to_string(),
            view: attach::view(engine, container, Some(process), &status.networks),
            sockets: false,
        });
    }
    for reservation in &status.ports.reserved {
        model.apply(Told::Reserve {
            id: container.id().to_string(),
            reservation: reservation.clone(),
        });
    }
    let endpoints = status.networks.values();
    let live = endpoints.filter_map(|endpoint| endpoint.live.as_ref());
    let addresses: Vec<_> = live
        .flat_map(|live| &live.addresses)
        .map(|address| address.address())
        .collect();
    let mut published = status.ports.rules.clone();
    published.retain(|port| addresses.contains(&port.target));
    rules.push(RuleChange::Publish(published));
}

/// What a run had that ended while nobody looked.
fn forget(engine: &Engine, container: &Container) -> Result<(), Error> {
    let keep = Some((engine.records(), storage::Durability::Process));
    container.change(keep, |mut status| {
        status.let_go_of_networks();
        Ok(status)
    })?;
    Ok(())
}

/// Takes away everything that the kernel has of networks, if no container needs it: as the daemon ends.
pub(crate) fn leave(engine: &Engine) -> Result<(), Error> {
    engine.networks().unwatch();
    let used = engine.table().all().iter().any(|container| {
        let status = container.status();
        status
            .networks
            .values()
            .any(|endpoint| endpoint.live.is_some())
    });
    if used {
        return Ok(());
    }
    let networks = engine.networks().table().all();
    for network in networks {
        attach::unmake(engine, &network)?;
    }
    dismiss(engine)
}

/// Ends the keeper, if one runs, with all that it keeps; of one that was killed, what it left behind:
/// the next one would resume from it.
fn dismiss(engine: &Engine) -> Result<(), Error> {
    let keeper = &engine.networks().keeper;
    let failed = || NetworkError::keeper("end the keeper of networks");
    if !keeper.end().map_err(failed())? {
        keeper.replace(&Model::default()).map_err(failed())?;
        keeper.end().map_err(failed())?;
    }
    let state = engine.config().run_root.join(STATE);
    if state.exists() {
        Firewall::open()
            .and_then(|mut firewall| firewall.remove(&engine.networks().settings.table))
            .map_err(NetworkError::network("remove the rules of networks"))?;
        std::fs::remove_file(&state).map_err(Error::io(format!("remove {}", state.display())))?;
    }
    lock(&engine.networks().rules).end()
}
