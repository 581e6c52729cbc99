//! The one table of rules, as far as the daemon has a hand in it: the keeper holds it.

use network::NetworkPlan;
use network::keeper::Change as Told;
use network::ruleset::{Change, Ruleset};

use super::Settings;
use super::forwarding::Mark;
use crate::Error;

/// What the keeper has been told of the table.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Whether there are rules at all.
    wanted: bool,
    ip_forward: bool,
    /// The host passes packets on for containers only.
    closed: bool,
    mark: Mark,
    table: String,
    /// Whether the keeper has a table.
    pub(super) told: bool,
}

impl Rules {
    pub(super) fn new(settings: &Settings, mark: Mark) -> Self {
        Self {
            wanted: settings.firewall,
            ip_forward: settings.ip_forward,
            closed: false,
            mark,
            table: settings.table.clone(),
            told: false,
        }
    }

    /// What has to be said for a network: of the first one all of the table. [`Rules::told`] is the
    /// caller's to set, once it has been said, and then [`Rules::forward`] is to be called.
    pub(super) fn with_network(&mut self, plan: &NetworkPlan) -> Result<Vec<Told>, Error> {
        let was = self.closed;
        self.close(plan)?;
        let mut told = Vec::new();
        if !self.told {
            told.push(Told::Ruleset {
                rules: self.empty(),
            });
        } else if self.closed != was {
            told.extend(self.change(Change::Close(true)));
        }
        told.extend(self.change(Change::AddNetwork(plan.clone())));
        if !self.wanted {
            told.clear();
        }
        Ok(told)
    }

    /// A change, where there are rules.
    pub(super) fn change(&self, change: Change) -> Option<Told> {
        let nothing = match &change {
            Change::Publish(ports) | Change::Unpublish(ports) => ports.is_empty(),
            _ => false,
        };
        (self.wanted && !nothing).then_some(Told::Rules { change })
    }

    /// The table with these changes made, of what was there before the daemon; none where there is none.
    pub(super) fn after(&mut self, changes: &[Change]) -> Result<Option<Ruleset>, Error> {
        for change in changes {
            if let Change::AddNetwork(plan) = change {
                self.close(plan)?;
            }
        }
        let mut rules = self.empty();
        for change in changes {
            rules.change(change);
        }
        self.told = true;
        Ok(self.wanted.then_some(rules))
    }

    fn empty(&self) -> Ruleset {
        Ruleset {
            closed: self.closed,
            ..Ruleset::new(self.table.clone())
        }
    }

    /// A host that is no router is to become one for its containers only: the rules say so before it is
    /// one.
    fn close(&mut self, plan: &NetworkPlan) -> Result<(), Error> {
        self.closed = self.closed || self.mark.closes(&self.versions(plan))?;
        Ok(())
    }

    /// Makes this host pass packets on, once the rules are there; of IPv6 only when a network has it: it
    /// would no longer listen to the routers around it.
    pub(super) fn forward(&self, plan: &NetworkPlan) -> Result<(), Error> {
        for ipv4 in self.mark.forward(&self.versions(plan))? {
            let setting = network::forwarding_setting(ipv4);
            if self.wanted {
                tracing::info!(
                    "this host passes packets on from now on ({setting}), for containers only"
                );
            } else {
                tracing::warn!(
                    "this host passes packets on from now on ({setting}), for everybody: \
                     without a firewall nothing keeps others from using it as a router"
                );
            }
        }
        Ok(())
    }

    /// There are no rules any more, and nothing to pass on.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.told = false;
        self.closed = false;
        self.mark.put_back()
    }

    /// Those of which a network needs it: whether each is IPv4.
    fn versions(&self, plan: &NetworkPlan) -> Vec<bool> {
        let versions = plan.subnets.iter().map(|subnet| subnet.is_ipv4());
        versions.filter(|_| self.ip_forward).collect()
    }
}
