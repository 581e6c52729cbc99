//! `logs`

use std::os::fd::AsFd;

use api::client::LogsQuery;

use super::Context;
use crate::args::containers::LogsArgs;
use crate::error::CliError;
use crate::resolve::time;
use crate::stream::Sink;

pub(super) async fn run(args: LogsArgs, context: Context) -> Result<u8, CliError> {
    let now = Context::now_exactly();
    let at = |name: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        let point = text.map(|text| {
            time::point(text, now)
                .map_err(|why| CliError::Invalid(format!("invalid value for {name:?}: {why}")))
        });
        point.transpose()
    };
    let query = LogsQuery {
        follow: args.follow,
        stdout: true,
        stderr: true,
        timestamps: args.timestamps,
        details: args.details,
        since: at("since", &args.since)?,
        until: at("until", &args.until)?,
        tail: args.tail.clone(),
    };
    context.daemon.connect().await?;
    if args.names.len() > 1 || args.grep.is_some() {
        return super::logs_merged::run(&args, &query, &context).await;
    }
    let mut log = context
        .daemon
        .client
        .container_logs(&args.names[0], &query)
        .await?;
    let written = |source| CliError::Io {
        what: "write the log",
        source,
    };
    let framed = log.content_type != api::stream::RAW;
    let file = |fd: std::io::Result<std::os::fd::OwnedFd>| fd.map(std::fs::File::from);
    let out = file(std::io::stdout().as_fd().try_clone_to_owned()).map_err(written)?;
    let err = file(std::io::stderr().as_fd().try_clone_to_owned()).map_err(written)?;
    let mut sink = Sink::new(framed, out, err);
    while let Some(bytes) = log.chunks.next().await? {
        sink.feed(&bytes).map_err(written)?;
    }
    Ok(0)
}
