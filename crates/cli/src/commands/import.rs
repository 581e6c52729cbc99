//! `import`

use api::client::{Body, ImportQuery};

use super::Context;
use super::load::{failure, open, stdin};
use crate::args::images::ImportArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: ImportArgs, context: Context) -> Result<u8, CliError> {
    let source = args.names[0].as_str();
    if source.starts_with("http://") || source.starts_with("https://") {
        return Err(CliError::Invalid(format!(
            "{source}: this version does not download; fetch it and import the file"
        )));
    }
    let body = match source {
        "-" => Body::reader(stdin()?),
        path => Body::reader(open(path).await?),
    };
    let query = ImportQuery {
        reference: args.names.get(1).cloned(),
        message: args.message,
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
