//! `POST /containers/{id}/update`: wire to domain and back.

use types::ContainerChange;

use super::{Refusal, echo, mounts, network, resources};
use crate::Version;
use crate::wire::{ContainerUpdateRequest, HostConfig, MoreChanges, RestartPolicy};

/// What a client wants to be changed.
///
/// # Errors
/// Names the field that makes no sense or is not supported.
pub fn container_change(
    request: &ContainerUpdateRequest,
    version: Version,
) -> Result<ContainerChange, Refusal> {
    let ContainerUpdateRequest { host_config, more } = request;
    let mounted = HostConfig {
        mounts: more.add_mounts.clone(),
        ..HostConfig::default()
    };
    names("Labels", more.labels.keys())?;
    names("Env", more.env.keys())?;
    if let Some((name, _)) = more.env.iter().find(|(name, value)| {
        let zero = |text: &str| text.contains('\0');
        name.contains('=') || zero(name) || value.as_deref().is_some_and(zero)
    }) {
        let reason = format!("invalid environment variable: {name:?}");
        return Err(Refusal::invalid("Env", reason));
    }
    Ok(ContainerChange {
        resources: resources::resources_change(host_config)?,
        restart: resources::restart_change(host_config)?,
        labels: more.labels.clone(),
        env: more.env.clone(),
        publish: network::ports(Some(&more.add_ports), version)?,
        unpublish: network::ports(Some(&more.remove_ports), version)?,
        mount: mounts::requests(&mounted, version)?,
        unmount: more.remove_mounts.clone(),
    })
}

fn names<'a>(
    field: &'static str,
    mut names: impl Iterator<Item = &'a String>,
) -> Result<(), Refusal> {
    match names.any(String::is_empty) {
        true => Err(Refusal::invalid(
            field,
            "a name is expected before its value",
        )),
        false => Ok(()),
    }
}

/// The request that asks for this change.
pub fn update_request(change: &ContainerChange) -> ContainerUpdateRequest {
    let mut host = HostConfig::default();
    echo::add_resources(&mut host, &change.resources);
    if let Some(policy) = change.restart {
        host.restart_policy = RestartPolicy {
            name: policy.name().to_owned(),
            maximum_retry_count: policy.times().into(),
        };
    }
    ContainerUpdateRequest {
        host_config: host,
        more: MoreChanges {
            labels: change.labels.clone(),
            env: change.env.clone(),
            add_ports: network::port_bindings(&change.publish),
            remove_ports: network::port_bindings(&change.unpublish),
            add_mounts: change.mount.iter().filter_map(echo::long_mount).collect(),
            remove_mounts: change.unmount.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_arrives() {
        let text = r#"{"Memory":8388608,"RestartPolicy":{"Name":"always"},"Labels":{"a":"1","b":null},
            "Env":{"A":"1","B":null},"AddPorts":{"80/tcp":[{"HostPort":"8080"}]},
            "RemovePorts":{"81/udp":[{}]},"RemoveMounts":["/x"],
            "AddMounts":[{"Type":"tmpfs","Target":"/t","ReadOnly":true}]}"#;
        let request: ContainerUpdateRequest = serde_json::from_str(text).unwrap();
        let change = container_change(&request, Version::MAX).unwrap();
        assert_eq!(change.resources.memory, Some(8 << 20));
        assert_eq!(change.labels["b"], None);
        assert_eq!(change.publish[0].host_ports, Some((8080, 8080)));
        assert_eq!(change.unpublish[0].port.to_string(), "81/udp");
        assert!(change.mount[0].read_only && change.unmount == ["/x"]);
        let again = update_request(&change);
        assert_eq!(container_change(&again, Version::MAX).unwrap(), change);
        let plain: ContainerUpdateRequest = serde_json::from_str("{}").unwrap();
        assert!(container_change(&plain, Version::MAX).unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, expected) in [
            (
                r#"{"Env":{"":"1"}}"#,
                "invalid Env: a name is expected before its value",
            ),
            (
                r#"{"Env":{"A=B":null}}"#,
                "invalid Env: invalid environment variable: \"A=B\"",
            ),
            (
                r#"{"Labels":{"":null}}"#,
                "invalid Labels: a name is expected before its value",
            ),
        ] {
            let request: ContainerUpdateRequest = serde_json::from_str(text).unwrap();
            let refusal = container_change(&request, Version::MAX).unwrap_err();
            assert_eq!(refusal.to_string(), expected);
        }
    }
}
