//! Values of flags about devices: block I/O, rules, GPUs.

use types::{BlockRate, CdiRequest, DeviceRule};

use super::values::BadValue;

/// `PATH:WEIGHT`, 10 to 1000; 0 is none.
pub fn weight_device(text: &str) -> Result<BlockRate, BadValue> {
    let (path, weight) = device(text)?;
    let bad = || BadValue(format!("invalid weight for device: {text}"));
    match weight.parse::<u64>().map_err(|_| bad())? {
        value @ (0 | 10..=1000) => Ok(BlockRate {
            path: path.to_owned(),
            value,
        }),
        _ => Err(bad()),
    }
}

/// `PATH:BYTES`, a second.
pub fn bps_device(text: &str) -> Result<BlockRate, BadValue> {
    let (path, rate) = device(text)?;
    let rate = types::parse_bytes(rate)
        .ok()
        .and_then(|bytes| u64::try_from(bytes).ok());
    rate.map(|value| BlockRate {
        path: path.to_owned(),
        value,
    })
    .ok_or_else(|| {
        BadValue(format!(
            "invalid rate for device: {text}. The correct format is \
             <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional \
             and can be kb, mb, or gb"
        ))
    })
}

/// `PATH:NUMBER`, operations a second.
pub fn iops_device(text: &str) -> Result<BlockRate, BadValue> {
    let (path, rate) = device(text)?;
    let value = rate.parse().map_err(|_| {
        BadValue(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number \
             must be a positive integer"
        ))
    })?;
    Ok(BlockRate {
        path: path.to_owned(),
        value,
    })
}

fn device(text: &str) -> Result<(&str, &str), BadValue> {
    let (path, value) = text
        .split_once(':')
        .filter(|(path, value)| !path.is_empty() && !value.is_empty())
        .ok_or_else(|| BadValue(format!("bad format: {text}")))?;
    match path.starts_with("/dev/") {
        true => Ok((path, value)),
        false => Err(BadValue(format!("bad format for device path: {text}"))),
    }
}

/// `c 42:* rmw`.
pub fn device_rule(text: &str) -> Result<DeviceRule, BadValue> {
    let bad = || BadValue(format!("invalid device cgroup format '{text}'"));
    DeviceRule::parse(text).ok_or_else(bad)
}

/// `all`, a number, or `KEY=VALUE` with commas between: driver, count, device, capabilities, options.
pub fn gpus(text: &str) -> Result<CdiRequest, BadValue> {
    let mut request = CdiRequest::default();
    let mut seen: Vec<String> = Vec::new();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => ("count".to_owned(), field.clone()),
        };
        if seen.contains(&key) {
            return Err(BadValue(format!(
                "gpu request key '{key}' can be specified only once"
            )));
        }
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match key.as_str() {
            "driver" => request.driver.clone_from(&value),
            "count" => request.count = count(&value)?,
            "device" => request.ids = list(),
            "capabilities" => {
                let gpu = std::iter::once("gpu".to_owned());
                request.capabilities = vec![list().into_iter().chain(gpu).collect()];
            }
            "options" => {
                let pair = |option: String| match option.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (option, String::new()),
                };
                request.options = fields(&value)?.into_iter().map(pair).collect();
            }
            _ => return Err(BadValue(format!("unexpected key '{key}' in '{field}'"))),
        }
        seen.push(key);
    }
    if !seen.iter().any(|key| key == "count") && request.ids.is_empty() {
        request.count = 1;
    }
    if request.capabilities.is_empty() {
        request.capabilities = vec![vec!["gpu".to_owned()]];
    }
    Ok(request)
}

fn count(text: &str) -> Result<i64, BadValue> {
    match text {
        "all" => Ok(-1),
        _ => text.parse().map_err(|_| {
            BadValue(format!(
                "invalid count ({text}): value must be either \"all\" or an integer"
            ))
        }),
    }
}

/// The fields of one line of CSV: a field in quotation marks may have commas.
fn fields(text: &str) -> Result<Vec<String>, BadValue> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let field = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[field].push('"');
            }
            '"' if quoted || fields[field].is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields[field].push(c),
        }
    }
    match quoted {
        false => Ok(fields),
        true => Err(BadValue(
            "parse error on line 1: a quotation mark is missing".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show<T: std::fmt::Debug>(text: &str, result: Result<T, BadValue>) -> String {
        match result {
            Ok(value) => format!("{text} -> {value:?}"),
            Err(error) => format!("{text} -> {error}"),
        }
    }

    #[test]
    fn rates_of_devices() {
        let mut told: Vec<String> = [
            "/dev/sda:500",
            "/dev/sda:9",
            "sda:500",
            "/dev/sda",
            "/dev/sda:",
        ]
        .map(|text| show(text, weight_device(text)))
        .into();
        told.extend(["/dev/sda:1mb", "/dev/sda:x"].map(|text| show(text, bps_device(text))));
        told.extend(["/dev/sda:100", "/dev/sda:1mb"].map(|text| show(text, iops_device(text))));
        insta::assert_snapshot!(told.join("\n"), @r#"
        /dev/sda:500 -> BlockRate { path: "/dev/sda", value: 500 }
        /dev/sda:9 -> invalid weight for device: /dev/sda:9
        sda:500 -> bad format for device path: sda:500
        /dev/sda -> bad format: /dev/sda
        /dev/sda: -> bad format: /dev/sda:
        /dev/sda:1mb -> BlockRate { path: "/dev/sda", value: 1048576 }
        /dev/sda:x -> invalid rate for device: /dev/sda:x. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb
        /dev/sda:100 -> BlockRate { path: "/dev/sda", value: 100 }
        /dev/sda:1mb -> invalid rate for device: /dev/sda:1mb. The correct format is <device-path>:<number>. Number must be a positive integer
        "#);
    }

    #[test]
    fn gpus_are_asked_for() {
        let shown = |text: &str| match gpus(text) {
            Ok(r) => format!(
                "{text} -> {} {:?} {:?} {:?} {:?}",
                r.count, r.driver, r.ids, r.capabilities, r.options
            ),
            Err(error) => format!("{text} -> {error}"),
        };
        let told = [
            "all",
            "2",
            "device=0",
            r#""device=0,2",driver=nvidia"#,
            r#""capabilities=compute,utility""#,
            "count=all,options=a=b",
            "many",
            "count=1,count=2",
            "colour=red",
            "\"device",
        ]
        .map(shown);
        insta::assert_snapshot!(told.join("\n"), @r#"
        all -> -1 "" [] [["gpu"]] {}
        2 -> 2 "" [] [["gpu"]] {}
        device=0 -> 0 "" ["0"] [["gpu"]] {}
        "device=0,2",driver=nvidia -> 0 "nvidia" ["0", "2"] [["gpu"]] {}
        "capabilities=compute,utility" -> 1 "" [] [["compute", "utility", "gpu"]] {}
        count=all,options=a=b -> -1 "" [] [["gpu"]] {"a": "b"}
        many -> invalid count (many): value must be either "all" or an integer
        count=1,count=2 -> gpu request key 'count' can be specified only once
        colour=red -> unexpected key 'colour' in 'colour=red'
        "device -> parse error on line 1: a quotation mark is missing
        "#);
    }
}
