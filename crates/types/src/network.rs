//! A network as users ask for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything a user may say about a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// `bridge`, `macvlan` or `ipvlan`; empty means bridge.
    pub driver: String,
    /// `local`, or empty for that.
    pub scope: String,
    /// Whether it has IPv4; none means so.
    pub ipv4: Option<bool>,
    /// Whether it has IPv6; none means not.
    pub ipv6: Option<bool>,
    /// Whether nothing of it leads out.
    pub internal: bool,
    /// Whether containers may join it by hand; shown only, as without a cluster they always may.
    pub attachable: bool,
    /// Whether it is a cluster's way in.
    pub ingress: bool,
    /// Whether it only lends its settings to others.
    pub config_only: bool,
    /// The network that lends its settings.
    pub config_from: Option<String>,
    /// Who gives out addresses: `default`, or empty for that.
    pub ipam_driver: String,
    /// Options of that; none where nobody said any, which is shown.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Address ranges; empty lets free ones be taken.
    pub pools: Vec<PoolSpec>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A range of addresses of a network, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolSpec {
    /// `10.1.2.0/24`; empty lets a free one be taken.
    pub subnet: String,
    /// The part of it that is given out; empty means all.
    pub ip_range: String,
    /// The host's own address in it; empty means the first.
    pub gateway: String,
    /// Addresses that are never given out, by the names of whose they are.
    pub auxiliary: BTreeMap<String, String>,
}
