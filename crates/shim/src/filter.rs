//! Filters, compiled by the daemon once for many containers.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_spec::runtime::LinuxSeccomp;
use runtime::CompiledFilter;

use crate::protocol::Filter;

/// The last filter, compiled: containers mostly have the one that others have.
#[derive(Debug, Default)]
pub struct Filters(Mutex<Option<(Arc<LinuxSeccomp>, Filter)>>);

impl Filters {
    /// The filter compiled, with which the configuration needs none (linux.seccomp). None of one that cannot be
    /// compiled here: the shim refuses it and says why, or has somebody decide about its calls.
    pub fn compiled(&self, wanted: &Arc<LinuxSeccomp>) -> Option<Filter> {
        // It is put there whole.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, filter)) = last.as_ref()
            && (Arc::ptr_eq(known, wanted) || known == wanted)
        {
            return Some(filter.clone());
        }
        let filter = Filter::of(&CompiledFilter::compile(wanted).ok()??)?;
        *last = Some((wanted.clone(), filter.clone()));
        Some(filter)
    }
}

impl Filter {
    fn of(compiled: &CompiledFilter) -> Option<Self> {
        let (flags, program) = compiled.to_parts()?;
        Some(Self {
            flags,
            program: STANDARD.encode(program),
        })
    }

    /// As the runtime takes it; none where it is something else.
    pub fn compiled(&self) -> Option<CompiledFilter> {
        CompiledFilter::from_parts(self.flags, &STANDARD.decode(&self.program).ok()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn filter(text: &str) -> Arc<LinuxSeccomp> {
        Arc::new(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_filter_travels_compiled_and_any_other_as_it_is() {
        let filters = Filters::default();
        let refuses = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
            {"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}"#;
        let wanted = filter(refuses);
        let first = filters.compiled(&wanted).unwrap();
        let compiled = CompiledFilter::compile(&wanted).unwrap().unwrap();
        assert_eq!(first.compiled().unwrap(), compiled);
        assert_eq!(filters.compiled(&wanted).unwrap(), first);
        assert_eq!(filters.compiled(&filter(refuses)).unwrap(), first);

        let other = r#"{"defaultAction":"SCMP_ACT_ERRNO","flags":["SECCOMP_FILTER_FLAG_LOG"]}"#;
        let other = filters.compiled(&filter(other)).unwrap();
        assert_ne!(other, first);
        assert_eq!(other.flags, 2);

        for stays in [
            r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/s","syscalls":[
                {"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        ] {
            assert_eq!(filters.compiled(&filter(stays)), None, "{stays}");
        }
        let broken = Filter {
            flags: 0,
            program: "AAAA".to_owned(),
        };
        assert_eq!(broken.compiled(), None);
    }
}
