//! `manifest rm`

use super::{Context, manifest};
use crate::args::containers::NamesArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: NamesArgs, _: Context) -> Result<u8, CliError> {
    let lists = manifest::lists()?;
    let mut code = 0;
    for name in &args.names {
        let list = manifest::parse("manifest list", name);
        let removed = list.and_then(|list| match lists.remove(&list)? {
            true => Ok(()),
            false => Err(manifest::no_such(&list)),
        });
        if let Err(error) = removed {
            print::complain(&error.to_string());
            code = 1;
        }
    }
    Ok(code)
}
