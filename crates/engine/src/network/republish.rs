//! Ports of a container that runs: some are published, others are not any more.

use std::net::IpAddr;
use std::sync::Arc;

use network::Published;
use network::keeper::{Change as Told, Reservation};
use network::ruleset::Change as RuleChange;
use storage::Durability;
use types::PortRequest;

use super::error::NetworkError;
use super::place::{self, Publication};
use super::record::{Live, Ports, PublishedPort};
use super::table::Network;
use super::{attach, reserve};
use crate::record::Status;
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error};

/// What comes and what goes, as it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) add: Vec<PortRequest>,
    pub(crate) remove: Vec<PortRequest>,
}

/// Makes the change; what the run has of ports then. For who holds its `networking`.
///
/// What comes is there before anything goes, but where it takes the place of what goes: then there is a
/// moment in which the port is nobody's.
pub(crate) fn change<'a>(
    engine: &'a Engine,
    container: &'a Container,
    asked: &Change,
    undo: &mut Stack<'a>,
) -> Result<Ports, Error> {
    let mut ports = container.status().ports;
    let first = asked.takes_a_place();
    if first {
        withdraw(engine, container, asked, &mut ports, undo)?;
    }
    publish(engine, container, &asked.add, &mut ports, undo)?;
    if !first {
        withdraw(engine, container, asked, &mut ports, undo)?;
    }
    engine.passed(step::UPDATE_PORTS)?;
    Ok(ports)
}

/// Publishes what a run is to have of ports and has not, once there is a way to them: a network has come, or is
/// left when that one went by which they were led. For who holds its `networking`.
pub(super) fn where_there_is_a_way<'a>(
    engine: &'a Engine,
    container: &'a Container,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    let before = container.status().ports;
    let asked = place::asked_ports(container);
    if !before.rules.is_empty() || !before.reserved.is_empty() || asked.is_empty() {
        return Ok(());
    }
    let way = way_in(engine, container, &before);
    if way.is_none_or(|(network, _)| network.bridge().is_none()) {
        return Ok(());
    }
    let mut ports = Ports::default();
    publish(engine, container, &asked, &mut ports, undo)?;
    undo.push(step::UPDATE_PORTS, move || {
        record(engine, container, before)
    });
    record(engine, container, ports)
}

fn record(engine: &Engine, container: &Container, ports: Ports) -> Result<(), Error> {
    let keep = Some((engine.records(), Durability::Power));
    container.change(keep, |status| Ok(Status { ports, ..status }))?;
    Ok(())
}

impl Change {
    /// Whether something that comes may be where something is that goes.
    fn takes_a_place(&self) -> bool {
        let number = |port: &PortRequest| port.host_ports.unwrap_or((0, 0));
        let meets = |new: &PortRequest, old: &PortRequest| {
            let ((low, high), (first, last)) = (number(new), number(old));
            new.port.protocol == old.port.protocol && low <= last && first <= high
        };
        let mut new = self.add.iter();
        new.any(|new| self.remove.iter().any(|old| meets(new, old)))
    }
}

