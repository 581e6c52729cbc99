//! From rules to ranges of numbers with the same verdict.

use super::arch::{self, Arch, Call, Multiplexed, PRIVATE, X32_BIT};
use super::emit::{self, Emitter};
use super::{Action, Error, Filter, Program, Rule};

/// What comes of a call number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Always the same.
    Fixed(u32),
    /// That of the first of these whose conditions hold, else the default.
    First(Vec<Case>),
}

/// A rule as it is for one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    /// The rule's place in the list.
    pub(super) rule: usize,
    /// The arguments that the kernel reads 32 bits of at most, as bits.
    pub(super) narrow: u8,
    /// The number is that of a call which stands for many: the rule is about the one that this
    /// first argument means. The kernel finds that one's own first argument elsewhere.
    pub(super) multiplexed: Option<u8>,
}

/// From this number on, up to the next range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) verdict: Verdict,
}

const ENOSYS: u16 = 38;
const MAX_ERRNO: u16 = 4095;
const ALL_NARROW: u8 = 0x3f;

impl Filter<'_> {
    /// Makes the program. Pure.
    pub fn compile(&self) -> Result<Program, Error> {
        self.compile_on(Arch::native().ok_or(Error::UnknownMachine)?)
    }

    /// The same for any machine: its own calls and those of its kin. Programs of others cannot run
    /// there, and no code is made for them.
    pub(super) fn compile_on(&self, host: Arch) -> Result<Program, Error> {
        self.check()?;
        let numbered = self.numbered();
        let mut emitter = Emitter::new(&self.rules, self.default.code());
        let listed = |arch: &Arch| *arch == host || self.architectures.contains(arch);
        let archs: Vec<Arch> = host.family().iter().copied().filter(listed).collect();
        // The host is asked for first, so its tree comes last in the making.
        let mut audits: Vec<u32> = archs.iter().map(|a| a.audit()).collect();
        audits.sort_unstable_by_key(|audit| (*audit == host.audit(), *audit));
        audits.dedup();
        let trees: Vec<(u32, emit::Label)> = audits
            .into_iter()
            .map(|audit| {
                let ranges = self.ranges(audit, &archs, host, &numbered);
                (audit, emitter.tree(&ranges, host.high_half_first()))
            })
            .collect();
        emitter.finish(&trees, Action::KillProcess.code())
    }

    fn check(&self) -> Result<(), Error> {
        let actions = self.rules.iter().map(|r| r.action).chain([self.default]);
        for action in actions {
            if let Action::Errno(errno) = action
                && errno > MAX_ERRNO
            {
                return Err(Error::ErrorNumber(errno));
            }
        }
        let mut conditions = self.rules.iter().flat_map(|r| &r.conditions);
        match conditions.find(|c| c.argument > 5) {
            Some(condition) => Err(Error::Argument(condition.argument)),
            None => Ok(()),
        }
    }

    /// The calls that rules are about, with each rule's place. Names that no machine here has are
    /// passed over.
    fn numbered(&self) -> Vec<(&'static Call, usize)> {
        let mut numbered = Vec::with_capacity(512);
        for (at, rule) in self.rules.iter().enumerate() {
            let calls = rule.names.iter().filter_map(|name| arch::lookup(name));
            numbered.extend(calls.map(|call| (call, at)));
        }
        numbered
    }

    /// The ranges of one machine: of its own calls and, on x86, of x32's above them.
    fn ranges(
        &self,
        audit: u32,
        archs: &[Arch],
        host: Arch,
        numbered: &[(&Call, usize)],
    ) -> Vec<Range> {
        let mut ranges = Ranges::default();
        for own in host.family().iter().filter(|own| own.audit() == audit) {
            if archs.contains(own) {
                self.of_arch(*own, numbered, &mut ranges);
            } else {
                ranges.push(own.base(), Verdict::Fixed(Action::KillProcess.code()));
            }
        }
        // A tracer that cancels a call sets its number to -1; that is no call of another machine.
        ranges.push(u32::MAX, Verdict::Fixed(self.default.code()));
        ranges.0
    }

    fn of_arch(&self, arch: Arch, numbered: &[(&Call, usize)], ranges: &mut Ranges) {
        let calls = cases(arch, numbered);
        let named = numbered.iter().filter_map(|(call, _)| arch.number(call));
        let newest = named.filter(|n| n - arch.base() < PRIVATE).max();
        let unknown = self.unknown();
        let gap = |number: u32| match newest {
            Some(newest) if number > newest => unknown.clone(),
            _ => Verdict::Fixed(self.default.code()),
        };
        let mut next = arch.base();
        // What is left of a call whose number the kernel does not know: the old call of number 0.
        if arch == Arch::S390x && newest.is_some() {
            ranges.push(next, unknown.clone());
            next += 1;
        }
        for call in calls.chunk_by(|a, b| a.0 == b.0) {
            let number = call[0].0;
            if number > next {
                ranges.push(next, gap(next));
            }
            ranges.push(number, self.verdict(call));
            next = number + 1;
        }
        ranges.push(next, gap(next));
    }

    /// What happens to calls that no rule can have known.
    fn unknown(&self) -> Verdict {
        let enosys = self.unknown_is_enosys && self.default.refuses();
        let action = if enosys {
            Action::Errno(ENOSYS)
        } else {
            self.default
        };
        Verdict::Fixed(action.code())
    }

    /// What the rules about one number come to.
    fn verdict(&self, call: &[(u32, Case)]) -> Verdict {
        let mut first = Vec::new();
        for (_, case) in call {
            let rule: &Rule<'_> = &self.rules[case.rule];
            // A rule that says what the default says changes nothing, as with libseccomp.
            if rule.action == self.default {
                continue;
            }
            if rule.conditions.is_empty() && case.multiplexed.is_none() {
                return Verdict::Fixed(rule.action.code());
            }
            first.push(*case);
        }
        match first.is_empty() {
            true => Verdict::Fixed(self.default.code()),
            false => Verdict::First(first),
        }
    }
}

/// What the rules are about on one machine, by number and then in the rules' order.
fn cases(arch: Arch, numbered: &[(&Call, usize)]) -> Vec<(u32, Case)> {
    let [socket, ipc] = ["socketcall", "ipc"].map(|name| arch.number(arch::lookup(name)?));
    let mut cases = Vec::with_capacity(numbered.len() + 32);
    for (call, rule) in numbered {
        let case = |narrow, multiplexed| Case {
            rule: *rule,
            narrow: if arch.is_32_bit() { ALL_NARROW } else { narrow },
            multiplexed,
        };
        if let Some(number) = arch.number(call) {
            cases.push((number, case(call.narrow, None)));
        }
        let by = match call.multiplexed {
            Multiplexed::No => None,
            Multiplexed::Socket(which) => socket.zip(Some(which)),
            Multiplexed::Ipc(which) => ipc.zip(Some(which)),
        };
        if let Some((number, which)) = by {
            cases.push((number, case(1, Some(which))));
        }
    }
    cases.sort_unstable();
    cases
}

/// Ranges in order; neighbours with the same verdict are one.
#[derive(Default)]
struct Ranges(Vec<Range>);

impl Ranges {
    fn push(&mut self, start: u32, verdict: Verdict) {
        debug_assert!(start <= X32_BIT || !self.0.is_empty());
        if self.0.last().is_none_or(|last| last.verdict != verdict) {
            self.0.push(Range { start, verdict });
        }
    }
}
