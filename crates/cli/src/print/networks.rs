//! `network ls` and `network explain`.

use std::collections::BTreeMap;

use api::wire::{Network, PortExplained};

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

/// How `network ls` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Columns, template or JSON.
    pub format: Format,
    /// Only ids.
    pub quiet: bool,
    /// Nothing is shortened.
    pub no_trunc: bool,
}

/// `network ls`.
pub fn list(networks: &[Network], style: &Style) -> Result<String, CliError> {
    if style.quiet && style.format == Format::Table {
        let line = |network: &Network| format!("{}\n", id(network, style.no_trunc));
        return Ok(networks.iter().map(line).collect());
    }
    if style.format != Format::Table {
        let rows: Vec<Row> = networks.iter().map(|n| row(n, style)).collect();
        return template::rows(&style.format, &rows, &headings());
    }
    let line = |network: &Network| {
        vec![
            id(network, style.no_trunc).to_owned(),
            network.name.clone(),
            network.driver.clone(),
            network.scope.clone(),
        ]
    };
    let lines: Vec<Vec<String>> = networks.iter().map(line).collect();
    Ok(table::table(
        &["NETWORK ID", "NAME", "DRIVER", "SCOPE"],
        &lines,
    ))
}

fn id(network: &Network, whole: bool) -> &str {
    if whole {
        &network.id
    } else {
        units::short_id(&network.id)
    }
}

fn row(network: &Network, style: &Style) -> Row {
    let labels: Vec<String> = pairs(&network.labels);
    Row::from([
        ("CreatedAt", go_time(&network.created)),
        ("Driver", network.driver.clone()),
        ("ID", id(network, style.no_trunc).to_owned()),
        ("IPv4", network.enable_ipv4.unwrap_or(true).to_string()),
        ("IPv6", network.enable_ipv6.to_string()),
        ("Internal", network.internal.to_string()),
        (
            "Label",
            serde_json::to_string(&network.labels).unwrap_or_default(),
        ),
        ("Labels", labels.join(",")),
        ("Name", network.name.clone()),
        ("Scope", network.scope.clone()),
    ])
}

fn pairs(labels: &BTreeMap<String, String>) -> Vec<String> {
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect()
}

fn headings() -> Row {
    [
        ("CreatedAt", "CREATED AT"),
        ("Driver", "DRIVER"),
        ("ID", "NETWORK ID"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("Name", "NAME"),
        ("Scope", "SCOPE"),
    ]
    .into_iter()
    .map(|(name, heading)| (name, heading.to_owned()))
    .collect()
}

/// `network explain`: who has the port, then each packet's way.
pub fn explained(port: &str, explained: &PortExplained) -> String {
    let mut text: String = explained
        .owners
        .iter()
        .map(|owner| format!("{port}: {owner}\n"))
        .collect();
    for packet in &explained.packets {
        text.push_str(&format!("\nfrom {}", packet.from));
        if !packet.interface.is_empty() {
            text.push_str(&format!(", by {} to {}", packet.interface, packet.to));
        }
        text.push_str(":\n");
        for reason in &packet.reasons {
            text.push_str(&format!("  brig   {reason}\n"));
        }
        for other in &packet.others {
            text.push_str(&format!("  others {other}\n"));
        }
        text.push_str(&format!("  so     {}\n", packet.verdict));
    }
    text
}

/// A time as Go prints it.
fn go_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => format!(
            "{} +0000 UTC",
            time.to_string().replace('T', " ").trim_end_matches('Z')
        ),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(format: Option<&str>, quiet: bool) -> String {
        let networks = [("0a", "bridge"), ("b1", "shop")].map(|(id, name)| Network {
            id: id.repeat(32),
            name: name.to_owned(),
            driver: "bridge".to_owned(),
            scope: "local".to_owned(),
            labels: [("tier".to_owned(), "web".to_owned())].into(),
            ..Network::default()
        });
        let style = Style {
            format: Format::parse(format),
            quiet,
            no_trunc: false,
        };
        list(&networks, &style).unwrap()
    }

    #[test]
    fn all_forms() {
        insta::assert_snapshot!(show(None, false), @r"
        NETWORK ID     NAME      DRIVER    SCOPE
        0a0a0a0a0a0a   bridge    bridge    local
        b1b1b1b1b1b1   shop      bridge    local
        ");
        insta::assert_snapshot!(show(None, true), @r"
        0a0a0a0a0a0a
        b1b1b1b1b1b1
        ");
        insta::assert_snapshot!(show(Some("{{.Name}} {{.IPv6}} {{.Labels}}"), false), @r"
        bridge false tier=web
        shop false tier=web
        ");
        assert!(
            show(Some("json"), false)
                .starts_with(r#"{"CreatedAt":"","Driver":"bridge","ID":"0a0a0a0a0a0a","#)
        );
    }
}
