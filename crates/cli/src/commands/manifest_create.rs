//! `manifest create`

use types::ImageRef;

use super::Context;
use super::manifest::{self, Asking};
use crate::args::registry::ManifestCreateArgs;
use crate::error::CliError;
use crate::manifests::{Entry, is_list};
use crate::print;

pub(super) async fn run(args: ManifestCreateArgs, context: Context) -> Result<u8, CliError> {
    let list = manifest::parse("manifest list", &args.names[0])?;
    let lists = manifest::lists()?;
    if lists.list(&list)?.is_some() && !args.amend {
        return Err(CliError::Invalid(
            "refusing to amend an existing manifest list with no --amend flag".to_owned(),
        ));
    }
    let images = args.names[1..].iter();
    let images: Result<Vec<ImageRef>, _> = images
        .map(|name| manifest::parse("manifest", name))
        .collect();
    context.daemon.connect().await?;
    let asking = Asking::new(&context, args.insecure);
    // All of them are asked for first: half a list would be no help.
    let mut found = Vec::new();
    for image in images? {
        let entry = match lists.get(&list, &image)? {
            Some(entry) => entry,
            None => entry(&asking, &image).await?,
        };
        found.push((image, entry));
    }
    for (image, entry) in &found {
        lists.put(&list, image, entry)?;
    }
    print::out(&format!("Created manifest list {list}\n"))?;
    Ok(0)
}

async fn entry(asking: &Asking<'_>, image: &ImageRef) -> Result<Entry, CliError> {
    let manifest = asking.manifest(image).await?;
    if is_list(&manifest.descriptor.media_type) {
        return Err(CliError::Invalid(format!("{image} is a manifest list")));
    }
    Entry::of(image, &manifest)
}
