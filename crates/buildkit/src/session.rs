//! What the daemon asks of a client over its session: credentials, secrets, an agent of ssh, files; and
//! `grpc.health.v1`.

use std::collections::HashMap;

use prost::Message;

/// The file sync of a directory: `dir-name` in the headers says which.
pub const FILE_SYNC: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// Files or one file for the client.
pub const FILE_SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// A user and password for a registry.
pub const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// A token for a registry.
pub const FETCH_TOKEN: &str = "/moby.filesync.v1.Auth/FetchToken";
/// A secret.
pub const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// Is there an agent?
pub const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
/// A connection to the agent.
pub const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// An archive that the client has on its standard input.
pub const PULL_UPLOAD: &str = "/moby.upload.v1.Upload/Pull";
/// Is it well?
pub const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// For which registry?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CredentialsRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub host: String,
}

/// A user and a password; with no user the secret is a token that identifies.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CredentialsResponse {
    /// Who.
    #[prost(string, tag = "1")]
    pub username: String,
    /// The password.
    #[prost(string, tag = "2")]
    pub secret: String,
}

/// Which secret?
#[derive(Clone, PartialEq, Message)]
pub struct GetSecretRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Nothing that anybody reads yet.
    #[prost(map = "string, string", tag = "2")]
    pub annotations: HashMap<String, String>,
}

/// A secret.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GetSecretResponse {
    /// It.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

/// Is there this agent?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CheckAgentRequest {
    /// Its name; `default` is the usual.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// There is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CheckAgentResponse {}

/// Is it well?
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HealthCheckRequest {
    /// Which service.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// 1 is well.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct HealthCheckResponse {
    /// The number.
    #[prost(int32, tag = "1")]
    pub status: i32,
}
