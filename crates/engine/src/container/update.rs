//! `update`: other limits, labels, variables, ports and mounts, while the container runs or not.

use shim::Call;
use storage::Durability;
use types::{
    BlockIo, BlockRate, ContainerChange, Lifecycle, NetworkMode, Resources, RestartPolicy,
};

use super::changed::{self, Planned};
use super::check::{self, Invalid, Machine};
use super::{WrongState, block_devices, or_ended, remount};
use crate::network::record::Ports;
use crate::network::{self, NetworkError, limit, republish};
use crate::record::{Changed, Status};
use crate::steps::name as step;
use crate::table::{Container, lock};
use crate::undo::Stack;
use crate::{Engine, Error, event, render};

/// Changes a container by what `change` says; the rest stays. Of one that runs, limits, labels, ports
/// and mounts are so at once; its environment is that of what is executed in it from then on. Returns warnings.
/// Blocking.
pub fn update(engine: &Engine, who: &str, change: &ContainerChange) -> Result<Vec<String>, Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    let _order = lock(&container.networking);
    let before = container.lifecycle();
    may_change(&container, &before)?;
    if container.fixed.spec.auto_remove
        && change.restart.is_some_and(|new| new != RestartPolicy::No)
    {
        return Err(WrongState::AutoRemoves(container.id().clone()).into());
    }
    let (mut planned, mut warnings) = plan(engine, &container, change)?;
    let limits = limits(engine, &container, &change.resources, &mut warnings)?;
    let mut undo = Stack::new();
    let mounts = std::mem::take(&mut planned.mounts);
    if before.is_running() {
        remount::can_come(&container, &mounts.add)?;
    }
    let limited = limits.as_ref().filter(|_| before.is_running());
    let limited = limited.map(|new| {
        (
            new.clone(),
            lifted(engine, &container.spec().resources, new),
        )
    });
    let begun = remount::begin(engine, &container, (&mounts, limited), &mut undo)?;
    remount::keep(engine, &container, &mounts, &mut undo)?;
    let ports = match before.is_running() {
        true => {
            let live = (&planned, &mounts, limits.as_ref());
            let live = self::live(engine, &container, live, &mut undo);
            Some(or_ended(&container, before.process(), live)?)
        }
        false => None,
    };
    record(engine, &container, change, (planned, limits, ports))?;
    undo.keep();
    remount::let_go(engine, &container, &mounts);
    begun.end();
    event::of_container(engine, &container, "update");
    Ok(warnings)
}

/// What is to be, checked as far as that is done at create.
fn plan(
    engine: &Engine,
    container: &Container,
    change: &ContainerChange,
) -> Result<(Planned, Vec<String>), Error> {
    let (spec, resolved) = (container.spec(), container.resolved());
    let changed = container.status().changed.unwrap_or_default();
    let name = container.name();
    let mount = remount::complete(engine, &spec, &change.mount)?;
    let now = (spec.as_ref(), resolved.as_ref());
    let mut planned = changed::plan(name.as_str(), now, *changed, change, mount)?;
    let mut warnings = std::mem::take(&mut planned.warnings);
    if !change.publish.is_empty() {
        let new = planned.changed.clone().spec(spec.into_owned());
        network::request(&new)?;
        warnings.extend(network::warnings(&new));
        if new.network == NetworkMode::None {
            return Err(NetworkError::NoWayIn(name.to_string()).into());
        }
    }
    Ok((planned, warnings))
}

/// Its limits as they are then; none if nothing is said of them.
fn limits(
    engine: &Engine,
    container: &Container,
    change: &Resources,
    warnings: &mut Vec<String>,
) -> Result<Option<Resources>, Error> {
    if *change == Resources::default() {
        return Ok(None);
    }
    let old = &container.spec().resources;
    let mut new = merged(old, change).map_err(Invalid::Limit)?;
    warnings.extend(check::limits(&mut new, &Machine::of(engine.host()))?);
    limit::check(engine, container, new.bandwidth)?;
    Ok(Some(new))
}

