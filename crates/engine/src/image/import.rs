//! `import` from an address: the daemon fetches it, and unpacks it while it comes.

use storage::Import;
use types::Digest;

use super::arriving::{Feed, arriving};
use crate::{Engine, Error};

/// A tar that somebody serves as an image of one layer. Given up when it is dropped.
pub async fn import_from(engine: &Engine, url: &str, import: Import) -> Result<Digest, Error> {
    engine.accepts_work()?;
    super::signatures::check_import(engine)?;
    let fetched = engine.registries().client().fetch(url, &[]).await?;
    let (feed, mut tar) = arriving();
    let imported = engine.blocking(move |engine| super::import(engine, &mut tar, &import));
    let (imported, ()) = tokio::join!(imported, bring(fetched, feed));
    imported
}

async fn bring(mut fetched: registry::Fetched, feed: Feed) {
    let ended = loop {
        match fetched.chunk().await {
            Ok(Some(bytes)) => {
                if !feed.give(bytes).await {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    feed.end(ended).await;
}
