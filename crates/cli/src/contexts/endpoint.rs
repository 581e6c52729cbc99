//! `--docker key=value,...`: where a context's daemon is.

use std::path::Path;

use super::{Stored, Tls};
use crate::error::{CliError, plain};

/// What flags say of an endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// The context it is copied from.
    pub(crate) from: Option<String>,
    /// Its address.
    pub(crate) host: Option<String>,
    /// Whether anybody's certificate is good.
    pub(crate) skip_verify: Option<bool>,
    /// Keys and certificates.
    pub(crate) tls: Tls,
}

/// Reads the flags.
pub(crate) fn change(texts: &[String]) -> Result<Change, CliError> {
    let wrong =
        |why: String| CliError::Invalid(format!("unable to create docker endpoint config: {why}"));
    let mut change = Change::default();
    for text in texts {
        for (key, value) in crate::build::lend::pairs(text)? {
            match key.as_str() {
                "from" => change.from = Some(value),
                "host" => {
                    crate::connect::check(&value).map_err(|error| wrong(error.to_string()))?;
                    change.host = Some(value);
                }
                "ca" | "cert" | "key" => {
                    let bytes = read(&value).map_err(wrong)?;
                    change.tls.insert(format!("{key}.pem"), bytes);
                }
                "skip-tls-verify" => {
                    let yes = crate::args::values::go_bool(&value);
                    change.skip_verify = Some(yes.map_err(|error| wrong(error.to_string()))?);
                }
                other => return Err(wrong(format!("unrecognized config key: {other}"))),
            }
        }
    }
    Ok(change)
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(Path::new(path)).map_err(|error| format!("open {path}: {}", plain(&error)))
}

impl Change {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.from.is_none()
            && self.host.is_none()
            && self.skip_verify.is_none()
            && self.tls.is_empty()
    }

    /// The context with what was said.
    pub(crate) fn apply(self, stored: &mut Stored) -> Tls {
        let endpoint = &mut stored.meta["Endpoints"]["docker"];
        if let Some(host) = self.host {
            endpoint["Host"] = host.into();
        }
        if let Some(skip) = self.skip_verify {
            endpoint["SkipTLSVerify"] = skip.into();
        }
        self.tls
    }
}
