//! `linux.seccomp` in the words of `sys::seccomp`.

use oci_spec::runtime::Linux;

use crate::error::Error;

/// A compiled filter.
#[derive(Debug, Clone)]
pub(crate) struct Program;

impl Program {
    pub(crate) fn install(&self) -> sys::Result<()> {
        Ok(())
    }
}

/// The filter, compiled once and used for every process of the container.
pub(crate) fn compile(linux: &Linux) -> Result<Option<Program>, Error> {
    match linux.seccomp() {
        None => Ok(None),
        Some(_) => Err(Error::unsupported("linux.seccomp", "is not there yet")),
    }
}
