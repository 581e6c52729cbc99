//! Directories that builds keep by name: listed, taken out, brought in, limited, removed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::process::Command;

use testkit::{Brig, root};

fn ask(brig: &Brig, verb: &str, path: &str, body: &str) -> String {
    brig.http(&format!(
        "{verb} /brig/build/caches{path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// Builds one command without the cache of steps, and says what it has printed.
fn step(brig: &Brig, command: &str) -> String {
    let file = format!("FROM bb\nRUN --mount=type=cache,id=kept,target=/c {command}\n");
    let file: String = file.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let body = "\0".repeat(1024);
    brig.http(&format!(
        "POST /build?nocache=1&dockerfileinline={file} HTTP/1.1\r\nHost: d\r\n\
         Content-Type: application/x-tar\r\nContent-Length: 1024\r\nConnection: close\r\n\r\n{body}"
    ))
}

fn archive(brig: &Brig, text: &str) -> String {
    let dir = brig.root().join("tree");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("f"), text).unwrap();
    let output = Command::new("tar")
        .args(["-C", dir.to_str().unwrap(), "-cf", "-", "."])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn caches_of_builds_are_things_of_their_own() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    step(&brig, "echo made-in-a-build >/c/f");
    let listed = ask(&brig, "GET", "", "");
    assert!(listed.contains("\"Name\":\"/kept\""), "{listed}");
    assert!(listed.contains("\"InUse\":false"), "{listed}");
    let taken = ask(&brig, "GET", "/archive?name=kept", "");
    assert!(taken.contains("made-in-a-build"), "{taken}");
    let removed = ask(&brig, "DELETE", "?name=kept", "");
    assert!(removed.starts_with("HTTP/1.1 204"), "{removed}");
    for (verb, path) in [
        ("DELETE", "?name=kept"),
        ("GET", "/archive?name=kept"),
        ("POST", "/limit?name=kept&bytes=1"),
    ] {
        let missing = ask(&brig, verb, path, "");
        assert!(
            missing.starts_with("HTTP/1.1 404"),
            "{verb} {path}: {missing}"
        );
        assert!(
            missing.contains("no cache of builds is called kept"),
            "{missing}"
        );
    }
    let tar = archive(&brig, "brought-in");
    let brought = ask(&brig, "POST", "/archive?name=kept", &tar);
    assert!(brought.starts_with("HTTP/1.1 204"), "{brought}");
    let again = ask(&brig, "POST", "/archive?name=kept", &tar);
    assert!(again.starts_with("HTTP/1.1 409"), "{again}");
    let replaced = archive(&brig, "replaced-it");
    let replaced = ask(&brig, "POST", "/archive?name=kept&replace=1", &replaced);
    assert!(replaced.starts_with("HTTP/1.1 204"), "{replaced}");
    let read = step(&brig, "cat /c/f");
    assert!(read.contains("replaced-it"), "{read}");
    // One that is larger than it may be begins again.
    let limited = ask(&brig, "POST", "/limit?name=kept&bytes=1", "");
    assert!(limited.starts_with("HTTP/1.1 204"), "{limited}");
    assert!(ask(&brig, "GET", "", "").contains("\"Limit\":1"));
    let empty = step(&brig, "test ! -e /c/f && echo is-empty && echo more >/c/f");
    assert!(empty.contains("is-empty"), "{empty}");
    let nameless = ask(&brig, "GET", "/archive", "");
    assert!(nameless.starts_with("HTTP/1.1 400"), "{nameless}");
    brig.finish();
}
