//! A command: its mounts, its writable layers, and what is taken away after it.

use std::path::PathBuf;

use engine::cdi::{Unfulfilled, Wanted};
use engine::container;
use engine::step::{self, Ended, Step, StepMount, StepSource};
use storage::Draft;
use types::{Digest, ErrorKind, Mount, NetworkMode, Platform};

use super::Failure;
use super::caches::Lease;
use super::files::{self, Files, Kind};
use super::progress::Event;
use super::run::{Run, now};
use super::stubs::Stubs;
use super::tree::locate;
use crate::graph::{CacheMount, Exec, ExecMount, MountSource, Network};

/// Of what a command writes no more is told, as by BuildKit: whoever looks on may have to keep it.
const MOST_OUTPUT: usize = 2 << 20;
/// What commands are told that their machine is called, as by BuildKit: a result does not depend on who runs it.
const HOSTNAME: &str = "buildkitsandbox";
const CLIPPED: &[u8] = b"\n[output clipped, log limit 2MiB reached]\n";

/// What lives as long as the command.
#[derive(Default)]
struct Held {
    /// The writable layers that become results, by their numbers.
    drafts: Vec<(u32, Draft)>,
    /// Those that do not.
    scratch: Vec<Draft>,
    caches: Vec<(String, Lease)>,
}

/// Runs one; the results by their numbers.
pub(super) fn perform(
    run: &Run<'_>,
    vertex: &Digest,
    exec: &Exec,
    platform: Option<&Platform>,
    inputs: &[Files],
) -> Result<Vec<Option<Files>>, Failure> {
    can_run(platform)?;
    refuse(run, exec)?;
    check_outputs(exec)?;
    let mut held = Held {
        caches: take_caches(run, exec, inputs)?,
        ..Held::default()
    };
    let mut step = Step {
        args: exec.args.clone(),
        env: environment(run, exec)?,
        directory: exec.directory.clone(),
        user: exec.user.clone(),
        hostname: match exec.hostname.as_str() {
            "" => HOSTNAME.to_owned(),
            name => name.to_owned(),
        },
        network: match exec.network {
            Network::Sandbox => run.ask.client.network().unwrap_or_default(),
            Network::Host => NetworkMode::Host,
            Network::None => NetworkMode::None,
        },
        hosts: exec
            .hosts
            .iter()
            .map(|(name, ip)| format!("{name}:{ip}"))
            .collect(),
        privileged: exec.insecure,
        resources: types::Resources {
            cdi: devices(run, exec)?,
            ..resources(exec)
        },
        ..Step::default()
    };
    for mount in &exec.mounts {
        let Some(source) = source(run, mount, inputs, &mut held)? else {
            continue;
        };
        if mount.target == "/" {
            if let StepSource::Given(root) = source {
                step.root = vec![root];
            }
            continue;
        }
        step.mounts.push(StepMount {
            target: mount.target.clone(),
            source,
            read_only: mount.read_only,
        });
    }
    if step.root.is_empty() {
        return Err(Failure::invalid("a command has no root"));
    }
    let stubs = note_stubs(run, exec, inputs)?;
    let ended = execute(run, vertex, &step)?;
    judge(run, exec, ended)?;
    let mut outputs = Vec::new();
    for (output, draft) in held.drafts {
        if let Some(stubs) = &stubs
            && is_root(exec, output)
        {
            stubs.remove(&draft.upper(), &draft.below().dirs())?;
        }
        let output = output as usize;
        if outputs.len() <= output {
            outputs.resize(output + 1, None);
        }
        outputs[output] = Some(run.files(Kind::Layers(draft.commit()?)));
    }
    Ok(outputs)
}

/// Results have the numbers that there are: anything else would be a long list of nothing.
fn check_outputs(exec: &Exec) -> Result<(), Failure> {
    let numbers = exec.mounts.iter().filter_map(|mount| mount.output);
    match numbers.max() {
        Some(number) if number as usize >= exec.mounts.len() => {
            let sentence = format!("a command has no result {number}: it has too few mounts");
            Err(Failure::invalid(sentence))
        }
        _ => Ok(()),
    }
}

