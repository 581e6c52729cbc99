//! `--security-opt`.

use types::{SeccompProfile, Security};

use super::Surroundings;
use crate::args::values::go_bool;
use crate::error::CliError;

/// Adds the options to `security`. Profiles are read here and sent whole: the daemon does not know
/// the caller's files.
pub(super) fn options(
    options: &[String],
    security: &mut Security,
    around: &Surroundings<'_>,
) -> Result<(), CliError> {
    for option in options {
        // The colon is the old separator.
        let (name, value) = option
            .split_once('=')
            .or_else(|| option.split_once(':'))
            .map_or((option.as_str(), None), |(n, v)| (n, Some(v)));
        one(option, name, value, security, around)?;
    }
    Ok(())
}

fn one(
    option: &str,
    name: &str,
    value: Option<&str>,
    security: &mut Security,
    around: &Surroundings<'_>,
) -> Result<(), CliError> {
    let invalid = || CliError::Invalid(format!("Invalid --security-opt: {option:?}"));
    match (name, value) {
        ("no-new-privileges", None) => security.no_new_privileges = Some(true),
        ("no-new-privileges", Some(value)) => {
            security.no_new_privileges = Some(go_bool(value).map_err(|_| invalid())?);
        }
        ("seccomp", Some("unconfined")) => security.seccomp = SeccompProfile::Unconfined,
        ("seccomp", Some("builtin")) => security.seccomp = SeccompProfile::Builtin,
        ("seccomp", Some(path)) => {
            security.seccomp = SeccompProfile::Custom(profile(path, around)?)
        }
        ("systempaths", Some("unconfined")) => {
            security.masked_paths = Some(Vec::new());
            security.readonly_paths = Some(Vec::new());
        }
        ("apparmor", Some("unconfined")) => security.apparmor = None,
        ("apparmor", Some(profile)) => security.apparmor = Some(profile.to_owned()),
        ("writable-cgroups", None) => security.writable_cgroups = true,
        ("writable-cgroups", Some(value)) => {
            security.writable_cgroups = go_bool(value).map_err(|_| invalid())?;
        }
        ("label", Some(label)) => security.labels.push(label.to_owned()),
        ("credentialspec", Some(_)) => {
            return Err(CliError::Invalid(format!(
                "--security-opt {name} is not in this version"
            )));
        }
        _ => return Err(invalid()),
    }
    Ok(())
}

fn profile(path: &str, around: &Surroundings<'_>) -> Result<String, CliError> {
    let text = (around.read)(path).map_err(|source| {
        let inner = CliError::File {
            path: path.to_owned(),
            source,
        };
        CliError::Invalid(format!("opening seccomp profile ({path}) failed: {inner}"))
    })?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        CliError::Invalid(format!(
            "compacting json for seccomp profile ({path}) failed: {error}"
        ))
    })?;
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::with;
    use super::*;

    fn show(option: &str) -> String {
        let files = [("p.json", "{ \"defaultAction\": \"A\" }"), ("bad", "{")];
        let mut security = Security::default();
        let result = with(&files, |around| {
            options(&[option.to_owned()], &mut security, around)
        });
        match result {
            Ok(()) => format!(
                "{option} -> {} {:?} {:?}",
                security.no_new_privileges.unwrap_or(false),
                security.seccomp,
                security.masked_paths
            ),
            Err(error) => format!("{option} -> {error}"),
        }
    }

    #[test]
    fn security_options() {
        let lines = [
            "no-new-privileges",
            "no-new-privileges:true",
            "no-new-privileges=false",
            "seccomp=unconfined",
            "seccomp:unconfined",
            "seccomp=builtin",
            "seccomp=p.json",
            "seccomp=/no",
            "seccomp=bad",
            "systempaths=unconfined",
            "apparmor=unconfined",
            "apparmor=mine",
            "label=level:s0",
            "seccomp",
            "foo",
            "no-new-privileges=maybe",
        ]
        .map(show);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        no-new-privileges -> true Default None
        no-new-privileges:true -> true Default None
        no-new-privileges=false -> false Default None
        seccomp=unconfined -> false Unconfined None
        seccomp:unconfined -> false Unconfined None
        seccomp=builtin -> false Builtin None
        seccomp=p.json -> false Custom("{\"defaultAction\":\"A\"}") None
        seccomp=/no -> opening seccomp profile (/no) failed: open /no: no such file or directory
        seccomp=bad -> compacting json for seccomp profile (bad) failed: EOF while parsing an object at line 1 column 1
        systempaths=unconfined -> false Default Some([])
        apparmor=unconfined -> false Default None
        apparmor=mine -> false Default None
        label=level:s0 -> false Default None
        seccomp -> Invalid --security-opt: "seccomp"
        foo -> Invalid --security-opt: "foo"
        no-new-privileges=maybe -> Invalid --security-opt: "no-new-privileges=maybe"
        "#);
    }
}
