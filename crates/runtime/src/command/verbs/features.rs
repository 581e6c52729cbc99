//! `features`: what this runtime can do.

use crate::Outcome;
use crate::global::Global;
use crate::words::{Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "features",
    usage: "",
    about: "show what this runtime can do, as JSON",
    flags: &[],
    arguments: (0, 0),
    interleaved: true,
    enters: false,
    run: features,
};

fn features(_global: &Global, _words: &Words) -> Outcome {
    super::state::print(&runtime::features())?;
    Ok(0)
}
