//! What the documents and layers of an image are called: in the words of the image specification, or in
//! Docker's older ones. What they call is the same.

use super::documents;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Types of layers, Docker's and those of the image specification. Of others there is one name.
const LAYERS: [(&str, &str); 3] = [
    (
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ),
    (
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.oci.image.layer.v1.tar",
    ),
    (
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ),
];

/// Whose words an image is described in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MediaTypes {
    /// Those of the image specification.
    #[default]
    Oci,
    /// Docker's (image manifest version 2, schema 2), which know no annotations.
    Docker,
}

impl MediaTypes {
    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Oci => documents::MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Oci => documents::CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    pub(crate) fn index(self) -> &'static str {
        match self {
            Self::Oci => documents::INDEX,
            Self::Docker => documents::DOCKER_INDEX,
        }
    }

    /// What a layer of a type is called.
    pub(crate) fn layer(self, known_as: &str) -> &str {
        let mut types = LAYERS.iter();
        let found = types.find(|(docker, oci)| known_as == *docker || known_as == *oci);
        match (self, found) {
            (Self::Oci, Some((_, oci))) => oci,
            (Self::Docker, Some((docker, _))) => docker,
            (_, None) => known_as,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_one_name_in_each() {
        for (docker, oci) in LAYERS {
            for known_as in [docker, oci] {
                assert_eq!(MediaTypes::Docker.layer(known_as), docker);
                assert_eq!(MediaTypes::Oci.layer(known_as), oci);
            }
        }
        let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
        assert_eq!(MediaTypes::Docker.layer(zstd), zstd);
    }
}
