//! From ranges to instructions.
//!
//! Classic BPF jumps forwards only and its conditional jumps reach 255 instructions. So the program
//! is made backwards: whoever jumps knows where to, and a target that has come to lie too far is
//! brought near by a copy, if it is a return, or by a long jump.

use super::compile::{Case, Range, Verdict};
use super::{Compare, Condition, Error, Program, Rule};

/// The kernel's limit, BPF_MAXINSNS.
const MAX_INSTRUCTIONS: usize = 4096;
/// How far a conditional jump reaches.
const REACH: usize = 255;

/// BPF_LD | BPF_W | BPF_ABS
pub(super) const LOAD: u16 = 0x20;
/// BPF_JMP | BPF_JA
pub(super) const JUMP: u16 = 0x05;
/// BPF_JMP | BPF_JEQ | BPF_K
pub(super) const IF_EQUAL: u16 = 0x15;
/// BPF_JMP | BPF_JGT | BPF_K
pub(super) const IF_GREATER: u16 = 0x25;
/// BPF_JMP | BPF_JGE | BPF_K
pub(super) const IF_AT_LEAST: u16 = 0x35;
/// BPF_ALU | BPF_AND | BPF_K
pub(super) const AND: u16 = 0x54;
/// BPF_RET | BPF_K
pub(super) const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// One instruction, `struct sock_filter`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Insn {
    pub(super) code: u16,
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) value: u32,
}

/// An instruction that is made already, counted from the program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Where a comparison leads.
#[derive(Clone, Copy)]
struct Ways {
    yes: Label,
    no: Label,
}

/// Where an argument is in `struct seccomp_data`.
#[derive(Clone, Copy)]
struct Argument {
    low: u32,
    high: u32,
    /// Only the low half counts.
    narrow: bool,
}

