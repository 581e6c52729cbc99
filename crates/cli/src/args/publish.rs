//! `--publish`: `[address:][port]:port[/protocol]`, or its parts by name; either may be followed by
//! who may use it, `,allow=10.0.0.0/8`.

use std::net::IpAddr;

use types::{ContainerPort, PortRequest, Protocol, port_range};

use super::values::BadValue;

fn bad(text: impl Into<String>) -> BadValue {
    BadValue(text.into())
}

/// Reads one flag: a range is several ports.
pub fn publish(text: &str) -> Result<Vec<PortRequest>, BadValue> {
    let mut parts = text.split(',');
    let first = parts.next().unwrap_or_default();
    let (short, options): (String, Vec<&str>) = if first.contains('=') {
        long(text)?
    } else {
        (first.to_owned(), parts.collect())
    };
    let mut allow = Vec::new();
    for option in options {
        match option.split_once('=') {
            Some(("allow", prefix)) if is_prefix(prefix) => allow.push(prefix.to_owned()),
            Some(("allow", prefix)) => {
                return Err(bad(format!(
                    "invalid allow '{prefix}': an address or a prefix is expected, as in 10.0.0.0/8"
                )));
            }
            _ => {
                return Err(bad(format!(
                    "invalid option '{option}': allow=PREFIX is expected"
                )));
            }
        }
    }
    let ports = standard(&short)?;
    let with = |port| PortRequest {
        allow: allow.clone(),
        ..port
    };
    Ok(ports.into_iter().map(with).collect())
}

/// `target=80,published=8080,protocol=tcp` in the short form, and the options that it has none for.
fn long(text: &str) -> Result<(String, Vec<&str>), BadValue> {
    let (mut address, mut published, mut target, mut protocol) = ("", "", "", "tcp");
    let mut options = Vec::new();
    for field in text.split(',') {
        let (key, value) = field
            .split_once('=')
            .filter(|(_, v)| !v.is_empty())
            .ok_or_else(|| {
                bad(format!(
                    "invalid publish opts format (should be name=value but got '{field}')"
                ))
            })?;
        match key {
            "target" => target = value,
            "published" => published = value,
            "protocol" => protocol = value,
            "host_ip" => address = value,
            "allow" => options.push(field),
            // Of services: here every port is the host's.
            "mode" => {}
            _ => return Err(bad(format!("invalid publish option '{key}'"))),
        }
    }
    let before = match (address, published) {
        ("", "") => String::new(),
        ("", published) => format!("{published}:"),
        (address, published) if address.contains(':') => format!("[{address}]:{published}:"),
        (address, published) => format!("{address}:{published}:"),
    };
    Ok((format!("{before}{target}/{protocol}"), options))
}

fn standard(text: &str) -> Result<Vec<PortRequest>, BadValue> {
    let (address, host, inside) = split(text);
    let (inside, protocol) = inside.split_once('/').unwrap_or((inside, "tcp"));
    let host_ip = host_address(address)?;
    if inside.is_empty() {
        return Err(bad(format!("no port specified: {text}<empty>")));
    }
    let (first, last) =
        port_range(inside).ok_or_else(|| bad(format!("invalid containerPort: {inside}")))?;
    let host = match host {
        "" | "0" => None,
        range => Some(port_range(range).ok_or_else(|| bad(format!("invalid hostPort: {range}")))?),
    };
    let protocol: Protocol = protocol
        .parse()
        .map_err(|_| bad(format!("invalid proto: {protocol}")))?;
    let same_length = host.is_none_or(|(low, high)| high - low == last - first);
    if first != last && !same_length {
        let (_, host, _) = split(text);
        return Err(bad(format!(
            "invalid ranges specified for container and host Ports: {inside} and {host}"
        )));
    }
    let one = |number: u16| PortRequest {
        port: ContainerPort { number, protocol },
        host_ip,
        host_ports: match host {
            Some((low, _)) if same_length => Some((low + (number - first), low + (number - first))),
            range => range,
        },
        allow: Vec::new(),
    };
    Ok((first..=last).map(one).collect())
}

