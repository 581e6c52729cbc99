//! `events`

use super::{Context, ps};
use crate::args::containers::EventsArgs;
use crate::error::CliError;
use crate::print;
use crate::print::events::Printer;
use crate::resolve::time;

pub(super) async fn run(args: EventsArgs, context: Context) -> Result<u8, CliError> {
    let printer = Printer::new(args.format.as_deref())?;
    let now = Context::now_exactly();
    let at = |text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.map(|text| time::point(text, now)).transpose()
    };
    let (since, until) = (at(&args.since)?, at(&args.until)?);
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let mut chunks = client
        .events(
            since.as_deref(),
            until.as_deref(),
            &ps::filters(&args.filter),
        )
        .await?;
    let mut rest = Vec::new();
    while let Some(bytes) = chunks.next().await? {
        rest.extend_from_slice(&bytes);
        let Some(end) = rest.iter().rposition(|b| *b == b'\n') else {
            continue;
        };
        let lines: Vec<u8> = rest.drain(..=end).collect();
        print::out(&printer.lines(&lines)?)?;
    }
    Ok(0)
}
