//! A host with a keeper, and containers on it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use network::keeper::{Change, Endpoint, Keeper, Network, Settings, View};
use network::ruleset::redirect_names;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};
use sys::ns::{self, Namespaces};
use sys::socket::{self, Kind};
use types::Signal;

/// How long is waited for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whether nothing can be tested here; says why, past the harness.
pub(crate) fn cannot_run() -> bool {
    let cannot = !sys::term::is_root();
    if cannot {
        let _ = writeln!(std::io::stderr(), "SKIP: network namespaces need root");
    }
    cannot
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A new network namespace, which the thread is in from now on.
fn unshare() -> OwnedFd {
    ns::unshare(Namespaces::NETWORK).unwrap();
    sys::loopback::bring_up().unwrap();
    ns::open_own(Namespaces::NETWORK).unwrap()
}

/// The host that the test's thread is on.
pub(crate) struct Host {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) keeper: Keeper,
}

impl Host {
    pub(crate) fn new() -> Self {
        unshare();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("net")).unwrap();
        let host = Self {
            keeper: Keeper::new(program(), dir.path().join("net")),
            dir,
        };
        host.set_resolvers("nameserver 127.0.0.1\n");
        let settings = Settings {
            resolv_conf: host.dir.path().join("resolv.conf"),
        };
        host.apply(&[Change::Settings { settings }]);
        for (id, internal) in [("front", false), ("inner", true)] {
            let network = Network {
                name: id.to_owned(),
                internal,
                ..Network::default()
            };
            let id = id.to_owned();
            host.apply(&[Change::Network { id, network }]);
        }
        host
    }

    pub(crate) fn set_resolvers(&self, text: &str) {
        let path = self.dir.path().join("resolv.conf");
        sys::file::replace_unsynced(&path, text.as_bytes(), 0o644).unwrap();
    }

    pub(crate) fn apply(&self, changes: &[Change]) -> Vec<u16> {
        self.keeper.apply(changes, &[]).unwrap()
    }

    pub(crate) fn net(&self) -> PathBuf {
        self.dir.path().join("net")
    }

    /// The keeper's process.
    pub(crate) fn pid(&self) -> i32 {
        pid(&self.net()).unwrap()
    }

    pub(crate) fn kill_keeper(&self) {
        let pidfd = sys::pidfd::open(self.pid()).unwrap();
        sys::pidfd::send_signal(&pidfd, Signal::KILL).unwrap();
        assert!(sys::pidfd::ended_within(&pidfd, PATIENCE).unwrap());
    }

    /// A container on these networks, called `NAME`, at these addresses.
    pub(crate) fn container(&self, name: &str, addresses: &[&str], networks: &[&str]) -> Container {
        self.container_with(name, addresses, networks, View::default())
    }

    pub(crate) fn container_with(
        &self,
        name: &str,
        addresses: &[&str],
        networks: &[&str],
        view: View,
    ) -> Container {
        let container = Container::new();
        let made = ns::within(&container.namespace, sys::inet::resolver_sockets);
        let [datagrams, streams] = made.unwrap().unwrap();
        let port = |fd: &OwnedFd| sys::inet::local_address(fd).unwrap().port();
        let (udp, tcp) = (port(&datagrams), port(&streams));
        redirect_names(&container.namespace, "names", udp, tcp).unwrap();
        let id = format!("id-{name}");
        let view = View {
            networks: networks.iter().map(|n| (*n).to_owned()).collect(),
            process: Some(sys::proc::process_ref(container.pid()).unwrap()),
            ..view
        };
        let endpoint = Endpoint {
            names: vec![name.to_owned(), id.clone()],
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        };
        let on = networks.iter().map(|network| Change::Endpoint {
            network: (*network).to_owned(),
            id: id.clone(),
            endpoint: endpoint.clone(),
        });
        let mut changes: Vec<_> = on.collect();
        changes.push(Change::View {
            id,
            view,
            sockets: true,
        });
        let fds = [datagrams.as_fd(), streams.as_fd()];
        self.keeper.apply(&changes, &fds).unwrap();
        container
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(pidfd) = pid(&self.net()).and_then(|pid| sys::pidfd::open(pid).ok()) {
            let _ = sys::pidfd::send_signal(&pidfd, Signal::KILL);
            let _ = sys::pidfd::ended_within(&pidfd, PATIENCE);
        }
    }
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_brig-net"))
}

