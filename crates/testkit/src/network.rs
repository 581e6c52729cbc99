//! Networks of a daemon of a test's own: names and addresses that no other test has.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
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
    /// Out of which networks get theirs, `10.80.3.0/24` by /27.
    pub pool: String,
    slot: Slot,
}

/// How many daemons of tests have networks at the same time, at most: a /24 each of 10.64.0.0/12.
const SLOTS: u32 = 4096;

/// A number that no other daemon of a test on this machine has while this lives.
#[derive(Debug)]
struct Slot {
    number: u32,
    /// Locked, as long as it is open.
    _file: File,
}

impl Slot {
    /// The first that is free from a first guess on.
    fn take(guess: u32) -> Self {
        // Who is not root cannot lock what root has made, and makes no networks either.
        let user = fs::metadata("/proc/self").unwrap().uid();
        let directory = std::env::temp_dir().join(format!("brig-test-networks-{user}"));
        fs::create_dir_all(&directory).unwrap();
        let take = |number: u32| {
            let path = directory.join(number.to_string());
            let mut options = File::options();
            let file = options.create(true).truncate(false).write(true).open(path);
            let file = file.unwrap();
            file.try_lock().ok().map(|()| Self {
                number,
                _file: file,
            })
        };
        let mut all = (0..SLOTS).map(|further| (guess + further) % SLOTS);
        all.find_map(take).unwrap()
    }
}

impl Network {
    /// For the daemon of this number in this process.
    pub(crate) fn new(number: u32) -> Self {
        let slot = Slot::take((std::process::id() % 512) * 8 + number);
        let name = format!("bt{}x{number}", std::process::id() % 1_000_000);
        // 10.64.0.0/12 for default networks, a /24 each; 10.80.0.0/12 for pools, a /24 each.
        let (high, low) = (slot.number / 256, slot.number % 256);
        Self {
            table: format!("brig-test-{}-{number}", std::process::id()),
            bridge: name,
            subnet: format!("10.{}.{low}", 64 + high),
            pool: format!("10.{}.{low}.0/24", 80 + high),
            slot,
        }
    }

    /// The daemon's configuration file.
    pub(crate) fn config(&self) -> String {
        let Self {
            bridge,
            table,
            subnet,
            pool,
            slot,
        } = self;
        format!(
            "[network]\nbridge = \"{bridge}\"\ntable = \"{table}\"\nsubnet = \"{subnet}.1/24\"\n\
             pools = [{{ base = \"{pool}\", size = 27 }}, \
             {{ base = \"fd42:{:x}::/48\", size = 64 }}]\n",
            slot.number
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
