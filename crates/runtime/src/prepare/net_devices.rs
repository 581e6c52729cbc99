//! Which network devices of the caller's namespace go into the container's.

use oci_spec::runtime::Linux;
use sys::link::LONGEST_NAME;
use sys::ns::Namespaces;

use super::NamespacePlan;
use crate::error::Error;

/// A device that is to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetDevice {
    /// Its name where it is.
    pub(crate) name: String,
    /// Its name in the container.
    pub(crate) inside: String,
}

/// In the order of their names.
pub(super) fn net_devices(
    linux: &Linux,
    namespaces: &NamespacePlan,
) -> Result<Vec<NetDevice>, Error> {
    let mut all: Vec<NetDevice> = Vec::new();
    for (name, device) in linux.net_devices().iter().flatten() {
        let inside = device.name().as_deref().filter(|name| !name.is_empty());
        let inside = inside.unwrap_or(name);
        for name in [name, inside] {
            check(name)?;
        }
        if all.iter().any(|other| other.inside == inside) {
            let reason = format!("two devices are to be {inside:?} in the container");
            return Err(Error::invalid("linux.netDevices", reason));
        }
        all.push(NetDevice {
            name: name.clone(),
            inside: inside.to_owned(),
        });
    }
    if !all.is_empty() && !namespaces.has(Namespaces::NETWORK) {
        let reason = "unable to move network devices without a NET namespace of the container's";
        return Err(Error::invalid("linux.netDevices", reason));
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// What the kernel takes for a name (dev_valid_name), and no pattern of one.
fn check(name: &str) -> Result<(), Error> {
    let sound = |c: char| !c.is_whitespace() && !matches!(c, '/' | ':' | '%' | '\0');
    let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && !matches!(name, "." | "..");
    if is_name && name.chars().all(sound) {
        return Ok(());
    }
    let shown: String = name.chars().take(2 * LONGEST_NAME).collect();
    let reason = format!(
        "{shown:?} is no name of a network device: at most {LONGEST_NAME} bytes, none of them a \
         blank, '/', ':' or '%'"
    );
    Err(Error::invalid("linux.netDevices", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        for name in ["eth0", "veth1@x", "a.1"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "eth%d",
            "a:1",
            "sixteen-letters-",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
