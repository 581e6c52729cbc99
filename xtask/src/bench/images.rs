//! Images: what a pull, a push, a save, a load and the first run cost, beside others, with a registry on
//! the loopback.
//!
//! Each subject takes its turn in every round and goes through the whole circle. skopeo, which keeps no
//! images and unpacks nothing, copies to and from a directory instead: what a transfer alone costs. CPU time is that of the
//! whole machine, the registry's share included: daemons, their helpers and kernel threads are all in it.

#![expect(
    clippy::disallowed_methods,
    reason = "what is measured with need not survive a crash"
)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Args;
use super::measure::quiet;
use super::memory::Processes;
use super::report::{Page, Table};
use super::subject::{self, Subject};
use crate::paths;

/// Where the registry listens.
const REGISTRY: &str = "127.0.0.1:5077";
/// Layers of the big image, each of so many bytes, half of which do not shrink.
const LAYERS: usize = 4;
const LAYER: usize = 100_000_000;

/// What is done with an image, in this order.
const STEPS: [&str; 6] = [
    "pull",
    "first run after the pull",
    "push",
    "save",
    "load",
    "load of what Brig has saved",
];

/// One step of one subject.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    /// Bytes.
    memory: u64,
    /// Bytes that the subject's store takes more than before, as du(1) counts.
    disk: u64,
}

/// What is told of a cost: in which words, and with how many digits.
type Part = (&'static str, fn(&Cost) -> f64, usize);

type Costs = HashMap<(usize, &'static str), Vec<Cost>>;

/// Measures all engines that are there.
pub(crate) fn measure(args: &Args, page: &mut Page) -> Result<()> {
    let work = paths::target().join("bench-images");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work)?;
    let registry = Server::start(&work)?;
    let mut all = subject::brig()?;
    // Its other client asks the same daemon.
    all.truncate(1);
    if !args.alone {
        for suite in ["bookworm", "sid"] {
            let (there, absent) = subject::peers(suite);
            all.extend(there);
            absent
                .into_iter()
                .for_each(|a| page.absent(&a.name, &a.why));
        }
    }
    match subject::skopeo(&work.join("skopeo")) {
        Some(skopeo) if !args.alone => all.push(skopeo),
        Some(_) => {}
        None => page.absent("skopeo", "it is not installed: run scripts/setup.sh test"),
    }
    let rounds = (args.rounds / 13).max(1);
    for (name, title) in [
        ("big", "Four layers of 100 MB, half of which shrinks"),
        ("debian", "A Debian of many small files"),
    ] {
        if !make(&all[0], &work, name)? {
            page.absent(title, "no Debian root file system (scripts/images.sh test)");
            continue;
        }
        let costs = circle(&all, &registry, &work, name, rounds)?;
        tables(page, title, &all, &costs);
    }
    page.versions(all.iter().map(|s| (s.name.as_str(), s.version.as_str())));
    drop(registry);
    fs::remove_dir_all(&work).context("cannot remove what was measured with")
}

fn reference(name: &str) -> String {
    format!("{REGISTRY}/{name}:v1")
}

/// Puts an image into the registry, by our own engine: everybody pulls the same bytes.
fn make(brig: &Subject, work: &Path, name: &str) -> Result<bool> {
    let file = match name {
        "big" => archive(work)?,
        _ => paths::cache().join("images/debian.tar"),
    };
    if !file.exists() {
        return Ok(false);
    }
    let file_text = file.display().to_string();
    let reference = reference(name);
    if name == "big" {
        brig.run(&["load", "-i", &file_text])?;
    } else {
        brig.run(&["import", &file_text, &reference])?;
    }
    brig.run(&["push", &reference])?;
    brig.run(&["rmi", "-f", &reference])?;
    if name == "big" {
        fs::remove_file(file)?;
    }
    Ok(true)
}

/// A docker-archive of the big image, its layers compressed by gzip(1), as registries have them; the
/// lowest has a busybox too.
fn archive(work: &Path) -> Result<PathBuf> {
    let tree = work.join("tree");
    fs::create_dir_all(&tree)?;
    let mut diff_ids = Vec::new();
    let mut names = Vec::new();
    for layer in 0..LAYERS {
        let name = format!("layer{layer}.tar");
        let inside = work.join("inside");
        fs::create_dir_all(&inside)?;
        fs::write(inside.join(format!("data{layer}")), noise(layer))?;
        if layer == 0 {
            let busybox = paths::cache().join("images/busybox.tar");
            let into = Command::new("tar")
                .arg("-C")
                .arg(&inside)
                .arg("-xf")
                .arg(busybox)
                .status();
            if !into?.success() {
                bail!("cannot unpack busybox");
            }
        }
        let tar = tree.join(&name);
        quiet(
            Command::new("tar")
                .arg("-C")
                .arg(&inside)
                .arg("-cf")
                .arg(&tar)
                .arg("."),
        )?;
        fs::remove_dir_all(&inside)?;
        let sum = quiet(Command::new("sha256sum").arg(&tar))?;
        let digest = sum.split_whitespace().next().unwrap_or_default().to_owned();
        quiet(Command::new("gzip").arg("-n").arg(&tar))?;
        diff_ids.push(format!("\"sha256:{digest}\""));
        names.push(format!("\"{name}.gz\""));
    }
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let config = format!(
        "{{\"architecture\":\"{arch}\",\"os\":\"linux\",\"config\":{{\"Env\":[\"PATH=/bin\"]}},\
         \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
        diff_ids.join(",")
    );
    fs::write(tree.join("config.json"), config)?;
    let manifest = format!(
        "[{{\"Config\":\"config.json\",\"RepoTags\":[\"{}\"],\"Layers\":[{}]}}]",
        reference("big"),
        names.join(",")
    );
    fs::write(tree.join("manifest.json"), manifest)?;
    let file = work.join("big.tar");
    quiet(
        Command::new("tar")
            .arg("-C")
            .arg(&tree)
            .arg("-cf")
            .arg(&file)
            .arg("."),
    )?;
    fs::remove_dir_all(&tree)?;
    Ok(file)
}

/// Pages of noise and pages of text in turn.
fn noise(seed: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1);
    let mut bytes = Vec::with_capacity(LAYER);
    while bytes.len() < LAYER {
        for _ in 0..PAGE / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        let line = format!(
            "page {} of layer {seed}: all work and no play\n",
            bytes.len()
        );
        bytes.extend(line.bytes().cycle().take(PAGE));
    }
    bytes.truncate(LAYER);
    bytes
}

