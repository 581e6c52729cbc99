//! Values of flags, checked as soon as they are typed. The errors are what comes after
//! `invalid argument "x" for "--flag" flag:`.

use types::{InvalidRate, InvalidSize, Rate, Ulimit};

pub use super::mount::{TypedMount, mount};

/// A value that its flag does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

impl From<InvalidSize> for BadValue {
    fn from(error: InvalidSize) -> Self {
        Self(error.to_string())
    }
}

/// `NAME=value`.
pub type KeyValue = (String, String);

/// One `-e`: a value, or the caller's own by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvFlag {
    /// `NAME=value`, kept as it is.
    Set(String),
    /// `NAME`.
    Inherit(String),
}

/// One of the three standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// `true`, `1`, `f`, ... as Go reads booleans.
pub fn go_bool(text: &str) -> Result<bool, BadValue> {
    types::go::parse_bool(text).ok_or_else(|| {
        BadValue(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        ))
    })
}

/// A whole number; `0x`, `0o` and `0b` are understood.
pub fn go_int(text: &str) -> Result<i64, BadValue> {
    let bad = |why: &str| BadValue(format!("strconv.ParseInt: parsing {text:?}: {why}"));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(bad("invalid syntax"));
    }
    let signed = format!("{}{digits}", if negative { "-" } else { "" });
    i64::from_str_radix(&signed, radix).map_err(|_| bad("value out of range"))
}

/// A duration as Go writes it, in nanoseconds.
pub fn duration(text: &str) -> Result<i64, BadValue> {
    types::go::parse_duration(text).map_err(BadValue)
}

/// A size in bytes.
pub fn bytes(text: &str) -> Result<i64, BadValue> {
    Ok(types::parse_bytes(text)?)
}

/// The one storage option there is: `size=10g`, in bytes.
pub fn storage_opt(text: &str) -> Result<i64, BadValue> {
    match text.split_once('=') {
        Some(("size", size)) => bytes(size),
        _ => Err(BadValue(format!(
            "there is no storage option {text:?}: size=BYTES is expected, as in size=10g"
        ))),
    }
}

/// How many bytes a second.
pub fn rate(text: &str) -> Result<Rate, BadValue> {
    text.parse()
        .map_err(|error: InvalidRate| BadValue(error.to_string()))
}

/// A size in bytes, or -1.
pub fn memory_swap(text: &str) -> Result<i64, BadValue> {
    match text {
        "-1" => Ok(-1),
        _ => bytes(text),
    }
}

/// Processors as billionths.
pub fn cpus(text: &str) -> Result<i64, BadValue> {
    types::parse_cpus(text).map_err(|error| {
        BadValue(if error.0.ends_with("(value is too precise)") {
            "value is too precise".to_owned()
        } else {
            format!("failed to parse {text} as a rational number")
        })
    })
}

/// A variable of the environment.
pub fn env(text: &str) -> Result<EnvFlag, BadValue> {
    let (name, value) = text
        .split_once('=')
        .map_or((text, None), |(n, v)| (n, Some(v)));
    match (name, value) {
        ("", _) => Err(BadValue(format!("invalid environment variable: {text}"))),
        (_, Some(_)) => Ok(EnvFlag::Set(text.to_owned())),
        (_, None) => Ok(EnvFlag::Inherit(text.to_owned())),
    }
}

/// A label.
pub fn label(text: &str) -> Result<String, BadValue> {
    if text.split('=').next().unwrap_or_default().is_empty() {
        return Err(BadValue(format!("invalid label '{text}': empty name")));
    }
    Ok(text.to_owned())
}

/// The name of a label or a variable that is to go.
pub fn name(text: &str) -> Result<String, BadValue> {
    match text.is_empty() || text.contains('=') {
        true => Err(BadValue(format!(
            "invalid name '{text}': a name alone is expected"
        ))),
        false => Ok(text.to_owned()),
    }
}

/// `NAME=value` or a bare `NAME`.
pub fn key_value(text: &str) -> Result<KeyValue, BadValue> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    Ok((name.to_owned(), value.to_owned()))
}