/// Changes what can be changed of one that runs; the ports that it has then.
fn live<'a>(
    engine: &'a Engine,
    container: &'a Container,
    (planned, mounts, limits): (&Planned, &remount::Change, Option<&Resources>),
    undo: &mut Stack<'a>,
) -> Result<Ports, Error> {
    let connected = container.fixed.spec.network.is_connected();
    let ports = match planned.changed.ports.is_some() && connected {
        true => republish::change(engine, container, &planned.ports, undo)?,
        false => container.status().ports,
    };
    remount::apply(engine, container, mounts, undo)?;
    let Some(new) = limits else {
        return Ok(ports);
    };
    let old = container.spec().resources.clone();
    let bandwidth = old.bandwidth;
    if new.bandwidth != bandwidth {
        limit::apply(engine, container, new.bandwidth)?;
        undo.push(step::UPDATE_LIMITS, move || {
            limit::apply(engine, container, bandwidth)
        });
    }
    // Before: what was written of it when the kernel refused the rest is to be taken back, too.
    let back = lifted(engine, &old, new);
    undo.push(step::UPDATE_LIMITS, move || tell_shim(container, &back));
    tell_shim(container, new)?;
    engine.passed(step::UPDATE_LIMITS)?;
    Ok(ports)
}

fn record(
    engine: &Engine,
    container: &Container,
    change: &ContainerChange,
    (planned, limits, ports): (Planned, Option<Resources>, Option<Ports>),
) -> Result<(), Error> {
    let keep = Some((engine.records(), Durability::Power));
    container.change(keep, |status| {
        // A start that came between has the old ones.
        may_change(container, &status.lifecycle)?;
        // Without a policy nobody remembered who ended it; it is not to come back by surprise.
        let rested = change.restart.is_some()
            && status.restart.unwrap_or(container.fixed.spec.restart) == RestartPolicy::No
            && status.lifecycle.process().is_none();
        // Of a run that has ended meanwhile nothing is published any more.
        let ports = ports.filter(|_| status.lifecycle.is_running());
        Ok(Status {
            limits: limits.or(status.limits),
            changed: Some(Box::new(planned.changed)).filter(|all| **all != Changed::default()),
            restart: change.restart.or(status.restart),
            stopped: status.stopped || rested,
            ports: ports.unwrap_or(status.ports),
            ..status
        })
    })?;
    Ok(())
}

fn may_change(container: &Container, lifecycle: &Lifecycle) -> Result<(), WrongState> {
    match lifecycle {
        Lifecycle::Starting { .. } => Err(WrongState::Starting(container.id().clone())),
        Lifecycle::Removing { .. } | Lifecycle::Dead { .. } => {
            Err(WrongState::Removing(container.id().clone()))
        }
        Lifecycle::Created
        | Lifecycle::Running { .. }
        | Lifecycle::Restarting { .. }
        | Lifecycle::Exited { .. } => Ok(()),
    }
}

/// Has a running container limited as its record says, where a daemon died amid a change to `new`. `back` undoes that.
pub(super) fn take_limits_back(
    engine: &Engine,
    container: &Container,
    (new, back): &(Resources, Resources),
) -> Result<(), Error> {
    let recorded = container.spec().resources.clone();
    if recorded == *new || !container.lifecycle().is_running() {
        return Ok(());
    }
    limit::apply(engine, container, recorded.bandwidth)?;
    tell_shim(container, back)
}

fn tell_shim(container: &Container, resources: &Resources) -> Result<(), Error> {
    let not_running = || WrongState::NotRunning(container.id().clone());
    let shim = container.shim().ok_or_else(not_running)?;
    let numbers = block_devices::resolve(&resources.block_io)?;
    let resources = serde_json::to_string(&render::limits(resources, &numbers));
    let resources = resources.map_err(|source| Error::Encode {
        what: "a container's limits",
        source,
    })?;
    shim.call(&Call::Update { resources }, &[])
        .map_err(Error::Task)?;
    Ok(())
}

/// What a cgroup has whose shares nobody has set.
const USUAL_SHARES: u64 = 1024;

/// The weight of whoever has been given none.
const USUAL_WEIGHT: u16 = 100;

fn lifted(engine: &Engine, old: &Resources, new: &Resources) -> Resources {
    let (cpus, mems) = &engine.host().available;
    lifted_to((cpus, mems), old, new)
}

