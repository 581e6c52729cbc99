//! SELinux's labels, with a policy that is enforced. A kernel gives none back that it has been given,
//! so this is for a machine that lives for the test: `cargo xtask vm-test --selinux`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails, and its files are its own"
)]

mod support;

use std::os::fd::AsFd;
use std::path::Path;

use serde_json::json;
use support::running::Running;
use support::{Bundle, text};

/// Who is confined may write to what is its own and see its own keys, and nothing else of that kind.
/// What is not named is allowed. Made by secilc of:
///
/// ```text
/// (handleunknown allow) (policycap open_perms) (policycap nnp_nosuid_transition)
/// (class process (transition dyntransition)) (class file (write)) (class key (view))
/// (class dir (relabelto))
/// (user brig_u) (role brig_r) (type base_t) (type confined_t) (type own_t)
/// (allow base_t base_t (process (transition dyntransition)))
/// (allow base_t confined_t (process (transition dyntransition)))
/// (allow base_t base_t (file (write)))     (allow base_t base_t (key (view)))
/// (allow base_t confined_t (file (write))) (allow base_t confined_t (key (view)))
/// (allow base_t own_t (file (write)))      (allow base_t base_t (dir (relabelto)))
///                                          (allow base_t own_t (dir (relabelto)))
/// (allow confined_t own_t (file (write)))
/// (allow confined_t confined_t (file (write))) (allow confined_t confined_t (key (view)))
/// ```
///
/// with all initial labels and those of ext4, tmpfs, devpts, mqueue, proc, sysfs and cgroup2 of `base_t`.
const POLICY: &[u8] = include_bytes!("data/selinux.policy");

const PROCESS: &str = "brig_u:brig_r:confined_t";
const MOUNT: &str = "brig_u:object_r:own_t";

/// Why nothing can be tested here, if so.
fn cannot_run() -> Option<&'static str> {
    if let Some(reason) = support::cannot_run() {
        return Some(reason);
    }
    if !Path::new("/sys/fs/selinux/load").exists() {
        return Some("SKIP: SELinux is not enabled in this kernel");
    }
    let alone = std::env::var_os("BRIG_IN_VM").is_some();
    (!alone).then_some("SKIP: this machine's policy is not the test's to replace")
}

/// In one write, as the kernel wants it.
fn write(path: &str, text: &[u8]) {
    let file = sys::fd::open_write(path.as_ref()).unwrap();
    sys::fd::write_once(&file, text).unwrap();
}

/// Labelled in all ways.
fn labelled(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.config["process"]["selinuxLabel"] = json!(PROCESS);
    bundle.config["linux"]["mountLabel"] = json!(MOUNT);
    bundle.config["linux"]["maskedPaths"] = json!(["/sys/kernel"]);
    bundle.config["root"]["readonly"] = json!(false);
    std::fs::create_dir(bundle.in_root("own")).unwrap();
    std::fs::write(bundle.in_root("others"), "kept\n").unwrap();
    bundle.mount(json!({"destination": "/own", "type": "tmpfs", "source": "tmpfs"}));
    bundle
}

/// The command and what is mounted for it have their labels, and the command no more than those allow.
fn labels_confine() {
    let bundle = labelled(
        "tr -d '\\0' < /proc/self/attr/current; echo; \
         echo x > /own/file && echo written; echo x > /others || cat /others; \
         grep -c _ses. /proc/keys; \
         grep -E ' (/own|/dev|/dev/pts|/sys/kernel) ' /proc/self/mountinfo | grep -c own_t; \
         grep -E ' (/proc|/sys|/dev/mqueue) ' /proc/self/mountinfo | grep -c own_t",
    );
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    let said = text(&output.stderr);
    let expected = format!("{PROCESS}\nwritten\nkept\n1\n4\n0\n");
    assert_eq!(text(&output.stdout), expected, "{said}");
    assert!(said.contains("/others: Permission denied"), "{said}");
    bundle.assert_nothing_left();
}

/// What joins has its own label, or the container's; and what cannot be labelled when it is mounted is
/// labelled then.
fn who_joins_is_labelled() {
    let running = Running::new(labelled(""));
    let own = [
        "sh",
        "-c",
        "tr -d '\\0' < /proc/self/attr/current; grep -c _ses. /proc/keys",
    ];
    let given = running.succeed(json!({"args": own, "selinuxLabel": PROCESS}));
    assert_eq!(given, format!("{PROCESS}1\n"));
    assert_eq!(running.succeed(json!({"args": own})), given);
    let dev = Path::new("/proc").join(running.pid()).join("root/dev");
    let dev = sys::fd::open_dir(&dev).unwrap();
    let label = sys::xattr::get(dev.as_fd(), "mqueue".as_ref(), "security.selinux".as_ref());
    let label = text(&label.unwrap());
    assert_eq!(label.trim_end_matches('\0'), MOUNT);
}

/// Labels that the policy does not know.
fn other_labels_are_refused() {
    let mut bundle = labelled("true");
    bundle.config["process"]["selinuxLabel"] = json!("brig_u:brig_r:nobody_t");
    let said = bundle.fail();
    let known = "process.selinuxLabel: SELinux's policy does not know";
    assert!(said.contains(known) && said.contains("nobody_t"), "{said}");
    let mut bundle = labelled("true");
    bundle.config["linux"]["mountLabel"] = json!("brig_u:object_r:nobody_t");
    let said = bundle.fail();
    assert!(
        said.contains("mount") && said.contains("invalid argument"),
        "{said}"
    );
}

#[test]
fn labels_are_applied_where_a_policy_is_enforced() {
    if let Some(reason) = cannot_run() {
        return support::skip(reason);
    }
    write("/sys/fs/selinux/load", POLICY);
    write("/sys/fs/selinux/enforce", b"1");
    labels_confine();
    who_joins_is_labelled();
    other_labels_are_refused();
    write("/sys/fs/selinux/enforce", b"0");
}
