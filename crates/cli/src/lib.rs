//! `brig`, the client: what was typed -> what it means -> request -> text.
//!
//! [`args`] holds what was typed, [`resolve`] makes a plan of it without asking anybody, each verb in
//! [`commands`] sends requests, [`print`] makes text of the answers, [`error`] has the last word. The
//! client never links the engine and knows the daemon only through `api`; it keeps no state
//! but credentials and the manifest lists that are being put together.

mod archive;
pub mod args;
mod build;
pub mod commands;
mod complete;
pub mod connect;
mod contexts;
pub mod credentials;
mod dial;
pub mod error;
pub mod manifests;
mod outcome;
pub mod print;
pub mod resolve;
mod session;
mod stream;
mod terminal;
mod tls;

use std::ffi::OsString;
use std::process::ExitCode;

use args::Parsed;

/// Runs one command line, without the program's name.
pub fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some((first, rest)) = words.split_first()
        && first == "__complete"
    {
        let text = complete::complete(&commands::VERBS, rest);
        return ended(print::out(&text).map(|()| 0), error::Manner::Plain, "");
    }
    match args::parse(&commands::VERBS, words) {
        Ok(Parsed::Hint(text)) => {
            print::complain(text.trim_end_matches('\n'));
            ExitCode::SUCCESS
        }
        Ok(Parsed::Text(text)) => ended(print::out(&text).map(|()| 0), error::Manner::Plain, ""),
        Ok(Parsed::Run(invocation)) => {
            let (verb, name) = (invocation.verb, invocation.name.clone());
            ended((verb.run)(*invocation), commands::manner(verb), &name)
        }
        Err(refusal) => ended(Err(refusal.into()), error::Manner::Plain, ""),
    }
}

/// The one place where errors are printed.
fn ended(result: Result<u8, error::CliError>, manner: error::Manner, name: &str) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let (text, code) = error.report(manner, name);
            if !text.is_empty() {
                print::complain(text.trim_end_matches('\n'));
            }
            ExitCode::from(code)
        }
    }
}
