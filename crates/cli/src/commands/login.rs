//! `login`

use std::io::{self, Read};

use api::wire::AuthConfig;

use super::Context;
use super::pull::credentials;
use crate::args::registry::LoginArgs;
use crate::credentials::{Credentials, Kept, server_of};
use crate::error::CliError;
use crate::{print, terminal};

pub(super) async fn run(mut args: LoginArgs, context: Context) -> Result<u8, CliError> {
    check(&mut args)?;
    let server = server_of(args.names.first().map_or("", String::as_str));
    let mut credentials = credentials()?;
    context.daemon.connect().await?;
    if args.username.is_none() && args.password.is_none() {
        let known = credentials.of_server(&server)?;
        if known != AuthConfig::default() {
            print::out("Authenticating with existing credentials...\n")?;
            match log_in(&context, &mut credentials, known).await {
                Ok(()) => return Ok(0),
                Err(error) if !terminal::stdin_is_terminal() => return Err(error),
                Err(error) => print::complain(&format!("Login did not succeed, error: {error}")),
            }
        }
    }
    let auth = AuthConfig {
        username: match args.username {
            Some(username) => username,
            None => ask("Username: ", true)?,
        },
        password: match args.password {
            Some(password) => password,
            None => ask("Password: ", false)?,
        },
        server_address: server,
        ..AuthConfig::default()
    };
    log_in(&context, &mut credentials, auth).await?;
    Ok(0)
}

fn check(args: &mut LoginArgs) -> Result<(), CliError> {
    let refuse = |why: &str| Err(CliError::Invalid(why.to_owned()));
    if args.password.is_some() {
        print::complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        if args.password_stdin {
            return refuse("--password and --password-stdin are mutually exclusive");
        }
    }
    if args.password_stdin {
        if args.username.as_deref().unwrap_or_default().is_empty() {
            return refuse("the --password-stdin option requires --username to be set");
        }
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        read.map_err(|source| CliError::Io {
            what: "read standard input",
            source,
        })?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        args.password = Some(password.strip_suffix('\r').unwrap_or(password).to_owned());
    }
    Ok(())
}

async fn log_in(
    context: &Context,
    credentials: &mut Credentials,
    mut auth: AuthConfig,
) -> Result<(), CliError> {
    let answer = context.daemon.client.auth(&auth).await?;
    if !answer.identity_token.is_empty() {
        auth.password = String::new();
        auth.identity_token = answer.identity_token;
    }
    if let Kept::Plain(path) = credentials.keep(&auth)? {
        print::complain(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\n",
            path.display()
        ));
    }
    print::out(&format!("{}\n", answer.status))
}

/// Asks the person at the terminal.
fn ask(question: &str, shown: bool) -> Result<String, CliError> {
    if !terminal::stdin_is_terminal() {
        return Err(CliError::Invalid(
            "Error: Cannot perform an interactive login from a non TTY device".to_owned(),
        ));
    }
    print::out(question)?;
    let answer = terminal::line(shown).map_err(|source| CliError::Io {
        what: "read the terminal",
        source,
    })?;
    match answer {
        Some(answer) if !answer.is_empty() => Ok(answer),
        Some(_) => Err(CliError::Invalid(format!(
            "{}: nothing was typed",
            question.trim_end_matches(": ")
        ))),
        None => Err(CliError::Silent(130)),
    }
}
