//! Who has a port: /proc/net says by which inode (proc_pid_net(5)), and /proc/PID/fd whose that is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::ruleset::Protocol;

/// Descriptors looked at before it is left unsaid who it is.
const MOST: usize = 50_000;

/// A socket in one of the kernel's tables.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    address: SocketAddr,
    state: u8,
    inode: u64,
}

/// A connection that has ended and lingers on: nobody has it.
const TIME_WAIT: u8 = 6;

/// Whether somebody has a port, and who, as a sentence's end.
pub fn find(protocol: Protocol, wanted: SocketAddr) -> Option<String> {
    let name = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => return None,
    };
    let tables = [name.to_owned(), format!("{name}6")];
    let entries = tables.iter().flat_map(|table| {
        let text = std::fs::read_to_string(format!("/proc/net/{table}"));
        let text = text.unwrap_or_default();
        text.lines().skip(1).filter_map(entry).collect::<Vec<_>>()
    });
    let mut in_the_way: Vec<_> = entries
        .filter(|entry| entry.state != TIME_WAIT && is_in_the_way(entry.address, wanted))
        .collect();
    // A listener first, then what is not connected.
    in_the_way.sort_by_key(|entry| entry.state != 10 && entry.state != 7);
    let first = in_the_way.first()?;
    Some(process_of(first.inode).unwrap_or_else(|| "a process that is not to be seen".to_owned()))
}

fn is_in_the_way(has: SocketAddr, wanted: SocketAddr) -> bool {
    let is_all = |ip: IpAddr| ip.is_unspecified();
    let (has_ip, wanted_ip) = (has.ip(), wanted.ip());
    has.port() == wanted.port()
        && (has_ip == wanted_ip
            || is_all(wanted_ip) && has_ip.is_ipv4() == wanted_ip.is_ipv4()
            // One on all addresses of version 6 may be on all of version 4 too.
            || is_all(has_ip) && (has_ip.is_ipv6() || wanted_ip.is_ipv4()))
}

/// `sl local_address rem_address st ... inode ...`
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    let address = address(words.nth(1)?)?;
    let state = u8::from_str_radix(words.nth(1)?, 16).ok()?;
    let inode = words.nth(5)?.parse().ok()?;
    Some(Entry {
        address,
        state,
        inode,
    })
}

/// Words of four bytes, each as this machine holds it; the port as people write it.
fn address(word: &str) -> Option<SocketAddr> {
    let (ip, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !matches!(ip.len(), 8 | 32) {
        return None;
    }
    let mut bytes = Vec::new();
    for part in ip.as_bytes().chunks(8) {
        let part = u32::from_str_radix(std::str::from_utf8(part).ok()?, 16).ok()?;
        bytes.extend(part.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => {
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn process_of(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let mut looked = 0;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let path = process.path();
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<i32>().ok())
        else {
            continue;
        };
        // Gone meanwhile, or not ours to see.
        let Ok(fds) = std::fs::read_dir(path.join("fd")) else {
            continue;
        };
        for fd in fds.flatten() {
            looked += 1;
            if std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()) {
                return Some(called(&path, pid));
            }
        }
        if looked > MOST {
            return None;
        }
    }
    None
}

fn called(process: &Path, pid: i32) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    format!("process {pid} ({})", name.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let table = [
            (
                "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1",
                Some(("127.0.0.1:8080", 10, 12345)),
            ),
            (
                "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 77 2",
                Some(("[::1]:80", 7, 77)),
            ),
            (
                "   2: 0000000000000000FFFF00000100000A:0050 00000000000000000000000000000000:0000 01 0:0 00:0 0 0 0 78 2",
                Some(("10.0.0.1:80", 1, 78)),
            ),
            ("rubbish", None),
            ("   0: 0100:1F90 0:0 0A 0:0 0:0 0 0 0 1", None),
        ];
        for (line, expected) in table {
            let found = entry(line).map(|e| (e.address.to_string(), e.state, e.inode));
            let expected = expected.map(|(a, s, i)| (a.to_owned(), s, i));
            if cfg!(target_endian = "little") {
                assert_eq!(found, expected, "{line}");
            }
        }
    }

    #[test]
    fn an_address_is_in_the_way_of_all_and_all_are_of_one() {
        let table = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.2:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::1]:80", "0.0.0.0:80", false),
        ];
        for (has, wanted, expected) in table {
            let found = is_in_the_way(has.parse().unwrap(), wanted.parse().unwrap());
            assert_eq!(found, expected, "{has} {wanted}");
        }
    }

    #[test]
    fn a_listener_is_found_by_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = find(Protocol::Tcp, listener.local_addr().unwrap()).unwrap();
        assert!(
            found.starts_with(&format!("process {} (", std::process::id())),
            "{found}"
        );
    }
}
