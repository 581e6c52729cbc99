//! Hosts made of network namespaces, with cables between them.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::output::Output;
use crate::wait::until;

/// A host: a network namespace with a process that holds it. It goes, with its interfaces, when this is
/// dropped.
#[derive(Debug)]
pub struct Host {
    holder: Child,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// With nothing but its loopback, and passing nothing on.
    #[track_caller]
    pub fn new() -> Self {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sleep", "infinity"]);
        let holder = holder
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let host = Self { holder };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        until("a host of its own", || {
            let its = std::fs::read_link(host.namespace()).ok()?;
            (its != own).then_some(())
        });
        host.forget_mark();
        host.ip("link set lo up");
        for setting in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            host.set(setting, "0");
        }
        host
    }

    /// The file of its namespace.
    pub fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// What a daemon there may have left in the machine's /run, where that has to outlive it: the namespace's
    /// number is another one's later.
    fn forget_mark(&self) {
        if let Ok(namespace) = std::fs::metadata(self.namespace()) {
            let mark = format!("/run/brig-forwarding-{}", namespace.ino());
            // Most leave none.
            let _ = std::fs::remove_file(mark);
        }
    }

    /// A program that runs there.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace().display()));
        command.arg("--").args(words).stdin(Stdio::null());
        command
    }

    /// The same, of a command that has been put together already.
    pub fn place(&self, command: &Command) -> Command {
        let mut placed = Command::new("nsenter");
        placed.arg(format!("--net={}", self.namespace().display()));
        placed.arg("--").arg(command.get_program());
        placed.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => placed.env(name, value),
                None => placed.env_remove(name),
            };
        }
        placed
    }

    /// Runs a program there.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Output {
        Output::of(&mut self.command(words))
    }

    /// Runs ip(8) there, which must work.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        let words: Vec<&str> = ["ip"].into_iter().chain(words.split_whitespace()).collect();
        self.run(&words).ok().to_owned()
    }

    /// Sets a setting of the kernel (sysctl(8)).
    #[track_caller]
    pub fn set(&self, setting: &str, value: &str) {
        let path = format!("/proc/sys/{}", setting.replace('.', "/"));
        let script = format!("echo {value} > {path}");
        self.run(&["sh", "-c", &script]).ok();
    }

    /// The value of a setting.
    #[track_caller]
    pub fn setting(&self, setting: &str) -> String {
        let path = format!("/proc/sys/{}", setting.replace('.', "/"));
        self.run(&["cat", &path]).ok().to_owned()
    }

    /// Lays a cable to another host: the names of its ends, and the addresses that each has.
    #[track_caller]
    pub fn connect(&self, end: (&str, &[&str]), other: &Self, its: (&str, &[&str])) {
        let (name, its_name, pid) = (end.0, its.0, other.holder.id());
        self.ip(&format!(
            "link add {name} type veth peer name {its_name} netns {pid}"
        ));
        for (host, (name, addresses)) in [(self, end), (other, its)] {
            host.set(&format!("net.ipv6.conf.{name}.accept_dad"), "0");
            for address in addresses {
                host.ip(&format!("address add {address} dev {name}"));
            }
            host.ip(&format!("link set {name} up"));
        }
    }

    /// Names of its interfaces.
    #[track_caller]
    pub fn links(&self) -> Vec<String> {
        let shown = self.ip("-o link");
        let name = |line: &str| {
            let name = line.split(": ").nth(1).unwrap_or_default();
            name.split('@').next().unwrap_or_default().to_owned()
        };
        shown.lines().map(name).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.forget_mark();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Addresses of a [`Lan`].
pub mod at {
    /// The machine that has containers.
    pub const MACHINE: &str = "198.51.100.1";
    /// The same by IPv6.
    pub const MACHINE6: &str = "2001:db8:1::1";
    /// Who is on the same LAN as the machine, and routes.
    pub const ROUTER: &str = "198.51.100.254";
    /// The same by IPv6.
    pub const ROUTER6: &str = "2001:db8:1::fe";
    /// A client behind the router.
    pub const CLIENT: &str = "203.0.113.2";
    /// The same by IPv6.
    pub const CLIENT6: &str = "2001:db8:2::2";
}

/// A machine, a router, and a client behind it.
#[derive(Debug)]
pub struct Lan {
    /// Has containers, and is no router.
    pub machine: Arc<Host>,
    /// Between them.
    pub router: Host,
    /// Outside.
    pub client: Host,
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Lan {
    /// With the addresses of [`at`], of both versions.
    #[track_caller]
    pub fn new() -> Self {
        let (machine, router, client) = (Arc::new(Host::new()), Host::new(), Host::new());
        for setting in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            router.set(setting, "1");
        }
        let near = ["198.51.100.254/24", "2001:db8:1::fe/64"];
        machine.connect(
            ("lan0", &["198.51.100.1/24", "2001:db8:1::1/64"]),
            &router,
            ("lan0", &near),
        );
        client.connect(
            ("eth0", &["203.0.113.2/24", "2001:db8:2::2/64"]),
            &router,
            ("lan1", &["203.0.113.254/24", "2001:db8:2::fe/64"]),
        );
        for (host, way, way6) in [
            (&*machine, at::ROUTER, at::ROUTER6),
            (&client, "203.0.113.254", "2001:db8:2::fe"),
        ] {
            host.ip(&format!("route add default via {way}"));
            host.ip(&format!("route add default via {way6}"));
        }
        Self {
            machine,
            router,
            client,
        }
    }
}
