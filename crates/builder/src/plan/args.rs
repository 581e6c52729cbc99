//! Variables before the first stage: those that are always there, and `ARG`.

use types::Platform;

use super::Planner;
use crate::check::Rule;
use crate::dockerfile::{Error, Instruction, Verb};
use crate::expand::Env;
use crate::graph::Proxy;
use crate::source::Span;
use crate::suggest;

/// Arguments that are the builder's and never a command's.
pub(super) const NOT_IN_ENV: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

const EPOCH: &str = "SOURCE_DATE_EPOCH";

impl Planner<'_> {
    /// Sets the variables that `FROM` sees.
    pub(super) fn make_globals(&mut self) -> Result<(), Error> {
        let defaults = self.predefined();
        self.check_defaults(&defaults);
        self.globals = defaults;
        let options = self.options;
        for instruction in &self.file.args {
            let env = &mut self.globals;
            for (name, value) in values(instruction) {
                let value = match options.args.get(name) {
                    Some(given) => Some(given.clone()),
                    None => value
                        .map(|text| self.expander.expand(text, env).map(|word| word.text))
                        .transpose()
                        .map_err(|error| Error::new(instruction.span, error.to_string()))?,
                };
                if let Some(value) = value {
                    env.set(name, value);
                }
                self.declared.insert(name.to_owned());
            }
        }
        self.epoch = self.read_epoch()?;
        Ok(())
    }

    fn read_epoch(&self) -> Result<Option<i64>, Error> {
        let given = self.options.args.get(EPOCH).map(String::as_str);
        let text = given.or_else(|| self.globals.get(EPOCH));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let seconds = text.parse().map_err(|_| {
            let sentence = format!("invalid {EPOCH}: {text}: seconds since 1970 are expected");
            Error::new(Span::default(), sentence)
        })?;
        Ok(Some(seconds))
    }

    fn predefined(&self) -> Env {
        let mut env = Env::new();
        let options = self.options;
        let last = self.file.stages.last().and_then(|stage| stage.name.clone());
        let target = options.target.clone().or(last);
        let mut platform = |prefix: &str, platform: &Platform| {
            for (name, value) in [
                ("PLATFORM", platform.to_string()),
                ("OS", platform.os.clone()),
                ("OSVERSION", String::new()),
                ("ARCH", platform.architecture.clone()),
                ("VARIANT", platform.variant.clone().unwrap_or_default()),
            ] {
                env.set(format!("{prefix}{name}"), value);
            }
        };
        platform("BUILD", &options.build_platform);
        platform("TARGET", &options.platform);
        env.set(
            "TARGETSTAGE",
            target.unwrap_or_else(|| "default".to_owned()),
        );
        let names: Vec<String> = env.names().map(str::to_owned).collect();
        for name in names {
            if let Some(given) = options.args.get(&name) {
                env.set(name, given.clone());
            }
        }
        env
    }

    /// Finds bases that are no names unless somebody gives an argument.
    fn check_defaults(&mut self, defaults: &Env) {
        let mut env = defaults.clone();
        for (name, value) in self.file.args.iter().flat_map(values) {
            let Some(value) = value else { continue };
            match self.expander.expand(value, &env) {
                Ok(word) => env.set(name, word.text),
                Err(_) => return,
            }
        }
        for stage in &self.file.stages {
            let Ok(word) = self.expander.expand(&stage.base, &env) else {
                return;
            };
            if word.text.parse::<types::ImageRef>().is_err() {
                let detail = format!(
                    "Default value for ARG {} results in empty or invalid base image name",
                    stage.base
                );
                let rule = Rule::InvalidDefaultArgInFrom;
                self.checks.find(rule, stage.span, &stage.comments, detail);
            }
        }
    }

    /// The nearest of the names that are set.
    pub(super) fn nearest<'e>(name: &str, env: &'e Env) -> Option<&'e str> {
        suggest::nearest(name, env.names(), true)
    }

    /// Proxies among the arguments, in either case.
    pub(super) fn proxy(&self) -> Option<Proxy> {
        let mut proxy = Proxy::default();
        let mut any = false;
        for (name, value) in &self.options.args {
            let field = match name.to_lowercase().as_str() {
                "http_proxy" => &mut proxy.http,
                "https_proxy" => &mut proxy.https,
                "ftp_proxy" => &mut proxy.ftp,
                "no_proxy" => &mut proxy.no,
                "all_proxy" => &mut proxy.all,
                _ => continue,
            };
            value.clone_into(field);
            any = true;
        }
        any.then_some(proxy)
    }

    /// Nanoseconds since 1970 that new files get, if `SOURCE_DATE_EPOCH` says.
    pub(super) fn time(&self) -> Option<i64> {
        self.epoch
            .and_then(|seconds| seconds.checked_mul(1_000_000_000))
    }

    /// The same for people and images, RFC 3339.
    pub(super) fn created(&self) -> Option<String> {
        self.epoch.map(rfc3339)
    }
}

fn values(instruction: &Instruction) -> impl Iterator<Item = (&str, Option<&str>)> {
    let args = match &instruction.verb {
        Verb::Arg(args) => args.as_slice(),
        _ => &[],
    };
    args.iter()
        .map(|arg| (arg.name.as_str(), arg.value.as_deref()))
}

/// Seconds since 1970 as a date in UTC.
fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1 March of the year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }
}
