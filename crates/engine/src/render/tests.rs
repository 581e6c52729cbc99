//! Whole configurations as text: the default one, and what each flag changes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use types::{
    ContainerId, ContainerSpec, DeviceRequest, MountKind, MountRequest, NamespaceMode, NetworkMode,
    Propagation, SeccompProfile, Signal, Ulimit,
};

use super::*;
use crate::container::{Files, Resolved};

pub(super) fn host() -> HostFacts {
    HostFacts {
        cgroups: sys::cgroup::Capabilities::default(),
        kernel: (6, 1),
        arch: "x86_64",
        last_capability: 40,
        bounding: u64::MAX,
        thermal_throttle: Vec::new(),
    }
}

pub(super) fn resolved() -> Resolved {
    Resolved {
        entrypoint: vec!["/bin/sh".to_owned()],
        command: vec!["-c".to_owned(), "true".to_owned()],
        env: vec!["A=b".to_owned()],
        working_dir: String::new(),
        user: String::new(),
        hostname: "box".to_owned(),
        exposed_ports: Default::default(),
        labels: BTreeMap::new(),
        stop_signal: Signal::TERM,
        stop_timeout: 10,
        mounts: Vec::new(),
        health: None,
        shell: Vec::new(),
    }
}

/// What a test changes.
#[derive(Clone)]
struct Case {
    spec: ContainerSpec,
    resolved: Resolved,
    identity: Identity,
    devices: Vec<HostDevice>,
    block_devices: BTreeMap<String, (u32, u32)>,
    joined: Joined,
    described: crate::cdi::Edits,
    host: HostFacts,
    ids: Option<types::IdMaps>,
}

impl Case {
    fn new() -> Self {
        Self {
            spec: ContainerSpec::default(),
            resolved: resolved(),
            identity: Identity {
                home: "/root".to_owned(),
                ..Identity::default()
            },
            devices: Vec::new(),
            block_devices: BTreeMap::new(),
            joined: Joined::default(),
            described: crate::cdi::Edits::default(),
            host: host(),
            ids: None,
        }
    }

    fn render(&self) -> Result<Spec, Error> {
        let id = ContainerId::from_random([0xab; 32]);
        let files = Files {
            hostname: "/c/hostname".into(),
            hosts: "/c/hosts".into(),
            resolv_conf: "/c/resolv.conf".into(),
        };
        let resolved = Resolved {
            mounts: self.spec.mounts.clone(),
            ..self.resolved.clone()
        };
        let input = RenderInput {
            id: &id,
            spec: &self.spec,
            resolved: &resolved,
            identity: self.identity.clone(),
            files: &files,
            devices: self.devices.clone(),
            cgroup_path: "/brig/x".to_owned(),
            block_devices: self.block_devices.clone(),
            joined: self.joined.clone(),
            described: self.described.clone(),
            init: Path::new("/lib/brig-init"),
            host: self.host.clone(),
            placed: &Placed::default(),
            ids: self.ids.as_ref(),
        };
        let mut spec = spec(&input)?;
        let linux = spec.linux_mut().as_mut().unwrap();
        linux.set_seccomp(filter(&input)?.map(Arc::unwrap_or_clone));
        Ok(spec)
    }
}

/// A line a value, named by its path; the filter, which has tests of its own, in short.
fn lines(spec: &Spec) -> BTreeSet<String> {
    let mut value = serde_json::to_value(spec).unwrap();
    if let Some(filter) = value.pointer_mut("/linux/seccomp") {
        *filter = filter["defaultAction"].clone();
    }
    let mut lines = BTreeSet::new();
    flatten("", &value, &mut lines);
    lines
}

fn flatten(path: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                flatten(&format!("{path}.{key}"), field, lines);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (at, item) in list.iter().enumerate() {
                // What names itself goes by its name, so that one more moves no other.
                let name = ["destination", "path"]
                    .iter()
                    .find_map(|k| item[k].as_str());
                let name = name.map_or_else(|| format!("{at:02}"), str::to_owned);
                lines.insert(format!("{}[{name}]: {}", &path[1..], plain(item)));
            }
        }
        value => {
            lines.insert(format!("{}: {}", &path[1..], plain(value)));
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let mut words: Vec<String> = list.iter().map(plain).collect();
            // Sets have no order of their own; some forty names say no more than their number.
            if words.iter().any(|w| w.starts_with("CAP_")) {
                words.sort();
            }
            match words.len() {
                20.. => format!("{} of them", words.len()),
                _ => words.join(" "),
            }
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter(|(k, _)| !["destination", "path"].contains(&k.as_str()));
            let text: Vec<String> = fields.map(|(k, v)| format!("{k}={}", plain(v))).collect();
            text.join(", ")
        }
        other => other.to_string(),
    }
}

