//! The PORTS column of `ps`: neighbours are shown as ranges.

use api::wire::PortSummary;

/// All ports of a container in one cell, as Docker's client shows them.
pub(super) fn shown(ports: &[PortSummary]) -> String {
    let mut ports: Vec<&PortSummary> = ports.iter().collect();
    ports.sort_by(|a, b| {
        let key = |p: &PortSummary| {
            (
                p.private_port,
                p.ip.clone(),
                p.public_port,
                p.r#type.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    // What is not published, then what is, each as ranges by protocol and address.
    let mut ranges: Vec<Range> = Vec::new();
    for port in ports {
        let next = ranges.iter_mut().find(|range| range.continues_with(port));
        match next {
            Some(range) => range.length += 1,
            None => ranges.push(Range::new(port)),
        }
    }
    let shown: Vec<String> = ranges.iter().map(Range::shown).collect();
    shown.join(", ")
}

struct Range {
    ip: String,
    protocol: String,
    private: u16,
    public: u16,
    length: u16,
}

impl Range {
    fn new(port: &PortSummary) -> Self {
        Self {
            ip: port.ip.clone(),
            protocol: port.r#type.clone(),
            private: port.private_port,
            public: port.public_port,
            length: 1,
        }
    }

    fn continues_with(&self, port: &PortSummary) -> bool {
        let next = |first: u16| first.checked_add(self.length);
        let published = match (self.public, port.public_port) {
            (0, 0) => true,
            (0, _) | (_, 0) => false,
            (first, number) => next(first) == Some(number),
        };
        self.ip == port.ip
            && self.protocol == port.r#type
            && next(self.private) == Some(port.private_port)
            && published
    }

    fn shown(&self) -> String {
        let range = |first: u16| match self.length {
            1 => first.to_string(),
            length => format!("{first}-{}", first + (length - 1)),
        };
        let inside = format!("{}/{}", range(self.private), self.protocol);
        match self.public {
            0 => inside,
            public if self.ip.contains(':') => {
                format!("[{}]:{}->{inside}", self.ip, range(public))
            }
            public => format!("{}:{}->{inside}", self.ip, range(public)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, public_port: u16, private_port: u16, protocol: &str) -> PortSummary {
        PortSummary {
            ip: ip.to_owned(),
            private_port,
            public_port,
            r#type: protocol.to_owned(),
        }
    }

    #[test]
    fn neighbours_are_ranges() {
        assert_eq!(shown(&[]), "");
        let ports = [
            port("0.0.0.0", 8001, 81, "tcp"),
            port("0.0.0.0", 8000, 80, "tcp"),
            port("::", 8000, 80, "tcp"),
            port("", 0, 53, "udp"),
            port("", 0, 54, "udp"),
            port("127.0.0.1", 9000, 90, "tcp"),
        ];
        assert_eq!(
            shown(&ports),
            "53-54/udp, 0.0.0.0:8000-8001->80-81/tcp, [::]:8000->80/tcp, \
             127.0.0.1:9000->90/tcp"
        );
    }
}
