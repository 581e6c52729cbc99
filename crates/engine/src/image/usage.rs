//! `system df`: what images and containers take on disk.

use storage::{ContainerUsage, ImageUsage};
use types::Digest;

use crate::{Engine, Error};

/// What everything takes, in bytes of blocks, as du(1) counts.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Every image, with how many containers were made from it.
    pub images: Vec<(ImageUsage, usize)>,
    /// Every container.
    pub containers: Vec<ContainerUsage>,
    /// Compressed layers, configurations and manifests.
    pub content: u64,
    /// Unpacked layers.
    pub layers: u64,
    /// What pulls that came to no end have left for the next one.
    pub partial: u64,
}

impl Usage {
    /// All of what images take.
    pub fn total(&self) -> u64 {
        self.content + self.layers
    }

    /// What would be free without the images that no container was made from.
    pub fn reclaimable(&self) -> u64 {
        let unused = self.images.iter().filter(|(_, users)| *users == 0);
        match self.images.iter().all(|(_, users)| *users == 0) {
            true => self.total(),
            false => unused.map(|(image, _)| image.unique).sum(),
        }
    }
}

/// Looks at everything. Blocking, and a while with many images.
pub fn usage(engine: &Engine) -> Result<Usage, Error> {
    let found = engine.storage().disk_usage()?;
    let containers = engine.table().all();
    let users = |id: &Digest| containers.iter().filter(|c| c.fixed.image == *id).count();
    Ok(Usage {
        images: found
            .images
            .into_iter()
            .map(|image| {
                let users = users(&image.id);
                (image, users)
            })
            .collect(),
        containers: found.containers,
        content: found.content,
        layers: found.layers,
        partial: found.partial,
    })
}
