//! Log drivers.

use types::LogConfig;

use super::Refusal;
use crate::wire;

/// What a client asks for; the usual driver if it names none.
pub(super) fn log_config(log: &wire::LogConfig) -> Result<LogConfig, Refusal> {
    let usual = LogConfig::default();
    let config = LogConfig {
        driver: match log.r#type.as_str() {
            "" => usual.driver,
            named => named.to_owned(),
        },
        options: log.config.clone().unwrap_or_default(),
    };
    let checked = config.check();
    checked.map_err(|error| Refusal::Said(error.to_string()))?;
    Ok(config)
}
