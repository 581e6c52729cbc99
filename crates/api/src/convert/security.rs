//! Privileges.

use types::{SeccompProfile, Security};

use super::Refusal;
use crate::wire::HostConfig;

const FIELD: &str = "HostConfig.SecurityOpt";

pub(super) fn security(host: &HostConfig) -> Result<Security, Refusal> {
    let mut security = Security {
        privileged: host.privileged,
        cap_add: host.cap_add.clone().unwrap_or_default(),
        cap_drop: host.cap_drop.clone().unwrap_or_default(),
        no_new_privileges: None,
        seccomp: SeccompProfile::Default,
        apparmor: None,
        labels: Vec::new(),
        writable_cgroups: false,
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
    };
    if host.annotations.contains_key("") {
        return Err(Refusal::Said(
            "invalid Annotations: the empty string is not permitted as an annotation key".into(),
        ));
    }
    for option in host.security_opt.iter().flatten() {
        apply(&mut security, option)?;
    }
    Ok(security)
}

/// One `--security-opt`. A colon between name and value is the older form.
fn apply(security: &mut Security, option: &str) -> Result<(), Refusal> {
    if option == "no-new-privileges" {
        security.no_new_privileges = Some(true);
        return Ok(());
    }
    if option == "writable-cgroups" {
        security.writable_cgroups = true;
        return Ok(());
    }
    let Some((name, value)) = option.split_once(['=', ':']) else {
        return Err(Refusal::Said(format!(
            "invalid --security-opt 1: {option:?}"
        )));
    };
    match (name, value) {
        ("no-new-privileges", _) => {
            security.no_new_privileges = Some(boolean(option, value)?);
        }
        ("seccomp", _) => security.seccomp = seccomp(value)?,
        ("writable-cgroups", "true") => security.writable_cgroups = true,
        ("writable-cgroups", "false") => security.writable_cgroups = false,
        // So it is unless somebody asks for a profile.
        ("apparmor", "unconfined" | "") => security.apparmor = None,
        ("label", label) => security.labels.push(label.to_owned()),
        ("apparmor", profile) => security.apparmor = Some(profile.to_owned()),
        _ => {
            return Err(Refusal::Said(format!(
                "invalid --security-opt 2: {option:?}"
            )));
        }
    }
    Ok(())
}

fn boolean(option: &str, value: &str) -> Result<bool, Refusal> {
    types::go::parse_bool(value)
        .ok_or_else(|| Refusal::invalid(FIELD, format!("{option:?}: true or false is expected")))
}

fn seccomp(value: &str) -> Result<SeccompProfile, Refusal> {
    match value {
        "unconfined" => Ok(SeccompProfile::Unconfined),
        "builtin" => Ok(SeccompProfile::Builtin),
        _ if value.trim_start().starts_with('{') => {
            let parsed: Result<serde_json::Map<String, serde_json::Value>, _> =
                serde_json::from_str(value);
            match parsed {
                Ok(_) => Ok(SeccompProfile::Custom(value.to_owned())),
                Err(error) => Err(Refusal::invalid(
                    FIELD,
                    format!("Decoding seccomp profile failed: {error}"),
                )),
            }
        }
        _ => Err(Refusal::invalid(
            FIELD,
            format!(
                "seccomp={value}: unconfined, builtin or the text of a profile is expected; \
                 clients read the file"
            ),
        )),
    }
}
