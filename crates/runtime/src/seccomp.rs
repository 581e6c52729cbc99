//! `linux.seccomp` in the words of `sys::seccomp`.

use oci_spec::runtime::{
    Linux, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use sys::seccomp::{Action, Arch, Compare, Condition, Filter, Flags, Rule};

use crate::error::Error;

/// A compiled filter and how it is installed.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    program: sys::seccomp::Program,
    flags: Flags,
}

impl Program {
    /// Puts the calling process under the filter.
    pub(crate) fn install(&self) -> Result<(), sys::seccomp::Error> {
        self.program.install(self.flags).map(drop)
    }
}

/// The filter, compiled once and used for every process of the container.
pub(crate) fn compile(linux: &Linux) -> Result<Option<Program>, Error> {
    let Some(seccomp) = linux.seccomp() else {
        return Ok(None);
    };
    let filter = Filter {
        default: action(seccomp.default_action(), seccomp.default_errno_ret())?,
        architectures: architectures(seccomp),
        rules: rules(seccomp)?,
        // A program that tries a call newer than the profile shall take it for an old kernel.
        unknown_is_enosys: true,
    };
    // A filter that lets everything through is none, and costs nothing.
    if filter.default == Action::Allow && filter.rules.is_empty() {
        return Ok(None);
    }
    let program = filter
        .compile()
        .map_err(|source| Error::Seccomp { source })?;
    Ok(Some(Program {
        program,
        flags: flags(seccomp),
    }))
}

/// Those whose programs cannot run here need no rules.
fn architectures(seccomp: &LinuxSeccomp) -> Vec<Arch> {
    let names = seccomp.architectures().iter().flatten();
    names
        .filter_map(|arch| Arch::parse(&arch.to_string()))
        .collect()
}

fn rules(seccomp: &LinuxSeccomp) -> Result<Vec<Rule<'_>>, Error> {
    let mut rules = Vec::new();
    for syscall in seccomp.syscalls().iter().flatten() {
        let action = action(syscall.action(), syscall.errno_ret())?;
        let conditions = conditions(syscall)?;
        let names = syscall.names().as_slice();
        // Two conditions on one argument mean "or", between arguments they mean "and": so it has
        // been since the first runtimes, whose library knows one condition an argument.
        let mut arguments: Vec<_> = conditions.iter().map(|one| one.argument).collect();
        arguments.sort_unstable();
        if arguments.windows(2).any(|pair| pair[0] == pair[1]) {
            let single = |one| Rule {
                names,
                action,
                conditions: vec![one],
            };
            rules.extend(conditions.into_iter().map(single));
        } else {
            rules.push(Rule {
                names,
                action,
                conditions,
            });
        }
    }
    Ok(rules)
}

fn conditions(syscall: &LinuxSyscall) -> Result<Vec<Condition>, Error> {
    syscall.args().iter().flatten().map(condition).collect()
}

fn condition(arg: &LinuxSeccompArg) -> Result<Condition, Error> {
    let argument = u8::try_from(arg.index())
        .map_err(|_| Error::invalid("linux.seccomp.syscalls", "arguments have indices 0 to 5"))?;
    let (compare, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (Compare::NotEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (Compare::Less, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (Compare::LessOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (Compare::Equal, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (Compare::GreaterOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (Compare::Greater, arg.value()),
        // Here the first value is the mask and the second what is compared.
        LinuxSeccompOperator::ScmpCmpMaskedEq => (
            Compare::MaskedEqual(arg.value()),
            arg.value_two().unwrap_or(0),
        ),
    };
    Ok(Condition {
        argument,
        compare,
        value,
    })
}

fn action(action: LinuxSeccompAction, number: Option<u32>) -> Result<Action, Error> {
    let number = match number {
        // "Operation not permitted", as in every runtime.
        None => 1,
        Some(number) => u16::try_from(number).map_err(|_| {
            let reason = format!("{number} is no error number, 0 to 4095 are");
            Error::invalid("linux.seccomp errnoRet", reason)
        })?,
    };
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => {
            Action::KillThread
        }
        LinuxSeccompAction::ScmpActKillProcess => Action::KillProcess,
        LinuxSeccompAction::ScmpActTrap => Action::Trap,
        LinuxSeccompAction::ScmpActErrno => Action::Errno(number),
        LinuxSeccompAction::ScmpActTrace => Action::Trace(number),
        LinuxSeccompAction::ScmpActLog => Action::Log,
        LinuxSeccompAction::ScmpActAllow => Action::Allow,
        LinuxSeccompAction::ScmpActNotify => {
            let reason = "SCMP_ACT_NOTIFY: this runtime hands calls to no supervisor";
            return Err(Error::unsupported("linux.seccomp", reason));
        }
    })
}

/// Synchronising threads is left out: there is one.
fn flags(seccomp: &LinuxSeccomp) -> Flags {
    let flag = |flag: &LinuxSeccompFilterFlag| match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => Flags::LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => Flags::SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv
        | LinuxSeccompFilterFlag::SeccompFilterFlagTsync => Flags::empty(),
    };
    let flags = seccomp.flags().iter().flatten();
    flags.map(flag).fold(Flags::empty(), |all, one| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seccomp(text: &str) -> LinuxSeccomp {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn conditions_on_one_argument_are_alternatives() {
        let seccomp = seccomp(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
                    {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"},
                    {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [
                    {"index": 0, "value": 7, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"},
                    {"index": 1, "value": 1, "op": "SCMP_CMP_NE"}]}]}"#,
        );
        let rules = rules(&seccomp).unwrap();
        let counts: Vec<_> = rules.iter().map(|rule| rule.conditions.len()).collect();
        assert_eq!(counts, [1, 1, 2]);
        assert_eq!(rules[2].conditions[0].compare, Compare::MaskedEqual(7));
    }

    #[test]
    fn supervisors_are_refused_by_name() {
        let notify = action(LinuxSeccompAction::ScmpActNotify, None).unwrap_err();
        assert!(notify.to_string().contains("SCMP_ACT_NOTIFY"));
    }
}
