//! How each engine is started and told which runtime to use.

use anyhow::Result;

use super::cases::{self, Case};
use super::house::{CGROUP, House, RUNTIME};

/// An engine.
pub(crate) struct Engine {
    /// Its name.
    pub(crate) name: &'static str,
    /// Starts it; answers what its client's command line begins with.
    pub(crate) start: fn(&House) -> Result<Vec<String>>,
    /// What is asked of it.
    pub(crate) cases: &'static [&'static [Case]],
}

/// All of them.
pub(crate) const ALL: &[Engine] = &[
    Engine {
        name: "podman",
        start: podman,
        cases: &[cases::COMMON, cases::PODMAN],
    },
    Engine {
        name: "containerd",
        start: containerd,
        cases: &[cases::CONTAINERD],
    },
    Engine {
        name: "docker",
        start: docker,
        cases: &[cases::COMMON, cases::DOCKER],
    },
];

const DOCKER: &[&str] = &["docker", "--host=unix:///run/docker.sock"];
const CTR: &[&str] = &["ctr", "--address", "/run/containerd.sock"];

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The image that all run, from the tar archive that is there.
const IMPORT: &str = "import /run/house/busybox.tar bb";

fn import(house: &House, client: &[&str]) -> Result<()> {
    let import = IMPORT.split(' ');
    let words: Vec<&str> = client.iter().copied().chain(import).collect();
    house.run(&words).map(drop)
}

fn podman(house: &House) -> Result<Vec<String>> {
    let runtime = format!("--runtime={RUNTIME}");
    let client = [
        "podman",
        "--root=/tmp/podman",
        "--runroot=/run/podman",
        "--cgroup-manager=cgroupfs",
        "--events-backend=file",
        "--storage-driver=vfs",
        &runtime,
    ];
    import(house, &client)?;
    Ok(owned(&client))
}

fn docker(house: &House) -> Result<Vec<String>> {
    let runtime = format!("--add-runtime=brig={RUNTIME}");
    let cgroup = format!("--cgroup-parent=/{CGROUP}");
    let daemon = [
        "dockerd",
        "--host=unix:///run/docker.sock",
        "--data-root=/tmp/docker",
        "--iptables=false",
        "--ip6tables=false",
        "--bridge=none",
        "--ip-forward=false",
        "--storage-driver=vfs",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        "--default-runtime=brig",
        &cgroup,
        &runtime,
    ];
    let answers: Vec<&str> = DOCKER.iter().copied().chain(["ps"]).collect();
    house.daemon(&daemon, &answers)?;
    import(house, DOCKER)?;
    Ok(owned(DOCKER))
}

fn containerd(house: &House) -> Result<Vec<String>> {
    let daemon = [
        "containerd",
        "--address=/run/containerd.sock",
        "--root=/tmp/containerd",
        "--state=/run/containerd",
        "--config=/dev/null",
    ];
    let answers: Vec<&str> = CTR.iter().copied().chain(["version"]).collect();
    house.daemon(&daemon, &answers)?;
    Ok(owned(CTR))
}
