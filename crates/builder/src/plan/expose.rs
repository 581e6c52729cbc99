//! The ports of `EXPOSE`.

use crate::check::Rule;

/// `[ip:][host:]port[-port][/protocol]` as `port/protocol`, one each.
pub(super) fn ports(text: &str) -> Result<Vec<String>, String> {
    let mut parts = text.rsplitn(3, ':');
    let (port, host, ip) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let (port, protocol) = port.split_once('/').unwrap_or((port, ""));
    if port.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" => "tcp",
        "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        other => return Err(format!("invalid proto: {other}")),
    };
    let address = ip.trim_start_matches('[').trim_end_matches(']');
    if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    let (first, last) = range(port).ok_or_else(|| format!("invalid containerPort: {port}"))?;
    if !host.is_empty() {
        let (from, to) = range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?;
        if first != last && to - from != last - first {
            return Err(format!(
                "invalid ranges specified for container and host Ports: {port} and {host}"
            ));
        }
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// What the checks say of a port.
pub(super) fn findings(text: &str) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    if text.contains(':') {
        let detail = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
        );
        found.push((Rule::ExposeInvalidFormat, detail));
    }
    let protocol = text.rsplit_once('/').map_or("", |(_, protocol)| protocol);
    if protocol.to_lowercase() != protocol {
        let detail = format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
        found.push((Rule::ExposeProtoCasing, detail));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        let one = |text: &str| ports(text).map(|list| list.join(" "));
        for (text, wanted) in [
            ("80", "80/tcp"),
            ("80/UDP", "80/udp"),
            ("80-82/sctp", "80/sctp 81/sctp 82/sctp"),
            ("127.0.0.1:8080:80", "80/tcp"),
            ("[::1]:8080:80", "80/tcp"),
            ("8000-8010:80", "80/tcp"),
            ("65535-65535", "65535/tcp"),
        ] {
            assert_eq!(one(text).as_deref(), Ok(wanted), "{text}");
        }
        for (text, wanted) in [
            ("", "no port specified: <empty>"),
            ("/tcp", "no port specified: /tcp<empty>"),
            ("80/http", "invalid proto: http"),
            ("a", "invalid containerPort: a"),
            ("82-80", "invalid containerPort: 82-80"),
            ("65536", "invalid containerPort: 65536"),
            ("x:80", "invalid hostPort: x"),
            ("h:1:80", "invalid IP address: h"),
            (
                "1-3:80-81",
                "invalid ranges specified for container and host Ports: 80-81 and 1-3",
            ),
        ] {
            assert_eq!(one(text).unwrap_err(), wanted, "{text}");
        }
    }
}
