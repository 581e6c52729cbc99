//! `attach`

use std::sync::atomic::{AtomicBool, Ordering};

use api::client::Attach;

use super::Context;
use crate::args::containers::AttachArgs;
use crate::error::CliError;
use crate::outcome::Question;
use crate::print;
use crate::resolve::keys;
use crate::session::{self, End, Prepared, Session, Signals, Target, Wish};
use crate::terminal;

pub(super) async fn run(args: AttachArgs, context: Context) -> Result<u8, CliError> {
    let name = args.names[0].as_str();
    let daemon = &context.daemon;
    let detach_keys = keys::detach_keys(args.detach_keys.as_deref())?;
    daemon.connect().await?;
    let container = daemon.client.container_inspect(name, false).await?;
    if !container.state.running {
        return Err(CliError::Invalid(
            "You cannot attach to a stopped container, start it first".to_owned(),
        ));
    }
    let tty = container.config.tty;
    let stdin = !args.no_stdin && container.config.open_stdin;
    if tty && stdin && !terminal::stdin_is_terminal() {
        return Err(not_a_terminal());
    }
    let wish = Wish {
        tty,
        stdin,
        detach_keys,
        sig_proxy: args.sig_proxy && !tty,
    };
    let mut signals = Signals::listen(wish.sig_proxy, tty)?;
    let id = container.id.as_str();
    let question = Question::new(daemon, id, container.host_config.auto_remove);
    let attach = Attach {
        stream: true,
        stdin,
        stdout: true,
        stderr: true,
        detach_keys: args.detach_keys,
        ..Attach::default()
    };
    let (connection, waiting) = tokio::join!(
        daemon.client.container_attach(id, &attach),
        question.ask(false)
    );
    let session = Session::begin(Prepared::new(connection?, &wish)?)?;
    let target = Target::Container(id);
    if tty {
        repaint(&context, target).await;
    }
    let ended = AtomicBool::new(false);
    let served = async {
        let end = session.serve(daemon, target, &mut signals).await;
        ended.store(true, Ordering::Relaxed);
        end
    };
    finish(served, async { question.answer(waiting?, &ended).await }).await
}

/// A program that draws its screen does so again when the size changes, so it changes twice.
async fn repaint(context: &Context, target: Target<'_>) {
    if let Some((rows, columns)) = terminal::window() {
        let other = [rows.saturating_add(1), columns.saturating_add(1)];
        session::resize_to(&context.daemon, target, other).await;
        session::resize_to(&context.daemon, target, [rows, columns]).await;
    }
}

/// Docker's sentence; scripts know it.
pub(super) fn not_a_terminal() -> CliError {
    crate::args::Refusal {
        text: "the input device is not a TTY".to_owned(),
        code: 1,
    }
    .into()
}

/// Waits for streams and exit code; leaves at once when the user detached.
pub(super) async fn finish(
    served: impl Future<Output = Result<End, CliError>>,
    code: impl Future<Output = Result<u8, CliError>>,
) -> Result<u8, CliError> {
    let mut served = std::pin::pin!(served);
    let mut code = std::pin::pin!(code);
    // Both are driven all the time: the answer may come long before the last byte is written, and
    // a daemon that went away is asked again while the streams go on.
    let mut known = None;
    loop {
        tokio::select! {
            biased;
            end = &mut served => {
                if end? == End::Detached {
                    print::complain("read escape sequence");
                    return Ok(0);
                }
                break;
            }
            answer = &mut code, if known.is_none() => known = Some(answer),
        }
    }
    match known {
        Some(answer) => answer,
        None => code.await,
    }
}
