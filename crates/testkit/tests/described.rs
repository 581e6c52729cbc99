//! Devices that vendors describe in files, asked for by name and by what they can do.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;

use testkit::{Brig, Client, Setup, clients, root};

const CARDS: &str = r#"
cdiVersion: "0.6.0"
kind: acme.com/card
containerEdits:
  env: ["ACME=all"]
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - {path: /dev/card0, hostPath: /dev/zero, permissions: r, fileMode: 0640, uid: 7}
    env: ["CARD=0"]
    mounts:
    - {hostPath: SHARED, containerPath: /usr/share/card, options: [ro, bind]}
    additionalGids: [4321]
    hooks:
    - {hookName: createRuntime, path: /bin/touch, args: [touch, TOUCHED]}
- name: broken
  containerEdits:
    deviceNodes: [{path: /dev/not/there}]
"#;

const GPUS: &str = r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [
    {"name": "0", "containerEdits": {"env": ["GPU0=yes"]}},
    {"name": "1", "containerEdits": {"env": ["GPU1=yes"]}},
    {"name": "all", "containerEdits": {"env": ["GPUS=yes"]}}]}"#;

fn start() -> Brig {
    let mut brig = Brig::prepare(Setup::default());
    let dir = brig.root().join("cdi");
    fs::create_dir(&dir).unwrap();
    let shared = brig.root().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("firmware"), "loaded\n").unwrap();
    let text = CARDS
        .replace("SHARED", shared.to_str().unwrap())
        .replace("TOUCHED", brig.root().join("touched").to_str().unwrap());
    fs::write(dir.join("cards.yaml"), text).unwrap();
    fs::write(dir.join("gpus.json"), GPUS).unwrap();
    fs::write(dir.join("wrong.json"), "{}").unwrap();
    brig.set_flags(&["--cdi-spec-dir", dir.to_str().unwrap()]);
    brig.start_daemon();
    brig.import_busybox();
    brig
}

#[test]
fn a_device_brings_what_its_description_says() {
    if !root() {
        return;
    }
    let brig = start();
    // Docker 20's client takes the name for a path.
    for client in clients().into_iter().filter(|c| *c != Client::Docker20) {
        let script = "echo $ACME $CARD; stat -c '%F %a %u' /dev/card0; head -c 3 /dev/card0 | wc -c; \
                      cat /usr/share/card/firmware; id -G | tr ' ' '\\n' | grep -c 4321";
        let run = [
            "run",
            "--rm",
            "--device",
            "acme.com/card=0",
            "bb",
            "sh",
            "-c",
            script,
        ];
        let shown = brig.with(client, &run);
        let expected = ["all 0", "character special file 640 7", "3", "loaded", "1"];
        assert_eq!(
            shown.ok().lines().collect::<Vec<_>>(),
            expected,
            "{client:?} {shown}"
        );
        let touched = brig.root().join("touched");
        assert!(touched.exists(), "the hook did not run");
        fs::remove_file(touched).unwrap();

        let twice = [
            "create",
            "--name",
            "kept",
            "--device",
            "acme.com/card=0",
            "bb",
            "true",
        ];
        brig.with(client, &twice).ok();
        let asked = brig.inspect("kept")["HostConfig"]["DeviceRequests"][0].clone();
        assert_eq!(asked["Driver"], "cdi");
        assert_eq!(asked["DeviceIDs"][0], "acme.com/card=0");
        brig.with(client, &["rm", "kept"]).ok();

        for (device, says) in [
            (
                "acme.com/card=9",
                "unresolvable CDI devices acme.com/card=9",
            ),
            ("acme.com/card=broken", "/dev/not/there"),
        ] {
            let refused = brig.with(client, &["run", "--rm", "--device", device, "bb", "true"]);
            assert!(refused.fails(125).contains(says), "{refused}");
        }
        let info = brig
            .with(client, &["info", "--format", "{{json .}}"])
            .json();
        let described = info["DiscoveredDevices"].to_string();
        assert!(described.contains("acme.com/card=0"), "{info}");
        let dirs = info["CDISpecDirs"].to_string();
        assert!(dirs.contains("/cdi"), "{info}");
    }
    brig.finish();
}

