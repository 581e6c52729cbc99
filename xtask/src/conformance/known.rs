//! Where a peer does other than the specification says. What the suite says of Brig's own runtime is
//! never explained away here.

use super::runtime::Runtime;

/// One disagreement.
#[derive(Debug)]
struct Known {
    /// The runtime, and what its version begins with; nothing is every version.
    runtime: (&'static str, &'static str),
    /// The test's name.
    test: &'static str,
    /// Why, in its own terms.
    why: &'static str,
}

const KNOWN: &[Known] = &[];

/// Why this runtime is known to fail this test, if so.
pub(crate) fn disagreement(runtime: &Runtime, test: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .filter(|known| known.test == test && known.runtime.0 == runtime.name)
        .find(|known| runtime.number().starts_with(known.runtime.1))
        .map(|known| known.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_our_own_and_of_no_test() {
        let tests = super::super::sections::all();
        for known in KNOWN {
            assert!(["runc", "crun"].contains(&known.runtime.0), "{known:?}");
            assert!(
                tests.iter().any(|test| test.name == known.test),
                "{known:?}"
            );
        }
    }
}
