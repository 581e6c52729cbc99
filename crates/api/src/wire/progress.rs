//! The messages of streams that show progress: pull, push, load, import, build.

use serde_json::Value;

use super::{go_struct, is_zero};

go_struct! {
    /// One message. Streams hold them one after the other, each with a line end.
    pub struct Progress {
        /// Text to print as it is.
        #[serde(rename = "stream", skip_serializing_if = "is_zero")]
        pub stream: String,
        /// What is being done.
        #[serde(rename = "status", skip_serializing_if = "is_zero")]
        pub status: String,
        /// How far it is.
        #[serde(rename = "progressDetail", skip_serializing_if = "is_zero")]
        pub progress_detail: Option<ProgressDetail>,
        /// The same as a bar, for clients that print it as it is.
        #[serde(rename = "progress", skip_serializing_if = "is_zero")]
        pub progress: String,
        /// To what.
        #[serde(rename = "id", skip_serializing_if = "is_zero")]
        pub id: String,
        /// Why it failed.
        #[serde(rename = "errorDetail", skip_serializing_if = "is_zero")]
        pub error_detail: Option<ErrorDetail>,
        /// The same, for clients before API 1.48.
        #[serde(rename = "error", skip_serializing_if = "is_zero")]
        pub error: String,
        /// What programs want to know.
        #[serde(rename = "aux", skip_serializing_if = "is_zero")]
        pub aux: Option<Value>,
    }

    /// How far something is.
    pub struct ProgressDetail {
        /// Done.
        #[serde(rename = "current", skip_serializing_if = "is_zero")]
        pub current: i64,
        /// To do.
        #[serde(rename = "total", skip_serializing_if = "is_zero")]
        pub total: i64,
    }

    /// Why something failed.
    pub struct ErrorDetail {
        /// A status or exit code.
        #[serde(rename = "code", skip_serializing_if = "is_zero")]
        pub code: i64,
        /// One sentence.
        #[serde(rename = "message")]
        pub message: String,
    }
}
