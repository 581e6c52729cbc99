//! User namespaces: a container's users are other users on the machine, and its files on disk are not.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

use std::fs;
use std::os::unix::fs::MetadataExt;

use testkit::{Brig, Client, Output, Setup, clients, root, until};

/// Where the range of a container's own begins, if nothing is configured.
const POOL: u64 = 1 << 31;

/// Why there can be no such container here.
fn cannot() -> bool {
    if !root() {
        return true;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap().parse::<u32>().unwrap();
    let old = (next(), next()) < (5, 19);
    if old {
        eprintln!("SKIP: Linux 5.19 translates the ids of layers, not {release}");
    }
    old
}

/// A daemon whose containers have ranges from [`POOL`] on, whatever the machine's files say.
fn start(flags: &[&str]) -> Brig {
    let pool = ["--userns-pool", "2147483648:2147418112"];
    let flags = [&pool[..], flags].concat();
    let brig = Brig::start_with(Setup {
        flags: flags.into_iter().map(str::to_owned).collect(),
        ..Setup::default()
    });
    brig.import_busybox();
    brig
}

/// Runs a script in a container of its own.
fn sh(brig: &Brig, client: Client, flags: &str, script: &str) -> Output {
    let words: Vec<&str> = flags.split_whitespace().collect();
    let args = [&["run", "--rm"], &words[..], &["bb", "sh", "-c", script]];
    brig.with(client, &args.concat())
}

/// What has a client make a container with ids of its own, of a daemon that maps all: Docker's knows no
/// other mode.
fn mode(client: Client) -> &'static str {
    match client {
        Client::Brig => "--userns auto",
        _ => "",
    }
}

/// Leaves a container that runs.
fn keep(brig: &Brig, name: &str, flags: &str) {
    let words: Vec<&str> = flags.split_whitespace().collect();
    let args = [
        &["run", "-d", "--name", name],
        &words[..],
        &["bb", "sleep", "1000000"],
    ];
    brig.brig(&args.concat()).ok();
}

fn pid(brig: &Brig, name: &str) -> u64 {
    brig.inspect(name)["State"]["Pid"].as_u64().unwrap()
}

/// Inside, outside and number of the first users.
fn map(brig: &Brig, name: &str) -> Vec<u64> {
    let text = fs::read_to_string(format!("/proc/{}/uid_map", pid(brig, name))).unwrap();
    let line = text.lines().next().unwrap();
    line.split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect()
}

#[test]
fn each_has_ids_of_its_own_and_root_is_not_root() {
    if cannot() {
        return;
    }
    let mut brig = start(&[]);
    keep(&brig, "ca", "--userns auto");
    keep(&brig, "cb", "--userns=auto:size=5000");
    keep(&brig, "cc", "--userns private");
    keep(&brig, "cd", "");
    assert_eq!(map(&brig, "ca"), [0, POOL, 65_536]);
    assert_eq!(map(&brig, "cb"), [0, POOL + 65_536, 5000]);
    assert_eq!(map(&brig, "cc"), [0, POOL + 65_536 + 5000, 65_536]);
    assert_eq!(map(&brig, "cd"), [0, 0, u64::from(u32::MAX)]);
    let owner = fs::metadata(format!("/proc/{}", pid(&brig, "cb"))).unwrap();
    assert_eq!(u64::from(owner.uid()), POOL + 65_536);
    let modes = ["ca", "cb", "cc", "cd"].map(|name| {
        let mode = brig.inspect(name)["HostConfig"]["UsernsMode"].clone();
        mode.as_str().unwrap().to_owned()
    });
    assert_eq!(modes, ["auto", "auto:size=5000", "private", ""]);
    // A daemon that is started anew knows who has what.
    brig.stop_daemon();
    brig.start_daemon();
    keep(&brig, "ce", "--userns auto:size=10");
    assert_eq!(map(&brig, "ce")[1], POOL + 2 * 65_536 + 5000);
    // The same after an end, and nobody's after a removal.
    brig.brig(&["restart", "-t", "0", "cb"]).ok();
    assert_eq!(map(&brig, "cb"), [0, POOL + 65_536, 5000]);
    brig.brig(&["rm", "-f", "cb"]).ok();
    keep(&brig, "cf", "--userns auto:size=5000");
    assert_eq!(map(&brig, "cf"), [0, POOL + 65_536, 5000]);
    // Users of the host by name.
    keep(
        &brig,
        "cg",
        "--userns auto:size=100,uidmapping=7:1234:2,gidmapping=8:99",
    );
    let text = fs::read_to_string(format!("/proc/{}/uid_map", pid(&brig, "cg"))).unwrap();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[1], ["7", "1234", "2"]);
    assert_eq!(lines.len(), 3, "{text}");
    brig.finish();
}

