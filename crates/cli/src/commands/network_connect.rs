//! `network connect` and `network disconnect`

use api::convert::endpoint_settings;
use api::wire::{NetworkConnectRequest, NetworkDisconnectRequest};
use types::EndpointRequest;

use super::Context;
use crate::args::networks::{NetworkConnectArgs, NetworkDisconnectArgs, options};
use crate::error::CliError;

pub(super) async fn run(args: NetworkConnectArgs, context: Context) -> Result<u8, CliError> {
    let request = EndpointRequest {
        ipv4: args.ip,
        ipv6: args.ip6,
        link_local: args.link_local_ip,
        mac_address: None,
        aliases: args.alias,
        links: args.link,
        driver_opts: options(&args.driver_opt),
        gw_priority: args.gw_priority.unwrap_or_default(),
    };
    let body = NetworkConnectRequest {
        container: args.names[1].clone(),
        endpoint_config: Some(endpoint_settings(&request)),
    };
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    client.network_connect(&args.names[0], &body).await?;
    Ok(0)
}

pub(super) async fn disconnect(
    args: NetworkDisconnectArgs,
    context: Context,
) -> Result<u8, CliError> {
    let body = NetworkDisconnectRequest {
        container: args.names[1].clone(),
        force: args.force,
    };
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    client.network_disconnect(&args.names[0], &body).await?;
    Ok(0)
}
