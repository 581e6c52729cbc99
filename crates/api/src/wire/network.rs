//! A container's networks, as far as they are on the wire of the operations here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{go_struct, is_zero};

go_struct! {
    /// Networks to join at creation.
    pub struct NetworkingConfig {
        /// By network name.
        pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
    }

    /// A container's place in one network.
    pub struct EndpointSettings {
        /// Fixed addresses.
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<Value>,
        /// Legacy links.
        pub links: Option<Vec<String>>,
        /// Further names.
        pub aliases: Option<Vec<String>>,
        /// Hardware address.
        pub mac_address: String,
        /// Options of the network's driver.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Which network's gateway is the default route.
        #[serde(skip_serializing_if = "is_zero")]
        pub gw_priority: i64,
        /// The network.
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        /// The endpoint.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// Gateway.
        pub gateway: String,
        /// Address.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// Prefix length.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// Gateway.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// Address.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// Prefix length.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// Names it is known by.
        #[serde(rename = "DNSNames")]
        pub dns_names: Option<Vec<String>>,
    }

    /// All of a container's networks.
    pub struct NetworkSettings {
        /// Legacy.
        pub bridge: String,
        /// The namespace's id.
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        /// The namespace's path.
        pub sandbox_key: String,
        /// Published ports.
        pub ports: BTreeMap<String, Value>,
        /// Address in the default bridge; legacy.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// By network name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }
}
