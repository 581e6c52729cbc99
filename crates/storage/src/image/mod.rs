//! Images: one verb a file. What a stranger's archive says is parsed in `documents` and checked
//! against the content it names; nothing is believed because of where it stands.

mod assemble;
mod changes;
mod commit;
mod compression;
mod config;
pub(crate) mod documents;
mod forget;
pub(crate) mod gzip;
mod import;
pub(crate) mod layers;
mod load;
mod media_types;
pub(crate) mod query;
mod remove;
mod save;
mod statements;
mod tag;
mod variants;

pub use assemble::{Assembled, Assembly, Part, STATEMENT};
pub(crate) use assemble::{assemble, content_of};
pub(crate) use commit::commit;
pub use compression::{Compression, Method};
pub use config::{DockerConfig, Empty, Healthcheck, RunConfig};
pub(crate) use forget::forget;
pub(crate) use import::{import, write};
pub(crate) use load::{diff_ids, load, pair};
pub use media_types::MediaTypes;
pub(crate) use query::{find, list};
pub(crate) use remove::{in_use, remove};
pub(crate) use save::{save, saved_names};
pub(crate) use statements::statements;
pub use statements::{Asked, Statement};
pub(crate) use tag::tag;
pub use variants::Variant;
pub(crate) use variants::{descriptor, layer_sizes, manifest_of, manifests, on_platform, variants};
