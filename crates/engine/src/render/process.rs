//! The process: arguments, environment, identity, limits, privileges.

use oci_spec::runtime::{
    BoxBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, User,
};
use types::{ContainerSpec, Ulimit};

use super::capabilities::{self, Set};
use super::environment::environment;
use super::{Error, ExecInput, Identity, RenderInput};

/// Where `brig-init` is inside; Docker's path, which images and scripts know.
pub(super) const INIT: &str = "/sbin/docker-init";

pub(super) fn process(input: &RenderInput<'_>) -> Result<Process, Error> {
    let (spec, resolved) = (input.spec, input.resolved);
    let mut args: Vec<String> = Vec::new();
    if spec.init == Some(true) {
        args.extend([INIT.to_owned(), "--".to_owned()]);
    }
    let command = resolved.entrypoint.iter().chain(&resolved.command);
    args.extend(command.cloned());
    if resolved.entrypoint.is_empty() && resolved.command.is_empty() {
        return Err(Error::NoCommand);
    }
    let common = Common {
        spec,
        identity: &input.identity,
        tty: spec.tty,
        console_size: spec.console_size,
        capabilities: capabilities::of_container(&spec.security, &input.host)?,
    };
    let mut process = common.process()?;
    process.set_args(Some(args));
    process.set_cwd(absolute(&resolved.working_dir).into());
    let env = environment(resolved, &[], spec.tty, &input.identity.home);
    process.set_env(Some(env));
    Ok(process)
}

pub(super) fn exec(input: &ExecInput<'_>) -> Result<Process, Error> {
    let (spec, resolved) = (input.spec, input.resolved);
    if input.command.is_empty() {
        return Err(Error::NoCommand);
    }
    let capabilities = match input.privileged {
        true => capabilities::everything(input.host),
        false => capabilities::of_container(&spec.security, input.host)?,
    };
    let common = Common {
        spec,
        identity: &input.identity,
        tty: input.tty,
        console_size: input.console_size,
        capabilities,
    };
    let mut process = common.process()?;
    process.set_args(Some(input.command.to_vec()));
    let given = input.working_dir.filter(|d| !d.is_empty());
    process.set_cwd(absolute(given.unwrap_or(&resolved.working_dir)).into());
    let env = environment(resolved, input.env, input.tty, &input.identity.home);
    process.set_env(Some(env));
    Ok(process)
}

/// What a container's first process and its exec sessions have in common.
struct Common<'a> {
    spec: &'a ContainerSpec,
    identity: &'a Identity,
    tty: bool,
    console_size: [u16; 2],
    capabilities: Set,
}

impl Common<'_> {
    fn process(&self) -> Result<Process, Error> {
        let mut process = Process::default();
        process.set_terminal(Some(self.tty));
        process.set_console_size(self.console());
        process.set_user(user(self.identity));
        process.set_capabilities(Some(capabilities::sets(
            self.capabilities,
            self.identity.uid,
        )));
        process.set_rlimits(rlimits(&self.spec.resources.ulimits)?);
        process.set_apparmor_profile(self.spec.security.apparmor.clone());
        let no_new = self.spec.security.no_new_privileges;
        process.set_no_new_privileges(Some(no_new.unwrap_or(false)));
        process.set_oom_score_adj(Some(self.spec.resources.oom_score_adj.unwrap_or(0)));
        Ok(process)
    }

    fn console(&self) -> Option<oci_spec::runtime::Box> {
        let [rows, columns] = self.console_size;
        if !self.tty || (rows, columns) == (0, 0) {
            return None;
        }
        BoxBuilder::default()
            .height(rows)
            .width(columns)
            .build()
            .ok()
    }
}

/// The group comes first among the supplementary ones: without it, dropping to another primary
/// group inside would lose what the user's own may read (CVE-2022-2995).
fn user(identity: &Identity) -> User {
    let mut groups = vec![identity.gid];
    for group in &identity.groups {
        if !groups.contains(group) {
            groups.push(*group);
        }
    }
    let mut user = User::default();
    user.set_uid(identity.uid);
    user.set_gid(identity.gid);
    user.set_additional_gids(Some(groups));
    user
}

fn absolute(dir: &str) -> String {
    match dir {
        "" => "/".to_owned(),
        dir if dir.starts_with('/') => dir.to_owned(),
        dir => format!("/{dir}"),
    }
}

/// Of two limits of the same name the later one counts. -1 is no limit.
fn rlimits(ulimits: &[Ulimit]) -> Result<Option<Vec<PosixRlimit>>, Error> {
    let mut limits: Vec<PosixRlimit> = Vec::new();
    for ulimit in ulimits {
        let kind = limit_type(&ulimit.name)?;
        limits.retain(|l| l.typ() != kind);
        let number = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
        let limit = PosixRlimitBuilder::default()
            .typ(kind)
            .soft(number(ulimit.soft))
            .hard(number(ulimit.hard))
            .build()
            .map_err(|_| Error::Ulimit(ulimit.name.clone()))?;
        limits.push(limit);
    }
    Ok((!limits.is_empty()).then_some(limits))
}

fn limit_type(name: &str) -> Result<PosixRlimitType, Error> {
    Ok(match name {
        "as" => PosixRlimitType::RlimitAs,
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        _ => return Err(Error::Ulimit(name.to_owned())),
    })
}
