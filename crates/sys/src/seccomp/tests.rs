//! Programs run in an interpreter, and what they answer is compared with the rules read naively;
//! some are installed for real.

use proptest::prelude::*;

use super::arch::{Multiplexed, PRIVATE, X32_BIT, lookup};
use super::emit::{AND, IF_AT_LEAST, IF_EQUAL, IF_GREATER, Insn, JUMP, LOAD, RETURN, fits};
use super::*;

/// `struct seccomp_data` without the instruction pointer.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u32,
    audit: u32,
    arguments: [u64; 6],
}

impl Call {
    /// As a machine with this order of bytes has it in memory.
    fn word(&self, at: u32, high_first: bool) -> u32 {
        let order = |mut bytes: Vec<u8>| {
            if high_first {
                bytes.reverse();
            }
            bytes
        };
        let mut bytes = order(self.number.to_le_bytes().to_vec());
        bytes.extend(order(self.audit.to_le_bytes().to_vec()));
        bytes.extend([0; 8]);
        for argument in self.arguments {
            bytes.extend(order(argument.to_le_bytes().to_vec()));
        }
        let at = at as usize;
        let word = order(bytes[at..at + 4].to_vec());
        u32::from_le_bytes(word.try_into().unwrap())
    }
}

/// `BPF_PROG_RUN` of the instructions that the compiler uses.
fn run(program: &Program, call: &Call, host: Arch) -> u32 {
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
            LOAD => register = call.word(value, host.high_half_first()),
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

/// What the kernel sees of the argument decides.
fn holds(condition: &Condition, arguments: &[u64; 6], narrow: u8) -> bool {
    let mut argument = arguments[usize::from(condition.argument)];
    let mut value = condition.value;
    if narrow >> condition.argument & 1 == 1 {
        let fits = fits(value);
        argument &= 0xffff_ffff;
        match condition.compare {
            Compare::MaskedEqual(mask) => {
                return fits && value & !mask == 0 && (argument ^ value) & mask & 0xffff_ffff == 0;
            }
            _ if fits => value &= 0xffff_ffff,
            _ => {}
        }
    }
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

const ALL: [Arch; 9] = [
    Arch::X86_64,
    Arch::X86,
    Arch::X32,
    Arch::Aarch64,
    Arch::Arm,
    Arch::Riscv64,
    Arch::Ppc64le,
    Arch::S390x,
    Arch::Loongarch64,
];

fn kind(call: &Call) -> Option<Arch> {
    let x32 = |arch: &Arch| (*arch == Arch::X32) == (call.number >= X32_BIT);
    let shared = |arch: &Arch| call.audit != Arch::X32.audit() || x32(arch);
    ALL.into_iter()
        .find(|a| a.audit() == call.audit && shared(a))
}

/// Whether a rule decides about a call, read without any thought of speed.
fn decides(rule: &Rule<'_>, call: &Call, arch: Arch) -> Option<bool> {
    let mut about = None;
    let known = rule.names.iter().filter_map(|name| lookup(name));
    for named in known {
        let narrow = |bits| if arch.is_32_bit() { 0x3f } else { bits };
        if arch.number(named) == Some(call.number) {
            let all = |c: &Condition| holds(c, &call.arguments, narrow(named.narrow));
            about = Some(about == Some(true) || rule.conditions.iter().all(all));
        }
        let (by, which) = match named.multiplexed {
            Multiplexed::No => continue,
            Multiplexed::Socket(which) => ("socketcall", which),
            Multiplexed::Ipc(which) => ("ipc", which),
        };
        if arch.number(lookup(by).unwrap()) == Some(call.number) {
            let rest = |c: &Condition| c.argument == 0 || holds(c, &call.arguments, narrow(1));
            let this = call.arguments[0] & 0xffff_ffff == u64::from(which);
            about = Some(about == Some(true) || (this && rule.conditions.iter().all(rest)));
        }
    }
    about
}

/// Whether it decides whatever the arguments are.
fn decides_alone(rule: &Rule<'_>, call: &Call, arch: Arch) -> bool {
    let named = |name: &String| lookup(name).and_then(|named| arch.number(named));
    rule.conditions.is_empty() && rule.names.iter().any(|n| named(n) == Some(call.number))
}

fn naive(filter: &Filter<'_>, call: &Call, host: Arch) -> u32 {
    let listed =
        |a: &Arch| host.family().contains(a) && (filter.architectures.contains(a) || *a == host);
    let same_machine = |a: &Arch| a.audit() == call.audit && listed(a);
    if !ALL.iter().any(same_machine) {
        return Action::KillProcess.code();
    }
    if call.number == u32::MAX {
        return filter.default.code();
    }
    let Some(arch) = kind(call).filter(listed) else {
        return Action::KillProcess.code();
    };
    let effective = || filter.rules.iter().filter(|r| r.action != filter.default);
    let alone = effective().find(|r| decides_alone(r, call, arch));
    let first = || effective().find(|r| decides(r, call, arch) == Some(true));
    if let Some(rule) = alone.or_else(first) {
        return rule.action.code();
    }
    let enosys = filter.unknown_is_enosys && filter.default.refuses();
    if enosys && is_unknown(filter, call, arch) {
        return Action::Errno(38).code();
    }
    filter.default.code()
}

/// Newer than all that is named, private calls aside, and not named itself.
fn is_unknown(filter: &Filter<'_>, call: &Call, arch: Arch) -> bool {
    let names = || filter.rules.iter().flat_map(|r| r.names);
    let mut numbers: Vec<u32> = names()
        .filter_map(|name| arch.number(lookup(name)?))
        .collect();
    numbers.sort_unstable();
    let newest = numbers.iter().filter(|n| **n - arch.base() < PRIVATE).max();
    let setup = arch == Arch::S390x && call.number == 0;
    newest.is_some_and(|n| call.number > *n || setup) && !numbers.contains(&call.number)
}

const NAMES: [&str; 18] = [
    "read",
    "write",
    "open",
    "close",
    "socketcall",
    "socket",
    "sendmsg",
    "ipc",
    "shmget",
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

const VALUES: [u64; 11] = [
    0,
    1,
    2,
    0x7e02_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7fff_ffff_0000_0000,
    23,
    0xffff_ffff_8000_0000,
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
    prop::sample::subsequence(&ALL[..], 0..=ALL.len())
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
    for arch in ALL {
        let named = NAMES.iter().filter_map(|name| arch.number(lookup(name)?));
        let other = [0, 400, 469, 500, 0x3fff_ffff].map(|n| n + arch.base());
        for number in named.chain(other) {
            for number in [number.wrapping_sub(1), number, number + 1] {
                let pick = |n: u64| VALUES[usize::try_from(n % 11).unwrap()];
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

/// More for as long as `cargo xtask fuzz` wants: four hundred take about a second.
fn cases() -> u32 {
    let seconds = std::env::var("BRIG_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse::<u32>().ok());
    seconds.map_or(64, |seconds| seconds.saturating_mul(400))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        ..ProptestConfig::default()
    })]

    #[test]
    fn programs_answer_as_the_rules_say(
        parts in prop::collection::vec(parts(), 0..20),
        default in action(),
        architectures in architectures(),
        host in prop::sample::select(&ALL[..]),
        seed in any::<u64>(),
    ) {
        let filter = filter(&parts, default, architectures);
        let program = filter.compile_on(host).unwrap();
        for call in calls(seed) {
            let (got, expected) = (run(&program, &call, host), naive(&filter, &call, host));
            prop_assert_eq!(got, expected, "{:x?} on {:?}", call, host);
        }
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

/// Many rules with conditions, so that jumps have to reach far.
#[test]
fn long_programs_find_their_way() {
    let known = numbers::CALLS.iter().filter(|call| {
        [Arch::X86_64, Arch::X86]
            .iter()
            .any(|a| a.number(call).is_some())
    });
    let all: Vec<String> = known.map(|call| call.name.to_owned()).collect();
    let parts: Vec<Parts> = (0..60_u64)
        .map(|n| {
            let value = VALUES[usize::try_from(n % 11).unwrap()];
            let condition = Condition {
                argument: u8::try_from(n % 3).unwrap(),
                compare: Compare::Equal,
                value,
            };
            let at = usize::try_from(n * 7).unwrap();
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
    let host = Arch::X86_64;
    let program = filter.compile_on(host).unwrap();
    assert!(program.len() > 1000, "{}", program.len());
    for (audit, base) in [(0xc000_003e, 0), (0xc000_003e, X32_BIT), (0x4000_0003, 0)] {
        for number in 0..480 {
            for value in [
                VALUES[number as usize % 11],
                VALUES[number as usize / 8 % 11],
            ] {
                let call = Call {
                    number: base + number,
                    audit,
                    arguments: [value; 6],
                };
                let (got, expected) = (run(&program, &call, host), naive(&filter, &call, host));
                assert_eq!(got, expected, "{call:x?}");
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
    let (few, persona, share, parent) = (
        names(&["getpriority"]),
        names(&["personality"]),
        names(&["unshare"]),
        names(&["getppid"]),
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
            rule(&parent, Action::Errno(8), vec![equal(0x1_0000_0001)]),
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
                // The kernel reads 32 bits of it.
                errno_of(libc::SYS_personality, 0x1_ffff_ffff),
                errno_of(libc::SYS_getppid, 0x1_0000_0001),
                errno_of(libc::SYS_getppid, 1),
                errno_of(libc::SYS_unshare, 0),
                errno_of(libc::SYS_getppid, 0),
            ]
        });
        tried.join().unwrap()
    });
    assert_eq!(errors, [38, 7, 7, 8, 0, 1, 0]);
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
