//! Hosts made of network namespaces: a router with a LAN, a machine on it that has containers, a client
//! outside. All of a test is one thread's doing, which enters a namespace for a moment; what it opens there
//! stays there.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use network::ruleset::{Change, Firewall, Protocol, Published, Ruleset};
use network::{
    Attachment, BridgePlan, Cidr, Driver, EndpointPlan, NetworkPlan, attach, bridge,
    enable_forwarding,
};
use sys::ns::{self, Namespaces, within};

/// How long is waited for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long is waited for what must not come: longer than a connection takes on a loaded machine.
pub(crate) const SILENCE: Duration = Duration::from_millis(400);

/// Whether nothing can be tested here; says why.
pub(crate) fn cannot_run() -> bool {
    let cannot = !sys::term::is_root();
    if cannot {
        skip("SKIP: network namespaces need root");
    }
    cannot
}

/// Says past the harness, which keeps to itself what is printed, why a test does not go on.
pub(crate) fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "{reason}");
}

/// A host or a container with loopback up, and nothing else.
pub(crate) fn namespace() -> OwnedFd {
    let own = ns::open_own(Namespaces::NETWORK).unwrap();
    ns::unshare(Namespaces::NETWORK).unwrap();
    sys::loopback::bring_up().unwrap();
    let made = ns::open_own(Namespaces::NETWORK).unwrap();
    ns::enter(&own, Namespaces::NETWORK).unwrap();
    made
}

pub(crate) fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A bridge network with these subnets.
pub(crate) fn network(name: &str, subnets: &[&str]) -> NetworkPlan {
    NetworkPlan {
        name: name.to_owned(),
        driver: Driver::Bridge(BridgePlan::new(name)),
        subnets: subnets.iter().map(|text| cidr(text)).collect(),
        mtu: None,
        internal: false,
    }
}

/// The same with something about the bridge changed.
pub(crate) fn network_with(
    name: &str,
    subnets: &[&str],
    change: impl FnOnce(&mut BridgePlan),
) -> NetworkPlan {
    let mut bridge = BridgePlan::new(name);
    change(&mut bridge);
    NetworkPlan {
        driver: Driver::Bridge(bridge),
        ..network(name, subnets)
    }
}

/// Whether packets that only cross a bridge pass nftables as well. Whether there is such a setting: not where
/// br_netfilter is not loaded.
pub(crate) fn filter_bridges(on: bool) -> bool {
    ["iptables", "ip6tables"].into_iter().all(|which| {
        let setting = format!("net.bridge.bridge-nf-call-{which}");
        sys::sysctl::set(&setting, if on { "1" } else { "0" }).is_ok()
    })
}

/// An endpoint with these addresses and default routes.
pub(crate) fn endpoint(addresses: &[&str], gateways: &[&str]) -> EndpointPlan {
    EndpointPlan {
        interface: network::InterfaceName::default(),
        mac: None,
        addresses: addresses.iter().map(|text| cidr(text)).collect(),
        gateways: gateways.iter().map(|text| ip(text)).collect(),
        routes: Vec::new(),
        sysctls: Vec::new(),
        bandwidth: types::Bandwidth::default(),
    }
}

/// A port of a container on all addresses of the machine.
pub(crate) fn published(host_port: u16, target: &str, target_port: u16, on: &str) -> Published {
    Published {
        owner: "test".to_owned(),
        protocol: Protocol::Tcp,
        host: None,
        host_port,
        target: ip(target),
        target_port,
        bridge: on.to_owned(),
        allow: Vec::new(),
        host_policy: false,
    }
}

/// A LAN with a machine, which is the test's own namespace while this lives, and a client.
pub(crate) struct World {
    pub(crate) router: OwnedFd,
    pub(crate) client: OwnedFd,
    pub(crate) machine: OwnedFd,
    pub(crate) firewall: Firewall,
    pub(crate) rules: Ruleset,
}

/// Addresses on the LAN.
pub(crate) const ROUTER: &str = "198.51.100.254";
pub(crate) const MACHINE: &str = "198.51.100.1";
pub(crate) const CLIENT: &str = "198.51.100.2";
pub(crate) const MACHINE6: &str = "2001:db8::1";
pub(crate) const CLIENT6: &str = "2001:db8::2";