fn publish<'a>(
    engine: &'a Engine,
    container: &'a Container,
    asked: &[PortRequest],
    ports: &mut Ports,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    if asked.is_empty() {
        return Ok(());
    }
    let publications = publications(engine, container, asked, ports)?;
    let id = container.id();
    let each = |told: fn(String, Reservation) -> Told| -> Vec<Told> {
        let all = publications.iter().filter(|one| one.takes_a_port());
        all.map(|one| told(id.to_string(), one.reservation.clone()))
            .collect()
    };
    let wanted = each(|id, reservation| Told::Reserve { id, reservation });
    let unwanted = each(|id, reservation| Told::Unreserve { id, reservation });
    // Before the call: one whose answer does not come may have been heard.
    undo.push(step::UPDATE_PORTS, move || {
        let done = engine.networks().keeper.apply(&unwanted, &[]);
        done.map_err(NetworkError::keeper("give back the container's ports"))?;
        Ok(())
    });
    let keeper = &engine.networks().keeper;
    let reserved = keeper.apply(&wanted, &[]);
    let reserved = reserved.map_err(|error| reserve::refused(engine, error))?;
    let policy = engine.networks().settings.host_policy;
    let mut rules = Vec::new();
    let taken = reserve::of_each(&publications, reserved);
    for (publication, port) in publications.iter().zip(taken) {
        let name = container.name();
        rules.extend(place::rules(publication, port, name.as_str(), policy));
        ports.shown.extend(place::shown(publication, port));
        ports
            .reserved
            .extend(reserve::reservation(publication, port));
    }
    ports.rules.extend(rules.iter().cloned());
    let back = rules.clone();
    undo.push(step::UPDATE_PORTS, move || {
        change_rules(engine, RuleChange::Unpublish(back), Vec::new())
    });
    change_rules(engine, RuleChange::Publish(rules.clone()), Vec::new())?;
    attach::lead_anew(&rules);
    Ok(())
}

/// Has the table changed, and with the same words what is told beside that.
fn change_rules(engine: &Engine, change: RuleChange, more: Vec<Told>) -> Result<(), Error> {
    let mut told = more;
    told.extend(lock(&engine.networks().rules).change(change));
    let done = engine.networks().keeper.apply(&told, &[]);
    done.map_err(NetworkError::keeper(
        "change what leads to the container's ports",
    ))?;
    Ok(())
}

/// What is to be reserved and published for them, none of which is there already.
fn publications(
    engine: &Engine,
    container: &Container,
    asked: &[PortRequest],
    ports: &Ports,
) -> Result<Vec<Publication>, Error> {
    let no_way = || NetworkError::NoWayIn(container.name().to_string());
    let (network, live) = way_in(engine, container, ports).ok_or_else(no_way)?;
    network.bridge().ok_or_else(no_way)?;
    let publications = place::of_ports(engine, asked, (&network, &live.addresses));
    reserve::check(engine, &publications)?;
    let known = |new: &&Publication| {
        let mut reserved = ports.reserved.iter();
        let mut shown = ports.shown.iter();
        match new.takes_a_port() {
            true => reserved.any(|known| known.is_same(&new.reservation)),
            false => shown.any(|known| known.host_port == 0 && known.port == new.port),
        }
    };
    match publications.iter().find(known) {
        Some(same) => Err(NetworkError::PortTaken(format!(
            "container {} publishes {} so already",
            container.name(),
            same.port
        ))
        .into()),
        None => Ok(publications),
    }
}

/// The endpoint that ports lead to: where they do already, or else the way out.
fn way_in(engine: &Engine, container: &Container, ports: &Ports) -> Option<(Arc<Network>, Live)> {
    let endpoints = container.status().networks.into_values();
    let mut live: Vec<_> = endpoints
        .filter_map(|endpoint| {
            let network = engine.networks().of(&endpoint)?;
            let rank = place::rank(&network, &endpoint.request);
            Some((rank, network, endpoint.live?))
        })
        .collect();
    live.sort_by_key(|(rank, _, _)| *rank);
    let has = |live: &Live, address: IpAddr| live.addresses.iter().any(|a| a.address() == address);
    let used = live
        .iter()
        .position(|(_, _, live)| ports.rules.iter().any(|rule| has(live, rule.target)));
    let out = || {
        live.iter().position(|(_, network, live)| {
            let mut gateways = live.gateways.iter();
            gateways.any(|gateway| place::leads_out(network, gateway.is_ipv4()))
        })
    };
    let found = used.or_else(out)?;
    let (_, network, live) = live.swap_remove(found);
    Some((network, live))
}

