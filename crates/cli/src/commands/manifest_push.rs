//! `manifest push`

use types::ImageRef;

use super::Context;
use super::manifest::{self, Asking};
use crate::args::registry::ManifestPushArgs;
use crate::error::CliError;
use crate::manifests::{Entry, document};
use crate::print;

pub(super) async fn run(args: ManifestPushArgs, context: Context) -> Result<u8, CliError> {
    let list = manifest::parse("manifest list", &args.names[0])?;
    let lists = manifest::lists()?;
    let entries = lists.list(&list)?.ok_or_else(|| manifest::no_such(&list))?;
    let images = check(&list, &entries)?;
    context.daemon.connect().await?;
    let asking = Asking::new(&context, args.insecure);
    for (image, entry) in images.iter().zip(&entries) {
        if image.path() == list.path() {
            continue;
        }
        let digest = &entry.descriptor.digest;
        let to = manifest::by_digest(&list, digest)?;
        asking
            .copy(&to, &manifest::by_digest(image, digest)?)
            .await?;
        print::out(&format!("Pushed ref {to} with digest: {digest}\n"))?;
    }
    let (media_type, document) = document(&entries);
    let pushed = asking.put(&list, media_type, &document).await?;
    print::out(&format!("{}\n", pushed.digest))?;
    if args.purge {
        lists.remove(&list)?;
    }
    Ok(0)
}

/// Nothing is sent before all of it can be.
fn check(list: &ImageRef, entries: &[Entry]) -> Result<Vec<ImageRef>, CliError> {
    let refuse = |why: String| Err(CliError::Invalid(why));
    if entries.is_empty() {
        return refuse(format!("{list} not found"));
    }
    let mut images = Vec::new();
    for entry in entries {
        let name = &entry.reference;
        let platform = entry.descriptor.platform.as_ref();
        if platform.is_none_or(|p| p.os.is_empty() || p.architecture.is_empty()) {
            return refuse(format!(
                "manifest {name} must have an OS and Architecture to be pushed to a registry"
            ));
        }
        let image = manifest::parse("manifest", name)?;
        let (from, to) = (image.domain(), list.domain());
        if from != to {
            return refuse(format!(
                "cannot use source images from a different registry than the target image: \
                 {from} != {to}"
            ));
        }
        images.push(image);
    }
    Ok(images)
}