fn is_root(exec: &Exec, output: u32) -> bool {
    let mut mounts = exec.mounts.iter();
    mounts.any(|mount| mount.target == "/" && mount.output == Some(output))
}

/// Whether this machine can execute programs for a platform.
fn can_run(platform: Option<&Platform>) -> Result<(), Failure> {
    let Some(platform) = platform else {
        return Ok(());
    };
    if Platform::host().runs(platform) {
        return Ok(());
    }
    let architecture = match platform.architecture.as_str() {
        "arm64" => "aarch64",
        "amd64" => "x86_64",
        "386" => "i386",
        other => other,
    };
    let registered = PathBuf::from("/proc/sys/fs/binfmt_misc").join(format!("qemu-{architecture}"));
    if registered.exists() {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::Unsupported,
        format!(
            "cannot execute programs for {platform} on this machine, which is {}: register an \
             emulator with binfmt_misc, as the package qemu-user-static does",
            Platform::host()
        ),
    ))
}

/// What a build may not do unless it was said to the daemon or with the build.
fn refuse(run: &Run<'_>, exec: &Exec) -> Result<(), Failure> {
    let allowed = |entitlement: &str| run.ask.entitlements.iter().any(|e| e == entitlement);
    if exec.insecure && !allowed("security.insecure") {
        let sentence = "security.insecure is not allowed";
        return Err(Failure::new(ErrorKind::Forbidden, sentence));
    }
    if exec.network == Network::Host && !allowed("network.host") {
        let sentence = "network.host is not allowed";
        return Err(Failure::new(ErrorKind::Forbidden, sentence));
    }
    Ok(())
}

/// Devices that others describe, as far as the build may have them.
fn devices(run: &Run<'_>, exec: &Exec) -> Result<Vec<types::CdiRequest>, Failure> {
    if exec.devices.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = exec.devices.iter().map(|device| Wanted {
        name: &device.name,
        required: device.required,
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let given = container::for_build(&run.solver.engine, &wanted, run.ask.entitlements);
    let ids = given.map_err(|error| {
        let kind = match error {
            Unfulfilled::Forbidden(_) => ErrorKind::Forbidden,
            Unfulfilled::NotThere(_) => ErrorKind::NotFound,
            _ => ErrorKind::Invalid,
        };
        Failure::new(kind, error.to_string())
    })?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![types::CdiRequest {
        driver: "cdi".to_owned(),
        ids,
        ..types::CdiRequest::default()
    }])
}

fn environment(run: &Run<'_>, exec: &Exec) -> Result<Vec<String>, Failure> {
    let mut env = exec.env.clone();
    if let Some(proxy) = &exec.proxy {
        let pairs = [
            ("HTTP_PROXY", &proxy.http),
            ("HTTPS_PROXY", &proxy.https),
            ("FTP_PROXY", &proxy.ftp),
            ("NO_PROXY", &proxy.no),
            ("ALL_PROXY", &proxy.all),
        ];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            env.push(format!("{name}={value}"));
            env.push(format!("{}={value}", name.to_lowercase()));
        }
    }
    for secret in &exec.secrets {
        let value = run.ask.client.secret(&secret.id)?;
        match value {
            Some(value) => {
                env.push(format!(
                    "{}={}",
                    secret.name,
                    String::from_utf8_lossy(&value)
                ));
            }
            None if secret.optional => {}
            None => return Err(no_secret(&secret.id)),
        }
    }
    Ok(env)
}

fn no_secret(id: &str) -> Failure {
    Failure::new(ErrorKind::NotFound, format!("secret {id}: not found"))
}

