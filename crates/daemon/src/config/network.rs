//! How networks are made: the table `network` of the configuration file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use engine::network::Settings;
use serde::Deserialize;

use super::registries::Table;

/// Why there is no configuration of networks.
#[derive(Debug, thiserror::Error)]
#[error("{}: the table network: {why}", path.display())]
pub(crate) struct Error {
    path: PathBuf,
    why: String,
}

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    bridge: Option<String>,
    table: Option<String>,
    subnet: Option<String>,
    subnet_v6: Option<String>,
    ip_range: Option<String>,
    default_options: BTreeMap<String, BTreeMap<String, String>>,
    pools: Option<Vec<WrittenPool>>,
    ipv6: Option<bool>,
    mtu: Option<u32>,
    icc: Option<bool>,
    default_publish_address: Option<IpAddr>,
    host_policy: Option<bool>,
    ip_forward: Option<bool>,
    firewall: Option<bool>,
}

/// A range that subnets are taken from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPool {
    base: String,
    size: u8,
}

/// The settings, with what the table does not say as it is by default.
pub(super) fn complete(table: Option<&Table>, keeper: PathBuf) -> Result<Settings, Error> {
    let settings = Settings {
        keeper,
        ..Settings::default()
    };
    let Some(Table {
        file,
        value: Some(value),
    }) = table
    else {
        return Ok(settings);
    };
    let wrong = |why: String| Error {
        path: file.clone(),
        why,
    };
    let written: Written =
        serde_json::from_value(value.clone()).map_err(|error| wrong(error.to_string()))?;
    let mut settings = Settings {
        bridge: written.bridge.map_or(settings.bridge, device),
        table: written.table.unwrap_or(settings.table),
        mtu: written.mtu,
        ipv6: written.ipv6.unwrap_or(settings.ipv6),
        icc: written.icc.unwrap_or(settings.icc),
        publish_address: written.default_publish_address,
        host_policy: written.host_policy.unwrap_or(settings.host_policy),
        ip_forward: written.ip_forward.unwrap_or(settings.ip_forward),
        firewall: written.firewall.unwrap_or(settings.firewall),
        default_options: written.default_options,
        ..settings
    };
    if let Some(subnet) = &written.subnet {
        settings.set_subnet(subnet).map_err(wrong)?;
    }
    if let Some(subnet) = &written.subnet_v6 {
        settings.set_subnet_v6(subnet).map_err(wrong)?;
    }
    if let Some(range) = &written.ip_range {
        settings.set_ip_range(range).map_err(wrong)?;
    }
    if let Some(pools) = written.pools {
        let pools = pools.iter().map(|pool| (pool.base.as_str(), pool.size));
        settings.set_pools(pools).map_err(wrong)?;
    }
    settings.check().map_err(wrong)?;
    Ok(settings)
}

/// In Docker's words no device is called `none`.
fn device(name: String) -> String {
    if name == "none" { String::new() } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Settings, String> {
        let table = Table {
            file: "/etc/brig/brigd.toml".into(),
            value: Some(value),
        };
        complete(Some(&table), "/x/brig-net".into()).map_err(|error| error.to_string())
    }

    #[test]
    fn all_settings_are_read() {
        let settings = read(json!({
            "bridge": "mine0", "table": "mine", "subnet": "10.9.0.1/24", "mtu": 1400,
            "pools": [{"base": "10.10.0.0/16", "size": 24}], "ipv6": true, "icc": false,
            "default-publish-address": "127.0.0.1", "host-policy": true, "ip-forward": false,
            "firewall": false, "subnet-v6": "fd00:9::1/64", "ip-range": "10.9.0.128/25",
            "default-options": {"bridge": {"com.docker.network.driver.mtu": "1234"}},
        }))
        .unwrap();
        assert_eq!(
            (settings.bridge.as_str(), settings.table.as_str()),
            ("mine0", "mine")
        );
        assert_eq!(
            settings.subnet.map(|s| s.to_string()),
            Some("10.9.0.1/24".into())
        );
        assert_eq!(settings.pools.len(), 1);
        let shown = [settings.subnet_v6, settings.ip_range].map(|s| s.unwrap().to_string());
        assert_eq!(shown, ["fd00:9::1/64", "10.9.0.128/25"]);
        assert_eq!(
            settings.default_options["bridge"]["com.docker.network.driver.mtu"],
            "1234"
        );
        assert!(
            !settings.icc && settings.host_policy && !settings.ip_forward && !settings.firewall
        );
        assert_eq!(complete(None, "/x".into()).unwrap().bridge, "brig0");
        assert!(!read(json!({"bridge": "none"})).unwrap().has_default());
    }

    #[test]
    fn mistakes_are_named() {
        for (value, says) in [
            (json!({"bridg": "x"}), "unknown field `bridg`"),
            (json!({"subnet": "10.9.0.1"}), "10.9.0.1"),
            (
                json!({"subnet": "fd00:9::1/64"}),
                "a subnet of IPv4 is expected",
            ),
            (json!({"subnet-v6": "fd00:9::1/64"}), "say ipv6 = true, too"),
            (
                json!({"subnet-v6": "10.9.0.1/24"}),
                "a subnet of IPv6 is expected",
            ),
            (
                json!({"bridge": "a name that is far too long"}),
                "1 to 15 bytes",
            ),
            (
                json!({"pools": [{"base": "10.0.0.0/24", "size": 8}]}),
                "larger than itself",
            ),
        ] {
            let error = read(value).unwrap_err();
            assert!(
                error.starts_with("/etc/brig/brigd.toml: the table network: ")
                    && error.contains(says),
                "{error}"
            );
        }
    }
}
