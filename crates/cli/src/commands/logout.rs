//! `logout`

use super::Context;
use super::pull::credentials;
use crate::args::containers::NamesArgs;
use crate::credentials::server_of;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NamesArgs, _: Context) -> Result<u8, CliError> {
    let server = server_of(args.names.first().map_or("", String::as_str));
    // Docker's client says so whether there are any or not.
    print::out(&format!("Removing login credentials for {server}\n"))?;
    credentials()?.forget(&server)?;
    Ok(0)
}
