//! `completion`

use crate::args::Globals;
use crate::args::containers::NamesArgs;
use crate::complete;
use crate::error::CliError;
use crate::print;

pub(super) fn run(args: NamesArgs, _: &Globals) -> Result<u8, CliError> {
    let shell = args.names[0].as_str();
    let Some(script) = complete::script(shell) else {
        return Err(CliError::Invalid(format!(
            "no completion for the shell {shell:?}: bash, zsh or fish is expected"
        )));
    };
    print::out(script)?;
    Ok(0)
}
