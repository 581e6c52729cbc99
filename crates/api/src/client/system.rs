//! The daemon and its machine.

use hyper::Method;

use super::request::Call;
use super::{Chunks, Client, Error, Filters};
use crate::wire;

/// What a ping tells.
#[derive(Debug, Clone, Default)]
pub struct Ping {
    /// Newest API version of the daemon, as it wrote it.
    pub api_version: String,
    /// Operating system.
    pub os_type: String,
}

impl Client {
    /// Whether the daemon is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&self) -> Result<Ping, Error> {
        let answer = self.send(Call::new(Method::HEAD, "/_ping")).await?;
        Ok(Ping {
            api_version: answer.header("api-version").to_owned(),
            os_type: answer.header("ostype").to_owned(),
        })
    }

    /// The daemon's versions.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn daemon_version(&self) -> Result<wire::Version, Error> {
        self.send_json(Call::get("/version")).await
    }

    /// Asks the daemon to have the program that is at its path now take its place. Brig's own.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn system_upgrade(&self) -> Result<wire::UpgradeState, Error> {
        self.send_json(Call::post("/brig/system/upgrade")).await
    }

    /// What came of it until now. Brig's own.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn system_upgrade_state(&self) -> Result<wire::UpgradeState, Error> {
        self.send_json(Call::get("/brig/system/upgrade")).await
    }

    /// What happens, a JSON object a line, from `since` to `until`: seconds since the epoch, with
    /// decimals.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn events(
        &self,
        since: Option<&str>,
        until: Option<&str>,
        filters: &Filters,
    ) -> Result<Chunks, Error> {
        let call = Call::get("/events")
            .query_some("since", since)
            .query_some("until", until)
            .filters(filters);
        Ok(self.send(call).await?.chunks())
    }

    /// Asks for something that this client has no words for; `{}` in the path becomes `name`.
    ///
    /// # Errors
    /// When the daemon says no, which it mostly does.
    pub async fn ask(&self, method: &str, path: &str, name: &str) -> Result<(), Error> {
        let method = method.parse().unwrap_or(Method::GET);
        let path = path.replace("{}", &super::request::segment(name));
        let mut call = Call::new(method.clone(), path);
        if method == Method::POST {
            call = call.json(&serde_json::json!({}));
        }
        self.send_unit(call).await
    }

    /// Facts about the daemon and its machine.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn info(&self) -> Result<wire::Info, Error> {
        self.send_json(Call::get("/info")).await
    }
}
