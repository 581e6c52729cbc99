//! Programs run in an interpreter, and what they answer is compared with the rules read naively;
//! some are installed for real.

use proptest::prelude::*;

use super::arch::{PRIVATE, X32_BIT, lookup};
use super::emit::{AND, IF_AT_LEAST, IF_EQUAL, IF_GREATER, Insn, JUMP, LOAD, RETURN};
use super::*;

/// `struct seccomp_data` without the instruction pointer.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u32,
    audit: u32,
    arguments: [u64; 6],
}

impl Call {
    fn word(&self, at: u32) -> u32 {
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.audit.to_le_bytes());
        for (at, argument) in self.arguments.iter().enumerate() {
            bytes[16 + 8 * at..24 + 8 * at].copy_from_slice(&argument.to_le_bytes());
        }
        let at = at as usize;
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }
}

fn run(program: &Program, call: &Call) -> u32 {
    let mut register = 0;
    let mut at = 0;
    loop {
        let Insn {
            code,
            if_true,
            if_false,
            value,
        } = program.instructions[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { if_true } else { if_false });
        match code {
            LOAD => register = call.word(value),
            AND => register &= value,
            JUMP => at += value as usize,
            IF_EQUAL => at += jump(register == value),
            IF_GREATER => at += jump(register > value),
            IF_AT_LEAST => at += jump(register >= value),
            RETURN => return value,
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn holds(condition: &Condition, arguments: &[u64; 6]) -> bool {
    let argument = arguments[usize::from(condition.argument)];
    let value = condition.value;
    match condition.compare {
        Compare::NotEqual => argument != value,
        Compare::Less => argument < value,
        Compare::LessOrEqual => argument <= value,
        Compare::Equal => argument == value,
        Compare::GreaterOrEqual => argument >= value,
        Compare::Greater => argument > value,
        Compare::MaskedEqual(mask) => argument & mask == value,
    }
}

fn kind(call: &Call) -> Option<Arch> {
    Some(match (call.audit, call.number >= X32_BIT) {
        (0xc000_003e, true) => Arch::X32,
        (0xc000_003e, false) => Arch::X86_64,
        (0x4000_0003, _) => Arch::X86,
        (0xc000_00b7, _) => Arch::Aarch64,
        (0x4000_0028, _) => Arch::Arm,
        _ => return None,
    })
}

fn naive(filter: &Filter<'_>, call: &Call) -> u32 {
    let listed = |a: &Arch| filter.architectures.contains(a) || Arch::native() == Some(*a);
    let same_machine = |a: &Arch| a.audit() == call.audit && listed(a);
    let known = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];
    if !known.iter().any(same_machine) {
        return Action::KillProcess.code();
    }
    if call.number == u32::MAX {
        return filter.default.code();
    }
    let Some(arch) = kind(call).filter(listed) else {
        return Action::KillProcess.code();
    };
    let numbers = |r: &Rule<'_>| -> Vec<u32> {
        let number = |name: &String| arch.number(lookup(name)?);
        r.names.iter().filter_map(number).collect()
    };
    let about: Vec<&Rule<'_>> = filter
        .rules
        .iter()
        .filter(|r| numbers(r).contains(&call.number) && r.action != filter.default)
        .collect();
    let alone = about.iter().find(|r| r.conditions.is_empty());
    let first = || {
        about
            .iter()
            .find(|r| r.conditions.iter().all(|c| holds(c, &call.arguments)))
    };
    if let Some(rule) = alone.or_else(first) {
        return rule.action.code();
    }
    let newest = filter.rules.iter().flat_map(numbers);
    let newest = newest.filter(|n| n - arch.base() < PRIVATE).max();
    let private = filter.rules.iter().flat_map(numbers).max();
    // Between ARM's private calls the default counts; behind the last one, all is new.
    let above = newest.is_some_and(|n| call.number > n);
    let named = filter
        .rules
        .iter()
        .any(|r| numbers(r).contains(&call.number));
    let _ = private;
    if above && !named && filter.unknown_is_enosys && filter.default.refuses() {
        return Action::Errno(38).code();
    }
    filter.default.code()
}

const NAMES: [&str; 14] = [
    "read",
    "write",
    "open",
    "close",
    "socketcall",
    "clone",
    "clone3",
    "personality",
    "set_tls",
    "breakpoint",
    "mseal",
    "ioctl",
    "execve",
    "no_such_call",
];

const VALUES: [u64; 9] = [
    0,
    1,
    2,
    0x7e02_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7fff_ffff_0000_0000,
    u64::MAX,
];

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => Just(Action::Allow),
        3 => (0..=4095_u16).prop_map(Action::Errno),
        1 => Just(Action::Log),
        1 => any::<u16>().prop_map(Action::Trace),
        1 => Just(Action::Notify),
        1 => Just(Action::Trap),
        1 => Just(Action::KillThread),
        1 => Just(Action::KillProcess),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let value = || prop::sample::select(&VALUES[..]);
    let compare = prop_oneof![
        Just(Compare::NotEqual),
        Just(Compare::Less),
        Just(Compare::LessOrEqual),
        Just(Compare::Equal),
        Just(Compare::GreaterOrEqual),
        Just(Compare::Greater),
        value().prop_map(Compare::MaskedEqual),
    ];
    (0..3_u8, compare, value()).prop_map(|(argument, compare, value)| Condition {
        argument,
        compare,
        value,
    })
}

