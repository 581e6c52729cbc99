//! `logout`

use super::Context;
use super::pull::credentials;
use crate::args::containers::NamesArgs;
use crate::credentials::server_of;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NamesArgs, _: Context) -> Result<u8, CliError> {
    let server = server_of(args.names.first().map_or("", String::as_str));
    let text = match credentials()?.forget(&server)? {
        true => format!("Removing login credentials for {server}\n"),
        false => format!("Not logged in to {server}\n"),
    };
    print::out(&text)?;
    Ok(0)
}
