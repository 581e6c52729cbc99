//! What containers have that do not say it, as the daemon is told when they start.

use std::borrow::Cow;

use types::{ContainerSpec, Resources, SeccompProfile, Ulimit};

/// What is completed at each start and shown, and kept in no record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usual {
    /// Limits of processes, one a name.
    pub ulimits: Vec<Ulimit>,
    /// The filter of system calls of containers that are not privileged.
    pub seccomp: SeccompProfile,
}

impl Usual {
    /// The request with what it leaves open.
    pub(crate) fn complete<'a>(&self, spec: Cow<'a, ContainerSpec>) -> Cow<'a, ContainerSpec> {
        let security = &spec.security;
        let filters = self.seccomp != SeccompProfile::Default
            && security.seccomp == SeccompProfile::Default
            && !security.privileged;
        if self.ulimits.is_empty() && !filters {
            return spec;
        }
        let mut spec = spec.into_owned();
        self.limit(&mut spec.resources);
        if filters {
            spec.security.seccomp.clone_from(&self.seccomp);
        }
        Cow::Owned(spec)
    }

    /// Limits that nobody has named.
    pub(crate) fn limit(&self, resources: &mut Resources) {
        for limit in &self.ulimits {
            if !resources.ulimits.iter().any(|own| own.name == limit.name) {
                resources.ulimits.push(limit.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Usual {
        Usual {
            ulimits: ["nofile=42", "nproc=7:8"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            seccomp: SeccompProfile::Custom("{}".to_owned()),
        }
    }

    #[test]
    fn what_is_said_stays_and_what_is_not_is_completed() {
        let mut spec = ContainerSpec::default();
        spec.resources.ulimits.push("nproc=1".parse().unwrap());
        let complete = usual().complete(Cow::Borrowed(&spec)).into_owned();
        let shown = complete.resources.ulimits.iter();
        let shown: Vec<_> = shown
            .map(|limit| (limit.name.as_str(), limit.soft))
            .collect();
        assert_eq!(shown, [("nproc", 1), ("nofile", 42)]);
        assert_eq!(complete.security.seccomp, usual().seccomp);
        spec.security.seccomp = SeccompProfile::Builtin;
        let complete = usual().complete(Cow::Borrowed(&spec)).into_owned();
        assert_eq!(complete.security.seccomp, SeccompProfile::Builtin);
        spec.security.seccomp = SeccompProfile::Default;
        spec.security.privileged = true;
        let complete = usual().complete(Cow::Borrowed(&spec)).into_owned();
        assert_eq!(complete.security.seccomp, SeccompProfile::Default);
        let none = Usual::default();
        assert!(matches!(
            none.complete(Cow::Borrowed(&spec)),
            Cow::Borrowed(_)
        ));
    }
}