type Parts = (Vec<String>, Action, Vec<Condition>);

fn parts() -> impl Strategy<Value = Parts> {
    let name = prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
    let names = prop::collection::vec(name, 1..5);
    let conditions = prop::collection::vec(condition(), 0..4);
    (names, action(), conditions)
}

fn architectures() -> impl Strategy<Value = Vec<Arch>> {
    let all = vec![Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];
    prop::sample::subsequence(all, 0..=5)
}

fn filter(parts: &[Parts], default: Action, architectures: Vec<Arch>) -> Filter<'_> {
    let rules = parts
        .iter()
        .map(|(names, action, conditions)| Rule {
            names,
            action: *action,
            conditions: conditions.clone(),
        })
        .collect();
    Filter {
        default,
        architectures,
        rules,
        unknown_is_enosys: true,
    }
}

/// Calls that the rules are about, their neighbours and strangers, with telling arguments.
fn calls(seed: u64) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut random = seed | 1;
    let mut next = || {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let archs = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];
    for arch in archs {
        let named = NAMES.iter().filter_map(|name| arch.number(lookup(name)?));
        let other = [0, 400, 469, 500, 0x3fff_ffff].map(|n| n + arch.base());
        for number in named.chain(other) {
            for number in [number.wrapping_sub(1), number, number + 1] {
                let pick = |n: u64| VALUES[usize::try_from(n % 9).unwrap()];
                calls.push(Call {
                    number,
                    audit: arch.audit(),
                    arguments: [pick(next()), pick(next()), pick(next()), 0, 0, 0],
                });
            }
        }
    }
    let stranger = |audit, number| Call {
        number,
        audit,
        arguments: [0; 6],
    };
    calls.extend([stranger(0x8000_0015, 1), stranger(0xc000_003e, u32::MAX)]);
    calls
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        ..ProptestConfig::default()
    })]

    #[test]
    fn programs_answer_as_the_rules_say(
        parts in prop::collection::vec(parts(), 0..20),
        default in action(),
        architectures in architectures(),
        seed in any::<u64>(),
    ) {
        let filter = filter(&parts, default, architectures);
        let program = filter.compile().unwrap();
        for call in calls(seed) {
            let (got, expected) = (run(&program, &call), naive(&filter, &call));
            prop_assert_eq!(got, expected, "{:x?}", call);
        }
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

/// Many rules with conditions, so that jumps have to reach far.
#[test]
fn long_programs_find_their_way() {
    let all: Vec<String> = numbers::NUMBERS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let parts: Vec<Parts> = (0..60_u64)
        .map(|n| {
            let value = VALUES[usize::try_from(n % 9).unwrap()];
            let condition = Condition {
                argument: u8::try_from(n % 3).unwrap(),
                compare: Compare::Equal,
                value,
            };
            let at = usize::try_from(n * 8).unwrap();
            let action = if n % 2 == 0 {
                Action::Allow
            } else {
                Action::Errno(7)
            };
            (all[at..at + 4].to_vec(), action, vec![condition])
        })
        .collect();
    let filter = filter(
        &parts,
        Action::Errno(1),
        vec![Arch::X86_64, Arch::X86, Arch::X32],
    );
    let program = filter.compile().unwrap();
    assert!(program.len() > 1000, "{}", program.len());
    for (audit, base) in [(0xc000_003e, 0), (0xc000_003e, X32_BIT), (0x4000_0003, 0)] {
        for number in 0..480 {
            for value in [VALUES[number as usize % 9], VALUES[number as usize / 8 % 9]] {
                let call = Call {
                    number: base + number,
                    audit,
                    arguments: [value; 6],
                };
                assert_eq!(run(&program, &call), naive(&filter, &call), "{call:x?}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let all = names(&["read"]);
    let condition = |argument| Condition {
        argument,
        compare: Compare::Greater,
        value: 1,
    };
    let rule = |n: u16| Rule {
        names: &all,
        action: Action::Errno(n % 4096),
        conditions: vec![condition(0), condition(1), condition(2)],
    };
    let filter = |rules| Filter {
        default: Action::Allow,
        architectures: Vec::new(),
        rules,
        unknown_is_enosys: true,
    };
    let text = |rules| filter(rules).compile().unwrap_err().to_string();
    let long = text((0..600).map(rule).collect());
    assert!(long.starts_with("the seccomp filter needs "), "{long}");
    assert!(
        long.ends_with(" instructions, the kernel takes 4096"),
        "{long}"
    );
    let seventh = Rule {
        conditions: vec![condition(6)],
        ..rule(1)
    };
    assert_eq!(
        text(vec![seventh]),
        "a seccomp rule is about argument 6; system calls have arguments 0 to 5"
    );
    let large = Rule {
        action: Action::Errno(4096),
        ..rule(1)
    };
    assert!(text(vec![large]).contains("4095 is the greatest"));
}

/// In a thread, which the filter ends with.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_kernel_obeys() {
    let (few, persona, share) = (
        names(&["getpriority"]),
        names(&["personality"]),
        names(&["unshare"]),
    );
    let equal = |value| Condition {
        argument: 0,
        compare: Compare::Equal,
        value,
    };
    let rule = |names, action, conditions| Rule {
        names,
        action,
        conditions,
    };
    let filter = Filter {
        default: Action::Allow,
        architectures: vec![Arch::X86, Arch::X32],
        rules: vec![
            rule(&few, Action::Errno(38), Vec::new()),
            rule(&persona, Action::Errno(7), vec![equal(0xffff_ffff)]),
            rule(
                &persona,
                Action::Errno(8),
                vec![equal(0xffff_ffff_ffff_ffff)],
            ),
            rule(&share, Action::Errno(1), Vec::new()),
        ],
        unknown_is_enosys: true,
    };
    let program = filter.compile().unwrap();
    let errors = std::thread::scope(|scope| {
        let tried = scope.spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            assert!(program.install(Flags::LOG).unwrap().is_none());
            [
                errno_of(libc::SYS_getpriority, 0),
                errno_of(libc::SYS_personality, 0xffff_ffff),
                errno_of(libc::SYS_personality, u64::MAX),
                errno_of(libc::SYS_unshare, 0),
                errno_of(libc::SYS_getppid, 0),
            ]
        });
        tried.join().unwrap()
    });
    assert_eq!(errors, [38, 7, 8, 1, 0]);
}

/// The error number of a call with one argument; zero if it went well.
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "the C library has no wrapper that passes any number"
)]
fn errno_of(number: libc::c_long, argument: u64) -> i32 {
    // SAFETY: the calls made here take numbers only and change nothing of this process' memory.
    let result = unsafe { libc::syscall(number, argument, 0_u64) };
    if result == -1 {
        io::Error::last_os_error().raw_os_error().unwrap()
    } else {
        0
    }
}
