//! `network create`

use std::sync::Arc;

use network::Driver;
use storage::NetworkRecord;
use types::{NetworkId, NetworkSpec};

use super::error::NetworkError;
use super::plan::{self, Surroundings};
use super::reach::{self, Reach};
use super::record::{self, Record};
use super::table::{Network, PREDEFINED};
use super::{attach, place, told};
use crate::container::create::random;
use crate::steps::name as step;
use crate::table::lock;
use crate::{Engine, Error, clock};

/// What [`create`] made.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new network.
    pub id: NetworkId,
    /// What the user should know.
    pub warning: String,
}

/// Makes a network, of no more than it may be of. Blocking.
pub fn create(engine: &Engine, mut spec: NetworkSpec, reach: Reach) -> Result<Created, Error> {
    engine.accepts_work()?;
    check(&mut spec)?;
    let networks = engine.networks();
    let _order = lock(&networks.changing);
    if networks.table().named(&spec.name).is_some() {
        return Err(NetworkError::Exists(spec.name).into());
    }
    borrow(engine, &mut spec)?;
    complete(engine, &mut spec);
    if reach == Reach::Containers {
        reach::check(&spec)?;
    }
    let id = NetworkId::from_random(random()?);
    let plan = match spec.config_only {
        true => None,
        false => Some(planned(engine, &id, &mut spec)?),
    };
    let record = Record {
        id: id.clone(),
        created: clock::now(),
        spec,
        plan,
    };
    let network = Network::new(record)?;
    // First: of what no record knows nobody would ever take away what a daemon that was killed has made.
    keep(engine, &network.record)?;
    if let Err(error) = make(engine, &network) {
        undo(engine, &network);
        return Err(error);
    }
    let network = Arc::new(network);
    networks.table_mut().insert(network.clone());
    told::of_network(engine, &network, "create");
    Ok(Created {
        id,
        warning: String::new(),
    })
}

fn make(engine: &Engine, network: &Network) -> Result<(), Error> {
    engine.passed(step::NETWORK_RECORD)?;
    if network.record.plan.is_some() {
        attach::make(engine, network)?;
    }
    engine.passed(step::NETWORK_DEVICE)
}

fn undo(engine: &Engine, network: &Network) {
    let id = network.id().as_str();
    let undone = attach::unmake(engine, network)
        .and_then(|()| Ok(engine.storage().networks().delete(id)?));
    if let Err(error) = undone {
        tracing::warn!(network = network.name(), error = %error.chain(),
            "cannot take away what was made of a network");
    }
}

/// Writes a record.
pub(super) fn keep(engine: &Engine, record: &Record) -> Result<(), Error> {
    let row = NetworkRecord {
        id: record.id.to_string(),
        name: record.spec.name.clone(),
        body: record::encode(record)?,
    };
    Ok(engine.storage().networks().insert(&row)?)
}

/// What can be said of the request alone; empty settings get their defaults.
fn check(spec: &mut NetworkSpec) -> Result<(), NetworkError> {
    if PREDEFINED.contains(&spec.name.as_str()) || spec.name == "default" {
        return Err(NetworkError::Predefined(spec.name.clone()));
    }
    // Docker takes any, and so clients use any.
    if spec.name.trim().is_empty() || spec.name.chars().any(char::is_control) {
        return Err(NetworkError::Name(spec.name.clone()));
    }
    match spec.driver.as_str() {
        // It is of no driver: who borrows its settings has one.
        _ if spec.config_only => spec.driver = "null".to_owned(),
        "" => spec.driver = "bridge".to_owned(),
        "host" => return Err(NetworkError::OneInstance("host")),
        "null" | "none" => return Err(NetworkError::OneInstance("null")),
        "overlay" => return Err(NetworkError::Cluster("the driver overlay")),
        _ => {}
    }
    match spec.scope.as_str() {
        "" => spec.scope = "local".to_owned(),
        "local" => {}
        _ => return Err(NetworkError::Cluster("a scope other than local")),
    }
    if spec.ingress {
        return Err(NetworkError::Cluster("an ingress network"));
    }
    match spec.ipam_driver.as_str() {
        "" => spec.ipam_driver = "default".to_owned(),
        "default" | "null" => {}
        other => {
            return Err(NetworkError::setting(
                "IPAM driver",
                format!("{other:?}: default or null is expected"),
            ));
        }
    }
    if spec.config_only && spec.config_from.is_some() {
        return Err(NetworkError::setting(
            "network",
            "configuration networks cannot depend on another configuration network",
        ));
    }
    Ok(())
}

/// Takes over the settings of the network that lends them.
fn borrow(engine: &Engine, spec: &mut NetworkSpec) -> Result<(), NetworkError> {
    let Some(from) = &spec.config_from else {
        return Ok(());
    };
    let lender = engine.networks().find(from)?;
    if !lender.record.spec.config_only {
        return Err(NetworkError::NotConfigOnly(from.clone()));
    }
    if !spec.pools.is_empty() || !spec.options.is_empty() {
        return Err(NetworkError::setting(
            "network",
            "user-specified configurations are not supported if the network depends on a \
             configuration network",
        ));
    }
    let lent = &lender.record.spec;
    spec.pools.clone_from(&lent.pools);
    spec.options.clone_from(&lent.options);
    spec.ipam_options.clone_from(&lent.ipam_options);
    spec.ipv4 = spec.ipv4.or(lent.ipv4);
    spec.ipv6 = spec.ipv6.or(lent.ipv6);
    Ok(())
}

/// Adds the options that the daemon's configuration has for networks of its driver.
fn complete(engine: &Engine, spec: &mut NetworkSpec) {
    let defaults = &engine.networks().settings.default_options;
    let Some(defaults) = defaults
        .get(&spec.driver)
        .filter(|_| spec.config_from.is_none())
    else {
        return;
    };
    let said = [(plan::ENABLE4, spec.ipv4), (plan::ENABLE6, spec.ipv6)];
    for (key, value) in defaults {
        let said_otherwise = |(name, said): &(&str, Option<bool>)| key == name && said.is_some();
        if !said.iter().any(said_otherwise) && !spec.options.contains_key(key) {
            spec.options.insert(key.clone(), value.clone());
        }
    }
}

fn planned(
    engine: &Engine,
    id: &NetworkId,
    spec: &mut NetworkSpec,
) -> Result<network::NetworkPlan, Error> {
    let networks = engine.networks();
    let routes = network::host_routes().map_err(NetworkError::network("look for a free subnet"))?;
    let around = Surroundings {
        networks: networks.table().subnets(),
        routes: &routes,
        pools: &networks.settings.pools,
        bridges: networks.table().bridges(),
        link_exists: &network::link_exists,
    };
    let plan = plan::plan(id, spec, &around)?;
    if plan.subnets.iter().any(|subnet| !subnet.is_ipv4()) && !place::host_has_ipv6() {
        return Err(NetworkError::setting(
            "network",
            "IPv6 is asked for, which this machine's kernel does not speak (ipv6.disable): leave it out",
        )
        .into());
    }
    let parent = match &plan.driver {
        Driver::Macvlan(macvlan) => macvlan.parent.as_deref(),
        Driver::Ipvlan(ipvlan) => ipvlan.parent.as_deref(),
        Driver::Bridge(_) => None,
    };
    if let Some(parent) = parent {
        let what = format!("create network {}", spec.name);
        network::check_parent(parent).map_err(NetworkError::network(what))?;
    }
    Ok(plan)
}
