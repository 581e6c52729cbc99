//! Network namespaces made before anybody asks for them: the kernel takes a third of a millisecond for
//! one, more than for all other namespaces together.

use std::os::fd::OwnedFd;

use sys::ns::{self, Namespaces};

use crate::error::{Doing, Error};
use crate::prepare::NamespacePlan;

/// A new network namespace whose loopback interface is up, for [`CreateRequest::network`].
///
/// The caller must have one thread, which is back in its own namespace afterwards; after an error it
/// may not be.
///
/// [`CreateRequest::network`]: crate::CreateRequest::network
pub fn make_network() -> Result<OwnedFd, Error> {
    let action = || "make a network namespace".to_owned();
    let own = ns::open_own(Namespaces::NETWORK).doing(action)?;
    ns::unshare(Namespaces::NETWORK).doing(action)?;
    let made = sys::loopback::bring_up().and_then(|()| ns::open_own(Namespaces::NETWORK));
    ns::enter(own, Namespaces::NETWORK).doing(|| "return to the own network".to_owned())?;
    made.doing(action)
}

/// Takes a namespace made ahead in the place of a new one. Not where a user namespace is made: it has
/// to own the network, or nobody in it has rights there.
pub(crate) fn use_made(plan: &mut NamespacePlan, network: OwnedFd) {
    let makes = |kind| plan.new.contains(kind);
    if makes(Namespaces::NETWORK) && !makes(Namespaces::USER) && !plan.need_usher() {
        plan.new -= Namespaces::NETWORK;
        plan.join.push((Namespaces::NETWORK, network));
    }
}
