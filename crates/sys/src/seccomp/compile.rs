//! From rules to ranges of numbers with the same verdict.

use super::arch::{self, Arch, PRIVATE, X32_BIT};
use super::emit::{self, Emitter};
use super::{Action, Error, Filter, Program, Rule};

/// What comes of a call number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Always the same.
    Fixed(u32),
    /// That of the first of these rules whose conditions hold, else the default.
    First(Vec<usize>),
}

/// From this number on, up to the next range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) verdict: Verdict,
}

const ENOSYS: u16 = 38;
const MAX_ERRNO: u16 = 4095;

impl Filter<'_> {
    /// Makes the program. Pure.
    pub fn compile(&self) -> Result<Program, Error> {
        self.check()?;
        let native = Arch::native().ok_or(Error::UnknownMachine)?;
        let mut archs = self.architectures.clone();
        archs.push(native);
        archs.sort_unstable();
        archs.dedup();
        let mut emitter = Emitter::new(&self.rules, self.default.code());
        // The native machine is asked for first, so its tree comes last in the making.
        let mut audits: Vec<u32> = archs.iter().map(|a| a.audit()).collect();
        audits.sort_by_key(|a| *a == native.audit());
        audits.dedup();
        let numbered = self.numbered();
        let trees: Vec<(u32, emit::Label)> = audits
            .into_iter()
            .map(|audit| {
                let of: Vec<Arch> = archs
                    .iter()
                    .copied()
                    .filter(|a| a.audit() == audit)
                    .collect();
                (audit, emitter.tree(&self.ranges(&of, &numbered)))
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

    /// The calls that rules other than the default's echo are about, with each rule's place.
    fn numbered(&self) -> Vec<(&'static [i32; 5], usize)> {
        let rules = self.rules.iter().enumerate();
        rules
            .flat_map(|(at, rule)| rule.names.iter().map(move |name| (name, at)))
            .filter_map(|(name, at)| Some((arch::lookup(name)?, at)))
            .collect()
    }

    /// The ranges of one machine: of its own calls and, on x86, of x32's above them.
    fn ranges(&self, archs: &[Arch], numbered: &[(&[i32; 5], usize)]) -> Vec<Range> {
        let default = Verdict::Fixed(self.default.code());
        let mut ranges = Ranges::default();
        for own in [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm] {
            if own.audit() == archs[0].audit() {
                self.of_arch(own, archs.contains(&own), numbered, &mut ranges);
            }
        }
        if archs[0].audit() == Arch::X32.audit() {
            let listed = archs.contains(&Arch::X32);
            self.of_arch(Arch::X32, listed, numbered, &mut ranges);
        }
        // A tracer that cancels a call sets its number to -1; that is no call of another machine.
        ranges.push(u32::MAX, default);
        ranges.0
    }

    fn of_arch(
        &self,
        arch: Arch,
        listed: bool,
        numbered: &[(&[i32; 5], usize)],
        ranges: &mut Ranges,
    ) {
        if !listed {
            let stranger = Verdict::Fixed(Action::KillProcess.code());
            return ranges.push(arch.base(), stranger);
        }
        let mut calls: Vec<(u32, usize)> = numbered
            .iter()
            .filter_map(|(numbers, at)| Some((arch.number(numbers)?, *at)))
            .collect();
        calls.sort_unstable();
        let newest = calls
            .iter()
            .map(|(number, _)| *number)
            .filter(|number| number - arch.base() < PRIVATE)
            .max();
        let unknown = self.unknown();
        let gap = |number: u32| match newest {
            Some(newest) if number > newest => unknown.clone(),
            _ => Verdict::Fixed(self.default.code()),
        };
        let mut next = arch.base();
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
    fn verdict(&self, call: &[(u32, usize)]) -> Verdict {
        // A rule that says what the default says changes nothing, as with libseccomp.
        let about = |(_, at): &(u32, usize)| {
            let rule: &Rule<'_> = &self.rules[*at];
            (rule.action != self.default).then_some((*at, rule))
        };
        let rules: Vec<(usize, &Rule<'_>)> = call.iter().filter_map(about).collect();
        if let Some((_, alone)) = rules.iter().find(|(_, r)| r.conditions.is_empty()) {
            return Verdict::Fixed(alone.action.code());
        }
        match rules.is_empty() {
            true => Verdict::Fixed(self.default.code()),
            false => Verdict::First(rules.into_iter().map(|(at, _)| at).collect()),
        }
    }
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