/// What is different from the default: lines gone and lines come, or the refusal.
fn changes(change: impl FnOnce(&mut Case)) -> String {
    let default = lines(&Case::new().render().unwrap());
    let mut case = Case::new();
    change(&mut case);
    let changed = match case.render() {
        Ok(spec) => lines(&spec),
        Err(error) => return error.to_string(),
    };
    let gone = default.difference(&changed).map(|l| format!("- {l}\n"));
    let come = changed.difference(&default).map(|l| format!("+ {l}\n"));
    gone.chain(come).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_default_container() {
    let text: Vec<String> = lines(&Case::new().render().unwrap()).into_iter().collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    hostname: box
    linux.cgroupsPath: /brig/x
    linux.maskedPaths: /proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap
    linux.namespaces[00]: type=mount
    linux.namespaces[01]: type=uts
    linux.namespaces[02]: type=pid
    linux.namespaces[03]: type=ipc
    linux.namespaces[04]: type=cgroup
    linux.namespaces[05]: type=network
    linux.readonlyPaths: /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger
    linux.resources.devices[00]: allow=false, access=rwm
    linux.resources.devices[01]: allow=true, type=c, access=m
    linux.resources.devices[02]: allow=true, type=b, access=m
    linux.resources.devices[03]: allow=true, type=c, major=1, minor=5, access=rwm
    linux.resources.devices[04]: allow=true, type=c, major=1, minor=3, access=rwm
    linux.resources.devices[05]: allow=true, type=c, major=1, minor=7, access=rwm
    linux.resources.devices[06]: allow=true, type=c, major=1, minor=9, access=rwm
    linux.resources.devices[07]: allow=true, type=c, major=1, minor=8, access=rwm
    linux.resources.devices[08]: allow=true, type=c, major=5, minor=0, access=rwm
    linux.resources.devices[09]: allow=true, type=c, major=5, minor=1, access=rwm
    linux.resources.devices[10]: allow=true, type=c, major=5, minor=2, access=rwm
    linux.resources.devices[11]: allow=true, type=c, major=136, access=rwm
    linux.seccomp: SCMP_ACT_ERRNO
    linux.sysctl.net.ipv4.ip_unprivileged_port_start: 0
    linux.sysctl.net.ipv4.ping_group_range: 0 2147483647
    mounts[/dev/mqueue]: type=mqueue, source=mqueue, options=nosuid noexec nodev
    mounts[/dev/pts]: type=devpts, source=devpts, options=nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5
    mounts[/dev/shm]: type=tmpfs, source=shm, options=nosuid noexec nodev mode=1777 size=67108864
    mounts[/dev]: type=tmpfs, source=tmpfs, options=nosuid strictatime mode=755 size=65536k
    mounts[/etc/hostname]: type=bind, source=/c/hostname, options=rbind rprivate
    mounts[/etc/hosts]: type=bind, source=/c/hosts, options=rbind rprivate
    mounts[/etc/resolv.conf]: type=bind, source=/c/resolv.conf, options=rbind rprivate
    mounts[/proc]: type=proc, source=proc, options=nosuid noexec nodev
    mounts[/sys/fs/cgroup]: type=cgroup, source=cgroup, options=nosuid noexec nodev ro
    mounts[/sys]: type=sysfs, source=sysfs, options=nosuid noexec nodev ro
    ociVersion: 1.2.1
    process.args: /bin/sh -c true
    process.capabilities.bounding: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    process.capabilities.effective: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    process.capabilities.permitted: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    process.cwd: /
    process.env: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=box A=b HOME=/root
    process.noNewPrivileges: false
    process.oomScoreAdj: 0
    process.terminal: false
    process.user.additionalGids: 0
    process.user.gid: 0
    process.user.uid: 0
    root.path: rootfs
    root.readonly: false
    "#);
}

#[test]
fn privileged() {
    insta::assert_snapshot!(changes(|case| {
        case.spec.security.privileged = true;
        case.devices = vec![device("/dev/kvm", "rwm")];
    }), @r#"
    - linux.maskedPaths: /proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap
    - linux.readonlyPaths: /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger
    - linux.resources.devices[00]: allow=false, access=rwm
    - linux.resources.devices[01]: allow=true, type=c, access=m
    - linux.resources.devices[02]: allow=true, type=b, access=m
    - linux.resources.devices[03]: allow=true, type=c, major=1, minor=5, access=rwm
    - linux.resources.devices[04]: allow=true, type=c, major=1, minor=3, access=rwm
    - linux.resources.devices[05]: allow=true, type=c, major=1, minor=7, access=rwm
    - linux.resources.devices[06]: allow=true, type=c, major=1, minor=9, access=rwm
    - linux.resources.devices[07]: allow=true, type=c, major=1, minor=8, access=rwm
    - linux.resources.devices[08]: allow=true, type=c, major=5, minor=0, access=rwm
    - linux.resources.devices[09]: allow=true, type=c, major=5, minor=1, access=rwm
    - linux.resources.devices[10]: allow=true, type=c, major=5, minor=2, access=rwm
    - linux.resources.devices[11]: allow=true, type=c, major=136, access=rwm
    - linux.seccomp: SCMP_ACT_ERRNO
    - mounts[/sys/fs/cgroup]: type=cgroup, source=cgroup, options=nosuid noexec nodev ro
    - mounts[/sys]: type=sysfs, source=sysfs, options=nosuid noexec nodev ro
    - process.capabilities.bounding: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    - process.capabilities.effective: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    - process.capabilities.permitted: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    + linux.devices[/dev/kvm]: type=c, major=10, minor=232, fileMode=432, uid=0, gid=108
    + linux.resources.devices[00]: allow=true, access=rwm
    + mounts[/sys/fs/cgroup]: type=cgroup, source=cgroup, options=nosuid noexec nodev
    + mounts[/sys]: type=sysfs, source=sysfs, options=nosuid noexec nodev
    + process.capabilities.bounding: 41 of them
    + process.capabilities.effective: 41 of them
    + process.capabilities.permitted: 41 of them
    "#);
}

#[test]
fn capabilities() {
    insta::assert_snapshot!(changes(|case| {
        case.spec.security.cap_drop = words("ALL");
        case.spec.security.cap_add = words("net_admin CAP_CHOWN");
    }), @r#"
    - process.capabilities.bounding: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    - process.capabilities.effective: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    - process.capabilities.permitted: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    + process.capabilities.bounding: CAP_CHOWN CAP_NET_ADMIN
    + process.capabilities.effective: CAP_CHOWN CAP_NET_ADMIN
    + process.capabilities.permitted: CAP_CHOWN CAP_NET_ADMIN
    "#);
    insta::assert_snapshot!(changes(|case| case.spec.security.cap_add = words("SYS_NOTHING")), @r#"invalid CapAdd: unknown capability: "SYS_NOTHING"; a name as in capabilities(7), or ALL, is expected"#);
}

#[test]
fn security() {
    insta::assert_snapshot!(changes(|case| {
        let security = &mut case.spec.security;
        security.no_new_privileges = Some(true);
        security.seccomp = SeccompProfile::Unconfined;
        security.masked_paths = Some(Vec::new());
        security.readonly_paths = Some(words("/proc/sys"));
    }), @r#"
    - linux.maskedPaths: /proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap
    - linux.readonlyPaths: /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger
    - linux.seccomp: SCMP_ACT_ERRNO
    - process.noNewPrivileges: false
    + linux.readonlyPaths: /proc/sys
    + process.noNewPrivileges: true
    "#);
}

#[test]
fn identity_and_environment() {
    insta::assert_snapshot!(changes(|case| {
        case.identity = Identity {
            uid: 33,
            gid: 34,
            groups: vec![35, 34, 36],
            home: "/var/www".to_owned(),
        };
        case.spec.tty = true;
        case.spec.console_size = [24, 80];
        case.resolved.env = words("PATH=/bin HOME A=b=c");
        case.resolved.working_dir = "srv".to_owned();
        case.resolved.entrypoint.clear();
    }), @r#"
    - process.args: /bin/sh -c true
    - process.capabilities.effective: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    - process.capabilities.permitted: CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT
    - process.cwd: /
    - process.env: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=box A=b HOME=/root
    - process.terminal: false
    - process.user.additionalGids: 0
    - process.user.gid: 0
    - process.user.uid: 0
    + process.args: -c true
    + process.consoleSize.height: 24
    + process.consoleSize.width: 80
    + process.cwd: /srv
    + process.env: PATH=/bin HOSTNAME=box TERM=xterm A=b=c HOME=/var/www
    + process.terminal: true
    + process.user.additionalGids: 34 35 36
    + process.user.gid: 34
    + process.user.uid: 33
    "#);
    insta::assert_snapshot!(changes(|case| {
        case.resolved.entrypoint.clear();
        case.resolved.command.clear();
    }), @r#"no command specified"#);
}

#[test]
fn init() {
    insta::assert_snapshot!(changes(|case| case.spec.init = Some(true)), @r#"
    - process.args: /bin/sh -c true
    + mounts[/sbin/docker-init]: type=bind, source=/lib/brig-init, options=bind ro
    + process.args: /sbin/docker-init -- /bin/sh -c true
    "#);
}

#[test]
fn names_and_network() {
    insta::assert_snapshot!(changes(|case| {
        case.spec.network = NetworkMode::Host;
        case.spec.domainname = Some("corp".to_owned());
        case.spec.annotations = [("a".to_owned(), "b".to_owned())].into();
    }), @r#"
    - linux.namespaces[05]: type=network
    - linux.sysctl.net.ipv4.ip_unprivileged_port_start: 0
    - linux.sysctl.net.ipv4.ping_group_range: 0 2147483647
    + annotations.a: b
    + domainname: corp
    "#);
    insta::assert_snapshot!(changes(|case| case.spec.network = NetworkMode::None), @r#""#);
}

#[test]
fn limits() {
    insta::assert_snapshot!(changes(|case| {
        let resources = &mut case.spec.resources;
        resources.memory = Some(64 << 20);
        resources.memory_reservation = Some(32 << 20);
        resources.memory_swappiness = Some(10);
        resources.oom_kill_disable = true;
        resources.nano_cpus = Some(1_500_000_000);
        resources.cpu_shares = Some(512);
        resources.cpuset_cpus = Some("0-1".to_owned());
        resources.cpuset_mems = Some("0".to_owned());
        resources.pids_limit = Some(100);
        resources.oom_score_adj = Some(500);
    }), @r#"
    - process.oomScoreAdj: 0
    + linux.resources.cpu.cpus: 0-1
    + linux.resources.cpu.mems: 0
    + linux.resources.cpu.period: 100000
    + linux.resources.cpu.quota: 150000
    + linux.resources.cpu.shares: 512
    + linux.resources.memory.disableOOMKiller: true
    + linux.resources.memory.limit: 67108864
    + linux.resources.memory.reservation: 33554432
    + linux.resources.memory.swap: 134217728
    + linux.resources.memory.swappiness: 10
    + linux.resources.pids.limit: 100
    + process.oomScoreAdj: 500
    "#);
    insta::assert_snapshot!(changes(|case| {
        let resources = &mut case.spec.resources;
        resources.memory = Some(64 << 20);
        resources.memory_swap = Some(-1);
        resources.cpu_period = Some(50_000);
        resources.cpu_quota = Some(25_000);
        resources.pids_limit = Some(-1);
    }), @r#"
    + linux.resources.cpu.period: 50000
    + linux.resources.cpu.quota: 25000
    + linux.resources.memory.limit: 67108864
    + linux.resources.memory.swap: -1
    + linux.resources.pids.limit: -1
    "#);
}

#[test]
fn ulimits() {
    let ulimit = |name: &str, soft, hard| Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    };
    insta::assert_snapshot!(changes(|case| {
        case.spec.resources.ulimits = vec![
            ulimit("nofile", 1, 2),
            ulimit("core", -1, -1),
            ulimit("nofile", 1024, 2048),
        ];
    }), @r#"
    + process.rlimits[00]: type=RLIMIT_CORE, hard=18446744073709551615, soft=18446744073709551615
    + process.rlimits[01]: type=RLIMIT_NOFILE, hard=2048, soft=1024
    "#);
    insta::assert_snapshot!(changes(|case| {
        case.spec.resources.ulimits = vec![ulimit("files", 1, 1)];
    }), @r#"invalid ulimit type: files"#);
}

#[test]
fn sysctls() {
    let sysctl = |name: &str| {
        let name = name.to_owned();
        move |case: &mut Case| {
            case.spec.sysctls = [(name, "1".to_owned())].into();
        }
    };
    insta::assert_snapshot!(changes(sysctl("net.core.somaxconn")), @r#"+ linux.sysctl.net.core.somaxconn: 1"#);
    insta::assert_snapshot!(changes(sysctl("net/ipv4/conf/eth0.5/forwarding")), @r#"+ linux.sysctl.net.ipv4.conf.eth0/5.forwarding: 1"#);
    insta::assert_snapshot!(changes(sysctl("vm.swappiness")), @r#"sysctl "vm.swappiness" is not allowed: it is not of the container's own namespaces; net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm* are"#);
    insta::assert_snapshot!(changes(|case| {
        sysctl("net.core.somaxconn")(case);
        case.spec.network = NetworkMode::Host;
    }), @r#"sysctl "net.core.somaxconn" is not allowed: net.* is the host's or another container's in this network mode"#);
}

fn device(path: &str, permissions: &str) -> HostDevice {
    HostDevice {
        container_path: path.to_owned(),
        kind: DeviceKind::Char,
        major: 10,
        minor: 232,
        mode: 0o20_660,
        uid: 0,
        gid: 108,
        permissions: permissions.to_owned(),
    }
}

#[test]
fn devices() {
    insta::assert_snapshot!(changes(|case| case.devices = vec![device("/dev/kvm", "rw")]), @r#"
    + linux.devices[/dev/kvm]: type=c, major=10, minor=232, fileMode=432, uid=0, gid=108
    + linux.resources.devices[12]: allow=true, type=c, major=10, minor=232, access=rw
    "#);
    insta::assert_snapshot!(changes(|case| {
        case.spec.resources.devices = vec![DeviceRequest {
            host_path: "/dev/kvm".to_owned(),
            container_path: "/dev/kvm".to_owned(),
            permissions: "rwx".to_owned(),
        }];
    }), @r#"invalid permissions "rwx" of device "/dev/kvm": some of r, w and m are expected"#);
}

fn bind(target: &str) -> MountRequest {
    MountRequest {
        kind: MountKind::Bind {
            source: "/srv".to_owned(),
            propagation: None,
            create_source: true,
            recursive: true,
            read_only_non_recursive: false,
            read_only_force_recursive: false,
            bind_mode: None,
            id_map: None,
        },
        target: target.to_owned(),
        read_only: false,
    }
}

/// A bind with some of its options changed.
fn bind_with(change: impl FnOnce(&mut MountRequest)) -> String {
    changes(|case| {
        let mut request = bind("/data/");
        change(&mut request);
        case.spec.mounts = vec![request];
    })
}

#[test]
fn binds() {
    insta::assert_snapshot!(bind_with(|_| ()), @r#"+ mounts[/data]: type=bind, source=/srv, options=rbind rprivate"#);
    insta::assert_snapshot!(bind_with(|m| m.read_only = true), @r#"+ mounts[/data]: type=bind, source=/srv, options=rbind rro rprivate"#);
    insta::assert_snapshot!(bind_with(|m| {
        m.read_only = true;
        if let MountKind::Bind {
            propagation,
            recursive,
            read_only_non_recursive,
            ..
        } = &mut m.kind
        {
            (*propagation, *recursive) = (Some(Propagation::Rshared), false);
            *read_only_non_recursive = true;
        }
    }), @r#"
    + linux.rootfsPropagation: shared
    + mounts[/data]: type=bind, source=/srv, options=bind ro rshared
    "#);
    insta::assert_snapshot!(bind_with(|m| {
        if let MountKind::Bind {
            read_only_force_recursive,
            ..
        } = &mut m.kind
        {
            *read_only_force_recursive = true;
        }
    }), @r#"invalid mount "/data": recursive read-only options need a read-only mount"#);
    insta::assert_snapshot!(bind_with(|m| m.target = "data".to_owned()), @r#"invalid mount "data": mount path must be absolute"#);
    insta::assert_snapshot!(bind_with(|m| m.target = "/..".to_owned()), @r#"invalid mount "/..": destination can't be '/'"#);
    insta::assert_snapshot!(changes(|case| {
        case.spec.mounts = vec![bind("/a"), bind("/b/../a")];
    }), @r#"invalid mount "/b/../a": duplicate mount point"#);
}

#[test]
fn what_is_below_a_given_dev_is_given_too() {
    let own = |ipc: NamespaceMode| {
        let gone = changes(|case| {
            case.spec.namespaces.ipc = ipc;
            case.spec.mounts = vec![bind("/dev")];
        });
        let kept = |target: &str| !gone.contains(&format!("- mounts[{target}]"));
        ["/dev/pts", "/dev/mqueue", "/dev/shm", "/proc"].map(kept)
    };
    assert_eq!(own(NamespaceMode::Private), [false, false, false, true]);
    assert_eq!(own(NamespaceMode::Shareable), [false, false, true, true]);
}

#[test]
fn recursive_read_only_needs_a_newer_kernel() {
    insta::assert_snapshot!(changes(|case| {
        case.host.kernel = (5, 10);
        case.spec.mounts = vec![MountRequest {
            read_only: true,
            ..bind("/data")
        }];
    }), @r#"+ mounts[/data]: type=bind, source=/srv, options=rbind ro rprivate"#);
}

#[test]
fn tmpfs_mounts() {
    insta::assert_snapshot!(changes(|case| {
        case.spec.shm_size = Some(1 << 20);
        case.spec.mounts = vec![MountRequest {
            kind: MountKind::Tmpfs {
                size: Some(4096),
                mode: Some(0o700),
                options: words("exec uid=5"),
                flag_options: None,
            },
            target: "/scratch".to_owned(),
            read_only: true,
        }];
    }), @r#"
    - mounts[/dev/shm]: type=tmpfs, source=shm, options=nosuid noexec nodev mode=1777 size=67108864
    + mounts[/dev/shm]: type=tmpfs, source=shm, options=nosuid noexec nodev mode=1777 size=1048576
    + mounts[/scratch]: type=tmpfs, source=tmpfs, options=nosuid nodev rprivate ro mode=700 size=4096 exec uid=5
    "#);
}

#[test]
fn the_users_mounts_take_the_place_of_ours() {
    insta::assert_snapshot!(changes(|case| {
        case.spec.mounts = vec![bind("/etc/hosts"), bind("/dev/shm")];
    }), @r#"
    - mounts[/dev/shm]: type=tmpfs, source=shm, options=nosuid noexec nodev mode=1777 size=67108864
    - mounts[/etc/hosts]: type=bind, source=/c/hosts, options=rbind rprivate
    + mounts[/dev/shm]: type=bind, source=/srv, options=rbind rprivate
    + mounts[/etc/hosts]: type=bind, source=/srv, options=rbind rprivate
    "#);
    // Over a parent of ours: the user's comes first, so that ours is seen.
    let mut case = Case::new();
    case.spec.mounts = vec![bind("/x/y"), bind("/etc"), bind("/x")];
    let spec = case.render().unwrap();
    let order: Vec<&str> = spec
        .mounts()
        .iter()
        .flatten()
        .filter_map(|m| m.destination().to_str())
        .collect();
    assert_eq!(
        order.join(" "),
        "/proc /dev /dev/pts /sys /dev/mqueue /dev/shm /sys/fs/cgroup /etc /x /x/y \
         /etc/resolv.conf /etc/hostname /etc/hosts"
    );
}

#[test]
fn read_only_root() {
    insta::assert_snapshot!(changes(|case| case.spec.read_only = true), @r#"
    - mounts[/etc/hostname]: type=bind, source=/c/hostname, options=rbind rprivate
    - mounts[/etc/hosts]: type=bind, source=/c/hosts, options=rbind rprivate
    - mounts[/etc/resolv.conf]: type=bind, source=/c/resolv.conf, options=rbind rprivate
    - root.readonly: false
    + mounts[/etc/hostname]: type=bind, source=/c/hostname, options=rbind rprivate ro
    + mounts[/etc/hosts]: type=bind, source=/c/hosts, options=rbind rprivate ro
    + mounts[/etc/resolv.conf]: type=bind, source=/c/resolv.conf, options=rbind rprivate ro
    + root.readonly: true
    "#);
}

#[test]
fn exec_sessions() {
    let case = Case::new();
    let command = words("id -u");
    let env = words("A=c");
    let mut input = ExecInput {
        spec: &case.spec,
        resolved: &case.resolved,
        identity: Identity {
            uid: 7,
            ..Identity::default()
        },
        command: &command,
        env: &env,
        working_dir: Some("/tmp"),
        tty: true,
        console_size: [0, 0],
        privileged: true,
        host: &case.host,
    };
    let process = exec(&input).unwrap();
    let mut found = BTreeSet::new();
    flatten("", &serde_json::to_value(&process).unwrap(), &mut found);
    let text: Vec<String> = found.into_iter().collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    args: id -u
    capabilities.bounding: 41 of them
    cwd: /tmp
    env: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=box TERM=xterm A=c HOME=/
    noNewPrivileges: false
    oomScoreAdj: 0
    terminal: true
    user.additionalGids: 0
    user.gid: 0
    user.uid: 7
    "#);
    input.command = &[];
    assert_eq!(exec(&input), Err(Error::NoCommand));
}

/// Render, write, read: what the runtime gets is what was meant.
#[test]
fn configurations_survive_json() {
    let spec = Case::new().render().unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
}
