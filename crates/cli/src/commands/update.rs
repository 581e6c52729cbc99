//! `update`

use std::collections::BTreeMap;

use api::convert::update_request;
use types::{Bandwidth, BlockIo, ContainerChange, Resources, RestartPolicy};

use super::Context;
use crate::args::containers::UpdateArgs;
use crate::args::values::EnvFlag;
use crate::error::CliError;
use crate::print;
use crate::resolve::{Surroundings, restart_policy, typed_mounts};

pub(super) async fn run(args: UpdateArgs, context: Context) -> Result<u8, CliError> {
    let change = Context::surroundings(|around| change(&args, around))?;
    if change.is_empty() {
        return Err(CliError::Invalid(
            "you must provide one or more flags when using this command".to_owned(),
        ));
    }
    let request = update_request(&change);
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

fn change(args: &UpdateArgs, around: &Surroundings<'_>) -> Result<ContainerChange, CliError> {
    Ok(ContainerChange {
        resources: resources(args)?,
        restart: args.restart.as_deref().map(restart).transpose()?,
        labels: labels(args)?,
        env: environment(args, around)?,
        publish: args.publish_add.concat(),
        unpublish: args.publish_rm.concat(),
        mount: typed_mounts(&args.mount_add, &around.cwd),
        unmount: args.mount_rm.clone(),
    })
}

/// Where Docker's daemon says of an update's policy what it is of.
fn restart(text: &str) -> Result<RestartPolicy, CliError> {
    restart_policy(text).map_err(|error| match error {
        CliError::Daemon { message, kind } => CliError::Daemon {
            message: format!("invalid HostConfig.RestartPolicy: {message}"),
            kind,
        },
        other => other,
    })
}

type Named = BTreeMap<String, Option<String>>;

fn labels(args: &UpdateArgs) -> Result<Named, CliError> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), Some(value.to_owned()))
    };
    let set = args.label_add.iter().map(pair).collect();
    and_without("label", set, &args.label_rm)
}

fn environment(args: &UpdateArgs, around: &Surroundings<'_>) -> Result<Named, CliError> {
    let mut set = Named::new();
    for flag in &args.env_add {
        let (name, value) = match flag {
            EnvFlag::Set(text) => text.split_once('=').unwrap_or((text, "")),
            EnvFlag::Inherit(name) => (name.as_str(), ""),
        };
        let value = match flag {
            EnvFlag::Set(_) => value.to_owned(),
            EnvFlag::Inherit(name) => (around.env)(name).ok_or_else(|| {
                CliError::Invalid(format!(
                    "--env-add {name}: it has no value here: {name}=VALUE is expected, or \
                     --env-rm {name} to take it away"
                ))
            })?,
        };
        set.insert(name.to_owned(), Some(value));
    }
    and_without("env", set, &args.env_rm)
}

/// What is set, and what goes.
fn and_without(flag: &str, set: Named, gone: &[String]) -> Result<Named, CliError> {
    if let Some(both) = gone.iter().find(|name| set.contains_key(*name)) {
        return Err(CliError::Invalid(format!(
            "conflicting options: --{flag}-add and --{flag}-rm cannot both name {both}"
        )));
    }
    let gone = gone.iter().map(|name| (name.clone(), None));
    Ok(set.into_iter().chain(gone).collect())
}

fn resources(args: &UpdateArgs) -> Result<Resources, CliError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::tests::with;

    fn named(args: &UpdateArgs) -> Result<String, String> {
        with(&[], |around| match change(args, around) {
            Ok(change) => Ok(format!("{:?} {:?}", change.labels, change.env)),
            Err(error) => Err(error.to_string()),
        })
    }

    #[test]
    fn labels_and_variables_are_set_or_go() {
        let all = named(&UpdateArgs {
            label_add: vec!["a=1".into(), "b".into()],
            label_rm: vec!["c".into()],
            env_add: vec![
                EnvFlag::Set("A=x=y".into()),
                EnvFlag::Inherit("HOME".into()),
            ],
            env_rm: vec!["B".into()],
            ..UpdateArgs::default()
        });
        assert_eq!(
            all.unwrap(),
            r#"{"a": Some("1"), "b": Some(""), "c": None} {"A": Some("x=y"), "B": None, "HOME": Some("/root")}"#
        );
        let unknown = named(&UpdateArgs {
            env_add: vec![EnvFlag::Inherit("NOT_SET".into())],
            ..UpdateArgs::default()
        });
        assert!(unknown.unwrap_err().contains("NOT_SET=VALUE is expected"));
        let both = named(&UpdateArgs {
            label_add: vec!["a=1".into()],
            label_rm: vec!["a".into()],
            ..UpdateArgs::default()
        });
        let expected = "conflicting options: --label-add and --label-rm cannot both name a";
        assert_eq!(both.unwrap_err(), expected);
    }
}
