//! `linux.seccomp` in the words of `sys::seccomp`.

use std::os::fd::OwnedFd;

use oci_spec::runtime::{
    Linux, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall, Spec,
};
use serde_json::{Value, json};
use sys::seccomp::{Action, Arch, Compare, Condition, Filter, Flags, Rule};

use crate::error::Error;
use crate::supervisor::Supervisor;

/// A compiled filter and how it is installed.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    program: sys::seccomp::Program,
    flags: Flags,
    /// Who decides about the calls that the filter leaves open; none if it leaves none.
    pub(crate) supervisor: Option<Supervisor>,
    /// Whether sendmsg(2) is such a call: then the process cannot speak by it until somebody
    /// decides.
    pub(crate) sends_are_supervised: bool,
}

impl Program {
    /// Puts the calling process under the filter. Gives the listener of a supervised one.
    pub(crate) fn install(&self) -> Result<Option<OwnedFd>, sys::seccomp::Error> {
        self.program.install(self.flags)
    }
}

/// A filter that was compiled elsewhere, once for many containers: to compile Docker's takes a third of a
/// millisecond, and to read it in a configuration a tenth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledFilter {
    program: sys::seccomp::Program,
    flags: Flags,
}

impl CompiledFilter {
    /// Compiles it (linux.seccomp). None of one that lets everything through, or that leaves calls to somebody.
    pub fn compile(filter: &LinuxSeccomp) -> Result<Option<Self>, Error> {
        Ok(
            compiled(filter)?.and_then(|program| match program.supervisor {
                None => Some(Self {
                    program: program.program,
                    flags: program.flags,
                }),
                Some(_) => None,
            }),
        )
    }

    /// Its flags, as `linux/seccomp.h` has them, and its program, for another process of this machine.
    pub fn to_parts(&self) -> Option<(u32, Vec<u8>)> {
        Some((self.flags.bits(), self.program.to_bytes()?))
    }

    /// From [`CompiledFilter::to_parts`]; none where they are something else.
    pub fn from_parts(flags: u32, program: &[u8]) -> Option<Self> {
        Some(Self {
            program: sys::seccomp::Program::from_bytes(program)?,
            flags: Flags::from_bits(flags)?,
        })
    }
}

/// The filter that was compiled elsewhere, or the configuration's.
pub(crate) fn given_or_compiled(
    given: Option<&CompiledFilter>,
    linux: &Linux,
) -> Result<Option<Program>, Error> {
    match given {
        Some(given) => Ok(Some(Program {
            program: given.program.clone(),
            flags: given.flags,
            supervisor: None,
            sends_are_supervised: false,
        })),
        None => compile(linux),
    }
}

/// The filter, compiled once and used for every process of the container.
pub(crate) fn compile(linux: &Linux) -> Result<Option<Program>, Error> {
    linux.seccomp().as_ref().map_or(Ok(None), compiled)
}

fn compiled(seccomp: &LinuxSeccomp) -> Result<Option<Program>, Error> {
    let filter = Filter {
        default: action(seccomp.default_action(), seccomp.default_errno_ret())?,
        architectures: architectures(seccomp),
        rules: rules(seccomp)?,
        // A program that tries a call newer than the profile shall take it for an old kernel.
        unknown_is_enosys: true,
    };
    let supervisor = supervisor(seccomp, &filter)?;
    let flags = flags(seccomp)?;
    // A filter that lets everything through is none, and costs nothing.
    if filter.default == Action::Allow && filter.rules.is_empty() {
        return Ok(None);
    }
    let program = filter
        .compile()
        .map_err(|source| Error::Seccomp { source })?;
    Ok(Some(Program {
        program,
        flags,
        supervisor,
        sends_are_supervised: is_supervised(&filter, "sendmsg"),
    }))
}

/// The numeric value of the flags with which the configuration's filter is installed, as
/// `linux/seccomp.h` has them. None without a filter.
pub fn seccomp_flags(spec: &Spec) -> Option<u32> {
    let seccomp = spec.linux().as_ref()?.seccomp().as_ref()?;
    Some(flag_bits(seccomp).bits())
}

/// What the features document says of filters.
pub(crate) fn features() -> Value {
    let flags = |known: &dyn Fn(Flags) -> bool| -> Vec<&str> {
        let listed = FLAGS.iter().filter(|(_, flag)| known(*flag));
        listed.map(|(name, _)| *name).collect()
    };
    json!({
        "enabled": true,
        "actions": ACTIONS,
        "operators": OPERATORS,
        "archs": ARCHS,
        "knownFlags": flags(&|_| true),
        // Those that any filter may have: the one that is left out needs one that asks somebody.
        "supportedFlags": flags(&|flag| flag != Flags::WAIT_KILLABLE_RECV && flag.check().is_ok()),
    })
}

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// What is understood: for those whose programs cannot run here there is nothing to do.
const ARCHS: [&str; 24] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_NATIVE",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

/// By the names of the specification. Synchronising threads is nothing: there is one.
const FLAGS: [(&str, Flags); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", Flags::empty()),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", Flags::SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_LOG", Flags::LOG),
    (
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        Flags::WAIT_KILLABLE_RECV,
    ),
];

