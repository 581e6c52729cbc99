//! Networks, and containers' places in them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{PortBinding, go_struct, is_zero};

go_struct! {
    /// Networks to join at creation.
    pub struct NetworkingConfig {
        /// By network name.
        pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
    }

    /// Fixed addresses of a container in one network.
    pub struct EndpointIpam {
        /// IPv4.
        #[serde(rename = "IPv4Address", skip_serializing_if = "is_zero")]
        pub ipv4_address: String,
        /// IPv6.
        #[serde(rename = "IPv6Address", skip_serializing_if = "is_zero")]
        pub ipv6_address: String,
        /// Further ones of the link.
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "is_zero")]
        pub link_local_ips: Vec<String>,
    }

    /// A container's place in one network.
    pub struct EndpointSettings {
        /// Fixed addresses.
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpam>,
        /// Containers known to this one by other names.
        pub links: Option<Vec<String>>,
        /// Further names.
        pub aliases: Option<Vec<String>>,
        /// Hardware address.
        pub mac_address: String,
        /// Options of the network's driver.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Which network's gateway is the default route.
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

    /// All of a container's networks. What is optional here is left out since API 1.52.
    pub struct NetworkSettings {
        /// Always empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub bridge: Option<String>,
        /// The namespace's id.
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        /// The namespace's path.
        pub sandbox_key: String,
        /// Ports that are exposed, and where they are published.
        pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
        /// Always false.
        #[serde(skip_serializing_if = "is_zero")]
        pub hairpin_mode: Option<bool>,
        /// Always empty.
        #[serde(rename = "LinkLocalIPv6Address", skip_serializing_if = "is_zero")]
        pub link_local_ipv6_address: Option<String>,
        /// Always 0.
        #[serde(rename = "LinkLocalIPv6PrefixLen", skip_serializing_if = "is_zero")]
        pub link_local_ipv6_prefix_len: Option<i64>,
        /// Always null.
        #[serde(rename = "SecondaryIPAddresses", skip_serializing_if = "is_zero")]
        pub secondary_ip_addresses: Option<Value>,
        /// Always null.
        #[serde(rename = "SecondaryIPv6Addresses", skip_serializing_if = "is_zero")]
        pub secondary_ipv6_addresses: Option<Value>,
        /// In the default network.
        #[serde(rename = "EndpointID", skip_serializing_if = "is_zero")]
        pub endpoint_id: Option<String>,
        /// In the default network.
        #[serde(skip_serializing_if = "is_zero")]
        pub gateway: Option<String>,
        /// In the default network.
        #[serde(rename = "GlobalIPv6Address", skip_serializing_if = "is_zero")]
        pub global_ipv6_address: Option<String>,
        /// In the default network.
        #[serde(rename = "GlobalIPv6PrefixLen", skip_serializing_if = "is_zero")]
        pub global_ipv6_prefix_len: Option<i64>,
        /// In the default network.
        #[serde(rename = "IPAddress", skip_serializing_if = "is_zero")]
        pub ip_address: Option<String>,
        /// In the default network.
        #[serde(rename = "IPPrefixLen", skip_serializing_if = "is_zero")]
        pub ip_prefix_len: Option<i64>,
        /// In the default network.
        #[serde(rename = "IPv6Gateway", skip_serializing_if = "is_zero")]
        pub ipv6_gateway: Option<String>,
        /// In the default network.
        #[serde(skip_serializing_if = "is_zero")]
        pub mac_address: Option<String>,
        /// By network name.
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// A published port in a listing.
    pub struct PortSummary {
        /// The host's address; left out of a port that is not published.
        #[serde(rename = "IP", skip_serializing_if = "is_zero")]
        pub ip: String,
        /// Inside.
        pub private_port: u16,
        /// On the host.
        #[serde(skip_serializing_if = "is_zero")]
        pub public_port: u16,
        /// `tcp`, `udp` or `sctp`.
        pub r#type: String,
    }

    /// A range of a network's addresses.
    pub struct IpamPool {
        /// `10.1.2.0/24`
        #[serde(skip_serializing_if = "is_zero")]
        pub subnet: String,
        /// The part of it that is given out.
        #[serde(rename = "IPRange", skip_serializing_if = "is_zero")]
        pub ip_range: String,
        /// The host's own address.
        #[serde(skip_serializing_if = "is_zero")]
        pub gateway: String,
        /// Addresses that are never given out.
        #[serde(skip_serializing_if = "is_zero")]
        pub auxiliary_addresses: BTreeMap<String, String>,
    }

    /// A network's addresses.
    pub struct Ipam {
        /// `default`
        pub driver: String,
        /// Options of that.
        pub options: Option<BTreeMap<String, String>>,
        /// Ranges.
        pub config: Option<Vec<IpamPool>>,
    }

    /// A network that lends its settings.
    pub struct ConfigReference {
        /// Its name.
        pub network: String,
    }

    /// The body of `POST /networks/create`.
    pub struct NetworkCreateRequest {
        /// Its name.
        pub name: String,
        /// Always so.
        #[serde(skip_serializing_if = "is_zero")]
        pub check_duplicate: bool,
        /// `bridge`, `macvlan`, `ipvlan`.
        pub driver: String,
        /// `local`
        pub scope: String,
        /// Whether it has IPv4.
        #[serde(rename = "EnableIPv4", skip_serializing_if = "is_zero")]
        pub enable_ipv4: Option<bool>,
        /// Whether it has IPv6.
        #[serde(rename = "EnableIPv6", skip_serializing_if = "is_zero")]
        pub enable_ipv6: Option<bool>,
        /// Addresses.
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        /// Whether nothing of it leads out.
        pub internal: bool,
        /// Whether it may be joined by hand.
        pub attachable: bool,
        /// Whether it is a cluster's way in.
        pub ingress: bool,
        /// Whether it only lends its settings.
        pub config_only: bool,
        /// Whose settings it borrows.
        pub config_from: Option<ConfigReference>,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// The answer to it.
    pub struct NetworkCreateResponse {
        /// The new network.
        pub id: String,
        /// What the user should know.
        pub warning: String,
    }

    /// A container in a network.
    pub struct EndpointResource {
        /// The container's name.
        pub name: String,
        /// The endpoint.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// Hardware address.
        pub mac_address: String,
        /// With prefix length.
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        /// With prefix length.
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// How much of a range is given out.
    pub struct SubnetStatus {
        /// Addresses in use or reserved.
        #[serde(rename = "IPsInUse")]
        pub ips_in_use: u64,
        /// Addresses left.
        #[serde(rename = "DynamicIPsAvailable")]
        pub dynamic_ips_available: u64,
    }

    /// How much of all ranges is given out.
    pub struct IpamStatus {
        /// By subnet.
        pub subnets: BTreeMap<String, SubnetStatus>,
    }

    /// A network's state.
    pub struct NetworkStatus {
        /// Addresses.
        #[serde(rename = "IPAM")]
        pub ipam: IpamStatus,
    }

    /// A network.
    pub struct Network {
        /// Its name.
        pub name: String,
        /// Its id.
        pub id: String,
        /// RFC 3339.
        pub created: String,
        /// `local`
        pub scope: String,
        /// `bridge`, `macvlan`, `ipvlan`, `host`, `null`.
        pub driver: String,
        /// Whether it has IPv4; from API 1.48.
        #[serde(rename = "EnableIPv4", skip_serializing_if = "is_zero")]
        pub enable_ipv4: Option<bool>,
        /// Whether it has IPv6.
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        /// Addresses.
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        /// Whether nothing of it leads out.
        pub internal: bool,
        /// Whether it may be joined by hand.
        pub attachable: bool,
        /// Whether it is a cluster's way in.
        pub ingress: bool,
        /// Whose settings it borrows.
        pub config_from: ConfigReference,
        /// Whether it only lends its settings.
        pub config_only: bool,
        /// By container id; left out of listings since API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub containers: Option<BTreeMap<String, EndpointResource>>,
        /// Options of the driver.
        pub options: BTreeMap<String, String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// From API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub status: Option<NetworkStatus>,
    }

    /// The body of `POST /networks/{id}/connect`.
    pub struct NetworkConnectRequest {
        /// Id or name.
        pub container: String,
        /// How.
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// The body of `POST /networks/{id}/disconnect`.
    pub struct NetworkDisconnectRequest {
        /// Id or name.
        pub container: String,
        /// Even if it is gone.
        pub force: bool,
    }

    /// The answer to `GET /brig/networks/explain`, Brig's own: who has a port, and what becomes of
    /// packets to it.
    pub struct PortExplained {
        /// Who has it, a sentence each.
        pub owners: Vec<String>,
        /// By who sends them.
        pub packets: Vec<PacketExplained>,
    }

    /// What becomes of one packet.
    pub struct PacketExplained {
        /// Who sends it.
        pub from: String,
        /// The interface it comes by; empty where no route leads back.
        pub interface: String,
        /// The host's address that it is for.
        pub to: String,
        /// `container`, `host` or `nobody`: who gets it, if rules of others do not stop it.
        pub fate: String,
        /// Brig's rules that are the reason, in order.
        pub reasons: Vec<String>,
        /// Chains of others that see it too, in order.
        pub others: Vec<String>,
        /// The end, in a sentence.
        pub verdict: String,
    }

    /// The answer to `POST /networks/prune`.
    pub struct NetworksPruned {
        /// Names.
        pub networks_deleted: Option<Vec<String>>,
    }
}
