//! Joining a container in which somebody may look into every process, because it has CAP_SYS_PTRACE
//! and no user namespace of its own: nothing that has more rights than the command, or is not yet
//! behind its filter, is seen there.
//!
//! ```text
//!   maker ── clone3 ──► hidden: joins all namespaces, but by its pid none; gives up its rights
//!     ◄──── BornAt ────────┘ clone, as the maker's child, into the pid namespace; ends
//!     ── Continue ──► the copy, visible: a session of its own, and the command
//! ```
//!
//! What can be looked into is then a process with the command's rights behind the command's filter,
//! whose program is closed to writing as for all who join (see [`crate::exec`]).

use super::{Launch, Outcome, gate};
use crate::protocol::{During, Failure, FromInit, ToInit};

impl Launch<'_> {
    /// Goes on as a copy in the container's pid namespace, which children of this process are born
    /// into. The environment is the caller's and none of the container's business.
    pub(super) fn appear(self) -> ! {
        sys::process::forget_environment();
        let mut launch = Some(self);
        let copy = sys::clone::sibling_of_copy(|| match launch.take() {
            Some(launch) => launch.execute(),
            None => 1,
        });
        let Some(launch) = launch else {
            sys::process::exit_now(1)
        };
        let told = copy
            .during(|| "appear in the container, under its filter".to_owned())
            .and_then(|pid| {
                let told = launch.channel.write(&FromInit::BornAt { pid });
                told.during(|| "tell who was born".to_owned())
            });
        match told {
            Ok(()) => sys::process::exit_now(0),
            Err(failure) => launch.give_up(Failure {
                phase: "cannot enter the container".to_owned(),
                step: "appear".to_owned(),
                ..failure
            }),
        }
    }
}

/// The first that a copy does once it can be seen: its maker must know it before it may end.
pub(crate) fn become_known(launch: &mut Launch<'_>) -> Outcome {
    if !launch.hidden {
        return Ok(());
    }
    gate::expect(&launch.channel, ToInit::Continue)?;
    // Both belong to a process and are not inherited.
    sys::process::new_session().during(|| "start a session".to_owned())?;
    super::streams::take_terminal(launch)
}