#[test]
fn files_have_the_containers_own_owners() {
    if cannot() {
        return;
    }
    let brig = start(&["--userns-remap", "default"]);
    for client in clients() {
        let ok = |args: &[&str]| brig.with(client, args).ok().to_owned();
        // What the image has belongs to root, and to nobody who is root outside.
        let look = "stat -c %u:%g / /bin/sh /etc/hosts /etc/resolv.conf /dev/shm /v; id -u; \
             echo 1.2.3.4 x >> /etc/hosts && echo written; touch /proc/sys/x 2>/dev/null || echo no";
        let seen = sh(&brig, client, &format!("{} -v /v", mode(client)), look);
        let expected = "0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0\nwritten\nno";
        assert_eq!(seen.ok(), expected, "{client:?}");
        // On a volume two of other ids meet, and one without any.
        let write = "echo one > /v/f && chown 5:6 /v/f && mkdir /v/d && chmod 700 /v/d";
        sh(
            &brig,
            client,
            &format!("{} -v shared:/v", mode(client)),
            write,
        )
        .ok();
        for flags in [mode(client), "", "--userns host"] {
            let flags = format!("{flags} -v shared:/v");
            let seen = sh(
                &brig,
                client,
                &flags,
                "stat -c %u:%g /v /v/f /v/d; cat /v/f",
            );
            assert_eq!(seen.ok(), "0:0\n5:6\n0:0\none", "{client:?} {flags}");
        }
        ok(&["volume", "rm", "shared"]);
        // An image of it knows nothing of the ids it had.
        let change =
            "mkdir /new && echo x > /new/f && chown 33:44 /new/f && rm /bin/vi && chown 9:9 /bin";
        let words: Vec<&str> = mode(client).split_whitespace().collect();
        let run = ["run", "--name", "made"];
        ok(&[&run[..], &words, &["bb", "sh", "-c", change]].concat());
        let diff = ok(&["diff", "made"]);
        for line in ["A /new", "A /new/f", "D /bin/vi", "C /bin"] {
            assert!(diff.lines().any(|l| l == line), "{client:?} {line}: {diff}");
        }
        ok(&["commit", "made", "again"]);
        let ask = "stat -c %u:%g /new /new/f /bin /home";
        for userns in ["--userns=host", "--userns="] {
            let seen = brig.with(client, &["run", "--rm", userns, "again", "sh", "-c", ask]);
            assert_eq!(seen.ok(), "0:0\n33:44\n9:9\n0:0", "{client:?} {userns}");
        }
        let tar = brig.root().join("export.tar");
        ok(&["export", "-o", tar.to_str().unwrap(), "made"]);
        let mut listed = std::process::Command::new("tar");
        listed.args(["--numeric-owner", "-tvf"]).arg(&tar);
        let listed = Output::of(&mut listed);
        let line = listed.ok().lines().find(|l| l.ends_with("new/f")).unwrap();
        assert!(line.contains(" 33/44 "), "{line}");
        ok(&["rm", "made"]);
        ok(&["rmi", "again"]);
    }
    brig.finish();
}

