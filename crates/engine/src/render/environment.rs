//! The environment of a process.

use crate::container::Resolved;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The defaults, the container's own over them, then the session's. A later value takes the place
/// of an earlier one; a bare name takes the variable away.
pub(super) fn environment(
    resolved: &Resolved,
    session: &[String],
    tty: bool,
    home: &str,
) -> Vec<String> {
    let mut env = vec![
        format!("PATH={PATH}"),
        format!("HOSTNAME={}", resolved.hostname),
    ];
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    for variable in resolved.env.iter().chain(session) {
        set_variable(&mut env, variable);
    }
    if !env
        .iter()
        .any(|v| v.strip_prefix("HOME=").is_some_and(|h| !h.is_empty()))
    {
        let home = if home.is_empty() { "/" } else { home };
        set_variable(&mut env, &format!("HOME={home}"));
    }
    env
}

/// Sets a variable, `NAME=value`, or takes away that of a bare name.
pub(crate) fn set_variable(env: &mut Vec<String>, variable: &str) {
    let same = |known: &&mut String, name: &str| known.split('=').next() == Some(name);
    match variable.split_once('=') {
        Some((name, _)) => match env.iter_mut().find(|v| same(v, name)) {
            Some(known) => variable.clone_into(known),
            None => env.push(variable.to_owned()),
        },
        None => env.retain(|v| v.split('=').next() != Some(variable)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::resolved;
    use super::*;

    fn show(env: &[&str], session: &[&str], tty: bool, home: &str) -> String {
        let own = |words: &[&str]| -> Vec<String> { words.iter().map(|w| (*w).into()).collect() };
        let resolved = Resolved {
            env: own(env),
            ..resolved()
        };
        environment(&resolved, &own(session), tty, home)[1..].join(" ")
    }

    #[test]
    fn defaults_give_way() {
        assert_eq!(show(&[], &[], false, ""), "HOSTNAME=box HOME=/");
        assert_eq!(
            show(&["A=1", "TERM=vt100", "B"], &["A=2"], true, "/root"),
            "HOSTNAME=box TERM=vt100 A=2 HOME=/root"
        );
        assert_eq!(show(&["HOME=/me"], &["HOSTNAME"], false, "/"), "HOME=/me");
        assert_eq!(
            show(&["HOME=", "X=a=b"], &[], false, "/h"),
            "HOSTNAME=box HOME=/h X=a=b"
        );
    }
}