/// Address, the host's ports, the container's ports.
fn split(text: &str) -> (&str, &str, &str) {
    let Some((before, inside)) = text.rsplit_once(':') else {
        return ("", "", text);
    };
    match before.rsplit_once(':') {
        // An address in brackets without a port of the host ends so: `[::1]::80`.
        Some((address, host)) => (address, host, inside),
        None => ("", before, inside),
    }
}

fn host_address(text: &str) -> Result<Option<IpAddr>, BadValue> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let parsed = bare.parse().map(Some);
    parsed.map_err(|_| bad(format!("invalid IP address: {bare}")))
}

fn is_prefix(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_empty() && !text.contains('/') || length.parse::<u8>().is_ok_and(|n| n <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let one = |port: &PortRequest| {
            let ip = port.host_ip.map(|ip| format!("{ip} ")).unwrap_or_default();
            let host = port
                .host_ports
                .map_or("any".to_owned(), |(a, b)| format!("{a}-{b}"));
            let allow = match port.allow.as_slice() {
                [] => String::new(),
                allow => format!(" for {}", allow.join(" ")),
            };
            format!("{ip}{host} -> {}{allow}", port.port)
        };
        match publish(text) {
            Ok(ports) => ports.iter().map(one).collect::<Vec<_>>().join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn all_forms() {
        for (text, shown) in [
            ("80", "any -> 80/tcp"),
            ("0:80", "any -> 80/tcp"),
            (":80", "any -> 80/tcp"),
            ("8080:80", "8080-8080 -> 80/tcp"),
            ("53:53/udp", "53-53 -> 53/udp"),
            ("127.0.0.1:8080:80/TCP", "127.0.0.1 8080-8080 -> 80/tcp"),
            ("127.0.0.1::80", "127.0.0.1 any -> 80/tcp"),
            ("[::1]:8080:80", "::1 8080-8080 -> 80/tcp"),
            ("[::]::80", ":: any -> 80/tcp"),
            ("::1:8080:80", "::1 8080-8080 -> 80/tcp"),
            (
                "8000-8001:80-81",
                "8000-8000 -> 80/tcp; 8001-8001 -> 81/tcp",
            ),
            ("80-81", "any -> 80/tcp; any -> 81/tcp"),
            ("8000-8010:80", "8000-8010 -> 80/tcp"),
            (
                "8080:80,allow=10.0.0.0/8,allow=::1",
                "8080-8080 -> 80/tcp for 10.0.0.0/8 ::1",
            ),
            ("target=80,published=8080", "8080-8080 -> 80/tcp"),
            (
                "published=53,target=53,protocol=udp,mode=host,host_ip=::1,allow=fe80::/10",
                "::1 53-53 -> 53/udp for fe80::/10",
            ),
        ] {
            assert_eq!(show(text), shown, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, shown) in [
            ("", "no port specified: <empty>"),
            ("8080:", "no port specified: 8080:<empty>"),
            ("http:80", "invalid hostPort: http"),
            ("80:http", "invalid containerPort: http"),
            ("80/icmp", "invalid proto: icmp"),
            ("web:80:80", "invalid IP address: web"),
            (
                "8000-8001:80-82",
                "invalid ranges specified for container and host Ports: 80-82 and 8000-8001",
            ),
            ("70000:80", "invalid hostPort: 70000"),
            (
                "80:80,allow=10.0.0.0/33",
                "invalid allow '10.0.0.0/33': an address or a prefix is expected, as in 10.0.0.0/8",
            ),
            (
                "80:80,deny=1",
                "invalid option 'deny=1': allow=PREFIX is expected",
            ),
            (
                "target=80,published",
                "invalid publish opts format (should be name=value but got 'published')",
            ),
            ("target=80,port=1", "invalid publish option 'port'"),
        ] {
            assert_eq!(show(text), shown, "{text}");
        }
    }
}