/// `NAME=value` of a kernel parameter that belongs to a namespace.
pub fn sysctl(text: &str) -> Result<KeyValue, BadValue> {
    let refused = || BadValue(format!("sysctl '{text}' is not allowed"));
    let (name, value) = text.split_once('=').ok_or_else(refused)?;
    let allowed = types::IPC_SYSCTLS.contains(&name)
        || name.starts_with("net.")
        || name.starts_with("fs.mqueue.");
    if allowed {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(refused())
    }
}

/// `stdin`, `stdout` or `stderr`.
pub fn stream(text: &str) -> Result<Stream, BadValue> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(Stream::Stdin),
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        _ => Err(BadValue(
            "valid streams are STDIN, STDOUT and STDERR".to_owned(),
        )),
    }
}

/// `80`, `80/udp`, `3000-3005/tcp`: each port by itself, as `80/tcp`.
pub fn expose(text: &str) -> Result<Vec<String>, BadValue> {
    let bad = || BadValue(format!("invalid port or range: {text}"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(BadValue(format!("invalid proto: {protocol}")));
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| text.parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(bad);
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(bad());
    }
    Ok((first..=last).map(|n| format!("{n}/{protocol}")).collect())
}

/// `name=soft[:hard]`.
pub fn ulimit(text: &str) -> Result<Ulimit, BadValue> {
    text.parse()
        .map_err(|error: types::InvalidUlimit| BadValue(error.to_string()))
}

/// `name=value` of a filter.
pub fn filter(text: &str) -> Result<KeyValue, BadValue> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| BadValue("bad format of filter (expected name=value)".to_owned()))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_and_numbers_are_gos() {
        assert_eq!(go_bool("T"), Ok(true));
        assert_eq!(go_bool("0"), Ok(false));
        assert!(go_bool("yes").is_err());
        let good = [
            ("12", 12),
            ("-1", -1),
            ("+3", 3),
            ("0x10", 16),
            ("010", 8),
            ("0", 0),
        ];
        for (text, number) in good {
            assert_eq!(go_int(text), Ok(number), "{text:?}");
        }
        for bad in ["", "-", "x", "1.5", "0x", "9223372036854775808"] {
            assert!(go_int(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_say_what_is_wrong_with_them() {
        let said = [
            cpus("x").unwrap_err(),
            cpus("0.0000000001").unwrap_err(),
            env("=x").unwrap_err(),
            label("=x").unwrap_err(),
            stream("x").unwrap_err(),
            sysctl("kernel.hostname=x").unwrap_err(),
            ulimit("x").unwrap_err(),
            ulimit("foo=1").unwrap_err(),
            ulimit("nofile=x").unwrap_err(),
            ulimit("nofile=2:1").unwrap_err(),
            ulimit("nofile=1:2:3").unwrap_err(),
            bytes("x").unwrap_err(),
            expose("80-70").unwrap_err(),
            expose("80/x").unwrap_err(),
            filter("x").unwrap_err(),
        ];
        let lines: Vec<String> = said.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        failed to parse x as a rational number
        value is too precise
        invalid environment variable: =x
        invalid label '=x': empty name
        valid streams are STDIN, STDOUT and STDERR
        sysctl 'kernel.hostname=x' is not allowed
        invalid ulimit argument: x
        invalid ulimit type: foo
        strconv.ParseInt: parsing "x": invalid syntax
        ulimit soft limit must be less than or equal to hard limit: 2 > 1
        too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`
        invalid size: 'x'
        invalid port or range: 80-70
        invalid proto: x
        bad format of filter (expected name=value)
        "#);
    }

    #[test]
    fn ports_are_listed_one_by_one() {
        assert_eq!(expose("80").unwrap(), ["80/tcp"]);
        assert_eq!(expose("7-9/UDP").unwrap(), ["7/udp", "8/udp", "9/udp"]);
    }

    #[test]
    fn limits_of_one_number_are_both() {
        let limit = ulimit("nofile=1024").unwrap();
        assert_eq!((limit.soft, limit.hard), (1024, 1024));
        let limit = ulimit("core=0:-1").unwrap();
        assert_eq!((limit.soft, limit.hard), (0, -1));
        assert_eq!(memory_swap("-1"), Ok(-1));
    }
}