/// `old` as it is said to who keeps `new` by now: what has no limit then has one to be lifted. `cpus` and `mems` are
/// those of the machine.
fn lifted_to((cpus, mems): (&str, &str), old: &Resources, new: &Resources) -> Resources {
    let lift = |old: Option<i64>, new: Option<i64>| old.or(new.and(Some(-1)));
    let all = |old: &Option<String>, new: &Option<String>, all: &str| {
        let all = new.is_some().then(|| all.to_owned());
        old.clone().or(all)
    };
    let quota = old.cpu_quota.or(old.nano_cpus);
    let quota_now = new.cpu_quota.or(new.nano_cpus);
    Resources {
        memory: lift(old.memory, new.memory),
        // None beside a limit of memory is as much again.
        memory_swap: match old.memory {
            Some(_) => old.memory_swap,
            None => lift(old.memory_swap, new.memory_swap.or(new.memory)),
        },
        cpu_shares: old.cpu_shares.or(new.cpu_shares.and(Some(USUAL_SHARES))),
        memory_reservation: lift(old.memory_reservation, new.memory_reservation),
        pids_limit: lift(old.pids_limit, new.pids_limit),
        cpu_quota: old
            .cpu_quota
            .or(lift(quota, quota_now).filter(|quota| *quota < 0)),
        cpuset_cpus: all(&old.cpuset_cpus, &new.cpuset_cpus, cpus),
        cpuset_mems: all(&old.cpuset_mems, &new.cpuset_mems, mems),
        block_io: block_io(&usual_io(&new.block_io), &old.block_io),
        ..old.clone()
    }
}

/// The same devices without a limit.
fn usual_io(io: &BlockIo) -> BlockIo {
    let at = |rates: &[BlockRate], value: u64| -> Vec<BlockRate> {
        let usual = |rate: &BlockRate| BlockRate {
            path: rate.path.clone(),
            value,
        };
        rates.iter().map(usual).collect()
    };
    BlockIo {
        weight: io.weight.and(Some(USUAL_WEIGHT)),
        weight_device: at(&io.weight_device, USUAL_WEIGHT.into()),
        read_bps: at(&io.read_bps, 0),
        write_bps: at(&io.write_bps, 0),
        read_iops: at(&io.read_iops, 0),
        write_iops: at(&io.write_iops, 0),
    }
}

/// `old` with what `new` says. What only a new container can have stays.
fn merged(old: &Resources, new: &Resources) -> Result<Resources, check::Limit> {
    excluded(old, new)?;
    let memory = new.memory.or(old.memory);
    let swap = new.memory_swap.or(old.memory_swap);
    let kept = new.memory.is_some() && new.memory_swap.is_none();
    if let (true, Some(memory), Some(swap)) = (kept, memory, swap)
        && (0..memory).contains(&swap)
    {
        return Err(check::Limit::AboveSwap);
    }
    Ok(Resources {
        memory,
        memory_swap: swap,
        memory_reservation: new.memory_reservation.or(old.memory_reservation),
        nano_cpus: new.nano_cpus.or(old.nano_cpus),
        cpu_shares: new.cpu_shares.or(old.cpu_shares),
        cpu_period: new.cpu_period.or(old.cpu_period),
        cpu_quota: new.cpu_quota.or(old.cpu_quota),
        cpuset_cpus: new.cpuset_cpus.clone().or(old.cpuset_cpus.clone()),
        cpuset_mems: new.cpuset_mems.clone().or(old.cpuset_mems.clone()),
        pids_limit: new.pids_limit.or(old.pids_limit),
        block_io: block_io(&old.block_io, &new.block_io),
        cpu_rt_period: new.cpu_rt_period.or(old.cpu_rt_period),
        cpu_rt_runtime: new.cpu_rt_runtime.or(old.cpu_rt_runtime),
        bandwidth: old.bandwidth.changed(new.bandwidth),
        ..old.clone()
    })
}

/// A device that is named anew has its new rate; others keep theirs.
fn block_io(old: &BlockIo, new: &BlockIo) -> BlockIo {
    let merged = |old: &[BlockRate], new: &[BlockRate]| -> Vec<BlockRate> {
        let again = |rate: &BlockRate| new.iter().any(|new| new.path == rate.path);
        let kept = old.iter().filter(|rate| !again(rate));
        kept.chain(new).cloned().collect()
    };
    BlockIo {
        weight: new.weight.or(old.weight),
        weight_device: merged(&old.weight_device, &new.weight_device),
        read_bps: merged(&old.read_bps, &new.read_bps),
        write_bps: merged(&old.write_bps, &new.write_bps),
        read_iops: merged(&old.read_iops, &new.read_iops),
        write_iops: merged(&old.write_iops, &new.write_iops),
    }
}