/// Who listens in a directory.
pub(crate) fn pid(net: &Path) -> Option<i32> {
    let path = net.join(network::keeper::protocol::SOCKET);
    let connection = socket::connect_within(&path, Kind::Messages, PATIENCE).ok()?;
    socket::peer_pid(&connection).ok()
}

/// A namespace with a process in it.
pub(crate) struct Container {
    pub(crate) namespace: OwnedFd,
    process: Child,
}

impl Container {
    fn new() -> Self {
        let own = ns::open_own(Namespaces::NETWORK).unwrap();
        let namespace = unshare();
        let process = Command::new("sleep").arg("1000").spawn().unwrap();
        ns::enter(&own, Namespaces::NETWORK).unwrap();
        Self { namespace, process }
    }

    fn pid(&self) -> i32 {
        self.process.id().try_into().unwrap()
    }

    pub(crate) fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Asks by datagram, as often as it takes: what is lost is asked for again.
    pub(crate) fn ask(&self, name: &str, kind: TYPE) -> String {
        let socket = ns::within(&self.namespace, || UdpSocket::bind("127.0.0.1:0"));
        let socket = socket.unwrap().unwrap();
        socket.connect((Ipv4Addr::new(127, 0, 0, 11), 53)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(6)))
            .unwrap();
        let mut room = [0; 4096];
        for _ in 0..5 {
            // Refused while nobody listens, between one keeper and the next.
            if socket.send(&question(name, kind)).is_ok()
                && let Ok(length) = socket.recv(&mut room)
            {
                return read(&room[..length]);
            }
        }
        "no answer".to_owned()
    }

    /// Asks by stream.
    pub(crate) fn ask_by_stream(&self, name: &str, kind: TYPE) -> String {
        let to = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 11), 53));
        let stream = ns::within(&self.namespace, || TcpStream::connect(to));
        let mut stream = stream.unwrap().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let question = question(name, kind);
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        // In pieces.
        for piece in [&length[..1], &length[1..], &question[..5], &question[5..]] {
            stream.write_all(piece).unwrap();
        }
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).unwrap();
        read(&answer)
    }

    /// What a program of the host's prints that is run in the container, with 127.0.0.11 as its
    /// resolver.
    pub(crate) fn run(&self, host: &Host, command: &str) -> String {
        let conf = host.dir.path().join("inner.conf");
        let text = b"nameserver 127.0.0.11\noptions ndots:0\n";
        sys::file::replace_unsynced(&conf, text, 0o644).unwrap();
        let script = format!(
            "mount --bind {} /etc/resolv.conf && {command}",
            conf.display()
        );
        let mut shell = Command::new("unshare");
        shell
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::null());
        let output = ns::within(&self.namespace, || shell.output());
        let output = output.unwrap().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.end();
    }
}

fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(7);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    let question = Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false);
    packet.questions.push(question);
    packet.build_bytes_vec().unwrap()
}

/// An answer as text: its code, and what is in it.
fn read(message: &[u8]) -> String {
    let packet = Packet::parse(message).unwrap();
    assert_eq!(packet.id(), 7);
    let data = |record: &ResourceRecord<'_>| match &record.rdata {
        RData::A(a) => Ipv4Addr::from_bits(a.address).to_string(),
        RData::PTR(name) => name.0.to_string(),
        other => format!("{other:?}"),
    };
    let mut words = vec![format!("{:?}", packet.rcode())];
    if packet.has_flags(PacketFlag::TRUNCATION) {
        words.push("truncated".to_owned());
    }
    words.extend(packet.answers.iter().map(data));
    words.join(" ")
}