/// The program, made from its end.
pub(super) struct Emitter<'a> {
    rules: &'a [Rule<'a>],
    default: u32,
    /// The last instruction first.
    backwards: Vec<Insn>,
    /// The nearest return of each value.
    returns: Vec<(u32, Label)>,
    /// Whether the high half of an argument is the first in memory.
    high_first: bool,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(rules: &'a [Rule<'a>], default: u32) -> Self {
        Self {
            rules,
            default,
            backwards: Vec::with_capacity(1024),
            returns: Vec::new(),
            high_first: false,
        }
    }

    /// The tree of one machine; leads from the loading of the call's number to its verdict.
    pub(super) fn tree(&mut self, ranges: &[Range], high_first: bool) -> Label {
        self.high_first = high_first;
        let top = self.branch(ranges);
        self.load(NUMBER, top)
    }

    fn branch(&mut self, ranges: &[Range]) -> Label {
        match ranges {
            [] => self.ret(self.default),
            [one] => self.verdict(&one.verdict),
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let yes = self.branch(high);
                let no = self.branch(low);
                self.compare(IF_AT_LEAST, high[0].start, Ways { yes, no })
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> Label {
        match verdict {
            Verdict::Fixed(code) => self.ret(*code),
            Verdict::First(cases) => {
                let mut otherwise = self.ret(self.default);
                for case in cases.iter().rev() {
                    otherwise = self.case(*case, otherwise);
                }
                otherwise
            }
        }
    }

    fn case(&mut self, case: Case, otherwise: Label) -> Label {
        let rules = self.rules;
        let rule = &rules[case.rule];
        let mut then = self.ret(rule.action.code());
        let which = case.multiplexed.map(|which| Condition {
            argument: 0,
            compare: Compare::Equal,
            value: which.into(),
        });
        // Of a call behind another the first argument cannot be seen.
        let seen = |condition: &&Condition| which.is_none() || condition.argument != 0;
        let conditions = which.iter().chain(rule.conditions.iter().filter(seen));
        for condition in conditions.collect::<Vec<_>>().into_iter().rev() {
            let ways = Ways {
                yes: then,
                no: otherwise,
            };
            let narrow = case.narrow >> condition.argument & 1 == 1;
            then = self.condition(condition, narrow, ways);
        }
        then
    }

    /// An argument that the kernel reads 32 bits of is compared by these alone: what a program
    /// leaves in the others means nothing, and must not get it past a rule.
    fn condition(&mut self, condition: &Condition, narrow: bool, ways: Ways) -> Label {
        let turned = Ways {
            yes: ways.no,
            no: ways.yes,
        };
        let argument = Argument {
            low: ARGUMENTS + 8 * u32::from(condition.argument) + 4 * u32::from(self.high_first),
            high: ARGUMENTS + 8 * u32::from(condition.argument) + 4 * u32::from(!self.high_first),
            narrow,
        };
        let value = condition.value;
        match condition.compare {
            Compare::Equal => self.masked(argument, u64::MAX, value, ways),
            Compare::NotEqual => self.masked(argument, u64::MAX, value, turned),
            Compare::MaskedEqual(mask) => self.masked(argument, mask, value, ways),
            Compare::GreaterOrEqual => self.order(argument, IF_AT_LEAST, value, ways),
            Compare::Greater => self.order(argument, IF_GREATER, value, ways),
            Compare::Less => self.order(argument, IF_AT_LEAST, value, turned),
            Compare::LessOrEqual => self.order(argument, IF_GREATER, value, turned),
        }
    }

    /// Arguments have 64 bits, registers 32: the high half first, the low half when that leaves it
    /// open.
    fn masked(&mut self, argument: Argument, mask: u64, value: u64, ways: Ways) -> Label {
        if value & !mask != 0 || (argument.narrow && !fits(value)) {
            return ways.no;
        }
        let low = self.masked_half(argument.low, half(mask, 0), half(value, 0), ways);
        if argument.narrow {
            return low;
        }
        let both = Ways {
            yes: low,
            no: ways.no,
        };
        self.masked_half(argument.high, half(mask, 32), half(value, 32), both)
    }

    fn masked_half(&mut self, at: u32, mask: u32, value: u32, ways: Ways) -> Label {
        match mask {
            0 => ways.yes,
            u32::MAX => {
                let test = self.compare(IF_EQUAL, value, ways);
                self.load(at, test)
            }
            mask => {
                let test = self.compare(IF_EQUAL, value, ways);
                self.fall_into(test);
                let cut = self.push(AND, mask);
                self.load(at, cut)
            }
        }
    }

    fn order(&mut self, argument: Argument, low_test: u16, value: u64, ways: Ways) -> Label {
        if argument.narrow && !fits(value) {
            return ways.no;
        }
        let low = self.compare(low_test, half(value, 0), ways);
        let low = self.load(argument.low, low);
        if argument.narrow {
            return low;
        }
        let same = self.compare(
            IF_EQUAL,
            half(value, 32),
            Ways {
                yes: low,
                no: ways.no,
            },
        );
        let high = self.compare(
            IF_GREATER,
            half(value, 32),
            Ways {
                yes: ways.yes,
                no: same,
            },
        );
        self.load(argument.high, high)
    }

    /// A return of this value, a known one if it is near.
    fn ret(&mut self, code: u32) -> Label {
        let known = self.returns.iter().find(|(c, _)| *c == code);
        if let Some((_, label)) = known
            && self.distance(*label) < REACH / 2
        {
            return *label;
        }
        let label = self.push(RETURN, code);
        self.returns.retain(|(c, _)| *c != code);
        self.returns.push((code, label));
        label
    }

    fn compare(&mut self, code: u16, value: u32, ways: Ways) -> Label {
        if ways.yes == ways.no {
            return ways.yes;
        }
        // Bringing the second near may push the first one instruction further away.
        let yes = self.near(ways.yes, REACH - 1);
        let no = self.near(ways.no, REACH);
        let insn = Insn {
            code,
            if_true: self.offset(yes),
            if_false: self.offset(no),
            value,
        };
        self.backwards.push(insn);
        self.last()
    }

    /// A load whose next instruction is `then`.
    fn load(&mut self, at: u32, then: Label) -> Label {
        self.fall_into(then);
        self.push(LOAD, at)
    }

    fn fall_into(&mut self, then: Label) {
        if then != self.last() {
            self.jump(then);
        }
    }

    fn near(&mut self, label: Label, reach: usize) -> Label {
        if self.distance(label) <= reach {
            return label;
        }
        let target = self.backwards[label.0];
        if target.code == RETURN {
            return self.push(RETURN, target.value);
        }
        self.jump(label)
    }

    fn jump(&mut self, label: Label) -> Label {
        // A longer program than a u32 counts is refused in the end.
        let distance = u32::try_from(self.distance(label)).unwrap_or(u32::MAX);
        self.push(JUMP, distance)
    }

    fn push(&mut self, code: u16, value: u32) -> Label {
        self.backwards.push(Insn {
            code,
            if_true: 0,
            if_false: 0,
            value,
        });
        self.last()
    }

    /// The instruction made last, which the next one made is followed by.
    fn last(&self) -> Label {
        Label(self.backwards.len().wrapping_sub(1))
    }

    /// How many instructions the next one made has to skip to get there.
    fn distance(&self, label: Label) -> usize {
        self.backwards.len() - 1 - label.0
    }

    fn offset(&self, label: Label) -> u8 {
        // `near` has seen to it.
        u8::try_from(self.distance(label)).unwrap_or(u8::MAX)
    }

    /// The choice of the machine in front, the last tree tried first; turns the program round.
    pub(super) fn finish(
        mut self,
        trees: &[(u32, Label)],
        stranger: u32,
    ) -> Result<Program, Error> {
        let mut otherwise = self.ret(stranger);
        for (audit, tree) in trees {
            let ways = Ways {
                yes: *tree,
                no: otherwise,
            };
            otherwise = self.compare(IF_EQUAL, *audit, ways);
        }
        self.load(ARCH, otherwise);
        if self.backwards.len() > MAX_INSTRUCTIONS {
            return Err(Error::TooLong(self.backwards.len()));
        }
        self.backwards.reverse();
        let notifies = |i: &Insn| i.code == RETURN && i.value == super::Action::Notify.code();
        Ok(Program {
            has_listener: self.backwards.iter().any(notifies),
            instructions: self.backwards,
        })
    }
}

/// Whether 32 bits can be this value, which may be a negative number in 64 bits.
pub(super) fn fits(value: u64) -> bool {
    half(value, 32) == 0 || value >= 0xffff_ffff_8000_0000
}

fn half(value: u64, shift: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the half asked for is wanted"
    )]
    let half = (value >> shift) as u32;
    half
}
