//! Environment and hooks: what the bundle says to its own process, and to nobody else.

use serde_json::json;

use crate::help::{call, delete, inside, start, writable};
use crate::support::{Bundle, text, write_script};

/// Words by which loaders, languages and other runtimes are told what to do.
const WORDS: [&str; 8] = [
    "LD_PRELOAD=/evil.so",
    "LD_LIBRARY_PATH=/evil",
    "LD_AUDIT=/evil.so",
    "_LIBCONTAINER_INITPIPE=0",
    "_LIBCONTAINER_CLONED_BINARY=1",
    "RUST_BACKTRACE=full",
    "NOTIFY_SOCKET=/evil",
    "LISTEN_FDS=3",
];

/// A program of the machine that writes its environment down.
fn recorder(bundle: &Bundle) -> String {
    let path = bundle.path().join("hook");
    let out = bundle.path().join("seen");
    // Its parent is the runtime, seen as it was executed.
    let script = format!(
        "#!/bin/sh\n{{ env; tr '\\0' '\\n' < /proc/$PPID/environ; echo; }} >> {}\n",
        out.display()
    );
    write_script(&path, &script);
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_bundles_environment_is_its_commands_only() {
    need_containers!();
    let mut bundle = writable("env");
    let hook = recorder(&bundle);
    let env = bundle.config["process"]["env"].as_array_mut().unwrap();
    env.extend(WORDS.map(|word| json!(word)));
    bundle.config["hooks"] = json!({
        "createRuntime": [{"path": hook, "env": ["OWN=1"]}],
        "createContainer": [{"path": hook}],
        "poststart": [{"path": hook}],
        "poststop": [{"path": hook}],
    });
    let printed = bundle.run();
    let seen = std::fs::read_to_string(bundle.path().join("seen")).unwrap();
    assert!(seen.contains("OWN=1"), "{seen}");
    for word in WORDS {
        assert!(printed.contains(word), "{word}: {printed}");
        assert!(!seen.contains(word), "{word}: {seen}");
    }
}

#[test]
fn the_callers_environment_is_not_the_containers() {
    need_containers!();
    let bundle = writable("env; sleep 1000");
    bundle.write();
    let call = |words: &[&str]| {
        let mut command = bundle.command(words);
        for word in WORDS.iter().filter(|word| !word.starts_with("LD_")) {
            let (name, value) = word.split_once('=').unwrap();
            command.env(name, value);
        }
        command.env("SECRET", "of the machine").output().unwrap()
    };
    start(&bundle);
    let output = call(&["exec", "ID", "env"]);
    let printed = text(&output.stdout);
    assert!(
        output.status.success() && printed.contains("PATH="),
        "{printed}"
    );
    for word in ["SECRET", "_LIBCONTAINER", "NOTIFY", "LISTEN", "BACKTRACE"] {
        assert!(!printed.contains(word), "{printed}");
    }
    let first = inside(&bundle, &["cat", "/proc/1/environ"]);
    assert!(!first.contains("SECRET"), "{first}");
    delete(&bundle);
}

/// The one hook that runs in the container finds its program there and nowhere else.
#[test]
fn a_hook_of_the_container_is_no_program_of_the_machine() {
    need_containers!();
    let mut bundle = writable("true");
    let hook = recorder(&bundle);
    bundle.config["hooks"] = json!({"startContainer": [{"path": hook}]});
    bundle.write();
    let (code, said) = call(&bundle, &["run", "ID"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("startContainer hook") && said.contains("no such file"),
        "{said}"
    );
    assert!(!bundle.path().join("seen").exists());
    bundle.assert_nothing_left();
}

#[test]
fn hooks_have_absolute_paths() {
    need_containers!();
    for point in ["createRuntime", "createContainer", "startContainer"] {
        let mut bundle = writable("true");
        bundle.config["hooks"] = json!({point: [{"path": "bin/true"}]});
        let said = bundle.fail();
        assert!(said.contains("must be an absolute path"), "{point}: {said}");
    }
}

/// A hook gets none of the runtime's descriptors, by which it could hold a container's gate open.
#[test]
fn hooks_have_no_other_descriptor() {
    need_containers!();
    let mut bundle = writable("true");
    let path = bundle.path().join("list");
    let out = bundle.path().join("list.out");
    let script = format!("#!/bin/sh\nls /proc/self/fd > {}\n", out.display());
    write_script(&path, &script);
    bundle.config["hooks"] = json!({"createRuntime": [{"path": path}]});
    bundle.run();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "0\n1\n2\n3\n");
}
