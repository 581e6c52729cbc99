//! The networks in memory, who has which address in them, and what of them the kernel has.
//!
//! Locks, in this order:
//! - `Container::networking`: held while a network of the container comes or goes, and while it starts.
//! - `Networks::changing`: held while a network is made or removed, or joined by a container that runs.
//! - `Network::made`, then the rules. None of the following is held over another:
//! - the table's own: held to look up and to insert.
//! - `Network::addresses`: held to take and to give back.
//! - `Network::made`: held while its device is made, so that it is made once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use network::ipam::Addresses;
use network::keeper::Keeper;
use network::{Cidr, Driver, NetworkPlan};
use types::{ContainerId, NetworkId};

use super::error::NetworkError;
use super::forwarding::Mark;
use super::record::{Endpoint, Record};
use super::releases::Releases;
use super::rules::Rules;
use super::{Settings, plan};
use crate::table::lock;

/// Names of networks that are always there.
pub(crate) const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// Between two attempts to start a keeper that does not start.
const PAUSE: Duration = Duration::from_secs(1);

/// All networks.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(crate) settings: Settings,
    pub(crate) keeper: Arc<Keeper>,
    watch: Watch,
    pub(crate) rules: Mutex<Rules>,
    table: RwLock<Table>,
    /// Held while a network is made or removed, from the look at the others to the record.
    pub(crate) changing: Mutex<()>,
    /// Containers that run and have links.
    pub(super) linking: Mutex<BTreeSet<ContainerId>>,
    /// What runs that have ended are letting go of.
    pub(crate) releases: Releases,
}

/// Whether somebody looks after the keeper.
#[derive(Debug, Default)]
struct Watch {
    begun: AtomicBool,
    over: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    by_id: BTreeMap<NetworkId, Arc<Network>>,
}

/// One network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) record: Record,
    addresses: Mutex<Vec<Addresses>>,
    /// Whether the kernel and the keeper have it.
    pub(super) made: Mutex<bool>,
}

impl Networks {
    pub(crate) fn new(settings: Settings, keeper: Keeper, mark: Mark) -> Self {
        Self {
            rules: Mutex::new(Rules::new(&settings, mark)),
            settings,
            keeper: Arc::new(keeper),
            watch: Watch::default(),
            table: RwLock::default(),
            changing: Mutex::default(),
            linking: Mutex::default(),
            releases: Releases::default(),
        }
    }

    /// From now on a keeper that dies is started again, by a thread that ends with [`Networks::unwatch`]
    /// and the keeper. It holds nothing else of the engine.
    pub(crate) fn watch_keeper(&self) {
        if self.watch.begun.swap(true, Ordering::AcqRel) {
            return;
        }
        let (keeper, over) = (self.keeper.clone(), self.watch.over.clone());
        let thread = std::thread::Builder::new().name("keeper".to_owned());
        let begun = thread.spawn(move || {
            while !over.load(Ordering::Acquire) {
                let ended = keeper.ensure().and_then(|()| keeper.wait_for_end(None));
                if let Err(error) = ended {
                    tracing::warn!(%error, "cannot look after the keeper of networks");
                    std::thread::sleep(PAUSE);
                }
            }
        });
        if let Err(error) = begun {
            tracing::warn!(%error, "nobody looks after the keeper of networks");
        }
    }

    /// The keeper may end.
    pub(crate) fn unwatch(&self) {
        self.watch.over.store(true, Ordering::Release);
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Who is meant: an id, a name, or the beginning of one id only.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Network>, NetworkError> {
        self.table().find(who)
    }

    pub(crate) fn get(&self, id: &NetworkId) -> Option<Arc<Network>> {
        self.table().by_id.get(id).cloned()
    }

    /// The network of a place in one.
    pub(super) fn of(&self, endpoint: &Endpoint) -> Option<Arc<Network>> {
        self.get(endpoint.network.as_ref()?)
    }

    /// The network that a start means by a place: its own, or what is known by its name by now.
    pub(super) fn meant(
        &self,
        name: &str,
        endpoint: &Endpoint,
    ) -> Result<Arc<Network>, NetworkError> {
        match (self.of(endpoint), &endpoint.network) {
            (Some(network), _) => Ok(network),
            _ if name == PREDEFINED[0] && !self.settings.has_default() => {
                Err(NetworkError::NoDefault)
            }
            // It has gone: another one may have its name, but none is meant whose id begins so.
            (None, Some(_)) => {
                let named = self.table().named(name);
                named.ok_or_else(|| NetworkError::NotFound(name.to_owned()))
            }
            (None, None) => self.find(name),
        }
    }
}

impl Table {
    pub(crate) fn insert(&mut self, network: Arc<Network>) {
        self.by_id.insert(network.record.id.clone(), network);
    }

