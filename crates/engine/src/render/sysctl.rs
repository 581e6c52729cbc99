//! Kernel parameters inside the container's namespaces.

use std::collections::HashMap;

use types::{IPC_SYSCTLS, Namespaces};

use super::{Error, RenderInput};

pub(super) fn sysctls(input: &RenderInput<'_>) -> Result<HashMap<String, String>, Error> {
    // What of them is another's is not this container's to set.
    let host_network = !input.spec.network.is_private();
    let namespaces = &input.spec.namespaces;
    let mut all = HashMap::new();
    if !host_network {
        // In its own network namespace everybody may ping and bind low ports: there is nothing of
        // the host's that it could take.
        for (name, value) in [
            (
                "net.ipv4.ping_group_range",
                format!("0 {}", last_group(input)),
            ),
            ("net.ipv4.ip_unprivileged_port_start", "0".to_owned()),
        ] {
            all.insert(name.to_owned(), value);
        }
    }
    for (name, value) in &input.spec.sysctls {
        // sysctl(8) takes slashes as well; the first separator decides which one is meant.
        let dotted = match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
            Some(b'/') => name.replace('.', "\0").replace('/', ".").replace('\0', "/"),
            _ => name.clone(),
        };
        check(&dotted, host_network)
            .and_then(|()| check_shared(&dotted, namespaces))
            .map_err(|reason| Error::Sysctl {
                name: name.clone(),
                reason,
            })?;
        all.insert(dotted, value.clone());
    }
    Ok(all)
}

/// The kernel takes the last group of a range only if the container has it.
fn last_group(input: &RenderInput<'_>) -> u32 {
    const LAST: u32 = i32::MAX.unsigned_abs();
    let Some(ids) = input.ids else {
        return LAST;
    };
    let first = ids.gids.iter().find(|range| range.inside == 0);
    first.map_or(0, |range| (range.count - 1).min(LAST))
}

/// What belongs to a namespace that the container shares is not its to set.
fn check_shared(name: &str, namespaces: &Namespaces) -> Result<(), &'static str> {
    let of_ipc = IPC_SYSCTLS.contains(&name) || name.starts_with("fs.mqueue.");
    if of_ipc && !namespaces.ipc.is_own() {
        return Err("it is the host's or another container's in this IPC mode");
    }
    if name == "kernel.domainname" && !namespaces.uts.is_own() {
        return Err("it is the host's in this UTS mode");
    }
    Ok(())
}

fn check(name: &str, host_network: bool) -> Result<(), &'static str> {
    // In a path the two separators change places: these would be `.` and `..` there.
    let is_dots = |part: &str| matches!(part, "/" | "//");
    let sound = name
        .split('.')
        .all(|part| !part.is_empty() && !is_dots(part) && !part.contains('\0'));
    if !sound || name.contains("..") || name.starts_with('/') {
        return Err("it is no name of a parameter");
    }
    if name.starts_with("net.") {
        return match host_network {
            true => Err("net.* is the host's or another container's in this network mode"),
            false => Ok(()),
        };
    }
    if IPC_SYSCTLS.contains(&name) || name.starts_with("fs.mqueue.") || name == "kernel.domainname"
    {
        return Ok(());
    }
    Err(
        "it is not of the container's own namespaces; net.*, fs.mqueue.*, kernel.msg*, kernel.sem \
         and kernel.shm* are",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaced_parameters_are_taken() {
        for good in [
            "net.core.somaxconn",
            "kernel.shmmax",
            "fs.mqueue.msg_max",
            "net.ipv4.conf.eth0/1.forwarding",
        ] {
            assert_eq!(check(good, false), Ok(()), "{good}");
        }
        for bad in [
            "",
            "vm.swappiness",
            "kernel.hostname",
            "kernel.msgmaxx",
            "net",
            "net.",
            "net..core",
            "/net.x",
            "net.//.kernel.core_pattern",
        ] {
            assert!(check(bad, false).is_err(), "{bad}");
        }
        assert!(check("net.core.somaxconn", true).is_err());
        assert_eq!(check("kernel.sem", true), Ok(()));
    }
}
