//! Log drivers.

use types::LogConfig;

use super::{Refusal, create};
use crate::wire;

const FIELD: &str = "HostConfig.LogConfig";

pub(super) fn log_config(log: &wire::LogConfig) -> Result<LogConfig, Refusal> {
    let options = log.config.clone().unwrap_or_default();
    let driver = match log.r#type.as_str() {
        "" => create::default_log().driver,
        known @ ("json-file" | "none") => known.to_owned(),
        _ => {
            return Err(Refusal::Unsupported {
                field: FIELD,
                instead: "use json-file or none".into(),
            });
        }
    };
    for (name, value) in &options {
        check_option(&driver, name, value)?;
    }
    if options.contains_key("max-file") && !options.contains_key("max-size") {
        let rotates = options["max-file"] != "1";
        if rotates {
            return Err(Refusal::invalid(FIELD, "max-file needs max-size"));
        }
    }
    Ok(LogConfig { driver, options })
}

fn check_option(driver: &str, name: &str, value: &str) -> Result<(), Refusal> {
    let valid = match (driver, name) {
        ("json-file", "max-size") => {
            value == "-1" || types::parse_bytes(value).is_ok_and(|n| n > 0)
        }
        ("json-file", "max-file") => value.parse::<u32>().is_ok_and(|n| n > 0),
        (_, "mode") => value == "blocking",
        _ => {
            return Err(Refusal::invalid(
                FIELD,
                format!(
                    "unknown log opt '{name}' for {driver} log driver; max-size and max-file of \
                     json-file are known"
                ),
            ));
        }
    };
    if valid {
        Ok(())
    } else {
        Err(Refusal::invalid(
            FIELD,
            format!("invalid value '{value}' for log opt '{name}'"),
        ))
    }
}
