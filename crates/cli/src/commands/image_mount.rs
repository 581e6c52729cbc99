//! `image mount`, `image unmount`

use super::{Context, many};
use crate::args::images::{ImageMountArgs, ImageUnmountArgs};
use crate::error::CliError;
use crate::print::{self, table, units};

pub(super) async fn run(args: ImageMountArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    if args.names.is_empty() {
        let rows: Vec<Vec<String>> = client
            .image_mounts()
            .await?
            .into_iter()
            .map(|mount| {
                let name = mount.repo_tags.first().map_or("<none>", String::as_str);
                let id = units::short_id(&mount.id).to_owned();
                vec![id, name.to_owned(), mount.mountpoint]
            })
            .collect();
        let text = table::table(&["IMAGE ID", "NAME", "MOUNTPOINT"], &rows);
        return print::out(&text).map(|()| 0);
    }
    let mut code = 0;
    for name in &args.names {
        match client.image_mount(name, args.platform.as_deref()).await {
            Ok(mount) => print::out(&format!("{}\n", mount.mountpoint))?,
            Err(error) => {
                print::complain(&CliError::from(error).to_string());
                code = 1;
            }
        }
    }
    Ok(code)
}

pub(super) async fn unmount(args: ImageUnmountArgs, context: Context) -> Result<u8, CliError> {
    if args.names.is_empty() != args.all {
        return Err(CliError::Invalid(
            "name the images to unmount, or all of them with --all".to_owned(),
        ));
    }
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let mut names = args.names;
    if args.all {
        let mounted = client.image_mounts().await?;
        names = mounted.into_iter().map(|mount| mount.id).collect();
    }
    many::in_turn(&names, async |name: String| {
        Ok(client.image_unmount(&name).await?)
    })
    .await
}
