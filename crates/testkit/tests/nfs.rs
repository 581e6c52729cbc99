//! Volumes that a server has, by NFS. The server is the kernel's own, told what to export by the files
//! that rpc.mountd and exportfs write: nothing but the kernel is needed, and that is Debian's in the virtual
//! machine.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Brig, Client, Output, clients, root};

const CONTROL: &str = "/proc/fs/nfsd";
const CACHES: [&str; 3] = ["auth.unix.ip", "nfsd.export", "nfsd.fh"];
/// Far away: seconds since 1970.
const NEVER: &str = "2147483647";
/// NFSEXP_INSECURE_PORT, NFSEXP_NOSUBTREECHECK, NFSEXP_FSID: to be written to, by root as root.
const FLAGS: u32 = 0x2 | 0x400 | 0x2000;

fn has(kind: &str) -> bool {
    let all = fs::read_to_string("/proc/filesystems").unwrap();
    all.lines().any(|line| line.ends_with(&format!("\t{kind}")))
}

/// The machine's NFS server, which exports one directory as the root of everything.
struct Server {
    directory: PathBuf,
}

impl Server {
    /// None where the kernel cannot, or does so already for somebody.
    fn start(brig: &Brig) -> Option<Self> {
        if !has("nfsd") || !has("nfs4") {
            eprintln!("SKIP: this kernel has no NFS, or has not loaded it (modprobe nfsd nfsv4)");
            return None;
        }
        let threads = format!("{CONTROL}/threads");
        if Path::new(&threads).exists() {
            eprintln!("SKIP: this machine is set up to serve NFS to others");
            return None;
        }
        let directory = brig.root().join("exported");
        fs::create_dir(&directory).unwrap();
        let mount = ["-t", "nfsd", "nfsd", CONTROL];
        let mounted = Command::new("mount").args(mount).status().unwrap();
        assert!(mounted.success());
        let server = Self { directory };
        server.export();
        tell(CONTROL, "versions", "-3 +4");
        tell(CONTROL, "nfsv4leasetime", "10");
        tell(CONTROL, "nfsv4gracetime", "10");
        tell(CONTROL, "portlist", "tcp 2049");
        tell(CONTROL, "threads", "2");
        Some(server)
    }

    fn export(&self) {
        let path = self.directory.display();
        let channel = |cache: &str, line: String| {
            tell(&format!("/proc/net/rpc/{cache}"), "channel", &line);
        };
        channel(CACHES[0], format!("nfsd 127.0.0.1 {NEVER} *"));
        channel(CACHES[1], format!("* {path} {NEVER} {FLAGS} 65534 65534 0"));
        channel(CACHES[2], format!("* 1 \\x00000000 {NEVER} {path}"));
    }
}

fn tell(directory: &str, file: &str, text: &str) {
    let path = Path::new(directory).join(file);
    // A line of which the end is missing is not taken.
    let told = fs::write(&path, format!("{text}\n"));
    told.unwrap_or_else(|error| panic!("{}: {text:?}: {error}", path.display()));
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::write(format!("{CONTROL}/threads"), "0");
        for cache in CACHES {
            let _ = fs::write(format!("/proc/net/rpc/{cache}/flush"), NEVER);
        }
        let _ = Command::new("umount").arg(CONTROL).status();
    }
}

fn run(brig: &Brig, client: Client, flags: &[&str], script: &str) -> Output {
    let all = [
        &["run", "--rm", "--network", "none"],
        flags,
        &["bb", "sh", "-c", script],
    ];
    brig.with(client, &all.concat())
}

#[test]
fn a_servers_directory_is_shared() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let Some(server) = Server::start(&brig) else {
        return;
    };
    fs::create_dir(server.directory.join("part")).unwrap();
    for client in clients() {
        let options = "o=addr=127.0.0.1,vers=4.2,soft,noatime";
        for (name, device) in [("share", ":/"), ("part", ":/part")] {
            let device = format!("device={device}");
            let create = ["volume", "create", "-o", "type=nfs", "-o", &device];
            brig.with(client, &[&create[..], &["-o", options, name]].concat())
                .ok();
        }
        // No network of the container's leads there: the machine mounts it.
        let script = "echo first > /s/file; chown 33:44 /s/file; stat -fc %T /s";
        let wrote = run(&brig, client, &["-v", "share:/s"], script);
        assert_eq!(wrote.ok(), "nfs", "{client:?}");
        let file = server.directory.join("file");
        assert_eq!(fs::read_to_string(&file).unwrap(), "first\n");
        let holds = ["run", "-d", "--name", "holds", "--network", "none"];
        let sleeps = ["-v", "share:/s:ro", "bb", "sleep", "1000"];
        brig.with(client, &[&holds[..], &sleeps].concat()).ok();
        let owner = ["exec", "holds", "stat", "-c", "%u:%g", "/s/file"];
        assert_eq!(brig.with(client, &owner).ok(), "33:44");
        let refused = brig.with(client, &["exec", "holds", "touch", "/s/new"]);
        assert!(refused.stderr.contains("Read-only"), "{refused}");
        // Another container sees what is written meanwhile, and so does a part of it.
        let both = ["-v", "share:/s", "-v", "part:/p"];
        run(&brig, client, &both, "echo second > /p/file; rm /s/file").ok();
        let inner = "part/file";
        let read = brig.with(client, &["exec", "holds", "cat", "/s/part/file"]);
        assert_eq!(read.ok(), "second");
        assert_eq!(
            fs::read_to_string(server.directory.join(inner)).unwrap(),
            "second\n"
        );
        // What is mounted is in containers only, and goes with them.
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains(" - nfs4 "), "{table}");
        brig.with(client, &["rm", "-f", "holds"]).ok();
        let absent = ["-o", "device=:/absent", "-o", options, "absent"];
        let create = ["volume", "create", "-o", "type=nfs"];
        brig.with(client, &[&create[..], &absent].concat()).ok();
        let refused = run(&brig, client, &["-v", "absent:/s"], "true");
        // Docker's client makes 127 of it, Brig's 125.
        let told = refused.code != 0 && refused.stderr.contains(":/absent");
        assert!(told, "{refused}");
        brig.with(client, &["volume", "rm", "share", "part", "absent"])
            .ok();
        // Its files are the server's, not the volume's.
        assert!(server.directory.join(inner).exists());
        fs::remove_file(server.directory.join(inner)).unwrap();
    }
    drop(server);
    brig.finish();
}
