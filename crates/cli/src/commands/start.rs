//! `start`

use std::sync::atomic::{AtomicBool, Ordering};

use api::client::Attach;

use super::Context;
use super::attach::{finish, not_a_terminal};
use crate::args::containers::StartArgs;
use crate::error::CliError;
use crate::outcome::Question;
use crate::resolve::keys;
use crate::session::{self, Prepared, Session, Signals, Target, Wish};
use crate::{print, terminal};

pub(super) async fn run(args: StartArgs, context: Context) -> Result<u8, CliError> {
    let detach_keys = keys::detach_keys(args.detach_keys.as_deref())?;
    if args.attach || args.interactive {
        if args.names.len() > 1 {
            return Err(CliError::Refused(crate::args::Refusal {
                text: "you cannot start and attach multiple containers at once".to_owned(),
                code: 1,
            }));
        }
        return attached(args, detach_keys, &context).await;
    }
    context.daemon.connect().await?;
    let mut failed = Vec::new();
    for name in &args.names {
        match context.daemon.client.container_start(name, None).await {
            Ok(()) => print::out(&format!("{name}\n"))?,
            Err(error) => {
                print::complain(&CliError::from(error).to_string());
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    print::complain(&format!(
        "Error: failed to start containers: {}",
        failed.join(", ")
    ));
    Ok(1)
}

async fn attached(
    args: StartArgs,
    detach_keys: Vec<u8>,
    context: &Context,
) -> Result<u8, CliError> {
    let daemon = &context.daemon;
    daemon.connect().await?;
    let container = daemon
        .client
        .container_inspect(&args.names[0], false)
        .await?;
    let tty = container.config.tty;
    let stdin = args.interactive && container.config.open_stdin;
    if tty && stdin && !terminal::stdin_is_terminal() {
        return Err(not_a_terminal());
    }
    let wish = Wish {
        tty,
        stdin,
        detach_keys,
        sig_proxy: !tty,
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
    // A container that runs already is attached to and its end awaited, as Docker does.
    let next = !container.state.running;
    let (connection, waiting) = tokio::join!(
        daemon.client.container_attach(id, &attach),
        question.ask(next)
    );
    let (connection, waiting) = (connection?, waiting?);
    daemon.client.container_start(id, None).await?;
    let target = Target::Container(id);
    if tty {
        session::resize(daemon, target).await;
    }
    let session = Session::begin(Prepared::new(connection, &wish)?)?;
    let ended = AtomicBool::new(false);
    let served = async {
        let end = session.serve(daemon, target, &mut signals).await;
        ended.store(true, Ordering::Relaxed);
        end
    };
    finish(served, question.answer(waiting, &ended)).await
}
