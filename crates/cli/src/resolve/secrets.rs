//! `--secret`

use types::{SecretRequest, SecretTarget};

use crate::args::secrets::SecretFlag;

/// What is asked for.
pub(super) fn requests(flags: &[SecretFlag]) -> Vec<SecretRequest> {
    flags.iter().map(request).collect()
}

fn request(flag: &SecretFlag) -> SecretRequest {
    let name = match flag.target.as_str() {
        "" => flag.source.clone(),
        target => target.to_owned(),
    };
    SecretRequest {
        source: flag.source.clone(),
        given: match flag.variable {
            true => SecretTarget::Variable { name },
            false => SecretTarget::File {
                name,
                uid: flag.uid,
                gid: flag.gid,
                mode: flag.mode.unwrap_or(SecretTarget::MODE),
            },
        },
    }
}