#[test]
fn commands_of_builds_have_the_ids_of_containers() {
    if cannot() {
        return;
    }
    let brig = start(&["--userns-remap", "default"]);
    let context = tempfile::tempdir().unwrap();
    let secret = context.path().join("secret");
    fs::write(&secret, "hush").unwrap();
    fs::write(context.path().join("f"), "x").unwrap();
    let look = "cat /proc/self/uid_map >/seen; id -u >>/seen; \
        stat -c %u:%g / /bin/sh /f /c /m /etc/hosts /run/secrets/s >>/seen; \
        cat /run/secrets/s >>/seen; echo kept >>/c/k; \
        mkdir /new; echo x >/new/f; chown 33:44 /new/f";
    let file = format!(
        "FROM bb AS other\nRUN echo m >/m && chown 7:8 /m\nFROM bb\nCOPY --chown=5:6 f /f\n\
         RUN --mount=type=cache,id=k,target=/c --mount=type=secret,id=s,uid=9,mode=0400 \
         --mount=type=bind,from=other,source=/m,target=/m {look}\n\
         RUN --mount=type=cache,id=k,target=/c cat /c/k >>/seen\n"
    );
    fs::write(context.path().join("Dockerfile"), file).unwrap();
    let lent = format!("id=s,src={}", secret.display());
    let dir = context.path().to_str().unwrap();
    let args = [
        "build",
        "-t",
        "mapped",
        "--secret",
        &lent,
        "--network=none",
        dir,
    ];
    brig.with(Client::Brig, &args).ok();
    let ask = "cat /seen; stat -c %u:%g /new/f /f /seen";
    for userns in ["--userns=host", "--userns="] {
        let run = [
            "run",
            "--rm",
            "--network=none",
            userns,
            "mapped",
            "sh",
            "-c",
            ask,
        ];
        let seen = brig.with(Client::Brig, &run);
        let mut lines = seen.ok().lines();
        let map: Vec<u64> = lines
            .next()
            .unwrap()
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        assert_eq!(map[0], 0, "{seen}");
        assert_ne!(map[1], 0, "root in a build is root outside: {seen}");
        let rest: Vec<&str> = lines.collect();
        let expected = "0\n0:0\n0:0\n5:6\n0:0\n7:8\n0:0\n9:0\nhushkept\n33:44\n5:6\n0:0";
        assert_eq!(rest.join("\n"), expected, "{userns}");
    }
    // What takes rights over the machine is not had.
    let file = "FROM bb\nRUN --network=host true\n";
    fs::write(context.path().join("Dockerfile"), file).unwrap();
    let refused = brig.with(Client::Brig, &["build", "--allow=network.host", dir]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(
        refused.stderr.contains("host's network namespace"),
        "{refused}"
    );
    brig.finish();
}

/// User and group in the first header of an archive.
fn owner(tar: &str) -> (u32, u32) {
    let number = |from: usize| u32::from_str_radix(&tar[from..from + 7], 8).unwrap();
    (number(108), number(116))
}

#[test]
fn files_are_copied_in_and_out_with_their_owners() {
    if cannot() {
        return;
    }
    let brig = start(&[]);
    let dir = brig.root().join("copied");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("in"), "text\n").unwrap();
    let path = dir.join("in").to_str().unwrap().to_owned();
    let mut far = std::process::Command::new("tar");
    far.args([
        "--owner=70000",
        "--group=0",
        "--numeric-owner",
        "-cf",
        "-",
        "-C",
    ]);
    let far = Output::of(far.arg(&dir).arg("in"));
    for client in clients() {
        let ok = |args: &[&str]| brig.with(client, args).ok().to_owned();
        let put =
            |tar: &str, place: &str| brig.with_input(client, &["cp", "-", place], tar.as_bytes());
        keep(&brig, "box", "--userns auto --tmpfs /t -v /v");
        for running in [true, false] {
            ok(&[
                "exec",
                "box",
                "sh",
                "-c",
                "echo x > /root/f; chown 12:13 /root/f",
            ]);
            if !running {
                ok(&["stop", "-t", "0", "box"]);
            }
            ok(&["cp", &path, "box:/root/plain"]);
            let out = brig.with(client, &["cp", "box:/root/f", "-"]);
            assert_eq!(owner(&out.stdout), (12, 13), "{client:?} {running}");
            put(&out.stdout, "box:/v").ok();
            put(&out.stdout, "box:/bin").ok();
            if running {
                put(&out.stdout, "box:/t").ok();
                assert_eq!(ok(&["exec", "box", "stat", "-c", "%u:%g", "/t/f"]), "12:13");
                // What the container cannot have is refused.
                let refused = put(&far.stdout, "box:/root");
                assert!(
                    refused.fails(1).contains("70000:0"),
                    "{client:?}: {refused}"
                );
            } else {
                ok(&["start", "box"]);
            }
            let names = ["/root/plain", "/v/f", "/bin/f"];
            let seen = ok(&[&["exec", "box", "stat", "-c", "%u:%g"][..], &names].concat());
            assert_eq!(seen, "0:0\n12:13\n12:13", "{client:?} {running}");
            ok(&[&["exec", "box", "rm"][..], &names].concat());
        }
        ok(&["rm", "-fv", "box"]);
    }
    brig.finish();
}

