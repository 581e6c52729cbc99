//! Network namespaces made before the container: the kernel takes a third of a millisecond for one, more
//! than for all other namespaces together.

use std::borrow::Cow;
use std::os::fd::OwnedFd;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use serde::Deserialize;
use sys::ahead::NetworkAhead;
use sys::ns::{self, Namespaces};

use crate::error::{Doing, Error};
use crate::prepare::NamespacePlan;

/// A new network namespace whose loopback interface is up, for [`CreateRequest::network`].
///
/// [`CreateRequest::network`]: crate::CreateRequest::network
#[derive(Debug)]
pub enum Network {
    /// It is there.
    Made(OwnedFd),
    /// It is being made meanwhile.
    Ahead(NetworkAhead),
}

impl Network {
    /// Makes one. The caller must have one thread, which is back in its own namespace afterwards; after
    /// an error it may not be.
    pub fn make() -> Result<Self, Error> {
        let own = ns::open_own(Namespaces::NETWORK).doing(making)?;
        ns::unshare(Namespaces::NETWORK).doing(making)?;
        let made = sys::loopback::bring_up().and_then(|()| ns::open_own(Namespaces::NETWORK));
        ns::enter(own, Namespaces::NETWORK).doing(|| "return to the own network".to_owned())?;
        made.doing(making).map(Self::Made)
    }

    /// Begins with one if the specification asks for one that need not belong to a new user namespace.
    /// None as well where that cannot be begun with: it is made with the others then, or refused.
    pub fn begin(spec: &Spec) -> Option<Self> {
        let linux = spec.linux().as_ref()?;
        let kinds = linux.namespaces().iter().flatten().map(|namespace| {
            let path = namespace.path().as_ref();
            (
                namespace.typ(),
                path.is_none_or(|p| p.as_os_str().is_empty()),
            )
        });
        if !wants_network(kinds) {
            return None;
        }
        NetworkAhead::begin().ok().map(Self::Ahead)
    }
}

/// Begins with one if the configuration (config.json) seems to ask for one that need not belong to a
/// new user namespace: it is not checked, and read no further than that. For [`Network::Ahead`], or to
/// be passed on first.
pub fn begin_network(configuration: &[u8]) -> Option<NetworkAhead> {
    let Glance { linux } = serde_json::from_slice(configuration).ok()?;
    let kinds = linux.namespaces.iter().map(|namespace| {
        let path = namespace.path.as_deref();
        (namespace.kind, path.is_none_or(str::is_empty))
    });
    if !wants_network(kinds) {
        return None;
    }
    NetworkAhead::begin().ok()
}

/// What of a configuration says whether a network is made.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow)]
    linux: GlanceAtLinux<'a>,
}

#[derive(Deserialize)]
struct GlanceAtLinux<'a> {
    #[serde(borrow)]
    namespaces: Vec<GlanceAtNamespace<'a>>,
}

#[derive(Deserialize)]
struct GlanceAtNamespace<'a> {
    #[serde(rename = "type")]
    kind: LinuxNamespaceType,
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
}

/// Of the kinds of namespaces, and whether each is new.
fn wants_network(kinds: impl Iterator<Item = (LinuxNamespaceType, bool)>) -> bool {
    let mut makes_network = false;
    for (kind, is_new) in kinds {
        match kind {
            LinuxNamespaceType::User => return false,
            LinuxNamespaceType::Network => makes_network = is_new,
            _ => {}
        }
    }
    makes_network
}

fn making() -> String {
    "make a network namespace".to_owned()
}

/// Takes a namespace made ahead in the place of a new one. Not where a user namespace is made: it has
/// to own the network, or nobody in it has rights there. One that is not there yet is returned, for
/// the process to wait for, unless `at_once`.
pub(crate) fn use_made(
    plan: &mut NamespacePlan,
    network: Network,
    at_once: bool,
) -> Result<Option<NetworkAhead>, Error> {
    let makes = |kind| plan.new.contains(kind);
    if !makes(Namespaces::NETWORK) || makes(Namespaces::USER) || plan.need_usher() {
        return Ok(None);
    }
    plan.new -= Namespaces::NETWORK;
    let made = match network {
        Network::Ahead(ahead) if !at_once => {
            plan.awaited = Namespaces::NETWORK;
            return Ok(Some(ahead));
        }
        Network::Ahead(ahead) => ahead.receive().doing(making)?,
        Network::Made(made) => made,
    };
    plan.join.push((Namespaces::NETWORK, made));
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(text: &str) -> bool {
        let glance: Option<Glance<'_>> = serde_json::from_str(text).ok();
        let spaces = glance.map_or(Vec::new(), |glance| glance.linux.namespaces);
        wants_network(spaces.iter().map(|n| (n.kind, n.path.is_none())))
    }

    #[test]
    fn a_glance_tells_whether_a_network_is_made() {
        let of = |list: &str| format!(r#"{{"linux":{{"namespaces":[{list}],"resources":{{}}}}}}"#);
        let (network, user) = (r#"{"type":"network"}"#, r#"{"type":"user"}"#);
        assert!(asks(&of(&format!(r#"{{"type":"pid"}},{network}"#))));
        assert!(!asks(&of(r#"{"type":"network","path":"/run/netns/a"}"#)));
        assert!(!asks(&of(&format!("{network},{user}"))));
        assert!(!asks(&of(r#"{"type":"pid"}"#)));
        assert!(!asks(&of(r#"{"type":"nonsense"}"#)));
        assert!(!asks("{}"));
        assert!(!asks("no JSON"));
    }
}
