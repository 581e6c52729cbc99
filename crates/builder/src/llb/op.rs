//! Operations of LLB -> operations of the graph.

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use types::Digest;

use super::origin::origin;
use super::{Wrong, pb};
use crate::dockerfile::{Device, Sharing};
use crate::graph::{
    Act, Agent, Build, CacheMount, CopyFiles, Exec, ExecMount, FileAction, FileMode, MountSource,
    Network, Op, Operand, Owner, Proxy, Secret, SecretEnv, Slot, Ulimit, User,
};

/// What an operation does; `inputs` is how many it has.
pub(super) fn op(op: pb::op::Op, inputs: usize) -> Result<Op, Wrong> {
    Ok(match op {
        pb::op::Op::Source(source) => Op::Source(origin(&source.identifier, &source.attrs)?),
        pb::op::Op::Exec(exec) => Op::Exec(Box::new(self::exec(exec, inputs)?)),
        pb::op::Op::File(file) => Op::File(actions(file.actions, inputs)?),
        pb::op::Op::Merge(merge) => {
            let slots = merge.inputs.iter().map(|one| slot(one.input, inputs));
            Op::Merge(slots.collect::<Result<_, _>>()?)
        }
        pb::op::Op::Diff(diff) => {
            let one = |side: Option<pb::Slot>| slot(side.map_or(-1, |side| side.input), inputs);
            Op::Diff {
                lower: one(diff.lower)?,
                upper: one(diff.upper)?,
            }
        }
        pb::op::Op::Build(build) => {
            let named = build.inputs.into_iter();
            let named = named.map(|(name, one)| Ok((name, slot(one.input, inputs)?)));
            Op::Build(Box::new(Build {
                builder: build.builder,
                inputs: named.collect::<Result<_, Wrong>>()?,
                definition: build.def.map(|def| digest(&def.encode_to_vec())),
                attributes: build.attrs.into_iter().collect(),
            }))
        }
    })
}

/// SHA-256 of encoded bytes: the name of an operation on the wire.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest::sha256(Sha256::digest(bytes).into())
}

/// An input by its place, -1 for none.
fn slot(index: i64, inputs: usize) -> Result<Slot, Wrong> {
    if index == -1 {
        return Ok(None);
    }
    let place = usize::try_from(index).ok().filter(|place| *place < inputs);
    place
        .map(Some)
        .ok_or_else(|| Wrong(format!("input {index} of {inputs} does not exist")))
}

fn output(index: i64) -> Result<Option<u32>, Wrong> {
    if index == -1 {
        return Ok(None);
    }
    let number = u32::try_from(index).map(Some);
    number.map_err(|_| Wrong(format!("a result cannot have the number {index}")))
}

fn exec(exec: pb::ExecOp, inputs: usize) -> Result<Exec, Wrong> {
    let Some(meta) = exec.meta else {
        return Err(Wrong("a command has no meta".to_owned()));
    };
    let mounts = exec.mounts.into_iter().map(|one| mount(one, inputs));
    let network = match exec.network {
        0 => Network::Sandbox,
        1 => Network::Host,
        2 => Network::None,
        other => return Err(Wrong(format!("unknown network mode {other}"))),
    };
    let secrets = exec.secretenv.into_iter().map(|secret| SecretEnv {
        id: secret.id,
        name: secret.name,
        optional: secret.optional,
    });
    let devices = exec.cdi_devices.into_iter().map(|device| Device {
        name: device.name,
        required: !device.optional,
    });
    Ok(Exec {
        network,
        insecure: match exec.security {
            0 => false,
            1 => true,
            other => return Err(Wrong(format!("unknown security mode {other}"))),
        },
        mounts: mounts.collect::<Result<_, _>>()?,
        secrets: secrets.collect(),
        devices: devices.collect(),
        ..surroundings(meta)
    })
}

fn surroundings(meta: pb::Meta) -> Exec {
    let hosts = meta.extra_hosts.into_iter();
    let ulimits = meta.ulimit.into_iter().map(|limit| Ulimit {
        name: limit.name,
        soft: limit.soft,
        hard: limit.hard,
    });
    Exec {
        args: meta.args,
        env: meta.env,
        directory: meta.cwd,
        user: meta.user,
        hostname: meta.hostname,
        hosts: hosts.map(|host| (host.host, host.ip)).collect(),
        ulimits: ulimits.collect(),
        cgroup_parent: meta.cgroup_parent,
        proxy: meta.proxy_env.map(|proxy| Proxy {
            http: proxy.http_proxy,
            https: proxy.https_proxy,
            ftp: proxy.ftp_proxy,
            no: proxy.no_proxy,
            all: proxy.all_proxy,
        }),
        success: meta.valid_exit_codes,
        remove_stubs: meta.remove_mount_stubs_recursive,
        ..Exec::default()
    }
}

fn mount(mount: pb::Mount, inputs: usize) -> Result<ExecMount, Wrong> {
    let missing = || Wrong(format!("the mount at {} lacks its options", mount.dest));
    let source = match mount.mount_type {
        0 => MountSource::Files,
        1 => {
            let secret = mount.secret_opt.clone().ok_or_else(missing)?;
            MountSource::Secret(Secret {
                id: secret.id,
                uid: secret.uid,
                gid: secret.gid,
                mode: secret.mode,
                optional: secret.optional,
            })
        }
        2 => {
            let agent = mount.ssh_opt.clone().ok_or_else(missing)?;
            MountSource::Agent(Agent {
                id: agent.id,
                uid: agent.uid,
                gid: agent.gid,
                mode: agent.mode,
                optional: agent.optional,
            })
        }
        3 => {
            let cache = mount.cache_opt.clone().ok_or_else(missing)?;
            MountSource::Cache(CacheMount {
                id: cache.id,
                sharing: sharing(cache.sharing)?,
            })
        }
        4 => MountSource::Memory(mount.tmpfs_opt.as_ref().map_or(0, |opt| opt.size)),
        other => return Err(Wrong(format!("unknown mount type {other}"))),
    };
    Ok(ExecMount {
        input: slot(mount.input, inputs)?,
        selector: mount.selector,
        target: target(&mount.dest)?,
        output: output(mount.output)?,
        read_only: mount.readonly,
        source,
        by_content: match mount.content_cache {
            1 => Some(true),
            2 => Some(false),
            _ => None,
        },
    })
}