fn circle(
    all: &[Subject],
    registry: &Server,
    work: &Path,
    name: &str,
    rounds: usize,
) -> Result<Costs> {
    let mut costs = Costs::new();
    for round in 0..rounds {
        for (index, subject) in all.iter().enumerate() {
            let turn = turn(subject, registry, work, name, round)
                .with_context(|| format!("{}: {name}", subject.name))?;
            for (step, cost) in turn {
                costs.entry((index, step)).or_default().push(cost);
            }
        }
    }
    Ok(costs)
}

/// The whole circle.
fn turn(
    subject: &Subject,
    registry: &Server,
    work: &Path,
    name: &str,
    round: usize,
) -> Result<Vec<(&'static str, Cost)>> {
    if subject.name.starts_with("skopeo") {
        return copies(subject, registry, name, round);
    }
    let from = reference(name);
    let to = format!("{REGISTRY}/pushed-{round}/{name}:v1");
    let podman = subject.name.starts_with("podman");
    let insecure: &[&str] = if podman { &["--tls-verify=false"] } else { &[] };
    let pull = [&["pull"], insecure, &[from.as_str()]].concat();
    let push = [&["push"], insecure, &[to.as_str()]].concat();
    let before = taken(&subject.data)?;
    let mut pulled = timed(subject, &pull)?;
    pulled.disk = taken(&subject.data)?.saturating_sub(before);
    let mut costs = vec![(STEPS[0], pulled)];
    let run = ["run", "--rm", "--network", "none", &from, "/bin/true"];
    costs.push((STEPS[1], timed(subject, &run)?));
    subject.run(&["tag", &from, &to])?;
    // What is pushed is not there yet, in no repository.
    registry.hide(name)?;
    let pushed = timed(subject, &push);
    registry.show(name)?;
    costs.push((STEPS[2], pushed?));
    // Where every subject can see it, whatever its root.
    let file = work.join("saved.tar");
    let out = fs::File::create(&file)?;
    let mut save = subject.command(&["save", &from]);
    save.stdout(out);
    costs.push((STEPS[3], timed_command(subject, &mut save)?));
    for reference in [&from, &to] {
        subject.run(&["rmi", "-f", reference])?;
    }
    let mut load = subject.command(&["load"]);
    load.stdin(fs::File::open(&file)?).stdout(Stdio::null());
    costs.push((STEPS[4], timed_command(subject, &mut load)?));
    subject.run(&["rmi", "-f", &from])?;
    // Not everybody saves the same: of one archive, whose layers are compressed as they came.
    let shared = work.join(format!("shared-{name}.tar"));
    if shared.exists() {
        fs::remove_file(&file)?;
    } else {
        fs::rename(&file, &shared)?;
    }
    let mut load = subject.command(&["load"]);
    load.stdin(fs::File::open(&shared)?).stdout(Stdio::null());
    costs.push((STEPS[5], timed_command(subject, &mut load)?));
    subject.run(&["rmi", "-f", &from])?;
    Ok(costs)
}

