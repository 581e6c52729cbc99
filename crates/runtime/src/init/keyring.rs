//! The session keyring.

use std::ffi::CString;

use super::{Launch, Outcome};
use crate::protocol::During;

/// After the user namespace, to whose root the keyring then belongs, and before anything of the
/// container's runs: the keys of who started the container are none of its business. A kernel
/// without keyrings has none to hide.
pub(crate) fn join(launch: &mut Launch<'_>) -> Outcome {
    if !launch.new_keyring {
        return Ok(());
    }
    let name = CString::new(format!("_ses.{}", launch.hook_state.id));
    let name = name.during(|| "name the session keyring".to_owned())?;
    let joined = sys::keyring::join_session(&name);
    joined
        .during(|| "make a session keyring (--no-new-keyring does without)".to_owned())
        .map(drop)
}