/// Where something is mounted, without detours: what makes the place and takes it away again follows none.
fn target(path: &str) -> Result<String, Wrong> {
    if !path.starts_with('/') {
        return Err(Wrong(format!(
            "the mount at {path:?} is at no absolute path"
        )));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

fn sharing(number: i32) -> Result<Sharing, Wrong> {
    match number {
        0 => Ok(Sharing::Shared),
        1 => Ok(Sharing::Private),
        2 => Ok(Sharing::Locked),
        other => Err(Wrong(format!("unknown sharing mode {other}"))),
    }
}

fn actions(actions: Vec<pb::FileAction>, inputs: usize) -> Result<Vec<FileAction>, Wrong> {
    let actions = actions.into_iter().enumerate();
    let actions = actions.map(|(before, action)| {
        // Behind the inputs come the actions so far.
        let operand = |index: i64| operand(index, inputs, before);
        let Some(act) = action.action else {
            return Err(Wrong("a file action does nothing".to_owned()));
        };
        Ok(FileAction {
            on: operand(action.input)?,
            output: output(action.output)?,
            act: self::act(act, action.secondary_input, &operand)?,
        })
    });
    actions.collect()
}

fn operand(index: i64, inputs: usize, before: usize) -> Result<Operand, Wrong> {
    if index == -1 {
        return Ok(Operand::Empty);
    }
    let wrong = || {
        Wrong(format!(
            "a file action works on {index}, which does not exist"
        ))
    };
    let place = usize::try_from(index).map_err(|_| wrong())?;
    match place.checked_sub(inputs) {
        None => Ok(Operand::Input(place)),
        Some(action) if action < before => Ok(Operand::Action(action)),
        Some(_) => Err(wrong()),
    }
}

/// Looks an operand up by its number.
type Find<'a> = &'a dyn Fn(i64) -> Result<Operand, Wrong>;

fn act(act: pb::file_action::Action, second: i64, operand: Find) -> Result<Act, Wrong> {
    use pb::file_action::Action;
    Ok(match act {
        Action::Copy(one) => Act::Copy(Box::new(copy(one, second, operand)?)),
        Action::Mkfile(file) => Act::MakeFile {
            path: file.path,
            mode: bits(file.mode)?,
            data: file.data,
            owner: owner(file.owner, operand)?,
            time: time(file.timestamp),
        },
        Action::Mkdir(directory) => Act::MakeDirectory {
            path: directory.path,
            mode: bits(directory.mode)?,
            parents: directory.make_parents,
            owner: owner(directory.owner, operand)?,
            time: time(directory.timestamp),
        },
        Action::Symlink(link) => Act::MakeLink {
            target: link.oldpath,
            path: link.newpath,
            owner: owner(link.owner, operand)?,
            time: time(link.timestamp),
        },
        Action::Rm(rm) => Act::Remove {
            path: rm.path,
            wildcard: rm.allow_wildcard,
            allow_missing: rm.allow_not_found,
        },
    })
}

fn copy(copy: pb::Copy, second: i64, operand: Find) -> Result<CopyFiles, Wrong> {
    let mode = match (copy.mode_str.as_str(), copy.mode) {
        ("", -1) => None,
        ("", mode) => Some(FileMode::Bits(bits(mode)?)),
        (words, _) => Some(FileMode::Words(words.to_owned())),
    };
    Ok(CopyFiles {
        from: operand(second)?,
        source: copy.src,
        target: copy.dest,
        owner: owner(copy.owner, operand)?,
        mode,
        follow: copy.follow_symlink,
        contents: copy.dir_copy_contents,
        unpack: copy.attempt_unpack,
        make_target: copy.create_dest_path,
        wildcard: copy.allow_wildcard,
        allow_empty: copy.allow_empty_wildcard,
        include: copy.include_patterns,
        exclude: copy.exclude_patterns,
        required: copy.required_paths,
        replace: copy.always_replace,
        time: time(copy.timestamp),
    })
}

fn bits(mode: i32) -> Result<u32, Wrong> {
    u32::try_from(mode).map_err(|_| Wrong(format!("a mode cannot be {mode}")))
}

fn time(nanos: i64) -> Option<i64> {
    (nanos != -1).then_some(nanos)
}

fn owner(owner: Option<pb::ChownOpt>, operand: Find) -> Result<Option<Owner>, Wrong> {
    let Some(owner) = owner else { return Ok(None) };
    let one = |user: Option<pb::UserOpt>| -> Result<Option<User>, Wrong> {
        Ok(match user.and_then(|user| user.user) {
            None => None,
            Some(pb::user_opt::User::ById(id)) => Some(User::Id(id)),
            Some(pb::user_opt::User::ByName(named)) => Some(User::Name {
                name: named.name,
                known_to: operand(named.input)?,
            }),
        })
    };
    Ok(Some(Owner {
        user: one(owner.user)?,
        group: one(owner.group)?,
    }))
}
