//! The interface of the host that a network of the drivers macvlan or ipvlan goes out of.

use sys::Errno;
use sys::netlink::{Family, Socket};

use crate::error::{Doing, Error};
use crate::link::{self, Found};
use crate::plan::{IpvlanPlan, MacvlanPlan};

/// What a plan says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlet<'a> {
    parent: Option<&'a str>,
    is_ours: bool,
    dummy: &'a str,
}

impl<'a> From<&'a MacvlanPlan> for Outlet<'a> {
    fn from(plan: &'a MacvlanPlan) -> Self {
        Self {
            parent: plan.parent.as_deref(),
            is_ours: plan.parent_is_ours,
            dummy: &plan.dummy,
        }
    }
}

impl<'a> From<&'a IpvlanPlan> for Outlet<'a> {
    fn from(plan: &'a IpvlanPlan) -> Self {
        Self {
            parent: plan.parent.as_deref(),
            is_ours: plan.parent_is_ours,
            dummy: &plan.dummy,
        }
    }
}

/// Its number. `NAME.TAG` and the dummy of a network without parent are made when they are not there.
pub(crate) fn parent(socket: &mut Socket, outlet: Outlet<'_>) -> Result<u32, Error> {
    let Some(name) = outlet.parent else {
        if let Some(found) = find(socket, outlet.dummy)? {
            return Ok(found.index);
        }
        return make(socket, outlet.dummy, link::new_dummy(outlet.dummy));
    };
    if let Some(found) = find(socket, name)? {
        return Ok(found.index);
    }
    let (base, tag) = vlan(name).ok_or_else(|| missing(name))?;
    let base = find(socket, base)?.ok_or_else(|| missing(base))?;
    make(socket, name, link::new_vlan(name, base.index, tag))
}

/// Refuses an interface that is not there, and could not be made of one that is when it is needed.
pub fn check_parent(name: &str) -> Result<(), Error> {
    let what = || format!("look for the interface {name}");
    let mut socket = Socket::open(Family::Route).doing(what)?;
    if find(&mut socket, name)?.is_some() {
        return Ok(());
    }
    let (base, _) = vlan(name).ok_or_else(|| missing(name))?;
    let base_is_there = find(&mut socket, base)?.is_some();
    base_is_there.then_some(()).ok_or_else(|| missing(base))
}

/// Removes what [`parent`] made for a network, once no endpoint is left.
pub(crate) fn remove_parent(socket: &mut Socket, outlet: Outlet<'_>) -> Result<(), Error> {
    let (name, kind) = match outlet.parent {
        Some(name) if outlet.is_ours => (name, "vlan"),
        Some(_) => return Ok(()),
        None => (outlet.dummy, "dummy"),
    };
    match find(socket, name)? {
        Some(found) if found.kind.as_deref() == Some(kind) => {
            crate::bridge::missing_is_well(socket.run(vec![link::delete(found.index)]))
                .doing(|| format!("remove the interface {name}"))
        }
        _ => Ok(()),
    }
}

fn missing(name: &str) -> Error {
    Error::Invalid(format!(
        "the host has no interface {name}: the parent of a macvlan or ipvlan network is one that is there, or \
         NAME.TAG, a VLAN of one that is there"
    ))
}

fn find(socket: &mut Socket, name: &str) -> Result<Option<Found>, Error> {
    match link::find(socket, name) {
        Err(error) if error.errno == Errno::NODEV => Ok(None),
        answer => answer
            .doing(|| format!("look for the interface {name}"))
            .map(Some),
    }
}

fn make(socket: &mut Socket, name: &str, new: sys::netlink::Message) -> Result<u32, Error> {
    let doing = || format!("make the interface {name}");
    socket.run(vec![new]).doing(doing)?;
    let index = link::find(socket, name).doing(doing)?.index;
    // It is the containers' alone: the host needs no IPv6 there.
    let done = link::distrust(name, false)
        .doing(doing)
        .and_then(|()| socket.run(vec![link::up(index)]).doing(doing));
    if done.is_err() {
        // What is reported is why it failed.
        let _ = socket.run(vec![link::delete(index)]);
    }
    done.map(|()| index)
}

/// Name and tag of `eth0.10`.
pub(crate) fn vlan(name: &str) -> Option<(&str, u16)> {
    let (base, tag) = name.rsplit_once('.')?;
    let tag = tag.parse().ok().filter(|tag| (1..=4094).contains(tag))?;
    (!base.is_empty()).then_some((base, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_has_a_name_and_a_tag() {
        assert_eq!(vlan("eth0.10"), Some(("eth0", 10)));
        assert_eq!(vlan("br.x.4094"), Some(("br.x", 4094)));
        for bad in ["eth0", "eth0.", "eth0.0", "eth0.4095", ".10"] {
            assert_eq!(vlan(bad), None, "{bad}");
        }
    }
}
