//! `import`

use std::path::Path;

use api::client::{Body, ImportQuery};

use super::Context;
use super::load::{failure, open, stdin};
use crate::args::images::ImportArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: ImportArgs, context: Context) -> Result<u8, CliError> {
    let source = args.names[0].as_str();
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let body = match source {
        _ if is_url => Body::empty(),
        "-" => Body::reader(stdin()?),
        path => Body::reader(open(path).await?),
    };
    // The daemon sees no name: without a word of ours the history would say that it came from `-`.
    let name = Path::new(source).file_name();
    let from = name.map(|name| format!("Imported from {}", name.to_string_lossy()));
    let query = ImportQuery {
        url: is_url.then(|| source.to_owned()),
        reference: args.names.get(1).cloned(),
        message: args.message.or(from),
        changes: args.change,
        platform: args.platform,
    };
    context.daemon.connect().await?;
    let mut messages = context.daemon.client.image_import(&query, body).await?;
    while let Some(message) = messages.next().await? {
        if let Some(error) = failure(&message) {
            return Err(error);
        }
        if !message.status.is_empty() {
            print::out(&format!("{}\n", message.status))?;
        }
    }
    Ok(0)
}
