//! Networks of a daemon of a test's own: names and addresses that no other test has.

use std::fs;
use std::path::Path;

/// What tells the networks of one daemon from everybody else's.
#[derive(Debug)]
pub struct Network {
    /// The device of the default network.
    pub bridge: String,
    /// The nftables table.
    pub table: String,
    /// The default network's subnet without its last number: `10.64.3`.
    pub subnet: String,
    /// Out of which networks get theirs, `10.65.48.0/20` by /26.
    pub pool: String,
}

impl Network {
    /// For the daemon of this number in this process.
    pub(crate) fn new(number: u32) -> Self {
        // Processes that run at the same time differ in the low bits of their ids for long.
        let unique = (std::process::id() % 512) * 8 + number % 8;
        let unique = (unique + number / 8 * 4096) % 4096;
        let name = format!("bt{}x{number}", std::process::id() % 1_000_000);
        // 10.64.0.0/12 for default networks, a /24 each; 10.80.0.0/12 for pools, a /24 each.
        let (high, low) = (unique / 256, unique % 256);
        Self {
            table: format!("brig-test-{}-{number}", std::process::id()),
            bridge: name,
            subnet: format!("10.{}.{low}", 64 + high),
            pool: format!("10.{}.{low}.0/24", 80 + high),
        }
    }

    /// The daemon's configuration file.
    pub(crate) fn config(&self) -> String {
        let Self {
            bridge,
            table,
            subnet,
            pool,
        } = self;
        format!(
            "[network]\nbridge = \"{bridge}\"\ntable = \"{table}\"\nsubnet = \"{subnet}.1/24\"\n\
             pools = [{{ base = \"{pool}\", size = 27 }}, \
             {{ base = \"fd42:{:x}::/48\", size = 64 }}]\n",
            std::process::id() % 0xffff
        )
    }

    /// Devices that this daemon has made on this machine.
    pub fn links(&self) -> Vec<String> {
        let bridge = Path::new("/sys/class/net").join(&self.bridge);
        let mut links = self.ports();
        if bridge.exists() {
            links.push(self.bridge.clone());
        }
        links
    }

    /// Interfaces of containers on the default network.
    pub(crate) fn ports(&self) -> Vec<String> {
        let ports = Path::new("/sys/class/net").join(&self.bridge).join("brif");
        let entries = fs::read_dir(ports).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect()
    }
}
