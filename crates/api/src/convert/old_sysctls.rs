//! Parameters of interfaces among those of the container (`net.ipv4.conf.eth0.forwarding`): older clients
//! have no other place for them, and nothing can be set of an interface before it is there.

use std::collections::BTreeMap;

use types::NetworkMode;

use super::Refusal;
use crate::Version;
use crate::wire::{ContainerCreateRequest, EndpointSettings};

/// The endpoint's option for parameters of its interface.
const OPTION: &str = "com.docker.network.endpoint.sysctls";

/// Makes what older clients ask of `eth0` a matter of the endpoint in the mode's network, and says so.
///
/// # Errors
/// Names the parameter that newer clients have to ask of the endpoint, or that is of another interface.
pub fn move_sysctls(
    request: &mut ContainerCreateRequest,
    version: Version,
) -> Result<Option<String>, Refusal> {
    let mode = NetworkMode::parse(&request.host_config.network_mode);
    let all = std::mem::take(&mut request.host_config.sysctls);
    let (moved, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = all
        .into_iter()
        .partition(|(name, _)| mode.is_private() && parts(name).is_some());
    request.host_config.sysctls = rest;
    let Some(first) = moved.keys().next() else {
        return Ok(None);
    };
    if version.has(48) {
        return Err(Refusal::Said(format!(
            "interface specific sysctl setting \"{first}\" must be supplied using driver option '{OPTION}'"
        )));
    }
    let mut options = Vec::new();
    for (name, value) in &moved {
        options.push(option(name, value)?);
    }
    let names: Vec<&str> = moved.keys().map(String::as_str).collect();
    let (names, mut options) = (names.join(","), options.join(","));
    let warning =
        format!("Migrated sysctl \"{names}\" to DriverOpts{{\"{OPTION}\":\"{options}\"}}.");
    let opts = endpoint(request, &mode, version)?
        .driver_opts
        .get_or_insert_default();
    // What is asked of the endpoint itself is said last, and so holds.
    if let Some(own) = opts.get(OPTION) {
        options = format!("{options},{own}");
    }
    opts.insert(OPTION.to_owned(), options);
    Ok(Some(warning))
}

/// Of `net.ipv4.conf.eth0.forwarding` what is before the interface, the interface, and what is behind it.
fn parts(name: &str) -> Option<(String, &str, &str)> {
    let all: Vec<&str> = name.splitn(5, '.').collect();
    match all[..] {
        ["net", version, part, interface, rest] if interface.starts_with("eth") => {
            Some((format!("net.{version}.{part}"), interface, rest))
        }
        _ => None,
    }
}

fn option(name: &str, value: &str) -> Result<String, Refusal> {
    match parts(name) {
        Some((before, "eth0", behind)) => Ok(format!("{before}.IFNAME.{behind}={value}")),
        _ => Err(Refusal::Said(format!(
            "unable to determine network endpoint for sysctl {name}, use driver option '{OPTION}' to set \
             per-interface sysctls"
        ))),
    }
}

/// The settings of the endpoint in the mode's network.
fn endpoint<'a>(
    request: &'a mut ContainerCreateRequest,
    mode: &NetworkMode,
    version: Version,
) -> Result<&'a mut EndpointSettings, Refusal> {
    let name = mode.network().unwrap_or_default();
    let all = request
        .networking_config
        .endpoints_config
        .get_or_insert_default();
    let known = ["default", name]
        .into_iter()
        .find(|key| all.contains_key(*key));
    let known = known.map(str::to_owned);
    let only = all.keys().next().cloned();
    let key = match (known, only) {
        (Some(known), _) => known,
        (None, None) => name.to_owned(),
        (None, Some(only)) if !version.has(44) => only,
        (None, Some(_)) => {
            return Err(Refusal::Said(
                "unable to find a network for sysctls of an interface: HostConfig.NetworkMode must match the \
                 identity of a network in NetworkSettings.Networks"
                    .to_owned(),
            ));
        }
    };
    Ok(all.entry(key).or_default().get_or_insert_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moved(
        host: serde_json::Value,
        endpoints: serde_json::Value,
        minor: u16,
    ) -> Result<(Option<String>, serde_json::Value), String> {
        let mut request: ContainerCreateRequest = serde_json::from_value(json!({
            "Image": "i",
            "HostConfig": host,
            "NetworkingConfig": { "EndpointsConfig": endpoints },
        }))
        .unwrap();
        let warning = move_sysctls(&mut request, Version::new(1, minor));
        let warning = warning.map_err(|refusal| refusal.to_string())?;
        let endpoints = request.networking_config.endpoints_config;
        let options: BTreeMap<_, _> = endpoints
            .into_iter()
            .flatten()
            .map(|(name, settings)| (name, settings.and_then(|s| s.driver_opts)))
            .collect();
        let sysctls = request.host_config.sysctls;
        Ok((warning, json!({ "sysctls": sysctls, "options": options })))
    }

    const ASKED: &str = "net.ipv4.conf.eth0.forwarding";

    #[test]
    fn older_clients_parameters_of_eth0_are_the_endpoints() {
        let host =
            json!({ "Sysctls": { ASKED: "1", "net.core.somaxconn": "9" }, "NetworkMode": "n" });
        let (warning, now) = moved(host.clone(), json!({}), 47).unwrap();
        let option = "net.ipv4.conf.IFNAME.forwarding=1";
        let expected =
            format!("Migrated sysctl \"{ASKED}\" to DriverOpts{{\"{OPTION}\":\"{option}\"}}.");
        assert_eq!(warning, Some(expected));
        let sysctls = json!({ "net.core.somaxconn": "9" });
        assert_eq!(
            now,
            json!({ "sysctls": sysctls, "options": { "n": { OPTION: option } } })
        );
        let own = json!({ "n": { "DriverOpts": { OPTION: "own" } }, "m": null });
        let (_, now) = moved(host.clone(), own, 46).unwrap();
        assert_eq!(now["options"]["n"][OPTION], format!("{option},own"));
        let refused = moved(host, json!({ "m": null }), 46).unwrap_err();
        assert!(refused.contains("must match the identity"), "{refused}");
    }

    #[test]
    fn others_and_newer_clients_are_refused() {
        let host = json!({ "Sysctls": { ASKED: "1" } });
        assert_eq!(
            moved(host, json!({}), 48).unwrap_err(),
            format!(
                "interface specific sysctl setting \"{ASKED}\" must be supplied using driver option '{OPTION}'"
            )
        );
        let host = json!({ "Sysctls": { "net.ipv6.conf.eth1.forwarding": "1" } });
        let refused = moved(host, json!({}), 47).unwrap_err();
        assert!(
            refused.contains("net.ipv6.conf.eth1.forwarding, use"),
            "{refused}"
        );
        let host = json!({ "Sysctls": { ASKED: "1" }, "NetworkMode": "host" });
        let (warning, now) = moved(host, json!({}), 52).unwrap();
        assert_eq!((warning, &now["sysctls"][ASKED]), (None, &json!("1")));
    }
}
