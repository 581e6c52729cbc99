//! The one table of rules, as far as the daemon has a hand in it: the keeper holds it.

use network::NetworkPlan;
use network::keeper::Change as Told;
use network::ruleset::{Change, Ruleset};

use super::Settings;
use super::error::NetworkError;

/// What the keeper has been told of the table.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Whether there are rules at all.
    wanted: bool,
    ip_forward: bool,
    /// The host passes packets on for containers only.
    closed: bool,
    table: String,
    /// Whether the keeper has a table.
    pub(super) told: bool,
}

impl Rules {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            wanted: settings.firewall,
            ip_forward: settings.ip_forward,
            closed: false,
            table: settings.table.clone(),
            told: false,
        }
    }

    /// What has to be said for a network: of the first one all of the table. [`Rules::told`] is the
    /// caller's to set, once it has been said.
    pub(super) fn with_network(&mut self, plan: &NetworkPlan) -> Result<Vec<Told>, NetworkError> {
        let was = self.closed;
        self.forward(plan)?;
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
    pub(super) fn after(&mut self, changes: &[Change]) -> Result<Option<Ruleset>, NetworkError> {
        for change in changes {
            if let Change::AddNetwork(plan) = change {
                self.forward(plan)?;
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

    /// A host that was no router becomes one for its containers only, and of IPv6 only when a network
    /// has it: it would no longer listen to the routers around it.
    fn forward(&mut self, plan: &NetworkPlan) -> Result<(), NetworkError> {
        let versions = plan.subnets.iter().map(|subnet| subnet.is_ipv4());
        for ipv4 in versions.filter(|_| self.ip_forward) {
            let enabled = network::enable_forwarding(ipv4)
                .map_err(NetworkError::network("make this host pass packets on"))?;
            if enabled {
                self.closed = true;
                tracing::info!(
                    "this host passes packets on from now on (net.ipv{}), for containers only",
                    if ipv4 {
                        "4.ip_forward"
                    } else {
                        "6.conf.all.forwarding"
                    }
                );
            }
        }
        Ok(())
    }
}
