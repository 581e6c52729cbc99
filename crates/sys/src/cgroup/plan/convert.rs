//! Version 1's scales, which the OCI specification speaks, to version 2's.

use crate::cgroup::Error;

/// `cpu.weight` for `cpu.shares`, by the formula that runc (since 1.4) and crun (since 1.23) use: a
/// quadratic in the logarithm through (2, 1), (1024, 100) and (262144, 10000). The older linear
/// formula of the specification turned the default 1024 into 39, so that a container with the
/// default lost against everything with version 2's default of 100.
pub fn weight_of_shares(shares: u64) -> u64 {
    const MIN: u64 = 2;
    const MAX: u64 = 262_144;
    match shares {
        0..=MIN => 1,
        MAX.. => 10_000,
        _ => {
            #[expect(clippy::cast_precision_loss, reason = "at most 18 bits")]
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the curve stays between 1 and 10000 here"
            )]
            let weight = 10_f64.powf(exponent).ceil() as u64;
            weight
        }
    }
}

/// `io.weight` (1 to 10000) for `blkio.weight` (10 to 1000), linearly, as runc and crun do.
pub(super) fn io_weight_of_blkio(weight: u64) -> u64 {
    let above = weight.clamp(10, 1000) - 10;
    1 + above * 9_999 / 990
}

/// `memory.swap.max`, which counts swap alone, for memory and swap together. -1 is unlimited.
pub(super) fn swap_alone(memory: i64, together: i64) -> Result<i64, Error> {
    let invalid = |reason: String| {
        Err(Error::Invalid {
            limit: "swap limit",
            reason,
        })
    };
    match (memory, together) {
        (_, ..0) => Ok(-1),
        (..=0, _) => invalid("it needs a memory limit".to_owned()),
        _ if together < memory => invalid(format!(
            "memory and swap together ({together}) must not be less than memory ({memory})"
        )),
        _ => Ok(together - memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        let table = [
            (0, 1),
            (2, 1),
            (1024, 100),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ];
        for (shares, weight) in table {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        let all: Vec<u64> = (1..=262_145).map(weight_of_shares).collect();
        assert!(all.is_sorted());
    }

    #[test]
    fn blkio_weights_become_io_weights() {
        assert_eq!(io_weight_of_blkio(10), 1);
        assert_eq!(io_weight_of_blkio(500), 4950);
        assert_eq!(io_weight_of_blkio(1000), 10_000);
    }

    #[test]
    fn swap_is_counted_alone() {
        assert_eq!(swap_alone(100, 300).unwrap(), 200);
        assert_eq!(swap_alone(100, 100).unwrap(), 0);
        assert_eq!(swap_alone(100, -1).unwrap(), -1);
        assert_eq!(swap_alone(0, -1).unwrap(), -1);
        assert_eq!(
            swap_alone(0, 100).unwrap_err().to_string(),
            "invalid swap limit: it needs a memory limit"
        );
        assert!(swap_alone(100, 99).is_err());
    }
}
