//! `GET /events`

use std::collections::BTreeMap;

use super::{go_struct, is_zero};

go_struct! {
    /// Something that happened.
    pub struct Event {
        /// The action, for containers and images; gone since 1.52, as the two that follow.
        #[serde(rename = "status", skip_serializing_if = "is_zero")]
        pub status: String,
        /// The object's id.
        #[serde(rename = "id", skip_serializing_if = "is_zero")]
        pub id: String,
        /// The container's image.
        #[serde(rename = "from", skip_serializing_if = "is_zero")]
        pub from: String,
        /// What it is about: `container`.
        pub r#type: String,
        /// What happened: `start`.
        pub action: String,
        /// To whom.
        pub actor: EventActor,
        /// `local`
        #[serde(rename = "scope", skip_serializing_if = "is_zero")]
        pub scope: String,
        /// Seconds since the Unix epoch.
        #[serde(rename = "time", skip_serializing_if = "is_zero")]
        pub time: i64,
        /// Nanoseconds since the Unix epoch.
        #[serde(rename = "timeNano", skip_serializing_if = "is_zero")]
        pub time_nano: i64,
    }

    /// What an event is about.
    pub struct EventActor {
        /// Its id, or its name where it has none.
        #[serde(rename = "ID")]
        pub id: String,
        /// More about it.
        pub attributes: BTreeMap<String, String>,
    }
}
