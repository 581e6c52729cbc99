//! The programs run in a small interpreter, and what they answer is compared with the rules read
//! naively.

use proptest::prelude::*;

use super::super::bpf::{
    AND, COPY, EXIT, LOAD32, SET, SHIFT_RIGHT, SKIP, SKIP_IF_ANY, SKIP_UNLESS_EQUAL,
};
use super::super::tests::rules;
use super::super::{DeviceAccess, DeviceRule, DeviceType};
use super::*;

/// A use of a device: kind as the kernel counts it, numbers, ways as bits.
type Use = (u32, u32, u32, u32);

fn run(program: &[Insn], (kind, major, minor, access): Use) -> u64 {
    let context = [access << 16 | kind, major, minor];
    let mut registers = [0_u64; 11];
    let mut at = 0_usize;
    loop {
        let insn = program[at];
        let to = usize::from(insn.registers & 15);
        let from = usize::from(insn.registers >> 4);
        let value = i64::from(insn.value).cast_unsigned();
        let mut skip = 0;
        match insn.code {
            LOAD32 => registers[to] = context[usize::try_from(insn.offset / 4).unwrap()].into(),
            COPY => registers[to] = registers[from],
            SET => registers[to] = value,
            AND => registers[to] &= value,
            SHIFT_RIGHT => registers[to] >>= value,
            SKIP_UNLESS_EQUAL if registers[to] != value => skip = insn.offset,
            SKIP_IF_ANY if registers[to] & value != 0 => skip = insn.offset,
            SKIP => skip = insn.offset,
            SKIP_UNLESS_EQUAL | SKIP_IF_ANY => {}
            EXIT => return registers[0],
            code => panic!("unknown instruction {code:#x}"),
        }
        at += 1 + usize::try_from(skip).unwrap();
    }
}

/// Every way of use asked for must be allowed by the last rule that is about it.
fn naive(rules: &[DeviceRule], (kind, major, minor, access): Use) -> bool {
    [1_u8, 2, 4].iter().all(|way| {
        let about = |r: &&DeviceRule| match r.kind {
            DeviceType::All => true,
            DeviceType::Block if kind != 1 => false,
            DeviceType::Char if kind != 2 => false,
            _ => {
                r.major.is_none_or(|m| m == major)
                    && r.minor.is_none_or(|m| m == minor)
                    && r.access.bits() & way != 0
            }
        };
        access & u32::from(*way) == 0 || rules.iter().rev().find(about).is_some_and(|r| r.allow)
    })
}

fn rule() -> impl Strategy<Value = DeviceRule> {
    let kind = prop_oneof![
        1 => Just(DeviceType::All),
        5 => Just(DeviceType::Char),
        5 => Just(DeviceType::Block)
    ];
    let number = || prop::option::of(0..3_u32);
    (any::<bool>(), kind, number(), number(), 1..8_u8).prop_map(
        |(allow, kind, major, minor, access)| {
            let letters: String = [(1, 'm'), (2, 'r'), (4, 'w')]
                .iter()
                .filter(|(bit, _)| access & bit != 0)
                .map(|(_, letter)| letter)
                .collect();
            DeviceRule {
                allow,
                kind,
                major,
                minor,
                access: DeviceAccess::parse(&letters).unwrap(),
            }
        },
    )
}

proptest! {
    #[test]
    fn programs_answer_as_the_rules_say(rules in prop::collection::vec(rule(), 0..12)) {
        let filter = DeviceFilter::new(&rules);
        for kind in [1, 2] {
            for (major, minor) in [(0, 0), (0, 1), (1, 0), (1, 2), (2, 2), (7, 7)] {
                for access in 1..8 {
                    let used = (kind, major, minor, access);
                    let expected = naive(&rules, used);
                    prop_assert_eq!(run(&filter.program, used) == 1, expected, "{:?}", used);
                }
            }
        }
    }
}

#[test]
fn a_number_no_device_has_matches_nothing() {
    let rules = rules("-a; +c 4294967295:1 rwm");
    let filter = DeviceFilter::new(&rules);
    assert_eq!(run(&filter.program, (2, u32::MAX, 1, 2)), 0);
}