/// Processors are limited in one way or the other.
fn excluded(old: &Resources, new: &Resources) -> Result<(), check::Limit> {
    const NANO: &str = "Nano CPUs";
    // In Docker's words, which write the two differently.
    const ALREADY_NANO: &str = "NanoCPUs";
    const PERIOD: &str = "CPU Period";
    const QUOTA: &str = "CPU Quota";
    let pairs = [
        (
            new.nano_cpus.is_some() && old.cpu_period.is_some(),
            NANO,
            PERIOD,
        ),
        (
            new.nano_cpus.is_some() && old.cpu_quota.is_some(),
            NANO,
            QUOTA,
        ),
        (
            new.cpu_period.is_some() && old.nano_cpus.is_some(),
            PERIOD,
            ALREADY_NANO,
        ),
        (
            new.cpu_quota.is_some() && old.nano_cpus.is_some(),
            QUOTA,
            ALREADY_NANO,
        ),
    ];
    match pairs.into_iter().find(|(clash, _, _)| *clash) {
        Some((_, new, old)) => Err(check::Limit::Excludes { new, old }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use types::{Bandwidth, Rate};

    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let rate = |bytes| Some(Rate { bytes, burst: None });
        let old = Resources {
            memory: Some(64 << 20),
            cpu_shares: Some(512),
            oom_kill_disable: true,
            bandwidth: Bandwidth {
                ingress: rate(1000),
                egress: rate(2000),
            },
            ..Resources::default()
        };
        let change = Resources {
            pids_limit: Some(5),
            bandwidth: Bandwidth {
                ingress: rate(0),
                egress: rate(3000),
            },
            ..Resources::default()
        };
        let expected = Resources {
            pids_limit: Some(5),
            bandwidth: Bandwidth {
                ingress: None,
                egress: rate(3000),
            },
            ..old.clone()
        };
        assert_eq!(merged(&old, &change).unwrap(), expected);
    }

    #[test]
    fn what_had_no_limit_has_none_again() {
        let old = Resources {
            memory: Some(64 << 20),
            nano_cpus: Some(500_000_000),
            ..Resources::default()
        };
        let new = Resources {
            memory: Some(128 << 20),
            pids_limit: Some(5),
            nano_cpus: Some(700_000_000),
            ..old.clone()
        };
        let lifted = |old: &Resources| lifted_to(("0-3", "0"), old, &new);
        let back = lifted(&old);
        assert_eq!((back.memory, back.pids_limit), (old.memory, Some(-1)));
        assert_eq!((back.cpu_quota, back.nano_cpus), (None, old.nano_cpus));
        let none = lifted(&Resources::default());
        assert_eq!((none.memory, none.memory_swap), (Some(-1), Some(-1)));
        assert_eq!((none.cpu_quota, none.nano_cpus), (Some(-1), None));
    }

    #[test]
    fn processors_and_devices_are_free_again() {
        let rate = |path: &str, value| BlockRate {
            path: path.into(),
            value,
        };
        let with = |cpus: Option<&str>, weight, read_bps| Resources {
            cpuset_cpus: cpus.map(str::to_owned),
            block_io: BlockIo {
                weight,
                read_bps,
                ..BlockIo::default()
            },
            ..Resources::default()
        };
        let new = with(Some("1"), Some(300), vec![rate("/a", 5), rate("/b", 6)]);
        let back = |old: &Resources| lifted_to(("0-3", "0"), old, &new);
        let free = with(Some("0-3"), Some(100), vec![rate("/a", 0), rate("/b", 0)]);
        assert_eq!(back(&Resources::default()), free);
        let old = with(Some("2"), Some(200), vec![rate("/b", 7)]);
        let expected = with(Some("2"), Some(200), vec![rate("/a", 0), rate("/b", 7)]);
        assert_eq!(back(&old), expected);
    }

    #[test]
    fn what_contradicts_what_is_there_is_refused() {
        let with = |change: &dyn Fn(&mut Resources)| {
            let mut resources = Resources::default();
            change(&mut resources);
            resources
        };
        let refused = |old: &Resources, new: &Resources| merged(old, new).unwrap_err().to_string();
        let memory = with(&|r| (r.memory, r.memory_swap) = (Some(64 << 20), Some(96 << 20)));
        let more = with(&|r| r.memory = Some(128 << 20));
        assert!(refused(&memory, &more).contains("already set memoryswap limit"));
        let (nano, quota) = (
            with(&|r| r.nano_cpus = Some(500_000_000)),
            with(&|r| r.cpu_quota = Some(5000)),
        );
        assert_eq!(
            refused(&nano, &quota),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
        );
        assert_eq!(
            refused(&quota, &nano),
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"
        );
    }
}
