//! What an error looks like.

use super::go_struct;

go_struct! {
    /// The body of every answer from 400 on.
    pub struct ErrorResponse {
        /// One sentence.
        #[serde(rename = "message")]
        pub message: String,
    }
}
