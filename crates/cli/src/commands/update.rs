//! `update`

use api::convert::update_request;
use types::{Bandwidth, BlockIo, Resources};

use super::Context;
use crate::args::containers::UpdateArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: UpdateArgs, context: Context) -> Result<u8, CliError> {
    let change = change(&args)?;
    if change == Resources::default() && args.restart.is_none() {
        return Err(CliError::Invalid(
            "you must provide one or more flags when using this command".to_owned(),
        ));
    }
    let mut request = update_request(&change);
    if let Some(policy) = args.restart {
        request.restart_policy = api::wire::RestartPolicy {
            name: policy.name().to_owned(),
            maximum_retry_count: policy.times().into(),
        };
    }
    context.daemon.connect().await?;
    let mut code = 0;
    let mut warnings = Vec::new();
    for name in &args.names {
        match context.daemon.client.container_update(name, &request).await {
            Ok(answer) => {
                print::out(&format!("{name}\n"))?;
                warnings.extend(answer.warnings.unwrap_or_default());
            }
            Err(error) => {
                print::complain(&CliError::from(error).to_string());
                code = 1;
            }
        }
    }
    for warning in warnings {
        print::complain(&format!("WARNING: {warning}"));
    }
    Ok(code)
}

fn change(args: &UpdateArgs) -> Result<Resources, CliError> {
    let unsigned = |name: &str, value: Option<i64>| {
        let number = value.map(u64::try_from).transpose();
        number.map_err(|_| CliError::Invalid(format!("--{name} cannot be negative")))
    };
    Ok(Resources {
        memory: args.memory,
        memory_swap: args.memory_swap,
        memory_reservation: args.memory_reservation,
        nano_cpus: args.cpus,
        cpu_shares: unsigned("cpu-shares", args.cpu_shares)?,
        cpu_period: unsigned("cpu-period", args.cpu_period)?,
        cpu_quota: args.cpu_quota,
        cpuset_cpus: args.cpuset_cpus.clone(),
        cpuset_mems: args.cpuset_mems.clone(),
        pids_limit: args.pids_limit,
        block_io: BlockIo {
            weight: args.blkio_weight,
            ..BlockIo::default()
        },
        cpu_rt_period: unsigned("cpu-rt-period", args.cpu_rt_period)?,
        cpu_rt_runtime: args.cpu_rt_runtime,
        bandwidth: Bandwidth {
            ingress: args.net_ingress,
            egress: args.net_egress,
        },
        ..Resources::default()
    })
}
