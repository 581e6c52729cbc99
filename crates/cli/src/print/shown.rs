//! How Go prints what a template names whole: its structs by their fields in order, or by a text of their own.

use gtmpl_ng::{Func, FuncError, Value};

use super::shapes::Shape;

/// What comes before each field, the field, and what it is where it is left out; and what comes at the end.
type Known = (
    &'static [(&'static str, &'static str, &'static str)],
    &'static str,
);

/// Docker's types by their fields, which no two have alike.
const KNOWN: [Known; 15] = [
    (
        &[("", "Name", ""), ("=", "Soft", "0"), (":", "Hard", "0")],
        "",
    ),
    (&[("", "Path", ""), (":", "Rate", "0")], ""),
    (&[("", "Path", ""), (":", "Weight", "0")], ""),
    (&[("{", "HostIp", ""), (" ", "HostPort", "")], "}"),
    (&[("{", "Name", ""), (" ", "MaximumRetryCount", "0")], "}"),
    (&[("{", "Type", ""), (" ", "Config", "map[]")], "}"),
    (&[("{", "Type", ""), (" ", "Layers", "[]")], "}"),
    (
        &[
            ("{", "PathOnHost", ""),
            (" ", "PathInContainer", ""),
            (" ", "CgroupPermissions", ""),
        ],
        "}",
    ),
    (
        &[
            ("{", "Type", ""),
            (" ", "Name", ""),
            (" ", "Source", ""),
            (" ", "Destination", ""),
            (" ", "Driver", ""),
            (" ", "Mode", ""),
            (" ", "RW", "false"),
            (" ", "Propagation", ""),
        ],
        "}",
    ),
    (
        &[
            ("{", "Driver", ""),
            (" ", "Count", "0"),
            (" ", "DeviceIDs", "[]"),
            (" ", "Capabilities", "[]"),
            (" ", "Options", "map[]"),
        ],
        "}",
    ),
    (&CHECK, "}"),
    (&[("{", "Network", "")], "}"),
    (
        &[
            ("{", "Driver", ""),
            (" ", "Options", "map[]"),
            (" ", "Config", "[]"),
        ],
        "}",
    ),
    (
        &[
            ("{", "Subnet", ""),
            (" ", "IPRange", ""),
            (" ", "Gateway", ""),
            (" ", "AuxiliaryAddresses", "map[]"),
        ],
        "}",
    ),
    (
        &[
            ("{", "Name", ""),
            (" ", "EndpointID", ""),
            (" ", "MacAddress", ""),
            (" ", "IPv4Address", ""),
            (" ", "IPv6Address", ""),
        ],
        "}",
    ),
];

/// A health check. What has a zero of seconds is a duration.
const CHECK: [(&str, &str, &str); 6] = [
    ("{", "Test", "[]"),
    (" ", "Interval", "0s"),
    (" ", "Timeout", "0s"),
    (" ", "StartPeriod", "0s"),
    (" ", "StartInterval", "0s"),
    (" ", "Retries", "0"),
];

/// The functions that templates are given; their names are nobody else's.
pub(super) const FUNCTIONS: [(&str, Func); 3] = [
    ("brig_shown", shown as Func),
    ("brig_check", check as Func),
    ("brig_time", time as Func),
];

/// The template whose actions show what they name as Go does. Those with functions of their own make texts.
pub(super) fn wrapped(template: &str, shape: Shape) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("{{");
        match part.split_once("}}") {
            Some((action, behind)) => {
                out.push_str(&of_action(action, shape));
                out.push_str("}}");
                out.push_str(behind);
            }
            None => out.push_str(part),
        }
    }
    out
}

fn of_action(action: &str, shape: Shape) -> String {
    let (open, rest) = match action.strip_prefix("- ") {
        Some(rest) => ("- ", rest),
        None => ("", action),
    };
    let (body, close) = match rest.strip_suffix(" -") {
        Some(body) => (body.trim(), " -"),
        None => (rest.trim(), ""),
    };
    let names = body.starts_with(['.', '$']) || body.starts_with("index ");
    if !names || body.contains(['=', '|']) {
        return action.to_owned();
    }
    let call = match body.rsplit_once('.') {
        Some((above, field))
            if above.ends_with(".Healthcheck") && CHECK.iter().any(|one| one.1 == field) =>
        {
            format!("brig_check ({above}) \"{field}\"")
        }
        Some(("", "Created")) if shape == Shape::Network => format!("brig_time ({body})"),
        _ => format!("brig_shown ({body})"),
    };
    format!("{open}{call}{close}")
}

fn shown(args: &[Value]) -> Result<Value, FuncError> {
    Ok(Value::String(args.iter().map(text).collect()))
}

/// A field of a health check.
fn check(args: &[Value]) -> Result<Value, FuncError> {
    let wrong = || FuncError::Generic("a health check and a field of it are expected".to_owned());
    let [Value::Object(fields), Value::String(name)] = args else {
        return Err(wrong());
    };
    let known = CHECK.iter().find(|(_, known, _)| known == name);
    let (_, _, zero) = known.ok_or_else(wrong)?;
    Ok(Value::String(field(fields.get(name), zero)))
}

/// A moment of UTC.
fn time(args: &[Value]) -> Result<Value, FuncError> {
    let written: String = args.iter().map(ToString::to_string).collect();
    let moment = written.strip_suffix('Z').and_then(|m| m.split_once('T'));
    Ok(Value::String(match moment {
        Some((day, time)) => format!("{day} {time} +0000 UTC"),
        None => written,
    }))
}

