//! Changing the resources of a container that runs. Pure.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

/// Takes over, from one part to the same part of another, what is given.
macro_rules! take_over {
    ($new:expr => $old:expr, $($get:ident $set:ident),+ $(,)?) => {
        $(if $new.$get().is_some() {
            $old.$set($new.$get().clone());
        })+
    };
}

/// The same of numbers that say nothing when they are zero.
macro_rules! take_over_numbers {
    ($new:expr => $old:expr, $($get:ident $set:ident),+ $(,)?) => {
        $(if $new.$get().is_some_and(|number| number != 0) {
            $old.$set($new.$get());
        })+
    };
}

/// What the container has from now on: `old` with what `new` says. Devices are not taken over: they
/// stay as they are.
pub fn merge(old: &LinuxResources, new: &LinuxResources) -> LinuxResources {
    let mut merged = old.clone();
    merged.set_devices(None);
    if let Some(new) = new.cpu() {
        let mut cpu = old.cpu().clone().unwrap_or_default();
        merge_cpu(&mut cpu, new);
        merged.set_cpu(Some(cpu));
    }
    if let Some(new) = new.memory() {
        let mut memory = (*old.memory()).unwrap_or_default();
        merge_memory(&mut memory, new);
        merged.set_memory(Some(memory));
    }
    if let Some(new) = new.pids() {
        let mut pids = LinuxPids::default();
        pids.set_limit(new.limit());
        merged.set_pids(Some(pids));
    }
    if let Some(new) = new.block_io() {
        let mut io = old.block_io().clone().unwrap_or_default();
        merge_block_io(&mut io, new);
        merged.set_block_io(Some(io));
    }
    take_over!(new => merged,
        hugepage_limits set_hugepage_limits,
        rdma set_rdma,
        network set_network,
        unified set_unified,
    );
    merged
}

fn merge_cpu(old: &mut LinuxCpu, new: &LinuxCpu) {
    // Who is idle has no shares: to ask for some is to ask for an end of that.
    if old.idle() == Some(1) && new.shares().is_some_and(|shares| shares != 0) {
        old.set_idle(Some(0));
    }
    take_over_numbers!(new => old,
        shares set_shares,
        quota set_quota,
        period set_period,
        realtime_runtime set_realtime_runtime,
        realtime_period set_realtime_period,
    );
    take_over!(new => old,
        burst set_burst,
        cpus set_cpus,
        mems set_mems,
        idle set_idle,
    );
}

fn merge_memory(old: &mut LinuxMemory, new: &LinuxMemory) {
    // Unlimited memory with a limit of both would be none: without a word about swap it goes too.
    if new.limit() == Some(-1) && new.swap().is_none() {
        old.set_swap(None);
    }
    take_over_numbers!(new => old,
        limit set_limit,
        reservation set_reservation,
        swap set_swap,
        kernel_tcp set_kernel_tcp,
    );
    take_over!(new => old,
        swappiness set_swappiness,
        disable_oom_killer set_disable_oom_killer,
        check_before_update set_check_before_update,
    );
}

fn merge_block_io(old: &mut LinuxBlockIo, new: &LinuxBlockIo) {
    take_over_numbers!(new => old,
        weight set_weight,
        leaf_weight set_leaf_weight,
    );
    take_over!(new => old,
        weight_device set_weight_device,
        throttle_read_bps_device set_throttle_read_bps_device,
        throttle_write_bps_device set_throttle_write_bps_device,
        throttle_read_iops_device set_throttle_read_iops_device,
        throttle_write_iops_device set_throttle_write_iops_device,
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn merged(old: Value, new: Value) -> Value {
        let read = |value| serde_json::from_value(value).unwrap();
        serde_json::to_value(merge(&read(old), &read(new))).unwrap()
    }

    #[test]
    fn what_is_not_given_stays() {
        let old = json!({
            "devices": [{"allow": false, "access": "rwm"}],
            "cpu": {"quota": 50000, "period": 100_000},
            "memory": {"limit": 100, "swap": 200},
        });
        let new = json!({"cpu": {"quota": 20000, "period": 0}, "pids": {"limit": 5}});
        assert_eq!(
            merged(old, new),
            json!({
                "cpu": {"quota": 20000, "period": 100_000},
                "memory": {"limit": 100, "swap": 200},
                "pids": {"limit": 5},
            })
        );
    }

    #[test]
    fn shares_end_idleness() {
        let old = || json!({"cpu": {"idle": 1}});
        let both = json!({"cpu": {"idle": 1, "shares": 200}});
        assert_eq!(merged(old(), both.clone()), both);
        let shares = json!({"cpu": {"shares": 200}});
        let wanted = json!({"cpu": {"idle": 0, "shares": 200}});
        assert_eq!(merged(old(), shares), wanted);
    }

    #[test]
    fn unlimited_memory_unlimits_swap() {
        let old = json!({"memory": {"limit": 100, "swap": 200}});
        let new = json!({"memory": {"limit": -1}});
        assert_eq!(merged(old, new), json!({"memory": {"limit": -1}}));
    }
}
