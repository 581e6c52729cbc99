//! `system check`

use api::wire::CheckReport;
use types::ImageRef;

use super::{Context, pull};
use crate::args::images::CheckArgs;
use crate::error::CliError;
use crate::print;
use crate::print::progress::{self, To};

pub(super) async fn run(args: CheckArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let report = check(&context, args.repair, args.quiet).await?;
    tell(&report)?;
    if !args.repair {
        return Ok(u8::from(!report.problems.is_empty()));
    }
    let again = pull_again(&report);
    if again.is_empty() {
        return Ok(u8::from(left(&report)));
    }
    for name in &again {
        let reference: ImageRef = pull::parse(name)?;
        print::out(&format!("Pulling {} again\n", reference.familiar()))?;
        pull::for_container(&context, &reference, None, args.quiet).await?;
    }
    let report = check(&context, true, args.quiet).await?;
    tell(&report)?;
    Ok(u8::from(left(&report)))
}

async fn check(context: &Context, repair: bool, quiet: bool) -> Result<CheckReport, CliError> {
    let messages = context.daemon.client.system_check(repair).await?;
    let to = if quiet { To::Nowhere } else { To::Err };
    let report = progress::show(messages, to).await?;
    let report = report
        .map(serde_json::from_value::<CheckReport>)
        .transpose();
    let broken = || CliError::Connection("the daemon ended its answer without a report".to_owned());
    report.ok().flatten().ok_or_else(broken)
}

fn tell(report: &CheckReport) -> Result<(), CliError> {
    let mut text = String::new();
    for problem in &report.problems {
        let remedy = match problem.remedy.as_str() {
            "repair" => "; --repair mends it".to_owned(),
            "mended" => "; mended".to_owned(),
            "pull-again" => format!("; pull again: {}", problem.images.join(", ")),
            "in-use" => "; stop the containers on it, then repair".to_owned(),
            _ => String::new(),
        };
        text.push_str(&format!("{}{remedy}\n", problem.text));
    }
    text.push_str(&format!(
        "{}, {}, {}: {}\n",
        count(report.images, "image"),
        count(report.layers, "layer"),
        count(report.blobs, "blob"),
        count(report.problems.len(), "problem")
    ));
    print::out(&text)
}

fn count(number: impl ToString, what: &str) -> String {
    let number = number.to_string();
    let end = if number == "1" { "" } else { "s" };
    format!("{number} {what}{end}")
}

fn pull_again(report: &CheckReport) -> Vec<String> {
    let again = report.problems.iter().filter(|p| p.remedy == "pull-again");
    let mut names: Vec<String> = again.flat_map(|p| p.images.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether anything is still wrong.
fn left(report: &CheckReport) -> bool {
    report.problems.iter().any(|p| p.remedy != "mended")
}
