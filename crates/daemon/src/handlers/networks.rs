//! `/networks`

use std::collections::BTreeMap;

use api::convert::{endpoint_request, ipam, network_spec};
use api::wire;
use api::{Version, convert::rfc3339};
use engine::container;
use engine::network::{self, Fate, Member, View};
use hyper::StatusCode;

use super::network_filter::{Filter, PruneFilter};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) async fn list(app: &App, call: &Call) -> Answer {
    let filter = Filter::read(call.query.filters()?)?;
    let views = app.blocking(|engine| Ok(network::list(engine))).await?;
    let shown: Vec<_> = views
        .iter()
        .filter(|view| filter.takes(view))
        .map(|view| {
            let mut network = shown(view, call.version);
            network.status = None;
            // Listings have had no containers in them for long, only the place for them.
            network.containers = (!call.version.has(52)).then(BTreeMap::new);
            network
        })
        .collect();
    respond::ok(&shown)
}

pub(super) async fn inspect(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    if let Some(scope) = call.query.get("scope")
        && scope != "local"
    {
        return Err(Failure::new(
            types::ErrorKind::NotFound,
            format!("network {name} not found"),
        ));
    }
    let mut view = app
        .blocking(move |engine| network::inspect(engine, &name))
        .await?;
    let policy = call.policy();
    if policy.label.is_some() {
        let found = |member: &Member| container::inspect(&app.engine, member.id.as_str()).ok();
        let sees = |member: &Member| found(member).is_some_and(|view| policy.sees(&view.spec));
        view.containers.retain(sees);
    }
    respond::ok(&shown(&view, call.version))
}

pub(super) async fn create(app: &App, call: Call) -> Answer {
    let version = call.version;
    let reach = call.policy().reach();
    let body: Option<wire::NetworkCreateRequest> = Call::json(call.request).await?;
    let body = body
        .ok_or_else(|| Failure::bad_request("invalid JSON: got EOF while reading request body"))?;
    let mut spec = network_spec(body);
    // Older clients do not know that there are networks without version 4.
    if !version.has(47) {
        spec.ipv4 = None;
    }
    let created = app
        .blocking(move |engine| network::create(engine, spec, reach))
        .await?;
    let answer = wire::NetworkCreateResponse {
        id: created.id.to_string(),
        warning: created.warning,
    };
    Ok(respond::json(StatusCode::CREATED, &answer))
}

pub(super) async fn remove(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    app.blocking(move |engine| network::remove(engine, &name))
        .await?;
    respond::no_content()
}

pub(super) async fn connect(app: &App, call: Call) -> Answer {
    let name = call.name;
    let body: Option<wire::NetworkConnectRequest> = Call::json(call.request).await?;
    let body = body.unwrap_or_default();
    let mut settings = body.endpoint_config.unwrap_or_default();
    if !call.version.has(54) {
        // Older versions did not look at it.
        settings.mac_address.clear();
    }
    let request = endpoint_request(&settings)?;
    app.blocking(move |engine| network::connect(engine, &name, &body.container, request))
        .await?;
    Ok(respond::status(StatusCode::OK))
}

pub(super) async fn disconnect(app: &App, call: Call) -> Answer {
    let name = call.name;
    let body: Option<wire::NetworkDisconnectRequest> = Call::json(call.request).await?;
    let body = body.unwrap_or_default();
    app.blocking(move |engine| network::disconnect(engine, &name, &body.container, body.force))
        .await?;
    Ok(respond::status(StatusCode::OK))
}

pub(super) async fn explain(app: &App, call: &Call) -> Answer {
    let port = call.query.get("port").unwrap_or_default().to_owned();
    let from = call.query.get("from").map(str::to_owned);
    let explained = app
        .blocking(move |engine| network::explain(engine, &port, from.as_deref()))
        .await?;
    let packets = explained.packets.into_iter().map(|told| {
        let fate = match told.fate {
            Fate::Container => "container",
            Fate::Host => "host",
            Fate::Nobody => "nobody",
        };
        wire::PacketExplained {
            from: told.from.to_string(),
            interface: told.interface.unwrap_or_default(),
            to: told.to.map(|to| to.to_string()).unwrap_or_default(),
            fate: fate.to_owned(),
            reasons: told.reasons,
            others: told.others,
            verdict: told.verdict,
        }
    });
    respond::ok(&wire::PortExplained {
        owners: explained.owners,
        packets: packets.collect(),
    })
}

pub(super) async fn prune(app: &App, call: &Call) -> Answer {
    let filter = PruneFilter::read(call.query.filters()?)?;
    let removed = app
        .blocking(move |engine| network::prune(engine, |view| filter.takes(view)))
        .await?;
    respond::ok(&wire::NetworksPruned {
        networks_deleted: Some(removed).filter(|names| !names.is_empty()),
    })
}

fn shown(view: &View, version: Version) -> wire::Network {
    let spec = &view.spec;
    let subnets = view.usage.iter().map(|(subnet, used, free)| {
        let status = wire::SubnetStatus {
            ips_in_use: *used,
            dynamic_ips_available: *free,
        };
        (subnet.clone(), status)
    });
    let connected = spec.config_only || !matches!(spec.driver.as_str(), "host" | "null");
    let ipv4 = spec.ipv4.unwrap_or(true) && connected;
    wire::Network {
        name: spec.name.clone(),
        id: view.id.to_string(),
        created: rfc3339(view.created),
        scope: spec.scope.clone(),
        driver: spec.driver.clone(),
        enable_ipv4: version.has(48).then_some(ipv4),
        enable_ipv6: spec.ipv6.unwrap_or(false),
        ipam: ipam(spec),
        internal: spec.internal,
        attachable: spec.attachable,
        ingress: spec.ingress,
        config_from: wire::ConfigReference {
            network: spec.config_from.clone().unwrap_or_default(),
        },
        config_only: spec.config_only,
        containers: Some(
            view.containers
                .iter()
                .map(|member| (member.id.to_string(), resource(member)))
                .collect(),
        ),
        options: spec.options.clone(),
        labels: spec.labels.clone(),
        status: version.has(52).then(|| wire::NetworkStatus {
            ipam: wire::IpamStatus {
                subnets: subnets.collect(),
            },
        }),
    }
}

fn resource(member: &Member) -> wire::EndpointResource {
    let text = |pair: Option<(std::net::IpAddr, u8)>| {
        pair.map(|(address, prefix)| format!("{address}/{prefix}"))
            .unwrap_or_default()
    };
    wire::EndpointResource {
        name: member.name.to_string(),
        endpoint_id: member.place.id.to_string(),
        mac_address: member.place.mac.clone(),
        ipv4_address: text(member.place.ipv4),
        ipv6_address: text(member.place.ipv6),
    }
}
