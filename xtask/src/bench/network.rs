//! Networks: what attaching costs, and what passes through a bridge and through a published port.
//!
//! Each engine has a machine of its own, a network namespace in which it makes bridges and rules, and a neighbour from
//! whom packets come from outside. Servers and clients run from the same image everywhere (iperf3, nginx, wrk,
//! dnsperf), and every engine takes its turn in every round.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Args;
use super::measure::{Series, Trial, quiet, rounds, settle};
use super::report::{Page, Table};
use super::subject::{self, IMAGE, Machine, Subject};
use crate::paths;

/// The image with the tools.
const TOOLS: &str = "netbench";
/// Seconds of one measurement.
const SECONDS: &str = "2";
/// The machine's address and its neighbour's.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
/// Where the servers are published: iperf3 and nginx.
const PORTS: [u16; 2] = [15201, 18080];

/// An engine on its machine.
struct House<'a> {
    subject: &'a Subject,
    machine: &'a Machine,
    neighbour: Machine,
    /// The server's address in the network.
    server: String,
}

/// Measures all engines that are there.
pub(crate) fn measure(args: &Args, page: &mut Page) -> Result<()> {
    let tools = paths::cache().join("images/netbench.tar");
    if !tools.exists() {
        page.absent("networks", "there are no tools: run scripts/setup.sh bench");
        return Ok(());
    }
    let machines: Vec<Machine> = (0..5).map(|_| Machine::new()).collect::<Result<_>>()?;
    let mut all = subject::brig_on(Some(&machines[0]))?;
    // Its other client asks the same daemon.
    all.truncate(1);
    let mut places = vec![0];
    if !args.alone {
        for (first, suite) in [(1, "bookworm"), (3, "sid")] {
            let pair = [Some(&machines[first]), Some(&machines[first + 1])];
            let (there, absent) = subject::peers_on(suite, pair);
            let place = |s: &Subject| first + usize::from(s.name.starts_with("podman"));
            places.extend(there.iter().map(place));
            all.extend(there);
            absent
                .into_iter()
                .for_each(|a| page.absent(&a.name, &a.why));
        }
    }
    let (all, places) = that_work(all, places, page);
    for subject in &all {
        subject.import(&tools, TOOLS)?;
    }
    let root = tools_root();
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root)?;
    quiet(
        Command::new("tar")
            .arg("-C")
            .arg(&root)
            .arg("-xf")
            .arg(&tools),
    )?;
    attachments(args, &all, page)?;
    let mut houses = Vec::new();
    for (subject, place) in all.iter().zip(places) {
        match House::new(subject, &machines[place]) {
            Ok(house) => houses.push(house),
            Err(error) => page.absent(&subject.name, &format!("{error:#}")),
        }
    }
    let rates = traffic(&houses, (args.rounds / 5).max(1));
    houses.iter().for_each(House::empty);
    page.table(table(&houses, &rates?));
    fs::remove_dir_all(&root)?;
    page.versions(all.iter().map(|s| (s.name.as_str(), s.version.as_str())));
    Ok(())
}

/// Those that put a container into a network; why the others do not is noted.
fn that_work(all: Vec<Subject>, places: Vec<usize>, page: &mut Page) -> (Vec<Subject>, Vec<usize>) {
    let mut work = Vec::new();
    for (subject, place) in all.into_iter().zip(places) {
        match subject.run(&["run", "--rm", "-p", "18080:80", IMAGE, "true"]) {
            Ok(_) => work.push((subject, place)),
            Err(error) => page.absent(&subject.name, &format!("{error:#}")),
        }
    }
    work.into_iter().unzip()
}

/// The image's tools for the machines themselves.
fn tools_root() -> PathBuf {
    paths::target().join("bench-net-tools")
}

/// What a container waits for its network.
fn attachments(args: &Args, all: &[Subject], page: &mut Page) -> Result<()> {
    let mut table = Table::new("Attaching, milliseconds (median, 90th percentile)");
    let port = format!("{}:80", PORTS[1]);
    let runs: [(&str, &[&str]); 3] = [
        ("`run --rm --network none bb true`", &["--network", "none"]),
        ("`run --rm bb true`, the default bridge", &[]),
        ("`run --rm -p 18080:80 bb true`", &["-p", &port]),
    ];
    for (what, flags) in runs {
        let words = [&["run", "--rm"], flags, &[IMAGE, "true"]].concat();
        let trial = |s| Trial {
            name: name(s),
            timed: Box::new(|| s.command(&words)),
            after: None,
        };
        let trials: Vec<Trial<'_>> = all.iter().map(trial).collect();
        let series: Vec<Series> = rounds(&trials, args.rounds)?;
        table.add(what, series);
    }
    page.table(table);
    Ok(())
}

fn name(subject: &Subject) -> &str {
    &subject.name
}

