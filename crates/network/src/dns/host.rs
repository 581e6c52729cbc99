//! The host's own resolvers (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// The port of the domain name system.
pub const PORT: u16 = 53;

/// More than the host itself would ever ask.
const MOST: usize = 8;

/// The resolvers that a text names, in their order. As for the C library, the host itself if it
/// names none. `interface` tells an interface's number by its name, for addresses of one link.
pub fn resolvers(text: &str, interface: impl Fn(&str) -> Option<u32>) -> Vec<SocketAddr> {
    let words = text.lines().map(str::split_ascii_whitespace);
    let named = words.filter_map(|mut words| match words.next()? {
        "nameserver" => address(words.next()?, &interface),
        _ => None,
    });
    let named: Vec<_> = named.take(MOST).collect();
    if named.is_empty() {
        return vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT)];
    }
    named
}

/// An address, with the interface it means something on after a `%`.
fn address(word: &str, interface: impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    let Some((address, scope)) = word.split_once('%') else {
        return Some(SocketAddr::new(word.parse().ok()?, PORT));
    };
    let scope = scope.parse().ok().or_else(|| interface(scope))?;
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_resolvers_are_read_as_the_c_library_reads_them() {
        let read = |text| {
            let all = resolvers(text, |name| (name == "eth0").then_some(7));
            all.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        let table: [(&str, &[&str]); 5] = [
            ("", &["127.0.0.1:53"]),
            (
                "search a\nnameserver 127.0.0.53\noptions edns0\n",
                &["127.0.0.53:53"],
            ),
            (
                "nameserver\t10.0.0.1 # first\nnameserver 2001:db8::1",
                &["10.0.0.1:53", "[2001:db8::1]:53"],
            ),
            (
                "nameserver fe80::1%eth0\nnameserver fe80::2%3",
                &["[fe80::1%7]:53", "[fe80::2%3]:53"],
            ),
            (
                "#nameserver 1.1.1.1\nnameserver rubbish\nnameserver fe80::1%eth9",
                &["127.0.0.1:53"],
            ),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