fn withdraw<'a>(
    engine: &'a Engine,
    container: &'a Container,
    asked: &Change,
    ports: &mut Ports,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    for gone in &asked.remove {
        withdraw_routed(engine, gone, ports, undo)?;
        // A run that has lost its ports has none to give back.
        let Some(at) = reserved_for(gone, &asked.remove, &ports.reserved) else {
            continue;
        };
        let reservation = ports.reserved.remove(at);
        let rules = taken(&mut ports.rules, |rule| leads_by(rule, &reservation));
        taken(&mut ports.shown, |shown| {
            is_shown(shown, gone, &reservation)
        });
        let id = container.id().to_string();
        let told = Told::Unreserve {
            id: id.clone(),
            reservation: reservation.clone(),
        };
        let back = rules.clone();
        undo.push(step::UPDATE_PORTS, move || {
            let told = Told::Reserve { id, reservation };
            change_rules(engine, RuleChange::Publish(back), vec![told])
        });
        change_rules(engine, RuleChange::Unpublish(rules.clone()), vec![told])?;
        attach::lead_anew(&rules);
    }
    Ok(())
}

/// What is routed to the container is of no reservation.
fn withdraw_routed<'a>(
    engine: &'a Engine,
    gone: &PortRequest,
    ports: &mut Ports,
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    let routed = |shown: &PublishedPort| shown.host_port == 0 && shown.port == gone.port;
    if taken(&mut ports.shown, routed).is_empty() {
        return Ok(());
    }
    let protocol = place::rule_protocol(gone.port.protocol);
    let rules = taken(&mut ports.rules, |rule| {
        (rule.host_port, rule.target_port, rule.protocol) == (0, gone.port.number, protocol)
    });
    let back = rules.clone();
    undo.push(step::UPDATE_PORTS, move || {
        change_rules(engine, RuleChange::Publish(back), Vec::new())
    });
    change_rules(engine, RuleChange::Unpublish(rules), Vec::new())
}

/// What of a list is so, taken out of it.
fn taken<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool) -> Vec<T> {
    let (out, stays) = std::mem::take(list).into_iter().partition(is);
    *list = stays;
    out
}

/// The reservation that was made for what was asked for. One on an address is not taken for one on all.
fn reserved_for(
    asked: &PortRequest,
    others: &[PortRequest],
    reserved: &[Reservation],
) -> Option<usize> {
    let on = |reservation: &Reservation, address: IpAddr| {
        let mut listen = reservation.listen.iter();
        listen.all(|listen| listen.address == address)
    };
    let fits = |reservation: &Reservation| {
        let wanted = (reservation.first, reservation.last);
        reservation.inner == asked.port.number
            && reservation.protocol == place::rule_protocol(asked.port.protocol)
            && wanted == asked.host_ports.unwrap_or((0, 0))
            && asked.host_ip.is_none_or(|address| on(reservation, address))
    };
    let others_own = |reservation: &Reservation| {
        let addresses = others.iter().filter_map(|other| other.host_ip);
        asked.host_ip.is_none()
            && addresses
                .into_iter()
                .any(|address| on(reservation, address))
    };
    let at = |is: &dyn Fn(&Reservation) -> bool| reserved.iter().position(is);
    at(&|one| fits(one) && !others_own(one)).or_else(|| at(&fits))
}

/// Whether a rule leads to a reserved port.
fn leads_by(rule: &Published, reservation: &Reservation) -> bool {
    let mut listen = reservation.listen.iter();
    (rule.host_port, rule.protocol) == (reservation.port, reservation.protocol)
        && listen.any(|listen| match rule.host {
            Some(host) => host == listen.address,
            None => {
                listen.address.is_unspecified() && listen.address.is_ipv4() == rule.target.is_ipv4()
            }
        })
}

fn is_shown(shown: &PublishedPort, asked: &PortRequest, reservation: &Reservation) -> bool {
    let mut listen = reservation.listen.iter();
    shown.port == asked.port
        && shown.host_port == reservation.port
        && listen.any(|listen| listen.address == shown.host_ip)
}
