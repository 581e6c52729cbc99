//! How many bytes a second may pass: on each endpoint of a container what is asked of the container, or of the
//! endpoint by options of its driver.

use types::{Bandwidth, EndpointRequest, NetworkMode, Rate};

use super::attach::open_namespace;
use super::error::NetworkError;
use super::table::Network;
use crate::table::Container;
use crate::{Engine, Error};

/// `RATE[:BURST]`, as of `--net-ingress`: how clients that have no such flag say it.
const INGRESS: &str = "brig.net.ingress";
/// As of `--net-egress`.
const EGRESS: &str = "brig.net.egress";

/// What limits a container's place in a network: what is asked of the place comes first.
pub(super) fn of_endpoint(
    network: &Network,
    request: &EndpointRequest,
    of_container: Bandwidth,
) -> Result<Bandwidth, NetworkError> {
    let option = |name: &'static str| {
        let parse = |text: &String| {
            let rate = text.parse::<Rate>();
            rate.map_err(|error| NetworkError::setting(name, error.to_string()))
        };
        request.driver_opts.get(name).map(parse).transpose()
    };
    let limits = of_container.changed(Bandwidth {
        ingress: option(INGRESS)?,
        egress: option(EGRESS)?,
    });
    if limits.ingress.is_some() && network.bridge().is_none() {
        return Err(NetworkError::setting(
            "net-ingress",
            format!(
                "packets of network {} come without passing the host, as its driver is {}: only what is sent can be \
                 limited there",
                network.name(),
                network.record.spec.driver
            ),
        ));
    }
    Ok(limits)
}

/// A container without a network of its own has no bandwidth of its own.
pub(super) fn has_own(mode: &NetworkMode, limits: Bandwidth) -> Result<(), NetworkError> {
    if limits == Bandwidth::default() || mode.is_connected() {
        return Ok(());
    }
    Err(NetworkError::setting(
        "net-ingress and net-egress",
        format!(
            "the container's network mode is {mode}, in which it has no interface of its own to limit; a network is \
             expected"
        ),
    ))
}

/// Whether a container can have these.
pub(crate) fn check(
    engine: &Engine,
    container: &Container,
    limits: Bandwidth,
) -> Result<(), NetworkError> {
    has_own(&container.fixed.spec.network, limits)?;
    for endpoint in container.status().networks.values() {
        if let Some(network) = engine.networks().of(endpoint) {
            of_endpoint(&network, &endpoint.request, limits)?;
        }
    }
    Ok(())
}

/// Limits a running container to these, while packets pass.
pub(crate) fn apply(
    engine: &Engine,
    container: &Container,
    limits: Bandwidth,
) -> Result<(), Error> {
    let status = container.status();
    let Some(process) = status.lifecycle.process() else {
        return Ok(());
    };
    let namespace = open_namespace(process)?;
    for (name, endpoint) in &status.networks {
        let (Some(network), Some(live)) = (engine.networks().of(endpoint), &endpoint.live) else {
            continue;
        };
        let limits = of_endpoint(&network, &endpoint.request, limits)?;
        let limited = live.attachment.limit(&namespace, &limits);
        limited.map_err(NetworkError::network(format!(
            "limit the container's bandwidth on network {name}"
        )))?;
    }
    Ok(())
}
