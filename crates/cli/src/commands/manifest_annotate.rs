//! `manifest annotate`

use api::wire::OciPlatform;

use super::{Context, manifest};
use crate::args::registry::ManifestAnnotateArgs;
use crate::error::CliError;
use crate::manifests::is_known;

pub(super) async fn run(args: ManifestAnnotateArgs, _: Context) -> Result<u8, CliError> {
    let (list, image) = (&args.names[0], &args.names[1]);
    let target = manifest::parse("manifest list", list)?;
    let reference = manifest::parse("manifest", image)?;
    let lists = manifest::lists()?;
    let mut entry = lists.get(&target, &reference)?.ok_or_else(|| {
        CliError::Invalid(format!(
            "manifest for image {image} does not exist in {list}"
        ))
    })?;
    let platform = entry.descriptor.platform.get_or_insert_default();
    annotate(platform, &args);
    let OciPlatform {
        os, architecture, ..
    } = platform;
    if !is_known(os, architecture) {
        return Err(CliError::Invalid(format!(
            "manifest entry for image has unsupported os/arch combination: {os}/{architecture}"
        )));
    }
    lists.put(&target, &reference, &entry)?;
    Ok(0)
}

fn annotate(platform: &mut OciPlatform, args: &ManifestAnnotateArgs) {
    let set = |to: &mut String, value: &Option<String>| {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            to.clone_from(value);
        }
    };
    set(&mut platform.os, &args.os);
    set(&mut platform.architecture, &args.arch);
    set(&mut platform.variant, &args.variant);
    set(&mut platform.os_version, &args.os_version);
    for feature in &args.os_features {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
}