#[test]
fn everything_goes_on_inside() {
    if cannot() {
        return;
    }
    let brig = start(&["--userns-remap", "default"]);
    for client in clients() {
        let own = mode(client);
        // Network: low ports, pings, names. Devices, terminals, file systems of the kernel.
        let script = "ping -c1 -w20 127.0.0.1 >/dev/null && echo ping; \
             cat /proc/sys/net/ipv4/ip_unprivileged_port_start; \
             tr '\\t' ' ' < /proc/sys/net/ipv4/ping_group_range; \
             ip link set lo down 2>/dev/null || echo bounded; ip -4 -o addr show eth0 | wc -l; \
             echo x > /dev/null && head -c1 /dev/zero | wc -c; ls -ld /sys/class/net/eth0 | wc -l; \
             cat /proc/1/comm; touch /dev/mqueue/q && echo queue; df /dev/shm | tail -1 | wc -l; \
             test -d /sys/fs/cgroup && echo cgroup; echo said > /proc/self/fd/2";
        let seen = sh(&brig, client, own, script);
        let expected = "ping\n0\n0 65535\nbounded\n1\n1\n1\nsh\nqueue\n1\ncgroup";
        assert_eq!(seen.ok(), expected, "{client:?}: {seen}");
        assert_eq!(seen.stderr.trim(), "said");
        let typed = sh(
            &brig,
            client,
            &format!("-t {own}"),
            "test -t 0 && stat -c %u /dev/console",
        );
        assert_eq!(typed.ok().trim(), "0", "{client:?}: {typed}");
        // A user who is not root, groups, limits, an init, a read-only root, shared memory.
        let flags = format!(
            "{own} -u 1000:1000 --group-add 7 --init --read-only --ipc shareable --ulimit nofile=64:128 \
             --oom-score-adj 5 --tmpfs /t:uid=1000,mode=700 -m 64m"
        );
        let ask = "id -u; id -G; touch /t/x /dev/shm/y && stat -c %u /dev/shm/y; \
             cat /proc/self/oom_score_adj; ulimit -Hn";
        let seen = sh(&brig, client, &flags, ask);
        assert_eq!(
            seen.ok(),
            "1000\n1000 7\n1000\n5\n128",
            "{client:?}: {seen}"
        );
        others_come_in(&brig, client, own);
    }
    brig.finish();
}