#[test]
fn gpus_are_counted_and_named() {
    if !root() {
        return;
    }
    let brig = start();
    for client in clients() {
        for (gpus, expected) in [
            ("all", "- - yes"),
            ("1", "yes - -"),
            ("2", "yes yes -"),
            ("device=1", "- yes -"),
            ("\"device=0,1\"", "yes yes -"),
            ("driver=nvidia,count=all", "- - yes"),
        ] {
            let run = [
                "run",
                "--rm",
                "--gpus",
                gpus,
                "bb",
                "sh",
                "-c",
                "echo ${GPU0:--} ${GPU1:--} ${GPUS:--}",
            ];
            assert_eq!(brig.with(client, &run).ok(), expected, "{client:?} {gpus}");
        }
        for (gpus, says) in [
            ("3", "3 devices nvidia.com/gpu were asked for, 2 are there"),
            ("driver=amd", "could not select device driver \"amd\""),
        ] {
            let refused = brig.with(client, &["run", "--rm", "--gpus", gpus, "bb", "true"]);
            assert!(refused.fails(125).contains(says), "{refused}");
        }
    }
    brig.finish();
}

const FREE: &str = r#"{"cdiVersion": "0.6.0", "kind": "acme.com/free", "devices": [
    {"name": "0", "annotations": {"org.mobyproject.buildkit.device.autoallow": "true"},
     "containerEdits": {"env": ["FREE=yes"]}}]}"#;

#[test]
fn a_command_of_a_build_has_the_devices_that_it_may_have() {
    if !root() {
        return;
    }
    let brig = start();
    fs::write(brig.root().join("cdi/free.json"), FREE).unwrap();
    let context = brig.root().join("context");
    fs::create_dir(&context).unwrap();
    let build = |run: &str, allow: &[&str]| {
        fs::write(context.join("Dockerfile"), format!("FROM bb\nRUN {run}\n")).unwrap();
        let mut args = vec!["build", "--no-cache", "-t", "x"];
        args.extend(allow.iter().flat_map(|allow| ["--allow", *allow]));
        args.push(context.to_str().unwrap());
        brig.with(Client::Brig, &args)
    };
    let said = || {
        brig.brig(&["run", "--rm", "x", "cat", "/said"])
            .ok()
            .to_owned()
    };
    let card = "--device=acme.com/card=0,required (echo $ACME $CARD; stat -c '%a %u' /dev/card0; \
                head -c 3 /dev/card0 | wc -c; cat /usr/share/card/firmware) >/said";
    let refused = |output: testkit::Output, sentence: &str| {
        assert_ne!(output.code, 0, "{output}");
        assert!(output.stderr.contains(sentence), "{output}");
    };
    refused(
        build(card, &["network.host"]),
        "device acme.com/card=0 is requested by the build but not allowed",
    );
    refused(build(card, &["devices"]), "invalid entitlement: devices");
    for allow in ["device", "device=acme.com/card"] {
        build(card, &[allow]).ok();
        assert_eq!(said(), "all 0\n640 7\n3\nloaded", "{allow}");
    }
    // Nothing of a device is in the image but what the command has written.
    let left = "test ! -e /dev/card0 && echo $ACME gone";
    let left = brig.brig(&["run", "--rm", "x", "sh", "-c", left]);
    assert_eq!(left.ok(), "gone");
    let other = "device=acme.com/card=0,alias=my.com/card=x";
    build("--device=my.com/card=x echo $CARD >/said", &[other]).ok();
    assert_eq!(said(), "0");
    build("--device=acme.com/free echo $FREE >/said", &[]).ok();
    assert_eq!(said(), "yes");
    build("--device=acme.com/none echo without >/said", &[]).ok();
    assert_eq!(said(), "without");
    refused(
        build("--device=acme.com/none,required true", &["device"]),
        "required device \"acme.com/none\" is not registered",
    );
    brig.finish();
}
