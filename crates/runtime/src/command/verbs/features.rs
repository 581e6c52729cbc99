//! `features`: what this runtime can do.

use crate::Outcome;

pub(crate) fn features() -> Outcome {
    super::state::print(&runtime::features())?;
    Ok(0)
}
