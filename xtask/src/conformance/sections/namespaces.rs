//! config-linux.md, Namespaces; config.md, Hostname and Domainname.

use std::borrow::Cow;
use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::container::{Container, until};
use super::super::find::{holds, same, text};
use super::super::suite::{Row, Suite, Test, skip, table};

pub(super) fn tests() -> Vec<Test> {
    let mut all = table(TESTS);
    for row in KINDS {
        all.push(made(
            "new",
            "without path a new namespace MUST be created",
            row,
            new,
        ));
        all.push(made(
            "inherited",
            "one that is not listed MUST be inherited",
            row,
            inherited,
        ));
        all.push(made(
            "joined",
            "the process MUST be placed in the namespace of path",
            row,
            joined,
        ));
        all.push(made(
            "of-other-type",
            "a path of another type MUST be an error",
            row,
            of_other_type,
        ));
    }
    all
}

/// A type and its name in /proc/PID/ns.
type Kind = (&'static str, &'static str);

const KINDS: &[Kind] = &[
    ("pid", "pid"),
    ("network", "net"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("user", "user"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn made(
    what: &str,
    says: &str,
    row: &'static Kind,
    check: fn(&Suite, &Kind) -> Result<()>,
) -> Test {
    Test {
        name: Cow::Owned(format!("namespaces/{}-{what}", row.0)),
        says: Cow::Owned(format!("config-linux.md, Namespaces: {says}: {}", row.0)),
        check: Box::new(move |suite| {
            suite.machine.need(
                &format!("/proc/self/ns/{}", row.1),
                "this kernel has no such namespace",
            )?;
            check(suite, row)
        }),
    }
}

const TESTS: &[Row] = &[
    (
        "namespaces/pid-sees-itself",
        "config-linux.md, Namespaces: with pid only processes of the same container are seen",
        pid_sees_itself,
    ),
    (
        "namespaces/network-own-stack",
        "config-linux.md, Namespaces: with network the container has its own stack",
        network_own_stack,
    ),
    (
        "namespaces/mount-isolated",
        "config-linux.md, Namespaces: with mount the container has its own table",
        mount_isolated,
    ),
    (
        "namespaces/cgroup-view",
        "config-linux.md, Namespaces: with cgroup the container has its own view: its cgroup is the root",
        cgroup_view,
    ),
    (
        "namespaces/time-monotonic",
        "config-linux.md, Offset for Time Namespace: secs is the clock's offset",
        |suite| time_offset(suite, "monotonic", json!({ "secs": 172_800 }), "172800 0"),
    ),
    (
        "namespaces/time-boottime",
        "config-linux.md, Offset for Time Namespace: secs and nanosecs are the clock's offset",
        |suite| {
            time_offset(
                suite,
                "boottime",
                json!({ "secs": 86_400, "nanosecs": 7 }),
                "86400 7",
            )
        },
    ),
    (
        "namespaces/time-uptime",
        "config-linux.md, Offset for Time Namespace: the container's clock has the offset",
        time_uptime,
    ),
    (
        "namespaces/shared-with-other",
        "config-linux.md, Namespaces: several namespaces of another container may be joined",
        shared,
    ),
    (
        "namespaces/joined-survives",
        "runtime.md, Delete: what create did not make MUST NOT be deleted, as a namespace that was joined",
        joined_survives,
    ),
    (
        "hostname/set",
        "config.md, Hostname: it is the container's as seen by processes inside",
        |suite| name(suite, "hostname"),
    ),
    (
        "hostname/unset",
        "config.md, Hostname: it is OPTIONAL",
        hostname_unset,
    ),
    (
        "hostname/host-keeps-its",
        "config.md, Hostname: the name is changed in the container's UTS namespace",
        host_keeps_its,
    ),
    (
        "hostname/joined",
        "config.md, Hostname: the UTS namespace may be another's; the name is set there",
        hostname_joined,
    ),
    (
        "domainname/set",
        "config.md, Domainname: it is the container's as seen by processes inside",
        |suite| name(suite, "domainname"),
    ),
];

fn own(name: &str) -> Result<String> {
    let link = fs::read_link(format!("/proc/self/ns/{name}"))?;
    Ok(link.to_string_lossy().into_owned())
}

/// With a namespace of this type among those of the template.
fn bundle_with<'s>(
    suite: &'s Suite,
    kind: &str,
    path: Option<String>,
) -> Result<super::super::bundle::Bundle<'s>> {
    let mut bundle = suite.bundle()?;
    if kind == "user" && path.is_none() {
        bundle.user_namespace();
    } else {
        let mut entry = json!({ "type": kind });
        if let Some(path) = path {
            entry["path"] = json!(path);
        }
        bundle.namespace(entry);
    }
    Ok(bundle)
}

fn new(suite: &Suite, &(kind, name): &Kind) -> Result<()> {
    let report = bundle_with(suite, kind, None)?.report()?;
    let seen = report["namespaces"][name].as_str().unwrap_or_default();
    holds(
        "the namespace is another",
        seen != own(name)? && !seen.is_empty(),
        seen,
    )
}

fn inherited(suite: &Suite, &(kind, name): &Kind) -> Result<()> {
    if kind == "mount" && suite.in_tree() {
        return skip("the runtime's tree is in a mount namespace of its own");
    }
    let mut bundle = suite.bundle()?;
    bundle.without_namespace(kind);
    if kind == "uts" {
        bundle.set("/hostname", Value::Null);
    }
    same(
        "namespace",
        &bundle.report()?["namespaces"][name],
        &json!(own(name)?),
    )
}

/// A container that waits, with a namespace of this type, and the path of that.
fn holder<'b, 's>(
    bundle: &'b mut super::super::bundle::Bundle<'s>,
    name: &str,
) -> Result<(Container<'b, 's>, String)> {
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    let path = format!("/proc/{}/ns/{name}", container.pid);
    Ok((container, path))
}

fn joined(suite: &Suite, &(kind, name): &Kind) -> Result<()> {
    if kind == "mount" {
        return joined_mounts(suite);
    }
    let mut first = bundle_with(suite, kind, None)?;
    let (_container, path) = holder(&mut first, name)?;
    let wanted = fs::read_link(&path)?.to_string_lossy().into_owned();
    let mut second = bundle_with(suite, kind, Some(path))?;
    if kind == "uts" {
        second.set("/hostname", Value::Null);
    }
    same(
        "namespace",
        &second.report()?["namespaces"][name],
        &json!(wanted),
    )
}

/// Of a process that sees the machine's files: in another container's there is no bundle.
fn joined_mounts(suite: &Suite) -> Result<()> {
    let mut other = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sleep", "1000"])
        .spawn()?;
    let path = format!("/proc/{}/ns/mnt", other.id());
    let own = own("mnt")?;
    let apart = until("a mount namespace of its own", || {
        let link = fs::read_link(&path)?.to_string_lossy().into_owned();
        Ok((link != own).then_some(link))
    });
    let report = apart.and_then(|wanted| {
        let mut bundle = bundle_with(suite, "mount", Some(path.clone()))?;
        Ok((bundle.report()?, wanted))
    });
    other.kill()?;
    other.wait()?;
    let (report, wanted) = report?;
    same("namespace", &report["namespaces"]["mnt"], &json!(wanted))
}

fn of_other_type(suite: &Suite, &(kind, name): &Kind) -> Result<()> {
    let other = if name == "uts" { "ipc" } else { "uts" };
    bundle_with(suite, kind, Some(format!("/proc/self/ns/{other}")))?
        .refused()
        .map(drop)
}

fn pid_sees_itself(suite: &Suite) -> Result<()> {
    let report = suite.bundle()?.report()?;
    same("processes", &report["processes"], &json!([1]))?;
    same("own pid", super::super::find::status(&report, "Pid")?, "1")
}

fn network_own_stack(suite: &Suite) -> Result<()> {
    let report = suite.bundle()?.report()?;
    let names: Vec<&str> = report["interfaces"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // Some kernels put tunnels into each new stack.
    let only = names
        .iter()
        .all(|name| *name == "lo" || name.ends_with('0'));
    holds(
        "there is the loopback",
        names.contains(&"lo") && only,
        names,
    )
}

fn mount_isolated(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    bundle.mount("tmpfs", "tmpfs", "/mnt", &[]);
    let container = bundle.start()?;
    container.first_report()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let path = bundle.path().display().to_string();
    holds(
        "the container's mounts are not seen outside",
        !mounts.contains(&path),
        path,
    )
}

fn cgroup_view(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.namespace(json!({ "type": "cgroup" }));
    let report = bundle.report()?;
    for line in text(&report, "cgroup")?.lines() {
        // Hierarchies that the container is not put into are shown as they are above.
        let fine = line.ends_with(":/") || line.contains(":/..");
        holds("no path of the host's is seen", fine, line)?;
    }
    Ok(())
}

fn with_offsets(suite: &Suite, offsets: Value) -> Result<Value> {
    suite.machine.need(
        "/proc/self/timens_offsets",
        "this kernel has no time namespaces",
    )?;
    let mut bundle = suite.bundle()?;
    bundle.namespace(json!({ "type": "time" }));
    bundle.set("/linux/timeOffsets", offsets);
    bundle.report()
}

fn time_offset(suite: &Suite, clock: &str, offset: Value, wanted: &str) -> Result<()> {
    let report = with_offsets(suite, json!({ clock: offset }))?;
    let lines = text(&report, "timens_offsets")?;
    let line = lines.lines().find_map(|line| line.strip_prefix(clock));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    same(clock, words.join(" ").as_str(), wanted)
}

fn time_uptime(suite: &Suite) -> Result<()> {
    let report = with_offsets(suite, json!({ "boottime": { "secs": 1_000_000_000 } }))?;
    let uptime = text(&report, "uptime")?
        .split('.')
        .next()
        .unwrap_or_default();
    let uptime: u64 = uptime.parse()?;
    holds(
        "the time since boot is that much longer",
        uptime >= 1_000_000_000,
        uptime,
    )
}

fn shared(suite: &Suite) -> Result<()> {
    let mut first = suite.bundle()?;
    first.args(&["/probe", "wait"]);
    let container = first.start()?;
    let mut second = suite.bundle()?;
    let all = [
        ("network", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("pid", "pid"),
    ];
    for (kind, name) in all {
        second.namespace(
            json!({ "type": kind, "path": format!("/proc/{}/ns/{name}", container.pid) }),
        );
    }
    second.set("/hostname", Value::Null);
    let report = second.report()?;
    for (_, name) in all {
        let wanted = fs::read_link(format!("/proc/{}/ns/{name}", container.pid))?;
        same(
            name,
            &report["namespaces"][name],
            &json!(wanted.to_string_lossy()),
        )?;
    }
    let both = report["processes"].as_array().map_or(0, Vec::len);
    holds(
        "the other container's process is seen",
        both == 2,
        &report["processes"],
    )
}

fn joined_survives(suite: &Suite) -> Result<()> {
    let mut first = suite.bundle()?;
    let (container, path) = holder(&mut first, "net")?;
    let mut second = bundle_with(suite, "network", Some(path.clone()))?;
    second.report()?;
    container.is("running")?;
    fs::read_link(path).map(drop)?;
    Ok(())
}

fn name(suite: &Suite, which: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(&format!("/{which}"), json!("mrs-dalloway.example"));
    same(
        which,
        text(&bundle.report()?, which)?,
        "mrs-dalloway.example",
    )
}

fn hostname_unset(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(config) = bundle.config.as_object_mut() {
        config.remove("hostname");
    }
    bundle.report().map(drop)
}

fn host_keeps_its(suite: &Suite) -> Result<()> {
    let before = fs::read_to_string("/proc/sys/kernel/hostname")?;
    suite.bundle()?.report()?;
    same(
        "the host's name",
        fs::read_to_string("/proc/sys/kernel/hostname")?,
        before,
    )
}

fn hostname_joined(suite: &Suite) -> Result<()> {
    let mut first = suite.bundle()?;
    let (_container, path) = holder(&mut first, "uts")?;
    let mut second = bundle_with(suite, "uts", Some(path))?;
    second.set("/hostname", json!("joined"));
    same("hostname", text(&second.report()?, "hostname")?, "joined")
}
