//! What the daemon asks for, one function a call.

use std::os::fd::OwnedFd;
use std::path::Path;

use network::keeper::{Call, Change, Model, Reply, Reservation, Status, View, message, protocol};
use network::ruleset::Ruleset;
use sys::inet;
use sys::socket;

use crate::failure::Failure;
use crate::handover::Taken;
use crate::host::Host;
use crate::ports;
use crate::resolving;
use crate::server::Server;

impl Server {
    /// A call has come, or the caller has gone.
    pub(crate) fn on_caller(&mut self, number: u32) {
        let Some(caller) = self.callers.remove(&number) else {
            return;
        };
        if self.converse(&caller).is_some() {
            self.callers.insert(number, caller);
        }
    }

    /// None ends the connection.
    fn converse(&mut self, caller: &OwnedFd) -> Option<()> {
        let message = match socket::try_receive(caller) {
            Err(error) if error.errno == sys::Errno::AGAIN => return Some(()),
            message => message.ok().flatten()?,
        };
        let call = message::decode::<Call>(&message.bytes);
        let call = call.map_err(|error| Failure::invalid(error.to_string()));
        if matches!(call, Ok(Call::HandOver)) {
            // One who died of it is not told, and what was not handed over is kept.
            if let Err(failure) = self.hand_over(caller) {
                self.log(&failure.message);
            }
            return None;
        }
        let answer = call.and_then(|call| self.answer(call, message.fds));
        let reply = answer.unwrap_or_else(Reply::from);
        socket::try_send(caller, &message::encode(&reply), &[]).ok()
    }

    fn answer(&mut self, call: Call, fds: Vec<OwnedFd>) -> Result<Reply, Failure> {
        match call {
            Call::Hello => Ok(Reply::Hello {
                version: protocol::VERSION,
                build: protocol::build_of(Path::new("/proc/self/exe")),
            }),
            Call::Apply { changes } => self
                .apply(changes, fds)
                .map(|ports| Reply::Applied { ports }),
            Call::Replace { model } => {
                let (left_out, failed) = self.replace(*model, &mut Taken::default());
                // Who asked sees in the model what was left out.
                for failure in &left_out {
                    self.log(&failure.message);
                }
                match failed.into_iter().next() {
                    None => Ok(Reply::Done),
                    Some(first) => Err(first),
                }
            }
            Call::Model => Ok(Reply::Model {
                model: Box::new(self.model.clone()),
            }),
            Call::Status => Ok(Reply::Status(self.status())),
            Call::HandOver => Ok(Reply::Done),
            Call::End => self.end(),
        }
    }

    fn status(&self) -> Status {
        let resolver = &self.resolving.resolver;
        Status {
            views: self.resolving.len(),
            ports: self.ports.len(),
            connections: self.ports.passing.connections(),
            answered: resolver.answered,
            waiting: resolver.waiting(),
            restored: self.rules.restored,
            upstreams: resolver.upstreams().map(|a| a.to_string()).collect(),
        }
    }

    fn end(&mut self) -> Result<Reply, Failure> {
        if !self.model.is_empty() {
            return Err(Failure::conflict("networks are still kept"));
        }
        if let Some(rules) = self.model.rules.take() {
            self.rules.remove(&rules.table)?;
        }
        for file in [protocol::SOCKET, protocol::STATE] {
            // Without them the next one begins with nothing, as it would with them.
            let _ = std::fs::remove_file(self.dir.join(file));
        }
        self.leave();
        Ok(Reply::Done)
    }

    /// Makes changes, all or none: first what can fail, and then what cannot.
    pub(crate) fn apply(
        &mut self,
        changes: Vec<Change>,
        fds: Vec<OwnedFd>,
    ) -> Result<Vec<u16>, Failure> {
        let mut changes = changes;
        let sockets = views(&mut changes, fds)?;
        self.check_views(&changes)?;
        let mut taken = Vec::new();
        let done = self
            .reserve_all(&mut changes, &mut taken)
            .and_then(|ports| self.change_rules(&changes).map(|()| ports));
        match done {
            Ok(ports) => {
                self.commit(changes, sockets)?;
                Ok(ports)
            }
            Err(failure) => {
                for taken in &taken {
                    self.ports.give_back(taken);
                }
                Err(failure)
            }
        }
    }

    fn check_views(&self, changes: &[Change]) -> Result<(), Failure> {
        for change in changes {
            if let Change::View {
                id, sockets: false, ..
            } = change
                && !self.resolving.has_view(id)
            {
                return Err(Failure::invalid(format!(
                    "container {id} has no sockets to ask by, and none came along"
                )));
            }
        }
        Ok(())
    }

