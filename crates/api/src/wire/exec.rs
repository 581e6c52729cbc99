//! Exec sessions.

use super::{Words, go_struct, is_zero};

go_struct! {
    /// The body of `POST /containers/{id}/exec`.
    pub struct ExecCreateRequest {
        /// `user[:group]`
        pub user: String,
        /// All privileges.
        pub privileged: bool,
        /// A terminal.
        pub tty: bool,
        /// The terminal's first size, rows and columns.
        #[serde(skip_serializing_if = "is_zero")]
        pub console_size: Option<[u16; 2]>,
        /// Attach standard input.
        pub attach_stdin: bool,
        /// Attach standard error.
        pub attach_stderr: bool,
        /// Attach standard output.
        pub attach_stdout: bool,
        /// Keys that detach; docker-py writes it so.
        #[serde(alias = "detachKeys")]
        pub detach_keys: String,
        /// `NAME=value`
        pub env: Option<Vec<String>>,
        /// Working directory.
        pub working_dir: String,
        /// Command and arguments.
        pub cmd: Words,
    }

    /// The answer to it.
    pub struct ExecCreateResponse {
        /// The session.
        pub id: String,
    }

    /// The body of `POST /exec/{id}/start`.
    pub struct ExecStartRequest {
        /// Whether nobody attaches.
        pub detach: bool,
        /// A terminal.
        pub tty: bool,
        /// The terminal's first size, rows and columns.
        #[serde(skip_serializing_if = "is_zero")]
        pub console_size: Option<[u16; 2]>,
    }

    /// The answer to `GET /exec/{id}/json`.
    pub struct ExecInspect {
        /// Session.
        #[serde(rename = "ID")]
        pub id: String,
        /// Whether it runs.
        pub running: bool,
        /// Null until it ended.
        pub exit_code: Option<i32>,
        /// What runs.
        pub process_config: ExecProcessConfig,
        /// Whether standard input is attached.
        pub open_stdin: bool,
        /// Whether standard error is.
        pub open_stderr: bool,
        /// Whether standard output is.
        pub open_stdout: bool,
        /// Whether it is forgotten soon.
        pub can_remove: bool,
        /// The container.
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        /// Keys that detach.
        pub detach_keys: String,
        /// Its process, 0 before the start.
        pub pid: i32,
    }

    /// What an exec session runs.
    pub struct ExecProcessConfig {
        /// A terminal.
        #[serde(rename = "tty")]
        pub tty: bool,
        /// The program.
        #[serde(rename = "entrypoint")]
        pub entrypoint: String,
        /// Its arguments.
        #[serde(rename = "arguments")]
        pub arguments: Vec<String>,
        /// All privileges.
        #[serde(rename = "privileged", skip_serializing_if = "is_zero")]
        pub privileged: Option<bool>,
        /// `user[:group]`
        #[serde(rename = "user", skip_serializing_if = "is_zero")]
        pub user: String,
    }
}
