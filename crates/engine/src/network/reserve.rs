//! The part of a start that takes ports of the host: asked for before files are written and a user is looked up,
//! and there when that is done.

use std::time::Instant;

use network::Published;
use network::keeper::{self, Change as Told, Pending, Reservation};
use network::ruleset::Change as RuleChange;
use types::{ErrorKind, Protocol};

use super::error::NetworkError;
use super::place::{self, Placement, Publication};
use super::releases::{Held, PATIENCE};
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error};

/// Ports that the keeper was asked for, which takes them meanwhile.
pub(crate) struct Reserving<'a> {
    engine: &'a Engine,
    container: &'a Container,
    publications: Vec<Publication>,
    /// Whether they are published at once.
    published: bool,
    pending: Option<Pending<'a>>,
    told: Vec<Told>,
}

/// Begins to reserve the ports that are asked for. Those that are known by number are published with the same
/// words, if the table knows their network.
pub(crate) fn reserve<'a>(
    engine: &'a Engine,
    container: &'a Container,
    placement: &Placement,
    undo: &mut Stack<'a>,
) -> Result<Reserving<'a>, Error> {
    let mut reserving = Reserving {
        engine,
        container,
        publications: place::publications(engine, container, placement),
        published: false,
        pending: None,
        told: Vec::new(),
    };
    if reserving.publications.is_empty() {
        return Ok(reserving);
    }
    check(engine, &reserving.publications)?;
    let id = container.id();
    let reservations = reserving.publications.iter();
    let mut told: Vec<Told> = reservations
        .filter(|publication| publication.takes_a_port())
        .map(|publication| Told::Reserve {
            id: id.to_string(),
            reservation: publication.reservation.clone(),
        })
        .collect();
    let known = reserving.known(placement);
    reserving.published = known.is_some();
    let rules = known.unwrap_or_default();
    let change = move |change| lock(&engine.networks().rules).change(change);
    told.extend(change(RuleChange::Publish(rules.clone())));
    // Before the call: one whose answer does not come may have been heard.
    undo.push(step::PORTS, move || {
        let mut told = vec![Told::Release { id: id.to_string() }];
        told.extend(change(RuleChange::Unpublish(rules)));
        let done = engine.networks().keeper.apply(&told, &[]);
        done.map_err(NetworkError::keeper("give back the container's ports"))?;
        Ok(())
    });
    let begun = engine.networks().keeper.begin(told.clone());
    reserving.pending = Some(begun.map_err(|error| refused(engine, error))?);
    reserving.told = told;
    Ok(reserving)
}

impl Reserving<'_> {
    /// The rules that lead to the ports, if none of them is for the keeper to choose, and what they are about is in
    /// the table.
    fn known(&self, placement: &Placement) -> Option<Vec<Published>> {
        let made = |placed: &place::Placed| *lock(&placed.network.made);
        if !placement.endpoints.iter().all(made) {
            return None;
        }
        let number = |publication: &Publication| {
            let Reservation { first, last, .. } = publication.reservation;
            (first == last && first != 0 || !publication.takes_a_port()).then_some(first)
        };
        let ports: Option<Vec<u16>> = self.publications.iter().map(number).collect();
        Some(self.rules(&ports?).concat())
    }

    /// Of each the rules that lead there.
    fn rules(&self, ports: &[u16]) -> Vec<Vec<Published>> {
        let name = self.container.name();
        let policy = self.engine.networks().settings.host_policy;
        let all = self.publications.iter().zip(ports);
        all.map(|(publication, port)| place::rules(publication, *port, name.as_str(), policy))
            .collect()
    }

    /// Asks once more for ports that somebody has whose run is over: they are about to be free, or just are.
    fn once_free(
        &self,
        answer: Result<Vec<u16>, keeper::Error>,
    ) -> Result<Vec<u16>, keeper::Error> {
        let taken = |answer: &Result<_, keeper::Error>| {
            let kind = answer.as_ref().err().map(keeper::Error::kind);
            kind == Some(ErrorKind::Conflict)
        };
        if !taken(&answer) {
            return answer;
        }
        let (networks, runtime) = (self.engine.networks(), self.engine.runtime());
        let begin = Instant::now();
        loop {
            let waited = runtime.block_on(networks.releases.settled(Held::Ports));
            let answer = networks.keeper.begin(self.told.clone())?.ports();
            // Whoever let go of one meanwhile need not be who had these.
            if !waited || !taken(&answer) || begin.elapsed() > PATIENCE {
                return answer;
            }
        }
    }

    /// Says where they are.
    pub(crate) fn finish(mut self, placement: &mut Placement) -> Result<(), Error> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let reserved = self.once_free(pending.ports());
        let reserved = reserved.map_err(|error| refused(self.engine, error))?;
        let taken = of_each(&self.publications, reserved);
        let ports = &mut placement.ports;
        ports.rules = self.rules(&taken).concat();
        for (publication, port) in self.publications.iter().zip(taken) {
            ports.shown.extend(place::shown(publication, port));
            ports.reserved.extend(reservation(publication, port));
        }
        placement.published = self.published;
        self.engine.passed(step::PORTS)
    }
}

/// The port of each publication; zero of those that take none.
pub(super) fn of_each(publications: &[Publication], reserved: Vec<u16>) -> Vec<u16> {
    let mut reserved = reserved.into_iter();
    let port = |publication: &Publication| match publication.takes_a_port() {
        true => reserved.next().unwrap_or(0),
        false => 0,
    };
    publications.iter().map(port).collect()
}

/// What was taken for one.
pub(super) fn reservation(publication: &Publication, port: u16) -> Option<Reservation> {
    publication.takes_a_port().then(|| Reservation {
        port,
        ..publication.reservation.clone()
    })
}

/// Whether they can be had at all.
pub(super) fn check(engine: &Engine, publications: &[Publication]) -> Result<(), NetworkError> {
    let sctp = |publication: &Publication| publication.port.protocol == Protocol::Sctp;
    if engine.networks().settings.host_policy && publications.iter().any(sctp) {
        return Err(NetworkError::setting(
            "port of protocol sctp",
            "with host-policy ports are passed on by a program, which knows tcp and udp only",
        ));
    }
    Ok(())
}

/// Who has a port is known to people by a name.
pub(super) fn refused(engine: &Engine, error: keeper::Error) -> NetworkError {
    match error {
        keeper::Error::Refused {
            kind: ErrorKind::Conflict,
            mut message,
        } => {
            let containers = engine.table().all();
            for container in containers {
                let name = container.name();
                message = message.replace(container.id().as_str(), name.as_str());
            }
            NetworkError::PortTaken(message)
        }
        error => NetworkError::keeper("publish the container's ports")(error),
    }
}
