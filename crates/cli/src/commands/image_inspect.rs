//! `image inspect`

use super::Context;
use crate::args::images::ImageInspectArgs;
use crate::error::CliError;
use crate::print::shapes::Shape;
use crate::print::system;

pub(super) async fn run(args: ImageInspectArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        let client = &context.daemon.client;
        let inspected = client.image_inspect_raw(name, args.platform.as_deref());
        match inspected.await {
            Ok(object) => found.push((object, Shape::Image)),
            Err(error) => failures.push(CliError::from(error).to_string()),
        }
    }
    system::shaped(&found, &failures, args.format.as_deref())
}