/// What there is of the circle where nothing is kept and nothing runs.
fn copies(
    subject: &Subject,
    registry: &Server,
    name: &str,
    round: usize,
) -> Result<Vec<(&'static str, Cost)>> {
    let from = format!("docker://{}", reference(name));
    let to = format!("docker://{REGISTRY}/pushed-{round}/{name}:v1");
    let _ = fs::remove_dir_all(&subject.data);
    let dir = format!("dir:{}", subject.data.display());
    let mut pulled = timed(
        subject,
        &["copy", "-q", "--src-tls-verify=false", &from, &dir],
    )?;
    pulled.disk = taken(&subject.data)?;
    registry.hide(name)?;
    let pushed = timed(
        subject,
        &["copy", "-q", "--dest-tls-verify=false", &dir, &to],
    );
    registry.show(name)?;
    fs::remove_dir_all(&subject.data)?;
    Ok(vec![(STEPS[0], pulled), (STEPS[2], pushed?)])
}

/// Bytes that a directory takes on disk, once what is on its way there has arrived and what is being
/// removed in the background is gone.
fn taken(dir: &Path) -> Result<u64> {
    const PAUSE: Duration = Duration::from_millis(300);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = None;
    loop {
        match du(dir) {
            Ok(bytes) if before == Some(bytes) => return Ok(bytes),
            Ok(bytes) => before = Some(bytes),
            // Something was removed under it.
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => before = None,
        }
        std::thread::sleep(PAUSE);
    }
}

/// As du(1) counts, once all is written: blocks are counted then.
fn du(dir: &Path) -> Result<u64> {
    quiet(Command::new("sync").arg("-f").arg(dir))?;
    let text = quiet(Command::new("du").args(["-s", "-B1", "-x"]).arg(dir))?;
    let bytes = text.split_whitespace().next().unwrap_or_default();
    bytes
        .parse()
        .with_context(|| format!("du says {text:?} of {}", dir.display()))
}

fn timed(subject: &Subject, words: &[&str]) -> Result<Cost> {
    let mut command = subject.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    timed_command(subject, &mut command)
}

fn timed_command(subject: &Subject, command: &mut Command) -> Result<Cost> {
    command.stderr(Stdio::piped());
    let ticks = busy();
    let begun = Instant::now();
    let child = command.spawn().context("cannot start the client")?;
    let mut roots = vec![child.id()];
    roots.extend(subject.daemon.as_ref().map(subject::Daemon::pid));
    let watch = Watch::start(roots);
    let output = child.wait_with_output()?;
    let wall = begun.elapsed().as_secs_f64();
    let memory = watch.end();
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(Cost {
        wall,
        cpu: busy() - ticks,
        memory,
        disk: 0,
    })
}