    /// Takes the ports, and says in the changes which.
    fn reserve_all(
        &mut self,
        changes: &mut [Change],
        taken: &mut Vec<ports::Taken>,
    ) -> Result<Vec<u16>, Failure> {
        let mut all = Vec::new();
        let mut released = Vec::new();
        for change in changes {
            match change {
                Change::Reserve { id, reservation } => {
                    let has = self.reserved(id, reservation);
                    let port = match has.filter(|_| !released.contains(id)) {
                        Some(port) => port,
                        None => {
                            let new =
                                self.ports
                                    .reserve(&self.poller, id, reservation, Vec::new())?;
                            let port = new.port;
                            taken.push(new);
                            port
                        }
                    };
                    reservation.port = port;
                    all.push(port);
                }
                Change::Release { id } => released.push(id.clone()),
                _ => {}
            }
        }
        Ok(all)
    }

    fn reserved(&self, id: &str, wanted: &Reservation) -> Option<u16> {
        let all = self.model.ports.get(id)?;
        let same = all.iter().find(|known| known.is_same(wanted))?;
        Some(same.port)
    }

    /// Makes the changes of rules in the kernel; those that were made are undone if one fails.
    fn change_rules(&mut self, changes: &[Change]) -> Result<(), Failure> {
        let of_rules =
            |change: &&Change| matches!(change, Change::Ruleset { .. } | Change::Rules { .. });
        let mut all = changes.iter().filter(of_rules).peekable();
        if all.peek().is_none() {
            return Ok(());
        }
        // What the table is like by now. The model is copied only where one change follows another.
        let mut now: Option<Ruleset> = None;
        while let Some(change) = all.next() {
            let done = self.change_table(now.as_ref(), change);
            if done.is_err() {
                if let Some(before) = &self.model.rules {
                    // What failed first is what is told.
                    let _ = self.rules.replace(before);
                }
                return done;
            }
            if all.peek().is_some() {
                now = after(now.or_else(|| self.model.rules.clone()), change);
            }
        }
        self.watch_rules();
        Ok(())
    }

    /// Makes one change in the kernel, to a table that is like this, or else like the model.
    fn change_table(&mut self, now: Option<&Ruleset>, change: &Change) -> Result<(), Failure> {
        match (change, now.or(self.model.rules.as_ref())) {
            (Change::Ruleset { rules }, _) => self.rules.replace(rules),
            (Change::Rules { change }, Some(now)) => self.rules.change(now, change),
            (Change::Rules { .. }, None) => Err(Failure::invalid(
                "rules are changed before there is a table to have them",
            )),
            _ => Ok(()),
        }
    }

    /// Does what cannot fail but for want of memory.
    fn commit(
        &mut self,
        changes: Vec<Change>,
        sockets: Vec<Option<[OwnedFd; 2]>>,
    ) -> Result<(), Failure> {
        let mut sockets = sockets.into_iter();
        for change in &changes {
            self.carry_out(change, &mut sockets)?;
            self.model.apply(change.clone());
        }
        self.state.add(&changes, &self.model)
    }

    fn carry_out(
        &mut self,
        change: &Change,
        sockets: &mut impl Iterator<Item = Option<[OwnedFd; 2]>>,
    ) -> Result<(), Failure> {
        let names = &mut self.resolving.resolver.names;
        match change {
            Change::Settings { settings } => {
                self.host = Host::new(&settings.resolv_conf);
                self.follow_host();
            }
            Change::Network { id, network } => names.set_network(id, network),
            Change::NoNetwork { id } => names.remove_network(id),
            Change::Endpoint {
                network,
                id,
                endpoint,
            } => names.set_endpoint(network, id, endpoint),
            Change::NoEndpoint { network, id } => names.remove_endpoint(network, id),
            Change::View { id, view, .. } => {
                if self.resolving.resolver.upstreams().next().is_none() {
                    self.host = Host::new(&self.model.settings.resolv_conf);
                    self.follow_host();
                }
                let sockets = sockets.next().flatten();
                return self.resolving.set_view(&self.poller, id, view, sockets);
            }
            Change::NoView { id } => self.resolving.remove_view(&self.poller, id),
            Change::Unreserve { id, reservation } => {
                if let Some(port) = self.reserved(id, reservation) {
                    self.ports.release_one(id, reservation, port);
                }
            }
            Change::Release { id } => self.ports.release(id),
            // Taken, or made, before.
            Change::Reserve { .. } | Change::Ruleset { .. } | Change::Rules { .. } => {}
        }
        Ok(())
    }

    /// Keeps exactly this. Views and ports that cannot be are left out: why is told first, and then what
    /// concerns all.
    pub(crate) fn replace(
        &mut self,
        model: Model,
        taken: &mut Taken,
    ) -> (Vec<Failure>, Vec<Failure>) {
        let mut left_out = Vec::new();
        let mut failures = Vec::new();
        self.model.settings = model.settings.clone();
        self.host = Host::new(&model.settings.resolv_conf);
        self.follow_host();
        self.replace_networks(&model);
        self.replace_views(&model, taken, &mut left_out);
        self.replace_ports(&model, taken, &mut left_out);
        if let Err(failure) = self.replace_rules(model.rules) {
            failures.push(failure);
        }
        match crate::state::State::begin(&self.dir, &self.model) {
            Ok(state) => self.state = state,
            Err(failure) => failures.push(failure),
        }
        (left_out, failures)
    }