/// Others come in, and what it says is kept.
fn others_come_in(brig: &Brig, client: Client, own: &str) {
    let ok = |args: &[&str]| brig.with(client, args).ok().to_owned();
    let words: Vec<&str> = own.split_whitespace().collect();
    let health = [
        "--health-cmd",
        "test $(id -u) = 0",
        "--health-interval",
        "200ms",
    ];
    let run = ["run", "-d", "--name", "box"];
    let command = ["bb", "sh", "-c", "echo hello; sleep 1000000"];
    ok(&[&run[..], &words, &health, &command].concat());
    let first = map(brig, "box")[1];
    assert!(first >= POOL, "{first}");
    let look = [
        "exec",
        "box",
        "sh",
        "-c",
        "id -u; tr -s ' ' < /proc/self/gid_map",
    ];
    assert_eq!(ok(&look), format!("0\n 0 {first} 65536"));
    let look = [
        "exec",
        "-u",
        "5:6",
        "box",
        "sh",
        "-c",
        "id -u; id -g; echo x > /dev/stdout",
    ];
    assert_eq!(ok(&look), "5\n6\nx");
    until("the log", || {
        ok(&["logs", "box"]).contains("hello").then_some(())
    });
    until("health", || {
        let state = brig.inspect("box")["State"]["Health"]["Status"].clone();
        (state == "healthy").then_some(())
    });
    let stats = ok(&["stats", "--no-stream", "--format", "{{.PIDs}}", "box"]);
    assert!(stats.trim().parse::<u32>().unwrap() >= 1, "{stats}");
    assert!(ok(&["top", "box"]).contains("sleep 1000000"));
    ok(&["pause", "box"]);
    ok(&["unpause", "box"]);
    ok(&["rm", "-f", "box"]);
}

#[test]
fn secrets_images_and_parts_of_volumes_have_its_ids() {
    if cannot() {
        return;
    }
    let brig = start(&[]);
    let create = ["secret", "create", "tide", "-"];
    brig.with_input(Client::Brig, &create, b"high").ok();
    let make = "mkdir /v/part && echo x > /v/part/f && chown 3:4 /v/part/f";
    sh(&brig, Client::Brig, "-v db:/v", make).ok();
    let flags = "--userns auto --secret tide,target=key,uid=1000,gid=1001,mode=0400 \
         --mount type=image,src=bb,dst=/i --mount type=image,src=bb,dst=/b,image-subpath=bin \
         --mount type=volume,src=db,dst=/m,volume-subpath=part";
    let look = "stat -c '%u %g %a' /run/secrets/key; cat /run/secrets/key; echo; \
         stat -c '%u %g' /i/bin/sh /b/sh /m /m/f; touch /i/x 2>/dev/null || echo closed; \
         touch /m/new && stat -c '%u %g' /m/new";
    let seen = sh(&brig, Client::Brig, flags, look);
    let expected = "1000 1001 400\nhigh\n0 0\n0 0\n0 0\n3 4\nclosed\n0 0";
    assert_eq!(seen.ok(), expected, "{seen}");
    let seen = sh(
        &brig,
        Client::Brig,
        "-v db:/v",
        "stat -c '%u %g' /v/part/new",
    );
    assert_eq!(seen.ok(), "0 0", "{seen}");
    brig.brig(&["volume", "rm", "db"]).ok();
    brig.brig(&["secret", "rm", "tide"]).ok();
    brig.finish();
}

#[test]
fn a_namespace_is_shared() {
    if cannot() {
        return;
    }
    let brig = start(&[]);
    keep(&brig, "one", "--userns auto");
    {
        let client = Client::Brig;
        let flags = "--userns container:one -v both:/v";
        let link = fs::read_link(format!("/proc/{}/ns/user", pid(&brig, "one"))).unwrap();
        let look =
            "readlink /proc/self/ns/user; stat -c %u /bin /v; tr -s ' ' < /proc/self/uid_map";
        let seen = sh(&brig, client, flags, look);
        let expected = format!("{}\n0\n0\n 0 {POOL} 65536", link.display());
        assert_eq!(seen.ok(), expected, "{client:?}: {seen}");
        let net = sh(
            &brig,
            client,
            "--userns container:one --network container:one --pid \
            container:one --ipc container:one",
            "cat /proc/1/comm; id -u",
        );
        let shares = net.code == 125 && net.stderr.contains("shareable");
        assert!(shares, "{net}");
        let net = sh(
            &brig,
            client,
            "--userns container:one --network container:one --pid \
            container:one",
            "cat /proc/1/comm; id -u",
        );
        assert_eq!(net.ok(), "sleep\n0", "{net}");
    }
    // Its ids stay taken as long as somebody has them.
    keep(&brig, "two", "--userns container:one");
    brig.brig(&["rm", "-f", "one"]).ok();
    keep(&brig, "three", "--userns auto");
    assert_eq!(map(&brig, "three")[1], POOL + 65_536);
    brig.brig(&["stop", "-t", "0", "two"]).ok();
    let gone = brig.brig(&["start", "two"]);
    assert!(gone.fails(1).contains("No such container"), "{gone}");
    brig.brig(&["volume", "rm", "-f", "both"]).ok();
    brig.finish();
}

