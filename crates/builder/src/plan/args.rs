//! Variables before the first stage: those that are always there, and `ARG`.

use std::collections::BTreeSet;

use types::{Decimals, Platform, rfc3339};

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
                self.taken.insert(name.to_owned());
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

    /// Arguments that were given, that no `ARG` asks for and that mean nothing to the builder itself.
    pub(super) fn unused(&self) -> Vec<String> {
        let own = |name: &str| {
            let upper = name.to_uppercase();
            upper.starts_with("BUILDKIT_") || upper.ends_with("_PROXY") || name == EPOCH
        };
        // Also of stages that are not built.
        let stages = self.file.stages.iter();
        let all = stages
            .flat_map(|stage| &stage.instructions)
            .flat_map(values);
        let asked: BTreeSet<&str> = all.map(|(name, _)| name).collect();
        let names: BTreeSet<&String> = self
            .options
            .args
            .keys()
            .chain(&self.options.unset)
            .collect();
        names
            .into_iter()
            .filter(|name| !self.taken.contains(*name) && !asked.contains(name.as_str()))
            .filter(|name| !own(name))
            .filter(|name| self.globals.get(name).is_none())
            .cloned()
            .collect()
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
        self.epoch.map(|seconds| {
            rfc3339(seconds.saturating_mul(1_000_000_000), Decimals::Zero).to_string()
        })
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
