//! `spec`: a configuration to begin with.

use crate::Outcome;
use crate::args::Spec;
use crate::failure::{Failure, OnFile};

/// What it says: a shell with few rights in namespaces of its own.
const TEMPLATE: &str = include_str!("../template.json");

pub(crate) fn spec(spec: &Spec) -> Outcome {
    let path = spec.bundle.join("config.json");
    if sys::fd::open_path(&path).is_ok() {
        let message = format!("{} is there already; remove it first", path.display());
        return Err(Failure::Usage(message));
    }
    sys::file::replace_unsynced(&path, TEMPLATE.as_bytes(), 0o644).on_file("write", &path)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_is_a_configuration() {
        let spec: oci_spec::runtime::Spec = serde_json::from_str(super::TEMPLATE).unwrap();
        assert_eq!(
            spec.process().as_ref().unwrap().args().as_deref(),
            Some(&["sh".to_owned()][..])
        );
    }
}
