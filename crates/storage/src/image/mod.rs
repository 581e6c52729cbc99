//! Images: one verb a file. What a stranger's archive says is parsed in `documents` and checked
//! against the content it names; nothing is believed because of where it stands.

mod changes;
mod config;
mod documents;
mod gzip;
mod import;
mod load;
mod query;
mod remove;
mod save;
mod tag;

pub(crate) use import::import;
pub(crate) use load::load;
pub(crate) use query::{find, list};
pub(crate) use remove::remove;
pub(crate) use save::save;
pub(crate) use tag::tag;