#[test]
fn nobody_gets_out() {
    if cannot() {
        return;
    }
    let brig = start(&[]);
    let secret = brig.root().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("f"), "root's\n").unwrap();
    fs::set_permissions(
        secret.join("f"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let bind = format!("{}:/s", secret.display());
    // With every capability there is, which holds inside only.
    let tried = "mknod /dev/disk b 8 0 2>/dev/null || echo mknod; \
         mount -t ext4 /dev/vda /mnt 2>/dev/null || echo mount; \
         cat /s/f 2>/dev/null || echo read; touch /s/g 2>/dev/null || echo write; \
         chown 0 /s/f 2>/dev/null || echo chown; \
         echo 1 > /proc/sys/kernel/panic 2>/dev/null || echo sysctl; \
         echo c > /proc/sysrq-trigger 2>/dev/null || echo sysrq; \
         stat -c %u /s/f";
    let flags = format!("--userns auto --cap-add ALL --security-opt seccomp=unconfined -v {bind}");
    let seen = sh(&brig, Client::Brig, &flags, tried);
    let expected = "mknod\nmount\nread\nwrite\nchown\nsysctl\nsysrq\n65534";
    assert_eq!(seen.ok(), expected, "{seen}");
    // Who owns the directory may be asked for.
    let own = format!("--userns auto -v {bind}:idmap");
    assert_eq!(
        sh(&brig, Client::Brig, &own, "cat /s/f; stat -c %u /s/f").ok(),
        "root's\n0"
    );
    // A device has to be the one that was meant.
    let device = "--userns auto --device /dev/null:/dev/nothing";
    let seen = sh(
        &brig,
        Client::Brig,
        device,
        "echo x > /dev/nothing && stat -c %t:%T /dev/nothing",
    );
    assert_eq!(seen.ok(), "1:3", "{seen}");
    brig.finish();
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    if cannot() {
        return;
    }
    let brig = start(&[]);
    for (flags, says) in [
        ("--userns mine", "invalid USER mode"),
        ("--userns auto:size=0", "no number of ids"),
        ("--userns auto:colour=red", "no option \"colour=red\""),
        ("--userns auto:uidmapping=0:1", "goes"),
    ] {
        if says == "goes" {
            // That is one id, which may be.
            sh(&brig, Client::Brig, flags, "true").ok();
            continue;
        }
        let refused = sh(&brig, Client::Brig, flags, "true");
        assert!(refused.fails(125).contains(says), "{flags}: {refused}");
    }
    for (flags, says) in [
        ("--userns container:none", "No such container: none"),
        (
            "--userns auto --privileged",
            "privileged mode is incompatible with user namespaces",
        ),
        (
            "--userns auto --network host",
            "cannot share the host's network namespace",
        ),
        (
            "--userns private --pid host",
            "cannot share the host PID namespace",
        ),
        (
            "--userns auto:size=4294967295",
            "no 4294967295 ids in a row are free",
        ),
        (
            "--userns auto:uidmapping=0:2147483650:1",
            "0:2147483650:1 asks for ids",
        ),
    ] {
        let refused = sh(&brig, Client::Brig, flags, "true");
        assert!(refused.fails(125).contains(says), "{flags}: {refused}");
    }
    let create = |mode: &str| {
        let body = format!(
            r#"{{"Image": "bb", "Cmd": ["true"], "HostConfig": {{"UsernsMode": "{mode}"}}}}"#
        );
        let (kind, length) = ("Content-Type: application/json", body.len());
        brig.http(&format!(
            "POST /v1.51/containers/create HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    };
    for mode in ["keep-id", "auto:size=x", "container:"] {
        let answer = create(mode);
        let told = answer.contains(" 400 ") && answer.contains("invalid user namespace mode");
        assert!(told, "{mode}: {answer}");
    }
    assert!(create("auto:size=4294967295").contains(" 409 "));
    // Nothing of all that is left taken.
    keep(&brig, "first", "--userns auto");
    assert_eq!(map(&brig, "first")[1], POOL);
    brig.finish();
}

#[test]
fn a_daemon_maps_all() {
    if cannot() {
        return;
    }
    let brig = start(&["--userns-remap", "default"]);
    for client in clients() {
        let info = brig.with(client, &["info", "--format", "{{json .SecurityOptions}}"]);
        assert!(info.ok().contains("\"name=userns\""), "{client:?}: {info}");
        let maps = |flags: &str| {
            let seen = sh(&brig, client, flags, "tr -s ' ' < /proc/self/uid_map");
            seen.ok().trim().to_owned()
        };
        assert_eq!(maps(""), format!("0 {POOL} 65536"));
        assert_eq!(maps("--userns host"), "0 0 4294967295");
        for (flags, says) in [
            (
                "--privileged",
                "privileged mode is incompatible with user namespaces",
            ),
            (
                "--network host",
                "cannot share the host's network namespace",
            ),
            ("--pid host", "cannot share the host PID namespace"),
        ] {
            let refused = sh(&brig, client, flags, "true");
            assert!(
                refused.fails(125).contains(says),
                "{client:?} {flags}: {refused}"
            );
            sh(&brig, client, &format!("{flags} --userns host"), "true").ok();
        }
        // Two of one mapping share a network, and are two.
        brig.with(
            client,
            &["run", "-d", "--name", "web", "bb", "sleep", "1000000"],
        )
        .ok();
        let shared = sh(
            &brig,
            client,
            "--network container:web",
            "ip -o link show eth0 | wc -l; id -u",
        );
        assert_eq!(shared.ok(), "1\n0", "{client:?}: {shared}");
        brig.with(client, &["rm", "-f", "web"]).ok();
    }
    let own = sh(
        &brig,
        Client::Brig,
        "--userns auto",
        "tr -s ' ' < /proc/self/uid_map",
    );
    assert_eq!(own.ok().trim(), format!("0 {} 65536", POOL + 65_536));
    brig.finish();
}

#[test]
fn a_mapping_of_nobody_keeps_the_daemon_from_starting() {
    let refused = |flags: &[&str]| {
        let dir = std::env::temp_dir();
        let mut brigd = std::process::Command::new(testkit::program("brigd"));
        brigd.current_dir(dir).arg("--validate").args(flags);
        Output::of(&mut brigd)
    };
    for (flags, says) in [
        (
            ["--userns-remap", "nobody-of-this-name"],
            "no user \"nobody-of-this-name\"",
        ),
        (["--userns-pool", "12"], "FIRST:COUNT is expected"),
    ] {
        let told = refused(&flags);
        assert!(told.code != 0 && told.stderr.contains(says), "{told}");
    }
    assert_eq!(refused(&["--userns-remap", "default"]).code, 0);
}

/// What needs no other ids comes while it runs; what does is refused by name, and comes with a start.
#[test]
fn mounts_come_to_one_that_runs() {
    if cannot() {
        return;
    }
    let brig = start(&[]);
    keep(&brig, "box", "--userns auto");
    let scratch = "type=tmpfs,target=/scratch";
    brig.brig(&["update", "--mount-add", scratch, "box"]).ok();
    let exec = ["exec", "box", "sh", "-c", "echo in >/scratch/x"];
    brig.brig(&exec).ok();
    let volume = "type=volume,source=kept,target=/kept";
    let add = ["update", "--mount-add", volume, "box"];
    let refused = brig.brig(&add);
    let reason = "/kept cannot be mounted while the container runs";
    assert!(refused.fails(1).contains(reason), "{refused}");
    brig.brig(&["update", "--mount-rm", "/scratch", "box"]).ok();
    brig.brig(&["stop", "-t", "0", "box"]).ok();
    brig.brig(&add).ok();
    brig.brig(&["start", "box"]).ok();
    brig.brig(&["exec", "box", "touch", "/kept/file"]).ok();
    brig.finish();
}