/// What is measured, and how.
type Measurement = (&'static str, fn(&House<'_>) -> Result<f64>);

const MEASUREMENTS: [Measurement; 10] = [
    ("container to container, Gbit/s", |h| {
        gigabits(h.inside(&["/usr/bin/iperf3", "-J", "-t", SECONDS, "-c", &h.server]))
    }),
    ("host to container, Gbit/s", |h| {
        gigabits(h.iperf3(h.machine, &h.server, "5201"))
    }),
    ("from outside through a published port, Gbit/s", |h| {
        gigabits(h.iperf3(&h.neighbour, ADDRESSES[0], "15201"))
    }),
    ("the same by 127.0.0.1 of the host, Gbit/s", |h| {
        gigabits(h.iperf3(h.machine, "127.0.0.1", "15201"))
    }),
    ("container to container, requests/s", |h| {
        requests(h.inside_wrk("-c16"))
    }),
    ("from outside through a published port, requests/s", |h| {
        requests(h.wrk(&h.neighbour, ADDRESSES[0], "-c16"))
    }),
    ("by 127.0.0.1 of the host, requests/s", |h| {
        requests(h.wrk(h.machine, "127.0.0.1", "-c16"))
    }),
    ("from outside, one connection, µs a request", |h| {
        Ok(1e6 / requests(h.wrk(&h.neighbour, ADDRESSES[0], "-c1"))?)
    }),
    (
        "container to container, one connection, µs a request",
        |h| Ok(1e6 / requests(h.inside_wrk("-c1"))?),
    ),
    ("a container's name, questions/s", |h| {
        let questions = "printf 'server A\\n' > /tmp/q && \
            dnsperf -s \"$(awk '/^nameserver/ { print $2; exit }' /etc/resolv.conf)\" -d /tmp/q -l 2";
        questions_of(h.inside(&["/usr/bin/busybox", "sh", "-c", questions]))
    }),
];

impl<'a> House<'a> {
    /// A network with a server, whose ports are published.
    fn new(subject: &'a Subject, machine: &'a Machine) -> Result<Self> {
        let neighbour = Machine::new()?;
        join(machine, &neighbour)?;
        let _ = subject.run(&[&subject.remove()[..], &["server"]].concat());
        let _ = subject.run(&["network", "rm", "bench"]);
        subject.run(&["network", "create", "bench"])?;
        let [iperf3, nginx] = PORTS;
        let ports = [format!("{iperf3}:5201"), format!("{nginx}:80")];
        let words = ["run", "-d", "--name", "server", "--network", "bench"];
        let published = ["-p", &ports[0], "-p", &ports[1]];
        let command = [TOOLS, "/usr/bin/busybox", "sh", "-c", SERVE];
        subject.run(&[&words[..], &published, &command].concat())?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let server = subject.run(&["inspect", "-f", format, "server"])?;
        let house = Self {
            subject,
            machine,
            neighbour,
            server,
        };
        house.wait()?;
        Ok(house)
    }