fn text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) | Value::Map(fields) => {
            let known = match value {
                Value::Object(_) => of_known(fields),
                _ => None,
            };
            known.unwrap_or_else(|| {
                let mut all: Vec<_> = fields.iter().collect();
                all.sort_by_key(|(name, _)| *name);
                let all = all
                    .iter()
                    .map(|(name, one)| format!("{name}:{}", text(one)));
                format!("map[{}]", all.collect::<Vec<_>>().join(" "))
            })
        }
        other => other.to_string(),
    }
}

type Fields = std::collections::HashMap<String, Value>;

/// As a type has it with all of these fields; of several, that of which the most are there.
fn of_known(fields: &Fields) -> Option<String> {
    let has = |known: &&Known| {
        let names = |name: &String| known.0.iter().any(|(_, one, _)| one == name);
        !fields.is_empty() && fields.keys().all(names)
    };
    let fitting = KNOWN.iter().filter(has);
    let (parts, end) = fitting.min_by_key(|known| known.0.len() - fields.len())?;
    let parts = parts
        .iter()
        .map(|(before, name, zero)| format!("{before}{}", field(fields.get(*name), zero)));
    Some(parts.chain([(*end).to_owned()]).collect())
}

fn field(value: Option<&Value>, zero: &str) -> String {
    match value {
        None | Some(Value::Nil | Value::NoValue) => zero.to_owned(),
        Some(Value::Number(number)) if zero == "0s" => {
            types::go::duration(number.as_i64().unwrap_or_default())
        }
        Some(value) => text(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::template::shaped;
    use super::*;

    #[test]
    fn whole_structs_are_shown_as_go_does() {
        let container = json!({
            "Mounts": [
                {"Type": "volume", "Name": "v", "Source": "/s", "Destination": "/v", "Driver": "local", "Mode": "z",
                 "RW": true, "Propagation": ""},
                {"Type": "bind", "Source": "/tmp", "Destination": "/t", "Mode": "ro", "RW": false, "Propagation": "rprivate"},
            ],
            "HostConfig": {
                "Ulimits": [{"Name": "nofile", "Hard": 50, "Soft": 40}, {"Name": "core", "Hard": -1, "Soft": 0}],
                "BlkioDeviceReadBps": [{"Path": "/dev/vda", "Rate": 1048576}],
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "r"}],
            },
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}], "99/tcp": null}},
            "Config": {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 90_000_000_000_u64}},
        });
        let shows = |template: &str| match shaped(template, &container, Shape::Container) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        for (template, expected) in [
            ("{{.HostConfig.Ulimits}}", "[nofile=40:50 core=0:-1]"),
            (
                "{{range .HostConfig.Ulimits}}{{.}} {{.Hard}};{{end}}",
                "nofile=40:50 50;core=0:-1 -1;",
            ),
            ("a {{- index .HostConfig.Ulimits 1 }}", "acore=0:-1"),
            (
                "{{json .HostConfig.Ulimits}}",
                r#"[{"Name":"nofile","Hard":50,"Soft":40},{"Name":"core","Hard":-1,"Soft":0}]"#,
            ),
            ("{{.HostConfig.BlkioDeviceReadBps}}", "[/dev/vda:1048576]"),
            ("{{.HostConfig.RestartPolicy}}", "{on-failure 3}"),
            ("{{.HostConfig.LogConfig}}", "{json-file map[max-size:1m]}"),
            ("{{.HostConfig.Devices}}", "[{/dev/null /dev/n r}]"),
            (
                "{{.NetworkSettings.Ports}}",
                "map[80/tcp:[{:: 8080}] 99/tcp:[]]",
            ),
            (
                "{{range $port, $all := .NetworkSettings.Ports}}{{$port}}{{$all}};{{end}}",
                "80/tcp[{:: 8080}];99/tcp[];",
            ),
            (
                "{{.Mounts}}",
                "[{volume v /s /v local z true } {bind  /tmp /t  ro false rprivate}]",
            ),
            (
                "{{.Config.Healthcheck}}",
                "{[CMD-SHELL true] 1m30s 0s 0s 0s 0}",
            ),
            (
                "{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Timeout}} {{.Config.Healthcheck.Test}}",
                "1m30s 0s [CMD-SHELL true]",
            ),
            ("{{json .Config.Healthcheck.Interval}}", "90000000000"),
            ("{{printf \"}}\"}}", "}}"),
            (
                "{{.Mounts.Nosuch}}",
                "template parsing error: template: :1:3:14:only maps and objects have fields",
            ),
        ] {
            assert_eq!(shows(template), expected, "{template}");
        }
    }

    #[test]
    fn networks_have_structs_too() {
        let network = json!({
            "Created": "2026-11-22T22:42:15.3884073Z", "ConfigFrom": {"Network": ""},
            "IPAM": {"Driver": "default", "Options": null, "Config": [{"Subnet": "10.1.0.0/16", "Gateway": "10.1.0.1"}]},
        });
        let shown = shaped(
            "{{.Created}}|{{.IPAM}}|{{.ConfigFrom}}",
            &network,
            Shape::Network,
        );
        assert_eq!(
            shown.unwrap(),
            "2026-11-22 22:42:15.3884073 +0000 UTC|{default map[] [{10.1.0.0/16  10.1.0.1 map[]}]}|{}"
        );
    }
}