    fn replace_networks(&mut self, model: &Model) {
        let names = &mut self.resolving.resolver.names;
        for id in self.model.networks.keys() {
            names.remove_network(id);
        }
        for (id, network) in &model.networks {
            names.set_network(id, network);
        }
        self.model.networks = model.networks.clone();
    }

    fn replace_views(&mut self, model: &Model, taken: &mut Taken, failures: &mut Vec<Failure>) {
        let old = std::mem::take(&mut self.model.views);
        for id in old.keys().filter(|id| !model.views.contains_key(*id)) {
            self.resolving.remove_view(&self.poller, id);
        }
        for (id, view) in &model.views {
            let mut view = view.clone();
            // The daemon does not know them.
            if let Some(known) = old.get(id).filter(|_| view.ports == [0, 0]) {
                view.ports = known.ports;
            }
            let sockets = match taken.view(id) {
                None if self.resolving.has_view(id) => Ok(None),
                None => again(id, &view).map(Some),
                given => Ok(given),
            };
            let set = sockets
                .and_then(|sockets| self.resolving.set_view(&self.poller, id, &view, sockets));
            match set {
                Ok(()) => drop(self.model.views.insert(id.clone(), view)),
                Err(failure) => failures.push(failure),
            }
        }
    }

    fn replace_ports(&mut self, model: &Model, taken: &mut Taken, failures: &mut Vec<Failure>) {
        let mut old = std::mem::take(&mut self.model.ports);
        old.retain(|id, all| {
            let stays = model.ports.get(id) == Some(all);
            if !stays {
                self.ports.release(id);
            }
            stays
        });
        for (id, all) in &model.ports {
            if let Some(all) = old.remove(id) {
                self.model.ports.insert(id.clone(), all);
                continue;
            }
            for (number, wanted) in all.iter().enumerate() {
                let sockets = taken.ports(id, number, wanted.listen.len());
                match self.ports.reserve(&self.poller, id, wanted, sockets) {
                    Ok(new) => {
                        let port = new.port;
                        let reservation = Reservation {
                            port,
                            ..wanted.clone()
                        };
                        let id = id.clone();
                        self.model.apply(Change::Reserve { id, reservation });
                    }
                    Err(failure) => failures.push(failure),
                }
            }
        }
    }

    fn replace_rules(&mut self, rules: Option<Ruleset>) -> Result<(), Failure> {
        let old = std::mem::replace(&mut self.model.rules, rules);
        let other = |old: &&Ruleset| {
            let new = self.model.rules.as_ref();
            new.is_none_or(|new| new.table != old.table)
        };
        if let Some(old) = old.as_ref().filter(other) {
            self.rules.remove(&old.table)?;
        }
        if let Some(rules) = &self.model.rules {
            self.rules.replace(rules)?;
        }
        self.watch_rules();
        Ok(())
    }
}

/// The sockets of each view among the changes, in their order, whose ports are written down.
fn views(changes: &mut [Change], fds: Vec<OwnedFd>) -> Result<Vec<Option<[OwnedFd; 2]>>, Failure> {
    let mut fds = fds.into_iter();
    let mut all = Vec::new();
    for change in changes {
        let Change::View { id, view, sockets } = change else {
            continue;
        };
        if !*sockets {
            all.push(None);
            continue;
        }
        let (Some(datagrams), Some(streams)) = (fds.next(), fds.next()) else {
            return Err(Failure::invalid(format!(
                "two sockets should come along for container {id}, for datagrams and for streams"
            )));
        };
        let port = |socket: &OwnedFd| {
            let address = inet::local_address(socket);
            address.map(|address| address.port())
        };
        let failed = || format!("use what came along as sockets of container {id}");
        view.ports = [
            port(&datagrams).map_err(Failure::of(failed()))?,
            port(&streams).map_err(Failure::of(failed()))?,
        ];
        all.push(Some([datagrams, streams]));
    }
    Ok(all)
}

/// The table after a change.
fn after(rules: Option<Ruleset>, change: &Change) -> Option<Ruleset> {
    match change {
        Change::Ruleset { rules } => Some(rules.clone()),
        Change::Rules { change } => rules.map(|mut rules| {
            rules.change(change);
            rules
        }),
        _ => rules,
    }
}

/// Makes a view's sockets once more where they were.
fn again(id: &str, view: &View) -> Result<[OwnedFd; 2], Failure> {
    let failed = || format!("listen for questions of container {id} again");
    let process = view.process.ok_or_else(|| {
        Failure::invalid(format!(
            "container {id} has no process whose namespace to listen in"
        ))
    })?;
    let namespace = resolving::namespace(process).map_err(Failure::of(failed()))?;
    let at = view.ports.map(|port| (inet::RESOLVER, port).into());
    sys::ns::within(namespace, || inet::resolver_sockets_at(at))
        .and_then(|made| made)
        .map_err(Failure::of(failed()))
}
