//! `--health-*` and `--no-healthcheck`.

use types::HealthCheck;

use crate::args::container::ContainerFlags;
use crate::error::CliError;

/// What the flags ask for; none if they say nothing.
pub(super) fn check(flags: &ContainerFlags) -> Result<Option<HealthCheck>, CliError> {
    let tests = [
        ("CMD-SHELL", &flags.health_cmd),
        ("HTTP", &flags.health_http),
        ("TCP", &flags.health_tcp),
        ("GRPC", &flags.health_grpc),
    ];
    let said = |(kind, text): (&str, &Option<String>)| {
        let text = text.clone().filter(|text| !text.is_empty())?;
        Some(vec![kind.to_owned(), text])
    };
    let tests: Vec<Vec<String>> = tests.into_iter().filter_map(said).collect();
    if tests.len() > 1 {
        return Err(CliError::Invalid(
            "conflicting options: one of --health-cmd, --health-http, --health-tcp and --health-grpc is expected"
                .to_owned(),
        ));
    }
    let times = [
        ("interval", flags.health_interval),
        ("timeout", flags.health_timeout),
        ("start-period", flags.health_start_period),
        ("start-interval", flags.health_start_interval),
        ("retries", flags.health_retries),
    ];
    if let Some((name, _)) = times.iter().find(|(_, time)| time.is_some_and(|t| t < 0)) {
        return Err(CliError::Invalid(format!(
            "--health-{name} cannot be negative"
        )));
    }
    let [interval, timeout, start_period, start_interval, retries] =
        times.map(|(_, time)| time.unwrap_or(0));
    let action = flags.health_action.as_deref().unwrap_or_default().parse();
    let check = HealthCheck {
        test: tests.into_iter().next().unwrap_or_default(),
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
        action: action
            .map_err(|error: types::InvalidHealthAction| CliError::Invalid(error.to_string()))?,
    };
    let none = check == HealthCheck::default();
    match (flags.no_healthcheck, none) {
        (true, true) => Ok(Some(HealthCheck {
            test: vec!["NONE".to_owned()],
            ..check
        })),
        (true, false) => Err(CliError::Invalid(
            "--no-healthcheck conflicts with --health-* options".to_owned(),
        )),
        (false, true) => Ok(None),
        (false, false) => Ok(Some(check)),
    }
}