/// Who gets the listener. Refuses what could never be decided: the supervisor has to hear of the
/// filter from the process that is under it.
fn supervisor(seccomp: &LinuxSeccomp, filter: &Filter<'_>) -> Result<Option<Supervisor>, Error> {
    let refused =
        |field: &str, reason: &str| Err(Error::invalid(format!("linux.seccomp.{field}"), reason));
    let named = Supervisor::named(seccomp);
    if named.is_none() && seccomp.listener_metadata().is_some() {
        return refused("listenerMetadata", "is set, but listenerPath is not");
    }
    if filter.default == Action::Notify {
        let reason = "SCMP_ACT_NOTIFY cannot be used as default action";
        return refused("defaultAction", reason);
    }
    if is_supervised(filter, "write") {
        let reason = "SCMP_ACT_NOTIFY cannot be used for the write syscall";
        return refused("syscalls", reason);
    }
    if !filter.rules.iter().any(|r| r.action == Action::Notify) {
        return Ok(None);
    }
    match named {
        Some(named) => Ok(Some(named)),
        None => refused("listenerPath", "is not set, but a rule has SCMP_ACT_NOTIFY"),
    }
}

fn is_supervised(filter: &Filter<'_>, name: &str) -> bool {
    let mut notifying = filter.rules.iter().filter(|r| r.action == Action::Notify);
    notifying.any(|rule| rule.names.iter().any(|n| n == name))
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
        if names.is_empty() {
            let reason = "names: must name a system call";
            return Err(Error::invalid("linux.seccomp.syscalls", reason));
        }
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
    let takes_number = matches!(
        action,
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace
    );
    if let (false, Some(number)) = (takes_number, number) {
        let reason = format!("{number} is set, but {action} returns no error number");
        return Err(Error::invalid("linux.seccomp errnoRet", reason));
    }
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
        LinuxSeccompAction::ScmpActNotify => Action::Notify,
    })
}

fn flags(seccomp: &LinuxSeccomp) -> Result<Flags, Error> {
    let flags = flag_bits(seccomp);
    // Every kernel that has what a container needs has the others.
    let newer = flags & Flags::WAIT_KILLABLE_RECV;
    if !newer.is_empty() {
        newer.check().map_err(|source| Error::Seccomp { source })?;
    }
    Ok(flags)
}

/// Who names no flags gets what runc gives: no mitigation that costs every call of the container.
fn flag_bits(seccomp: &LinuxSeccomp) -> Flags {
    let Some(named) = seccomp.flags() else {
        return Flags::SPEC_ALLOW;
    };
    let flag = |flag: &LinuxSeccompFilterFlag| match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => Flags::LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => Flags::SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => Flags::WAIT_KILLABLE_RECV,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => Flags::empty(),
    };
    named
        .iter()
        .map(flag)
        .fold(Flags::empty(), |all, one| all | one)
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
    fn what_was_compiled_elsewhere_takes_the_place_of_the_configurations() {
        let filter = |name: &str| {
            let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{"names": ["NAME"], "action": "SCMP_ACT_ERRNO"}]}"#;
            seccomp(&text.replace("NAME", name))
        };
        let mut linux = Linux::default();
        linux.set_seccomp(Some(filter("chown")));
        let given = CompiledFilter::compile(&filter("chmod")).unwrap().unwrap();
        let (flags, program) = given.to_parts().unwrap();
        assert_eq!(
            CompiledFilter::from_parts(flags, &program),
            Some(given.clone())
        );
        assert_eq!(CompiledFilter::from_parts(flags, &program[1..]), None);
        assert_eq!(CompiledFilter::from_parts(1 << 30, &program), None);
        let shown = |given| format!("{:?}", given_or_compiled(given, &linux).unwrap());
        let own = shown(None);
        assert_eq!(own, format!("{:?}", compile(&linux).unwrap()));
        let others = shown(Some(&given));
        linux.set_seccomp(Some(filter("chmod")));
        assert_eq!(others, format!("{:?}", compile(&linux).unwrap()));
        assert_ne!(own, others);
    }

    fn refusal(text: &str) -> String {
        let mut linux = Linux::default();
        linux.set_seccomp(Some(seccomp(text)));
        compile(&linux).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let table = [
            (
                r#"{"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/a"}"#,
                "defaultAction: SCMP_ACT_NOTIFY cannot be used as default action",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/a", "syscalls": [
                    {"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}]}"#,
                "syscalls: SCMP_ACT_NOTIFY cannot be used for the write syscall",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "", "syscalls": [
                    {"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}"#,
                "listenerPath: is not set, but a rule has SCMP_ACT_NOTIFY",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "m"}"#,
                "listenerMetadata: is set, but listenerPath is not",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": [], "action": "SCMP_ACT_KILL"}]}"#,
                "syscalls: names: must name a system call",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 7}"#,
                "7 is set, but SCMP_ACT_KILL returns no error number",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 70000}"#,
                "70000 is no error number, 0 to 4095 are",
            ),
        ];
        for (text, reason) in table {
            let refusal = refusal(text);
            assert!(refusal.ends_with(reason), "{refusal}");
        }
    }

    #[test]
    fn flags_are_those_named_or_one() {
        let bits = |flags: &str| {
            let text = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO"{flags}}}"#);
            flag_bits(&seccomp(&text)).bits()
        };
        assert_eq!(bits(""), 4);
        assert_eq!(bits(r#", "flags": []"#), 0);
        let two = r#", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]"#;
        assert_eq!(bits(two), 2);
        let killable = r#", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]"#;
        assert_eq!(bits(killable), 32);
    }
}