/// Seconds that the processors have been busy.
fn busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq (proc_stat(5)), in hundredths.
    [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|i| fields.get(*i))
        .sum::<f64>()
        / 100.0
}

/// The most memory that processes and all below them had at a moment.
struct Watch {
    ended: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(roots: Vec<u32>) -> Self {
        const PACE: Duration = Duration::from_millis(20);
        let (ended, most) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let thread = std::thread::spawn({
            let (ended, most) = (ended.clone(), most.clone());
            move || {
                while !ended.load(Ordering::Relaxed) {
                    most.fetch_max(anonymous(&roots), Ordering::Relaxed);
                    std::thread::sleep(PACE);
                }
            }
        });
        Self {
            ended,
            most,
            thread,
        }
    }

    fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.most.load(Ordering::Relaxed)
    }
}

/// Bytes that belong to nobody else: programs and files are shared, and let go of when needed.
fn anonymous(roots: &[u32]) -> u64 {
    let Ok(processes) = Processes::read() else {
        return 0;
    };
    let mut pids: Vec<u32> = roots
        .iter()
        .flat_map(|root| processes.below(*root))
        .collect();
    pids.sort_unstable();
    pids.dedup();
    let of = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    };
    pids.into_iter().map(of).sum()
}

fn tables(page: &mut Page, title: &str, all: &[Subject], costs: &Costs) {
    let parts: [Part; 4] = [
        ("seconds", |cost| cost.wall, 2),
        (
            "seconds of processors, the registry's share included",
            |cost| cost.cpu,
            2,
        ),
        (
            "anonymous memory at its most, MB",
            |cost| megabytes(cost.memory),
            0,
        ),
        ("MB on disk", |cost| megabytes(cost.disk), 0),
    ];
    for (what, value, digits) in parts {
        let mut table = Table::new(&format!("{title}: {what}"));
        table.columns(all.iter().map(|subject| subject.name.clone()));
        for step in STEPS {
            let medians = (0..all.len()).map(|index| {
                let costs = costs.get(&(index, step));
                median(costs.into_iter().flatten().map(value).collect())
            });
            let medians: Vec<f64> = medians.collect();
            // Only a pull is asked what it takes on disk.
            if medians[0] == 0.0 && what.ends_with("disk") {
                continue;
            }
            table.text(step, cells(&medians, digits));
        }
        page.table(table);
    }
}

fn cells(medians: &[f64], digits: usize) -> Vec<String> {
    let cell = |(index, median): (usize, &f64)| match index {
        _ if median.is_nan() => "-".to_owned(),
        0 => format!("**{median:.digits$}**"),
        _ => format!("{median:.digits$}, {:.1}x", median / medians[0]),
    };
    medians.iter().enumerate().map(cell).collect()
}

#[expect(clippy::cast_precision_loss, reason = "few digits are shown")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Debian's `docker-registry`, with what it keeps.
#[derive(Debug)]
struct Server {
    child: Child,
    storage: PathBuf,
}

impl Server {
    fn start(work: &Path) -> Result<Self> {
        let storage = work.join("registry");
        let config = work.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http: {{addr: {REGISTRY}}}\n",
            storage.display()
        );
        fs::write(&config, text)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start docker-registry: run scripts/setup.sh test")?;
        let server = Self { child, storage };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(REGISTRY).is_err() {
            if Instant::now() > deadline {
                bail!("docker-registry does not listen on {REGISTRY}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn root(&self) -> PathBuf {
        self.storage.join("docker")
    }

    /// Puts everything aside, so that nothing is there.
    fn hide(&self, name: &str) -> Result<()> {
        let aside = self.storage.join(format!("aside-{name}"));
        fs::rename(self.root(), aside).context("cannot empty the registry")
    }

    /// Puts everything back, and what was pushed meanwhile away.
    fn show(&self, name: &str) -> Result<()> {
        if self.root().exists() {
            fs::remove_dir_all(self.root())?;
        }
        let aside = self.storage.join(format!("aside-{name}"));
        fs::rename(aside, self.root()).context("cannot fill the registry again")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
