//! Network devices moved into a container. A device goes as it is, and the kernel takes its
//! addresses: those that are its own wherever it is, it gets again.
//!
//! Nothing brings it back. At the container's end the kernel returns a physical one to the machine's
//! first namespace, and removes one that is not.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::link::Links;
use sys::ns::Namespaces;

use crate::error::{Doing, Error};
use crate::prepare::{NetDevice, Plan};

/// Moves all there are, with the caller's rights, which reach both namespaces.
pub(crate) fn move_in(plan: &Plan, pid: i32) -> Result<(), Error> {
    if plan.devices_to_move.is_empty() {
        return Ok(());
    }
    let action = || "open the container's network namespace".to_owned();
    let made: OwnedFd;
    let namespace = match plan.namespaces.joined(Namespaces::NETWORK) {
        Some(joined) => joined.as_fd(),
        None => {
            // Our child, not reaped: nobody else has its pid.
            made = sys::ns::open(Path::new(&format!("/proc/{pid}/ns/net"))).doing(action)?;
            made.as_fd()
        }
    };
    let mut outside = Links::open().doing(|| "talk to the own network namespace".to_owned())?;
    let mut inside = Links::open_in(namespace).doing(action)?;
    for device in &plan.devices_to_move {
        let moved = move_one(&mut outside, &mut inside, device, namespace);
        moved.doing(|| format!("move the network device {} into the container", device.name))?;
    }
    Ok(())
}

fn move_one(
    outside: &mut Links,
    inside: &mut Links,
    device: &NetDevice,
    namespace: impl AsFd,
) -> sys::Result<()> {
    let link = outside.find(&device.name)?;
    let addresses = outside.lasting_addresses(link)?;
    outside.move_to(link, namespace, &device.inside)?;
    let link = inside.find(&device.inside)?;
    for address in &addresses {
        inside.add_address(link, address)?;
    }
    inside.bring_up(link)
}