    pub(crate) fn forget(&mut self, id: &NetworkId) {
        self.by_id.remove(id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Network>> {
        self.by_id.values().cloned().collect()
    }

    pub(crate) fn named(&self, name: &str) -> Option<Arc<Network>> {
        self.by_id.values().find(|n| n.name() == name).cloned()
    }

    pub(crate) fn find(&self, who: &str) -> Result<Arc<Network>, NetworkError> {
        if let Ok(id) = who.parse::<NetworkId>()
            && let Some(network) = self.by_id.get(&id)
        {
            return Ok(network.clone());
        }
        if let Some(network) = self.named(who) {
            return Ok(network);
        }
        let begins = |n: &&Arc<Network>| !who.is_empty() && n.id().as_str().starts_with(who);
        let mut found = self.by_id.values().filter(begins);
        match (found.next(), found.next()) {
            (Some(network), None) => Ok(network.clone()),
            (None, _) => Err(NetworkError::NotFound(who.to_owned())),
            (Some(_), Some(_)) => Err(NetworkError::Ambiguous(who.to_owned())),
        }
    }

    /// Bridges of all networks, with the networks' names.
    pub(crate) fn bridges(&self) -> Vec<(String, String)> {
        let of = |network: &Arc<Network>| {
            let bridge = network.bridge()?;
            Some((bridge.name.clone(), network.name().to_owned()))
        };
        self.by_id.values().filter_map(of).collect()
    }

    /// Subnets of all networks, by their names.
    pub(crate) fn subnets(&self) -> Vec<(String, Cidr)> {
        let of = |network: &Arc<Network>| {
            let plan = network.record.plan.as_ref();
            let subnets = plan.map(|plan| plan.subnets.clone()).unwrap_or_default();
            let name = network.name().to_owned();
            subnets
                .into_iter()
                .map(move |s| (name.clone(), s.network()))
        };
        self.by_id.values().flat_map(of).collect()
    }
}

impl Network {
    pub(crate) fn new(record: Record) -> Result<Self, NetworkError> {
        let mut addresses: Vec<Addresses> = Vec::new();
        if let Some(plan) = &record.plan {
            for pool in &record.spec.pools {
                let range = plan::addresses(pool)?;
                let whole = plan::has_no_gateway(&plan.driver, plan.internal, range.subnet());
                addresses.push(if whole {
                    range.without_gateway()
                } else {
                    range
                });
            }
        }
        Ok(Self {
            addresses: Mutex::new(addresses),
            record,
            made: Mutex::new(false),
        })
    }

    pub(crate) fn id(&self) -> &NetworkId {
        &self.record.id
    }

    /// Whether a place is in it, or will be.
    pub(super) fn has(&self, name: &str, endpoint: &Endpoint) -> bool {
        match &endpoint.network {
            Some(id) => id == self.id(),
            None => name == self.name(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.record.spec.name
    }

    pub(crate) fn is_predefined(&self) -> bool {
        PREDEFINED.contains(&self.name())
    }

    pub(crate) fn plan(&self) -> Result<&NetworkPlan, NetworkError> {
        self.record.plan.as_ref().ok_or_else(|| {
            if self.record.spec.config_only {
                NetworkError::ConfigOnly(self.name().to_owned())
            } else {
                NetworkError::None
            }
        })
    }

    /// The device on the host, if its driver has one.
    pub(crate) fn bridge(&self) -> Option<&network::BridgePlan> {
        match &self.record.plan.as_ref()?.driver {
            Driver::Bridge(bridge) => Some(bridge),
            Driver::Macvlan(_) | Driver::Ipvlan(_) => None,
        }
    }

    /// An address of each version that it has; those asked for, if any.
    pub(crate) fn take(
        &self,
        ipv4: Option<IpAddr>,
        ipv6: Option<IpAddr>,
    ) -> Result<Vec<Cidr>, NetworkError> {
        let mut all = lock(&self.addresses);
        let mut taken: Vec<Cidr> = Vec::new();
        for asked in [ipv4, ipv6].into_iter().flatten() {
            if !all.iter().any(|range| range.subnet().contains(asked)) {
                give_back(&mut all, &taken);
                return Err(NetworkError::NoSubnet(asked.to_string()));
            }
        }
        for (asked, version4) in [(ipv4, true), (ipv6, false)] {
            let mut of_version = all
                .iter_mut()
                .filter(|range| range.subnet().is_ipv4() == version4);
            let one = match asked {
                Some(address) => of_version
                    .find(|range| range.subnet().contains(address))
                    .map(|range| range.take_this(address)),
                None => first_free(of_version),
            };
            match one {
                None => {}
                Some(Ok(address)) => taken.push(address),
                Some(Err(error)) => {
                    give_back(&mut all, &taken);
                    return Err(self.refused(error));
                }
            }
        }
        Ok(taken)
    }

    fn refused(&self, error: network::ipam::Error) -> NetworkError {
        match error {
            network::ipam::Error::Taken(address) => NetworkError::AddressTaken {
                address: address.to_string(),
                network: self.name().to_owned(),
            },
            error => error.into(),
        }
    }

    /// An address that a container has already.
    pub(crate) fn take_this(&self, address: IpAddr) -> Result<(), NetworkError> {
        let mut all = lock(&self.addresses);
        let range = all
            .iter_mut()
            .find(|range| range.subnet().contains(address));
        match range.map(|range| range.take_this(address)) {
            Some(Err(error)) => Err(self.refused(error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    pub(crate) fn give_back(&self, addresses: &[Cidr]) {
        give_back(&mut lock(&self.addresses), addresses);
    }

    /// Whether everybody is reached by the link itself, without a gateway.
    fn routes(&self) -> bool {
        let plan = self.record.plan.as_ref();
        plan.is_some_and(
            |plan| matches!(&plan.driver, Driver::Ipvlan(ipvlan) if ipvlan.mode.routes()),
        )
    }

    /// Gateways of its subnets, of each version the first; all zeros where everybody is on the link.
    pub(crate) fn gateways(&self) -> Vec<IpAddr> {
        let all = lock(&self.addresses);
        let gateway = |ipv4: bool| {
            let mut gateways = all.iter().filter(|range| range.has_gateway());
            let of = gateways.find(|range| range.subnet().is_ipv4() == ipv4)?;
            Some(match (self.routes(), ipv4) {
                (false, _) => of.gateway().address(),
                (true, true) => Ipv4Addr::UNSPECIFIED.into(),
                (true, false) => Ipv6Addr::UNSPECIFIED.into(),
            })
        };
        [gateway(true), gateway(false)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// By subnet: in use, and free.
    pub(crate) fn usage(&self) -> Vec<(Cidr, u64, u64)> {
        let usage = |range: &Addresses| {
            let reserved = range.auxiliary().len() + usize::from(range.has_gateway());
            let used = u64::try_from(range.in_use() + reserved).unwrap_or(u64::MAX);
            (range.subnet(), used, range.capacity().saturating_sub(used))
        };
        lock(&self.addresses).iter().map(usage).collect()
    }
}

/// Of the first range that has one; why not, if none has.
fn first_free<'a>(
    ranges: impl Iterator<Item = &'a mut Addresses>,
) -> Option<Result<Cidr, network::ipam::Error>> {
    let mut last = None;
    for range in ranges {
        let taken = range.take();
        if taken.is_ok() {
            return Some(taken);
        }
        last = Some(taken);
    }
    last
}

fn give_back(all: &mut [Addresses], addresses: &[Cidr]) {
    for address in addresses {
        for range in all.iter_mut() {
            range.give_back(address.address());
        }
    }
}

/// Names that two lists have in common are named once.
pub(crate) fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| !name.is_empty() && seen.insert(name.clone()))
        .collect()
}