    /// Until both servers answer.
    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answers = requests(self.wrk(&self.neighbour, ADDRESSES[0], "-c1"))
                .and_then(|_| gigabits(self.iperf3(self.machine, &self.server, "5201")));
            match answers {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let logs = self.subject.run(&["logs", "server"]).unwrap_or_default();
                    self.empty();
                    return Err(error.context(logs));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// A command in another container of the network.
    fn inside(&self, words: &[&str]) -> Result<String> {
        let run = ["run", "--rm", "--network", "bench", TOOLS];
        self.subject.run(&[&run, words].concat())
    }

    fn inside_wrk(&self, connections: &str) -> Result<String> {
        let address = format!("http://{}:80/", self.server);
        self.inside(&["/usr/bin/wrk", "-t1", connections, "-d2", &address])
    }

    /// A tool of the image, run on a machine.
    fn tool(machine: &Machine, words: &[&str]) -> Command {
        let mut command = machine.command("chroot");
        command.arg(tools_root()).args(words);
        command
    }

    fn iperf3(&self, from: &Machine, to: &str, port: &str) -> Result<String> {
        let words = ["/usr/bin/iperf3", "-J", "-t", SECONDS, "-c", to, "-p", port];
        quiet(&mut Self::tool(from, &words))
    }

    fn wrk(&self, from: &Machine, to: &str, connections: &str) -> Result<String> {
        let address = format!("http://{to}:{}/", PORTS[1]);
        let words = ["/usr/bin/wrk", "-t1", connections, "-d2", &address];
        quiet(&mut Self::tool(from, &words))
    }

    fn empty(&self) {
        let mut words = self.subject.remove();
        words.push("server");
        // The next run finds what could not be removed, and removes it.
        let _ = self.subject.run(&words);
        let _ = self.subject.run(&["network", "rm", "bench"]);
    }
}

/// nginx with keep-alive and nothing to log, and iperf3 beside it.
const SERVE: &str = "echo root:x:0:0::/:/bin/sh > /etc/passwd; echo root:x:0: > /etc/group
mkdir -p /tmp/n/logs /var/lib/nginx /var/log/nginx; echo hello > /tmp/n/index.html
printf 'worker_processes 1; error_log /dev/null; pid /tmp/n/pid; events {} http { access_log off; \
keepalive_requests 1000000000; server { listen 80; root /tmp/n; } }' > /tmp/n/conf
/usr/sbin/nginx -g 'user root;' -p /tmp/n -c /tmp/n/conf
exec iperf3 -s";

/// A cable between two machines.
fn join(machine: &Machine, neighbour: &Machine) -> Result<()> {
    let _ = quiet(machine.command("ip").args(["link", "del", "out"]));
    quiet(
        machine
            .command("ip")
            .args([
                "link", "add", "out", "type", "veth", "peer", "name", "out", "netns",
            ])
            .arg(neighbour.pid().to_string()),
    )?;
    for (machine, address) in [machine, neighbour].into_iter().zip(ADDRESSES) {
        let address = format!("{address}/24");
        quiet(
            machine
                .command("ip")
                .args(["addr", "add", &address, "dev", "out"]),
        )?;
        quiet(machine.command("ip").args(["link", "set", "out", "up"]))?;
    }
    Ok(())
}

type Rates = BTreeMap<(usize, usize), Vec<f64>>;

/// Every engine in every round, each round begun by the next: nobody has always the same one's remains before them.
fn traffic(houses: &[House<'_>], rounds: usize) -> Result<Rates> {
    let mut rates = Rates::new();
    for round in 0..rounds {
        for (row, (what, measure)) in MEASUREMENTS.iter().enumerate() {
            let turns = (0..houses.len()).map(|turn| (round + turn) % houses.len());
            for (column, house) in turns.map(|column| (column, &houses[column])) {
                let name = &house.subject.name;
                settle();
                let rate = measure(house);
                match rate {
                    Ok(rate) => rates.entry((row, column)).or_default().push(rate),
                    Err(error) if column == 0 => {
                        return Err(error.context(format!("{name}: {what}")));
                    }
                    // Its cell stays empty.
                    Err(_) => {}
                }
            }
        }
    }
    Ok(rates)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn table(houses: &[House<'_>], rates: &Rates) -> Table {
    let mut table = Table::new("What passes (median)");
    table.columns(houses.iter().map(|house| house.subject.name.clone()));
    for (row, (what, _)) in MEASUREMENTS.iter().enumerate() {
        let of = |column: usize| median(rates.get(&(row, column))?);
        let ours = of(0).unwrap_or(f64::NAN);
        let cell = |column: usize| match of(column) {
            None => String::new(),
            Some(rate) => {
                let digits = if rate < 1000.0 { 1 } else { 0 };
                match column {
                    0 => format!("**{rate:.digits$}**"),
                    _ => format!("{rate:.digits$}, {:.2}x", rate / ours),
                }
            }
        };
        table.text(what, (0..houses.len()).map(cell).collect());
    }
    table
}

fn gigabits(output: Result<String>) -> Result<f64> {
    let json: Value = serde_json::from_str(&output?).context("iperf3 said no JSON")?;
    match json["end"]["sum_received"]["bits_per_second"].as_f64() {
        Some(rate) => Ok(rate / 1e9),
        None => bail!("iperf3: {}", json["error"]),
    }
}

fn requests(output: Result<String>) -> Result<f64> {
    let output = output?;
    if output.contains("Socket errors") || output.contains("Non-2xx") {
        bail!("wrk: {output}");
    }
    after(&output, "Requests/sec:")
        .filter(|rate| *rate > 0.0)
        .context("wrk counted nothing")
}

fn questions_of(output: Result<String>) -> Result<f64> {
    after(&output?, "Queries per second:").context("dnsperf counted nothing")
}

/// The number behind a word.
fn after(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_tools_print() {
        let wrk = "  12 requests in 2.00s\nRequests/sec:  51234.5\nTransfer/sec: 1MB";
        assert!((requests(Ok(wrk.to_owned())).unwrap() - 51234.5).abs() < 1e-9);
        assert!(requests(Ok("Requests/sec: 1\nSocket errors: 5".to_owned())).is_err());
        let json = r#"{"end":{"sum_received":{"bits_per_second":25000000000.0}}}"#;
        assert!((gigabits(Ok(json.to_owned())).unwrap() - 25.0).abs() < 1e-9);
        assert!(
            (questions_of(Ok("Queries per second:   99.5".to_owned())).unwrap() - 99.5).abs()
                < 1e-9
        );
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
