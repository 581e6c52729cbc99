//! How health is looked at.

use types::{Health, HealthAction, HealthCheck};

use super::Refusal;
use super::time::rfc3339;
use crate::wire;

/// The shortest time that Docker takes.
const SHORTEST: i64 = 1_000_000;

/// What a client asks for; none if it says nothing.
pub(super) fn health_check(
    asked: Option<wire::Healthcheck>,
) -> Result<Option<HealthCheck>, Refusal> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    let times = [
        ("Interval", asked.interval),
        ("Timeout", asked.timeout),
        ("StartPeriod", asked.start_period),
        ("StartInterval", asked.start_interval),
    ];
    if let Some((name, _)) = times
        .iter()
        .find(|(_, time)| *time != 0 && *time < SHORTEST)
    {
        return Err(Refusal::Said(format!(
            "{name} in Healthcheck cannot be less than 1ms"
        )));
    }
    if asked.retries < 0 {
        return Err(Refusal::Said(
            "Retries in Healthcheck cannot be negative".to_owned(),
        ));
    }
    let action: Result<HealthAction, _> = asked.action.parse();
    let check = HealthCheck {
        action: action.map_err(|error| Refusal::Said(error.to_string()))?,
        test: asked.test,
        interval: asked.interval,
        timeout: asked.timeout,
        start_period: asked.start_period,
        start_interval: asked.start_interval,
        retries: asked.retries,
    };
    let kind = check.test.first().map_or("", String::as_str);
    let inherits = matches!(kind, "" | "NONE");
    match check.probe() {
        None if !inherits => Err(Refusal::invalid(
            "Healthcheck.Test",
            format!(
                "{:?}: NONE, or CMD, CMD-SHELL, HTTP, TCP or GRPC and what it takes is expected",
                check.test
            ),
        )),
        _ => Ok(Some(check)),
    }
}

/// The reverse of a client's request.
pub fn health_check_shown(check: &HealthCheck) -> wire::Healthcheck {
    wire::Healthcheck {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
        action: match check.action {
            HealthAction::None => String::new(),
            action => action.to_string(),
        },
    }
}

/// What was seen.
pub fn health_shown(health: &Health) -> wire::Health {
    let looks = health.log.iter().map(|probed| wire::HealthProbe {
        start: rfc3339(Some(probed.start)),
        end: rfc3339(Some(probed.end)),
        exit_code: probed.code,
        output: probed.output.clone(),
    });
    wire::Health {
        status: health.status.name().to_owned(),
        failing_streak: health.failing,
        log: looks.collect(),
    }
}
