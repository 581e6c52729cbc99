//! `context export`, `context import`

use std::io::{IsTerminal as _, Read as _, Write as _};

use crate::args::Globals;
use crate::args::containers::NamesArgs;
use crate::contexts::{self, DEFAULT, Store};
use crate::error::CliError;
use crate::print;

/// A longer archive holds no context.
const LONGEST: u64 = 10 << 20;

pub(super) fn export(args: NamesArgs, globals: &Globals) -> Result<u8, CliError> {
    let name = args.names[0].as_str();
    let store = Store::find(&super::variable)?;
    let (stored, tls) = match name {
        DEFAULT => contexts::default_as_stored(globals, &super::variable)?,
        name => {
            contexts::check_name(name)?;
            (store.get(name)?, store.tls(name)?)
        }
    };
    let bytes = contexts::pack(&stored, &tls)?;
    let usual = format!("{name}.dockercontext");
    let path = args.names.get(1).map_or(usual.as_str(), String::as_str);
    if path == "-" {
        if std::io::stdout().is_terminal() {
            return Err(CliError::Invalid(
                "cowardly refusing to export to a terminal, specify a file path".to_owned(),
            ));
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
        written.map_err(|source| CliError::Io {
            what: "write to standard output",
            source,
        })?;
        return Ok(0);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(&bytes));
    written.map_err(|source| CliError::File {
        path: path.to_owned(),
        source,
    })?;
    print::complain(&format!("Written file {path:?}"));
    Ok(0)
}

pub(super) fn import(args: NamesArgs, _: &Globals) -> Result<u8, CliError> {
    let (name, path) = (args.names[0].as_str(), args.names[1].as_str());
    let store = Store::find(&super::variable)?;
    contexts::check_name(name)?;
    if store.has(name) {
        return Err(CliError::Invalid(format!(
            "context {name:?} already exists"
        )));
    }
    let mut bytes = Vec::new();
    let read = match path {
        "-" => std::io::stdin().take(LONGEST).read_to_end(&mut bytes),
        path => {
            std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        }
    };
    read.map_err(|source| CliError::File {
        path: path.to_owned(),
        source,
    })?;
    let (stored, tls) = contexts::unpack(name, &bytes)?;
    store.put(&stored, Some(&tls))?;
    print::out(&format!("{name}\n"))?;
    print::complain(&format!("Successfully imported context {name:?}"));
    Ok(0)
}
