//! `stats`

use std::sync::Arc;

use api::client::ListQuery;
use api::wire::ContainerStats;
use tokio::task::JoinSet;

use super::Context;
use crate::args::containers::StatsArgs;
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print;
use crate::print::stats::{self, Style};
use crate::print::template::Format;

/// From one look to the next.
const ROUND: std::time::Duration = std::time::Duration::from_secs(1);

pub(super) async fn run(args: StatsArgs, context: Context) -> Result<u8, CliError> {
    let style = Style {
        format: Format::parse(args.format.as_deref()),
        no_trunc: args.no_trunc,
    };
    context.daemon.connect().await?;
    let daemon = Arc::new(context.daemon);
    loop {
        let next = tokio::time::Instant::now() + ROUND;
        let names = names(&args, &daemon).await?;
        let looks = look(&daemon, &args, names).await?;
        let text = stats::list(&looks, &style)?;
        if args.no_stream {
            print::out(&text)?;
            return Ok(0);
        }
        print::out(&over_the_last(&text))?;
        // A look at one that runs takes its second, at others no time.
        tokio::time::sleep_until(next).await;
    }
}

/// Whoever is named, else whoever there is now.
async fn names(args: &StatsArgs, daemon: &Daemon) -> Result<Vec<String>, CliError> {
    if !args.names.is_empty() {
        return Ok(args.names.clone());
    }
    let query = ListQuery {
        all: args.all,
        ..ListQuery::default()
    };
    let found = daemon.client.container_list(&query).await?;
    Ok(found.into_iter().map(|container| container.id).collect())
}

/// All of them at once: each look takes a second.
async fn look(
    daemon: &Arc<Daemon>,
    args: &StatsArgs,
    names: Vec<String>,
) -> Result<Vec<(String, ContainerStats)>, CliError> {
    let mut tasks = JoinSet::new();
    for (place, name) in names.into_iter().enumerate() {
        let daemon = Arc::clone(daemon);
        tasks.spawn(async move {
            let stats = daemon.client.container_stats(&name).await;
            (place, name, stats)
        });
    }
    let mut looks = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (place, name, stats) = done.map_err(|error| CliError::Connection(error.to_string()))?;
        match stats {
            Ok(stats) => looks.push((place, name, stats)),
            // One that was listed, and is gone.
            Err(error) if args.names.is_empty() && error.status() == Some(404) => {}
            Err(error) => return Err(error.into()),
        }
    }
    looks.sort_by_key(|(place, _, _)| *place);
    Ok(looks
        .into_iter()
        .map(|(_, name, stats)| (name, stats))
        .collect())
}

/// In the place of what stands on the screen: each line clears what was there, and the end what is below.
fn over_the_last(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}
