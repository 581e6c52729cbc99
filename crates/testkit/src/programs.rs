//! Where the programs under test and the clients are.

use std::env;
use std::path::{Path, PathBuf};

/// A command line client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Our own.
    Brig,
    /// Docker's newest.
    Docker28,
    /// The one of Debian 12.
    Docker20,
}

impl Client {
    /// The program, if this machine has it.
    pub fn program(self) -> Option<PathBuf> {
        let docker = |version: &str| cache().join("tools").join(version).join("usr/bin/docker");
        let path = match self {
            Self::Brig => return Some(program("brig")),
            Self::Docker28 => docker("docker-28"),
            Self::Docker20 => docker("docker-20.10"),
        };
        path.exists().then_some(path)
    }
}

/// The clients of this machine. Says which are missing.
pub fn clients() -> Vec<Client> {
    let all = [Client::Brig, Client::Docker28, Client::Docker20];
    let there = |client: &Client| {
        let found = client.program().is_some();
        if !found {
            eprintln!("SKIP: {client:?} is not on this machine (scripts/setup.sh test)");
        }
        found
    };
    all.into_iter().filter(there).collect()
}

/// A Python with docker-py. Says so when this machine has none.
pub fn docker_py() -> Option<PathBuf> {
    let path = cache().join("tools/docker-py/bin/python");
    let there = path.exists();
    if !there {
        eprintln!("SKIP: docker-py is not on this machine (scripts/setup.sh test)");
    }
    there.then_some(path)
}

/// Docker's compose of Debian 12, version 1.29. Says so when this machine has none.
pub fn old_compose() -> Option<PathBuf> {
    let path = cache().join("tools/docker-compose-1.29/bin/docker-compose");
    let there = path.exists();
    if !there {
        eprintln!("SKIP: docker-compose 1.29 is not on this machine (scripts/setup.sh test)");
    }
    there.then_some(path)
}

/// A plugin of Docker's newest client: `buildx` or `compose`. Says so when this machine has none.
pub fn docker_plugin(name: &str) -> Option<PathBuf> {
    let plugins = cache().join("tools/docker-plugins/usr/libexec/docker/cli-plugins");
    let path = plugins.join(format!("docker-{name}"));
    let there = path.exists() && Client::Docker28.program().is_some();
    if !there {
        eprintln!("SKIP: docker's plugin {name} is not on this machine (scripts/setup.sh test)");
    }
    there.then_some(path)
}

/// One of our programs, as scripts/build.sh put it.
///
/// Panics when it was not built.
pub fn program(name: &str) -> PathBuf {
    let path = dist().join(name);
    assert!(
        path.exists(),
        "{} is missing: run scripts/build.sh debug first",
        path.display()
    );
    path
}

fn dist() -> PathBuf {
    if let Some(dist) = env::var_os("BRIG_DIST") {
        return dist.into();
    }
    let target = env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| repository().join("target"), PathBuf::from)
        .join("dist-debug")
}

/// Where scripts/setup.sh keeps what tests need.
pub fn cache() -> PathBuf {
    env::var_os("BRIG_CACHE").map_or_else(|| repository().join(".cache"), PathBuf::from)
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
