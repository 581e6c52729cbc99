//! `exec`

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use api::client::Error;
use api::wire::{ExecCreateRequest, ExecInspect, Words};

use super::Context;
use super::attach::not_a_terminal;
use crate::args::containers::ExecArgs;
use crate::connect::Daemon;
use crate::error::CliError;
use crate::outcome::low_byte;
use crate::resolve::{self, keys};
use crate::session::{End, Prepared, Session, Signals, Target, Wish};
use crate::{print, terminal};

/// How long the daemon may take to learn, or to come back and tell, how a session ended.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(args: ExecArgs, context: Context) -> Result<u8, CliError> {
    let detach_keys = keys::detach_keys(args.detach_keys.as_deref())?;
    let env =
        Context::surroundings(|around| resolve::environment(&args.env_file, &args.env, around))?;
    if args.tty && args.interactive && !args.detach && !terminal::stdin_is_terminal() {
        return Err(not_a_terminal());
    }
    let window = terminal::window()
        .filter(|_| args.tty)
        .map(|(rows, columns)| [rows, columns]);
    let daemon = &context.daemon;
    let (container, command) = args.words.split_first().ok_or(CliError::Silent(1))?;
    let request = ExecCreateRequest {
        user: args.user.unwrap_or_default(),
        privileged: args.privileged,
        tty: args.tty,
        console_size: window,
        attach_stdin: args.interactive && !args.detach,
        attach_stderr: !args.detach,
        attach_stdout: !args.detach,
        detach_keys: args.detach_keys.unwrap_or_default(),
        env: Some(env),
        working_dir: args.workdir.unwrap_or_default(),
        cmd: Words(command.to_vec()),
    };
    daemon.connect().await?;
    if args.detach {
        let id = daemon.client.exec_create(container, &request).await?.id;
        daemon.client.exec_start_detached(&id, args.tty).await?;
        return Ok(0);
    }
    let wish = Wish {
        tty: args.tty,
        stdin: args.interactive,
        detach_keys,
        sig_proxy: false,
    };
    let mut signals = Signals::listen(false, args.tty)?;
    let (made, begun) = daemon.client.exec_run(container, &request).await?;
    let id = made.id;
    let is_begun = begun.is_some();
    let connection = match begun {
        Some(connection) => connection,
        None => daemon.client.exec_start(&id, args.tty, window).await?,
    };
    let code = async {
        match is_begun {
            true => ended(daemon, &id).await,
            false => None,
        }
    };
    let session = Session::begin(Prepared::new(connection, &wish)?)?;
    let served = session.serve(daemon, Target::Exec(&id), &mut signals);
    finish(served, code, daemon, &id).await
}

/// How it ended, of a daemon that tells when it has; nothing of one that goes away before.
async fn ended(daemon: &Daemon, id: &str) -> Option<u8> {
    let session = daemon.client.exec_ended(id).await.ok()?;
    (!session.running).then(|| code_of(&session))
}

fn code_of(session: &ExecInspect) -> u8 {
    // One that has not been started has none.
    low_byte(session.exit_code.unwrap_or(126).into())
}

/// Waits for the streams and for the exit code, which is asked for if it has not been told.
async fn finish(
    served: impl Future<Output = Result<End, CliError>>,
    code: impl Future<Output = Option<u8>>,
    daemon: &Daemon,
    id: &str,
) -> Result<u8, CliError> {
    let (mut served, mut code) = (pin!(served), pin!(code));
    let mut known = None;
    loop {
        tokio::select! {
            biased;
            end = &mut served => match end? {
                End::Detached => {
                    print::complain("read escape sequence");
                    return Ok(0);
                }
                End::Complete => break,
            },
            told = &mut code, if known.is_none() => known = Some(told),
        }
    }
    let told = match known {
        Some(told) => told,
        None => tokio::time::timeout(PATIENCE, code).await.ok().flatten(),
    };
    match told {
        Some(code) => Ok(code),
        None => exit_code(daemon, id).await,
    }
}

/// The streams end a moment before the daemon has heard of the exit; if it died meanwhile it is
/// asked again once it is back.
async fn exit_code(daemon: &Daemon, id: &str) -> Result<u8, CliError> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    let mut revived = false;
    loop {
        match daemon.client.exec_inspect(id).await {
            Ok(session) if !session.running => {
                return Ok(code_of(&session));
            }
            Ok(_) => {}
            Err(error @ Error::Refused { .. }) => return Err(error.into()),
            Err(_) if !revived => {
                revived = true;
                if let Err(error) = daemon.revive().await {
                    print::complain(&format!("brig: {error}"));
                }
            }
            Err(_) => {}
        }
        if Instant::now() > deadline {
            return Err(CliError::Connection(format!(
                "the daemon does not say how exec session {id} ended"
            )));
        }
        rest(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What is shorter than the runtime's clock can tell is slept away: nothing else is under way here.
async fn rest(pause: Duration) {
    match pause < Duration::from_millis(2) {
        true => std::thread::sleep(pause),
        false => tokio::time::sleep(pause).await,
    }
}