fn resources(exec: &Exec) -> types::Resources {
    let mut resources = types::Resources::default();
    let limits = exec.ulimits.iter().map(|limit| types::Ulimit {
        name: limit.name.clone(),
        soft: limit.soft,
        hard: limit.hard,
    });
    resources.ulimits = limits.collect();
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    resources.cgroup_parent = text(&exec.cgroup_parent);
    if let Some(asked) = &exec.resources {
        let number = |number: i64| (number != 0).then_some(number);
        resources.memory = number(asked.memory);
        resources.memory_swap = number(asked.memory_swap);
        resources.cpu_shares = Some(asked.cpu_shares).filter(|n| *n != 0);
        resources.cpu_period = Some(asked.cpu_period).filter(|n| *n != 0);
        resources.cpu_quota = number(asked.cpu_quota);
        resources.cpuset_cpus = text(&asked.cpus);
        resources.cpuset_mems = text(&asked.memory_nodes);
    }
    resources
}

/// What is mounted; nothing of what the client has not and need not have.
fn source(
    run: &Run<'_>,
    mount: &ExecMount,
    inputs: &[Files],
    held: &mut Held,
) -> Result<Option<StepSource>, Failure> {
    let input = mount.input.map(|input| {
        let missing = || Failure::invalid(format!("a command has no input {input}"));
        inputs.get(input).ok_or_else(missing)
    });
    let input = input.transpose()?;
    let source = match &mount.source {
        MountSource::Memory(size) => StepSource::Memory(*size),
        MountSource::Secret(secret) => match run.ask.client.secret(&secret.id)? {
            Some(bytes) => StepSource::Secret {
                bytes,
                owner: (secret.uid, secret.gid),
                mode: secret.mode,
            },
            None if secret.optional => return Ok(None),
            None => return Err(no_secret(&secret.id)),
        },
        MountSource::Agent(agent) => match run.ask.client.agent(&agent.id)? {
            Some(path) => StepSource::Socket {
                path,
                owner: (agent.uid, agent.gid),
                mode: agent.mode,
            },
            None if agent.optional => return Ok(None),
            None => {
                let sentence = format!("ssh agent {}: not found", agent.id);
                return Err(Failure::new(ErrorKind::NotFound, sentence));
            }
        },
        MountSource::Cache(cache) => {
            let mut caches = held.caches.iter();
            let known = caches.find(|(id, _)| *id == cache.id);
            let path = known.map(|(_, lease)| lease.path.clone());
            StepSource::Given(bind(path.unwrap_or_default()))
        }
        MountSource::Files => StepSource::Given(files_of(run, mount, input, held)?),
    };
    Ok(Some(source))
}

/// All caches of a command at once, each once and in one order for everybody: two commands that take
/// several would else wait for each other.
fn take_caches(
    run: &Run<'_>,
    exec: &Exec,
    inputs: &[Files],
) -> Result<Vec<(String, Lease)>, Failure> {
    let caches = exec.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Cache(cache) => Some((cache, mount)),
        _ => None,
    });
    let mut caches: Vec<_> = caches.collect();
    caches.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    caches.dedup_by(|(a, _), (b, _)| a.id == b.id);
    let take = |(cache, mount): (&CacheMount, &ExecMount)| {
        let input = mount.input.and_then(|input| inputs.get(input));
        let caches = run.solver.caches();
        let lease = caches.take(run, cache, input, &mount.selector)?;
        Ok((cache.id.clone(), lease))
    };
    caches.into_iter().map(take).collect()
}

fn bind(path: PathBuf) -> Mount {
    Mount {
        kind: "bind".to_owned(),
        source: path,
        target: "/".into(),
        options: vec!["bind".to_owned()],
        lower: Vec::new(),
        subpath: None,
    }
}

