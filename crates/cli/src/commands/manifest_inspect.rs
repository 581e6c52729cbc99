//! `manifest inspect`

use api::wire::RegistryManifest;
use serde_json::Value;
use types::ImageRef;

use super::Context;
use super::manifest::{self, Asking};
use crate::args::registry::ManifestInspectArgs;
use crate::error::CliError;
use crate::manifests::{Entry, document, is_list};
use crate::print;
use crate::print::registry::Shown;

pub(super) async fn run(args: ManifestInspectArgs, context: Context) -> Result<u8, CliError> {
    let last = args.names.last().map_or("", String::as_str);
    let reference = manifest::parse("manifest", last)?;
    let shown = match args.names.len() {
        1 => whole(&args, &context, &reference).await?,
        _ => {
            let list = manifest::parse("manifest list", &args.names[0])?;
            let entry = manifest::lists()?.get(&list, &reference)?;
            Shown::Image(Box::new(
                entry.ok_or_else(|| manifest::no_such(&reference))?,
            ))
        }
    };
    print::out(&print::registry::manifest(&shown, args.verbose)?)?;
    Ok(0)
}

/// What is here under a name, else what the registry has.
async fn whole(
    args: &ManifestInspectArgs,
    context: &Context,
    reference: &ImageRef,
) -> Result<Shown, CliError> {
    if let Some(entries) = manifest::lists()?.list(reference)? {
        let document = document(&entries).1;
        return Ok(Shown::List { document, entries });
    }
    context.daemon.connect().await?;
    let asking = Asking::new(context, args.insecure);
    let manifest = asking.manifest(reference).await?;
    if !is_list(&manifest.descriptor.media_type) {
        return Ok(Shown::Image(Box::new(Entry::of(reference, &manifest)?)));
    }
    let entries = match args.verbose {
        true => entries(&asking, reference, &manifest).await?,
        false => Vec::new(),
    };
    Ok(Shown::List {
        document: manifest.document,
        entries,
    })
}

/// The images of a list in a registry.
async fn entries(
    asking: &Asking<'_>,
    reference: &ImageRef,
    list: &RegistryManifest,
) -> Result<Vec<Entry>, CliError> {
    let broken = |error| CliError::Invalid(format!("{reference}: {error}"));
    let index: Value = serde_json::from_str(&list.document).map_err(broken)?;
    let mut entries = Vec::new();
    for line in index["manifests"].as_array().into_iter().flatten() {
        let digest = line["digest"].as_str().unwrap_or_default();
        let image = manifest::by_digest(reference, digest)?;
        let mut entry = Entry::of(&image, &asking.manifest(&image).await?)?;
        entry.reference = format!("{reference}@{digest}");
        // What the list says counts.
        let platform = line.get("platform").cloned();
        entry.descriptor.platform = platform.and_then(|p| serde_json::from_value(p).ok());
        entries.push(entry);
    }
    Ok(entries)
}
