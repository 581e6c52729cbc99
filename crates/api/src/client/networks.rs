//! Networks.

use serde_json::Value;

use super::request::{Call, segment};
use super::{Client, Error, Filters};
use crate::wire;

fn network(who: &str, verb: &str) -> String {
    format!("/networks/{}{verb}", segment(who))
}

impl Client {
    /// Makes a network.
    ///
    /// # Errors
    /// When the daemon refuses the request or the name is taken.
    pub async fn network_create(
        &self,
        request: &wire::NetworkCreateRequest,
    ) -> Result<wire::NetworkCreateResponse, Error> {
        self.send_json(Call::post("/networks/create").json(request))
            .await
    }

    /// Lists them by name.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn network_list(&self, filters: &Filters) -> Result<Vec<wire::Network>, Error> {
        self.send_json(Call::get("/networks").filters(filters))
            .await
    }

    /// All about one, exactly as the daemon wrote it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn network_inspect_raw(&self, who: &str, verbose: bool) -> Result<Value, Error> {
        self.send_json(Call::get(network(who, "")).query_flag("verbose", verbose))
            .await
    }

    /// Removes one.
    ///
    /// # Errors
    /// When there is none, or a container is in it.
    pub async fn network_remove(&self, who: &str) -> Result<(), Error> {
        self.send_unit(Call::delete(network(who, ""))).await
    }

    /// Puts a container into one.
    ///
    /// # Errors
    /// When there is none, or the container is in it or cannot be.
    pub async fn network_connect(
        &self,
        who: &str,
        request: &wire::NetworkConnectRequest,
    ) -> Result<(), Error> {
        self.send_unit(Call::post(network(who, "/connect")).json(request))
            .await
    }

    /// Takes a container out of one.
    ///
    /// # Errors
    /// When there is none, or the container is not in it.
    pub async fn network_disconnect(
        &self,
        who: &str,
        request: &wire::NetworkDisconnectRequest,
    ) -> Result<(), Error> {
        self.send_unit(Call::post(network(who, "/disconnect")).json(request))
            .await
    }

    /// Who has a port of the host, and which rule lets packets to it through or stops them.
    ///
    /// # Errors
    /// When the port or the address is none.
    pub async fn network_explain(
        &self,
        port: &str,
        from: Option<&str>,
    ) -> Result<wire::PortExplained, Error> {
        let call = Call::get("/brig/networks/explain").query("port", port);
        self.send_json(call.query_some("from", from)).await
    }

    /// Removes those that no container is in.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn networks_prune(&self, filters: &Filters) -> Result<wire::NetworksPruned, Error> {
        self.send_json(Call::post("/networks/prune").filters(filters))
            .await
    }
}
