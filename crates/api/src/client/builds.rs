//! Builds: BuildKit's protocols on connections of their own.

use hyper::StatusCode;
use hyper::upgrade::Upgraded;

use super::request::Call;
use super::{Client, Error, Filters};
use crate::grpc::channel::{self, Channel};
use crate::wire;

/// What a client says of the session on which it answers.
#[derive(Debug, Clone, Default)]
pub struct SessionOffer {
    /// Its name, which the build gives.
    pub id: String,
    /// Sessions with the same key come from the same directory: what was sent is not sent again.
    pub shared_key: String,
    /// What it answers.
    pub methods: Vec<&'static str>,
}

/// What is to be taken out of the cache.
#[derive(Debug, Clone, Default)]
pub struct BuildPruneQuery {
    /// What images have, too.
    pub all: bool,
    /// Only what these name.
    pub filters: Filters,
    /// Bytes that stay.
    pub reserved_space: Option<i64>,
    /// Bytes that may stay.
    pub max_used_space: Option<i64>,
    /// Bytes that are to be free then.
    pub min_free_space: Option<i64>,
}

/// A session's connection.
#[derive(Debug)]
pub struct Session(Upgraded);

impl Session {
    /// Answers each call on it, until the daemon leaves.
    pub async fn serve<F, A>(self, answer: F)
    where
        F: Fn(crate::grpc::server::Request) -> A + Send + Sync + 'static,
        A: Future<Output = crate::grpc::server::Response> + Send + 'static,
    {
        crate::grpc::server::serve(self.0, answer).await;
    }
}

impl Client {
    /// A connection on which builds are asked for.
    ///
    /// # Errors
    /// When the daemon cannot be reached, or knows no builds.
    pub async fn build_control(&self) -> Result<Channel, Error> {
        let upgraded = self.h2c(Call::post("/grpc")).await?;
        let (channel, driver) = channel::connect(upgraded).await?;
        // It ends with the connection, and its calls fail then.
        tokio::spawn(driver);
        Ok(channel)
    }

    /// A connection on which the daemon asks.
    ///
    /// # Errors
    /// When the daemon cannot be reached, or knows no builds.
    pub async fn build_session(&self, offer: &SessionOffer) -> Result<Session, Error> {
        let mut call = Call::post("/session")
            .header("x-docker-expose-session-uuid", &offer.id)
            .header("x-docker-expose-session-sharedkey", &offer.shared_key);
        for method in &offer.methods {
            call = call.header("x-docker-expose-session-grpc-method", method);
        }
        self.h2c(call).await.map(Session)
    }

    /// Takes things out of the cache of builds.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn build_prune(&self, query: &BuildPruneQuery) -> Result<wire::BuildPruned, Error> {
        let call = Call::post("/build/prune")
            .query_flag("all", query.all)
            .query_some("reserved-space", query.reserved_space)
            .query_some("max-used-space", query.max_used_space)
            .query_some("min-free-space", query.min_free_space)
            .filters(&query.filters);
        self.send_json(call).await
    }

    async fn h2c(&self, call: Call) -> Result<Upgraded, Error> {
        let answer = self.send(call.upgrade_to("h2c")).await?;
        let mut response = answer.into_response();
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::NotUpgraded(response.status().as_u16()));
        }
        Ok(hyper::upgrade::on(&mut response).await?)
    }
}
