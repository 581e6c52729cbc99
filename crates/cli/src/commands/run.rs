//! `run`: create, attach and wait, start, then bytes until the end.
//!
//! A daemon of ours makes, attaches and starts by one request. With any other, attaching and waiting go out side
//! by side and before the start, so that no byte and no exit is missed; nothing else is asked, so a run costs three
//! round trips.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use api::client::{Attach, Hijacked, Waiting};
use api::wire::ContainerCreateResponse;
use types::ErrorKind;

use super::Context;
use super::attach::{finish, not_a_terminal};
use crate::args::container::RunArgs;
use crate::error::CliError;
use crate::outcome::Question;
use crate::resolve::{Pull, RunPlan};
use crate::session::{self, Prepared, Session, Signals, Target, Wish};
use crate::{print, resolve, terminal};

pub(super) async fn run(args: RunArgs, context: Context) -> Result<u8, CliError> {
    let plan = Context::surroundings(|around| resolve::run(&args, around))?;
    if plan.spec.tty && plan.attach.stdin && !plan.detach && !terminal::stdin_is_terminal() {
        return Err(not_a_terminal());
    }
    let cidfile = claim_cidfile(plan.cidfile.as_deref())?;
    context.daemon.connect().await?;
    let attach = attach(&plan, args.detach_keys);
    let (created, connection) = match begin(&context, &plan, &attach).await {
        Ok(begun) => begun,
        Err(error) => {
            if let Some((path, _)) = cidfile {
                // It was ours and is empty.
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
    };
    announce(&created, cidfile)?;
    if plan.detach {
        context
            .daemon
            .client
            .container_start(&created.id, None)
            .await?;
        print::out(&format!("{}\n", created.id))?;
        return Ok(0);
    }
    in_foreground(&context, &plan, &created.id, (attach, connection)).await
}

fn attach(plan: &RunPlan, detach_keys: Option<String>) -> Attach {
    Attach {
        stream: true,
        stdin: plan.attach.stdin,
        stdout: plan.attach.stdout,
        stderr: plan.attach.stderr,
        detach_keys,
        ..Attach::default()
    }
}

/// Makes the container; if its streams are wanted, and the daemon can do all of it at once, it is being started
/// by then and they are there.
async fn begin(
    context: &Context,
    plan: &RunPlan,
    attach: &Attach,
) -> Result<(ContainerCreateResponse, Option<Hijacked>), CliError> {
    if plan.detach || !plan.attach.any() {
        return Ok((create(context, plan).await?, None));
    }
    let request = api::convert::create_request(&plan.spec);
    let platform = plan.spec.platform.as_ref().map(ToString::to_string);
    let (name, platform) = (plan.name.as_deref(), platform.as_deref());
    let client = &context.daemon.client;
    let run = async || {
        Ok(client
            .container_run(name, platform, &request, attach)
            .await?)
    };
    with_image(context, plan, run).await
}

async fn in_foreground(
    context: &Context,
    plan: &RunPlan,
    id: &str,
    (attach, begun): (Attach, Option<Hijacked>),
) -> Result<u8, CliError> {
    let daemon = &context.daemon;
    let wish = Wish {
        tty: plan.spec.tty,
        stdin: plan.attach.stdin,
        detach_keys: plan.detach_keys.clone(),
        sig_proxy: plan.sig_proxy,
    };
    let mut signals = Signals::listen(wish.sig_proxy, wish.tty)?;
    let question = Question::new(daemon, id, plan.spec.auto_remove);
    let target = Target::Container(id);
    let ended = AtomicBool::new(false);
    let (session, waiting) = match begun {
        Some(connection) => {
            let prepare = async { Prepared::new(connection, &wish) };
            let (waiting, prepared) = tokio::join!(question.ask_begun(), prepare);
            // Nothing of it is shown before its start is recorded: who has seen something misses no daemon.
            let waiting = waiting?;
            (Some(Session::begin(prepared?)?), waiting)
        }
        None => {
            let (connection, waiting) = start(context, plan, id, (&attach, &question)).await?;
            let begin = |connection| Session::begin(Prepared::new(connection, &wish)?);
            (connection.map(begin).transpose()?, Some(waiting))
        }
    };
    let answer = async {
        let waiting = match waiting {
            Some(waiting) => waiting,
            None => question.ask_begun_again(&ended).await?,
        };
        question.answer(waiting, &ended).await
    };
    let Some(session) = session else {
        ended.store(true, Ordering::Relaxed);
        return signals.during(daemon, target, answer).await?;
    };
    if wish.tty && plan.attach.stdin {
        // The window may have changed before signals were listened to.
        let told = plan.spec.console_size.into();
        if terminal::window().is_some_and(|size| size != told) {
            session::resize(daemon, target).await;
        }
    }
    let served = async {
        let end = session.serve(daemon, target, &mut signals).await;
        ended.store(true, Ordering::Relaxed);
        end
    };
    finish(served, answer).await
}

/// Attaches, waits, and starts what has only been made.
async fn start<'a>(
    context: &Context,
    plan: &RunPlan,
    id: &str,
    (attach, question): (&Attach, &Question<'a>),
) -> Result<(Option<Hijacked>, Waiting<'a>), CliError> {
    let client = &context.daemon.client;
    let attaching = async {
        if plan.attach.any() {
            return Ok::<_, CliError>(Some(client.container_attach(id, attach).await?));
        }
        Ok(None)
    };
    let (connection, waiting) = tokio::join!(attaching, question.ask(true));
    let (connection, waiting) = (connection?, waiting?);
    client.container_start(id, None).await?;
    Ok((connection, waiting))
}

/// Makes the container.
pub(super) async fn create(
    context: &Context,
    plan: &RunPlan,
) -> Result<ContainerCreateResponse, CliError> {
    with_image(context, plan, async || create_now(context, plan).await).await
}

/// Makes something of an image; one that is not here, or is always to be the newest, is pulled before.
async fn with_image<T>(
    context: &Context,
    plan: &RunPlan,
    make: impl AsyncFn() -> Result<T, CliError>,
) -> Result<T, CliError> {
    if plan.pull == Pull::Always {
        pull(context, plan).await?;
    }
    match make().await {
        Err(error) if plan.pull == Pull::Missing && is_missing(&error) => {
            let named = plan
                .spec
                .image_ref()
                .map_or_else(|| plan.spec.image.clone(), |image| image.familiar());
            if !plan.quiet {
                print::complain(&format!("Unable to find image '{named}' locally"));
            }
            pull(context, plan).await?;
            make().await
        }
        other => other,
    }
}

async fn create_now(
    context: &Context,
    plan: &RunPlan,
) -> Result<ContainerCreateResponse, CliError> {
    let request = api::convert::create_request(&plan.spec);
    let platform = plan.spec.platform.as_ref().map(ToString::to_string);
    let client = &context.daemon.client;
    let created = client.container_create(plan.name.as_deref(), platform.as_deref(), &request);
    Ok(created.await?)
}

fn is_missing(error: &CliError) -> bool {
    matches!(error, CliError::Daemon { kind: ErrorKind::NotFound, message }
        if ["No such image", "image with reference"].iter().any(|words| message.starts_with(words)))
}

async fn pull(context: &Context, plan: &RunPlan) -> Result<(), CliError> {
    let reference = super::pull::parse(&plan.spec.image)?;
    let platform = plan.spec.platform.as_ref().map(ToString::to_string);
    super::pull::for_container(context, &reference, platform, plan.quiet).await
}

/// A file that will hold the id, made before the container so that two runs cannot share it.
pub(super) fn claim_cidfile(path: Option<&str>) -> Result<Option<(String, File)>, CliError> {
    let Some(path) = path else {
        return Ok(None);
    };
    match File::create_new(path) {
        Ok(file) => Ok(Some((path.to_owned(), file))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CliError::Invalid(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            )))
        }
        Err(source) => Err(CliError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Tells the daemon's warnings and writes the id where it was asked for.
pub(super) fn announce(
    created: &ContainerCreateResponse,
    cidfile: Option<(String, File)>,
) -> Result<(), CliError> {
    for warning in &created.warnings {
        print::complain(&format!("WARNING: {warning}"));
    }
    match cidfile {
        Some((path, mut file)) => file
            .write_all(created.id.as_bytes())
            .map_err(|source| CliError::File { path, source }),
        None => Ok(()),
    }
}
