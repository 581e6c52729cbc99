//! The system call filter.

use oci_spec::runtime::LinuxSeccomp;
use types::{SeccompProfile, Security};

use super::capabilities::Set;
use super::{Error, HostFacts};

/// None runs unconfined.
pub(super) fn filter(
    security: &Security,
    _capabilities: &Set,
    _host: &HostFacts,
) -> Result<Option<LinuxSeccomp>, Error> {
    match security.seccomp {
        _ if security.privileged => Ok(None),
        SeccompProfile::Unconfined => Ok(None),
        SeccompProfile::Default | SeccompProfile::Custom(_) => Ok(None),
    }
}