impl World {
    pub(crate) fn new() -> Self {
        let (router, client, machine) = (namespace(), namespace(), namespace());
        let lan = network("lan", &["198.51.100.254/24", "2001:db8::254/64"]);
        within(&router, || {
            bridge::make(&lan).unwrap();
            let at = |address: &str, address6: &str| endpoint(&[address, address6], &[ROUTER]);
            let of_machine = at("198.51.100.1/24", "2001:db8::1/64");
            attach(machine.as_fd(), &lan, &of_machine, None).unwrap();
            let of_client = at("198.51.100.2/24", "2001:db8::2/64");
            attach(client.as_fd(), &lan, &of_client, None).unwrap();
        })
        .unwrap();
        ns::enter(&machine, Namespaces::NETWORK).unwrap();
        filter_bridges(false);
        // A new namespace has it from the machine that the test runs on.
        sys::sysctl::set("net.ipv4.ip_forward", "0").unwrap();
        assert!(enable_forwarding(true).unwrap());
        assert!(!enable_forwarding(true).unwrap());
        enable_forwarding(false).unwrap();
        let mut firewall = Firewall::open().unwrap();
        let rules = Ruleset::new("brig-test");
        firewall.replace(&rules).unwrap();
        Self {
            router,
            client,
            machine,
            firewall,
            rules,
        }
    }

    /// Makes a change to the kernel's table and to the model.
    pub(crate) fn change(&mut self, change: Change) {
        self.firewall.change(&self.rules, &change).unwrap();
        self.rules.change(&change);
        assert!(self.firewall.matches(&self.rules).unwrap());
    }

    pub(crate) fn publish(&mut self, port: Published) {
        self.change(Change::Publish(vec![port]));
    }

    /// A network with its bridge and its rules.
    pub(crate) fn add(&mut self, network: &NetworkPlan) {
        bridge::make(network).unwrap();
        self.change(Change::AddNetwork(network.clone()));
    }

    /// A container of one network.
    pub(crate) fn container(&self, network: &NetworkPlan, endpoint: &EndpointPlan) -> Container {
        let namespace = namespace();
        let attachment = attach(namespace.as_fd(), network, endpoint, None).unwrap();
        Container {
            namespace,
            attachment,
        }
    }
}

pub(crate) struct Container {
    pub(crate) namespace: OwnedFd,
    pub(crate) attachment: Attachment,
}

impl AsFd for Container {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// A server in a namespace, on this port of all addresses of both versions.
pub(crate) fn listen(namespace: impl AsFd, port: u16) -> TcpListener {
    listen_on(namespace, &format!("[::]:{port}"))
}

pub(crate) fn listen_on(namespace: impl AsFd, address: &str) -> TcpListener {
    let listener = within(namespace, || TcpListener::bind(address)).unwrap();
    let listener = listener.unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// A connection from a namespace.
pub(crate) fn connect(from: impl AsFd, to: &str, port: u16, limit: Duration) -> Option<TcpStream> {
    let address = SocketAddr::new(ip(to), port);
    within(from, || TcpStream::connect_timeout(&address, limit))
        .unwrap()
        .ok()
}

/// That a server is reached and answers; as whom it sees the client.
pub(crate) fn reached(
    server: &TcpListener,
    from: impl AsFd,
    to: &str,
    port: u16,
) -> Option<String> {
    let mut client = connect(from, to, port, PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    let (mut accepted, peer) = loop {
        match server.accept() {
            Ok(accepted) => break accepted,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(Instant::now() < deadline, "nobody came to the server");
                std::thread::yield_now();
            }
            Err(error) => panic!("accept: {error}"),
        }
    };
    accepted.set_nonblocking(false).unwrap();
    for stream in [&client, &accepted] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    client.write_all(b"ping").unwrap();
    let mut read = [0; 4];
    accepted.read_exact(&mut read).unwrap();
    accepted.write_all(b"pong").unwrap();
    client.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"pong");
    Some(peer.ip().to_canonical().to_string())
}

/// That a server is not reached.
pub(crate) fn not_reached(server: &TcpListener, from: impl AsFd, to: &str, port: u16) -> bool {
    let refused = connect(from, to, port, SILENCE).is_none();
    let nobody = server
        .accept()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    refused && nobody
}

/// A socket for datagrams in a namespace.
pub(crate) fn datagrams(namespace: impl AsFd, address: &str) -> UdpSocket {
    let socket = within(namespace, || UdpSocket::bind(address)).unwrap();
    let socket = socket.unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}