fn files_of(
    run: &Run<'_>,
    mount: &ExecMount,
    input: Option<&Files>,
    held: &mut Held,
) -> Result<Mount, Failure> {
    let store = run.store();
    let subpath = mount.selector.trim_start_matches('/');
    let subpath = (!subpath.is_empty()).then(|| PathBuf::from(subpath));
    if let (Some(path), Some(files)) = (&mount.selector.get(1..).filter(|p| !p.is_empty()), input) {
        // Said here, in words that name it, and not by the runtime.
        let there = files.with_root(|root| Ok(locate(root, path, true)?.is_some()))?;
        if !there {
            let sentence = format!("{:?}: not found", mount.selector);
            return Err(Failure::new(ErrorKind::NotFound, sentence));
        }
    }
    if let Some(output) = mount.output {
        let layers = match input {
            Some(files) => run.layers_of(files)?,
            None => Default::default(),
        };
        let draft = store.draft(&layers)?;
        let made = draft.mount();
        held.drafts.push((output, draft));
        return Ok(Mount { subpath, ..made });
    }
    if mount.read_only {
        let made = input.map_or_else(|| store.mount_dirs(Vec::new()), Files::mount);
        return Ok(Mount { subpath, ..made });
    }
    // What is written is nobody's.
    let draft = match input.map(|files| (files, files.layers())) {
        Some((_, Some(layers))) => store.draft(layers)?,
        Some((files, None)) => match files.dirs().first() {
            Some(dir) => store.draft_above(dir)?,
            None => store.scratch()?,
        },
        None => store.scratch()?,
    };
    let made = draft.mount();
    held.scratch.push(draft);
    Ok(Mount { subpath, ..made })
}

/// What the mounts will make places for in the root.
fn note_stubs(run: &Run<'_>, exec: &Exec, inputs: &[Files]) -> Result<Option<Stubs>, Failure> {
    let root = exec.mounts.iter().find(|mount| mount.target == "/");
    let Some(root) = root.filter(|root| root.output.is_some()) else {
        return Ok(None);
    };
    let below = match root.input.and_then(|input| inputs.get(input)) {
        Some(files) => files.mount(),
        None => run.store().mount_dirs(Vec::new()),
    };
    let targets: Vec<&str> = exec
        .mounts
        .iter()
        .map(|mount| mount.target.as_str())
        .collect();
    let noted = files::with_mounts(&[below], &run.solver.place(), |roots| {
        Stubs::note(&roots[0], &targets)
    });
    noted.map(Some)
}

fn execute(run: &Run<'_>, vertex: &Digest, step: &Step) -> Result<Ended, Failure> {
    let _turn = run.solver.turn(run)?;
    let mut left = MOST_OUTPUT;
    let mut out = |stream: u8, bytes: &[u8]| {
        if left == 0 {
            return;
        }
        let shown = bytes.get(..left).unwrap_or(bytes);
        left -= shown.len();
        let mut shown = shown.to_vec();
        if left == 0 {
            shown.extend_from_slice(CLIPPED);
        }
        run.tell(Event::Log {
            vertex: vertex.clone(),
            stream,
            at: now(),
            bytes: shown,
        });
    };
    let ended = step::run(&run.solver.engine, step, run.ask.cancel, &mut out);
    if run.ask.cancel.is_cancelled() {
        return Err(Failure::cancelled());
    }
    Ok(ended?)
}

/// Whether an end is success.
fn judge(run: &Run<'_>, exec: &Exec, ended: Ended) -> Result<(), Failure> {
    run.check()?;
    let fine = match exec.success.as_slice() {
        [] => ended.code == 0,
        codes => codes.contains(&ended.code),
    };
    if fine {
        return Ok(());
    }
    let killed = if ended.oom_killed {
        " (killed for want of memory)"
    } else {
        ""
    };
    let command = exec.args.join(" ");
    let sentence = format!(
        "process {command:?} did not complete successfully: exit code: {}{killed}",
        ended.code
    );
    Err(Failure {
        code: Some(ended.code),
        command: Some(command.into()),
        ..Failure::new(ErrorKind::Internal, sentence)
    })
}
