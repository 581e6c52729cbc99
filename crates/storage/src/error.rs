//! What the store refuses or fails at: one sentence that names the object, the source kept apart.

use std::io;
use std::path::{Path, PathBuf};

use types::{Digest, ErrorKind, ImageRef, VolumeName};

/// What an operation of the store refuses or fails at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name, id or prefix.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// A prefix of more than one id.
    #[error("the id {0:?} is ambiguous: more than one image starts with it")]
    Ambiguous(String),
    /// The text cannot name an image.
    #[error(transparent)]
    Reference(#[from] types::InvalidReference),
    /// A name with a digest is where a tag was expected.
    #[error("refusing to create a tag with a digest reference: {0}")]
    TagWithDigest(ImageRef),
    /// Removing by id what has several names.
    #[error(
        "conflict: unable to delete {0} (must be forced) - \
         image is referenced in multiple repositories"
    )]
    ManyRepositories(String),
    /// Removing the last platform of an image that is here.
    #[error(
        "conflict: unable to delete the last platform of {0} that is here - \
         remove the image itself"
    )]
    LastPlatform(String),
    /// Removing a platform that a container needs.
    #[error(
        "conflict: unable to delete manifest {manifest} of {image} (cannot be forced) - \
         container {container} is using it"
    )]
    PlatformInUse {
        /// As the caller named it.
        image: String,
        /// The manifest, as listings show it.
        manifest: String,
        /// The container, as listings show it.
        container: String,
    },
    /// Removing what a container needs.
    #[error(
        "conflict: unable to delete {image} (must be forced) - \
         container {container} is using its referenced image {id}"
    )]
    InUse {
        /// As the caller named it.
        image: String,
        /// The container, as listings show it.
        container: String,
        /// The image, as listings show it.
        id: String,
    },
    /// Another process holds the data root.
    #[error("the data root {root} is in use by process {pid}")]
    Locked {
        /// The data root.
        root: PathBuf,
        /// What the lock file says.
        pid: String,
    },
    /// A newer program made the store.
    #[error(
        "the data root {root} is of format {found}, made by a newer version: \
         this one knows up to {known}"
    )]
    Newer {
        /// The data root.
        root: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this program knows.
        known: u32,
    },
    /// A file of the store.
    #[error("cannot {action} {path}")]
    File {
        /// What was to be done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The database of the store.
    #[error("the database of the store failed")]
    Database(#[source] rusqlite::Error),
    /// What the database shares among its connections finds no room.
    #[error("the disk of the store is full: there is no room for its database")]
    NoRoom,
    /// What the store itself wrote cannot be read back.
    #[error("the database of the store holds a {what} that cannot be read: {text:?}")]
    Record {
        /// What it should be.
        what: &'static str,
        /// What it is.
        text: String,
    },
    /// The caller's stream could not be read to its end.
    #[error("cannot read the archive")]
    Input(#[source] io::Error),
    /// The caller's stream could not be decompressed.
    #[error("cannot decompress the {0} stream")]
    Decompress(&'static str, #[source] io::Error),
    /// The caller's stream could not be written.
    #[error("cannot write the archive")]
    Output(#[source] io::Error),
    /// The bytes are not the tar archive they should be.
    #[error("the tar archive is broken at byte {offset}{}", Named(.entry))]
    Tar {
        /// Where in the uncompressed archive.
        offset: u64,
        /// The entry's name, if it is known.
        entry: Option<String>,
        /// What is wrong.
        #[source]
        source: Malformed,
    },
    /// An entry of a layer could not be put in its place.
    #[error("cannot {action} {entry:?}")]
    Place {
        /// What was to be done.
        action: &'static str,
        /// The entry's name.
        entry: String,
        /// Why not.
        #[source]
        source: sys::Error,
    },
    /// A layer of an image archive could not be unpacked.
    #[error("cannot unpack {what}")]
    Layer {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// Neither kind of image archive.
    #[error("the archive holds no image: neither manifest.json nor index.json is in it")]
    NotAnImageArchive,
    /// An image archive contradicts itself.
    #[error("the archive cannot be loaded")]
    Archive(#[source] Box<Error>),
    /// A document of an image cannot be understood.
    #[error("{what} cannot be understood")]
    Document {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A document of an image says what cannot be.
    #[error("{what} {problem}")]
    Image {
        /// Which.
        what: String,
        /// What is wrong with it, continuing the sentence.
        problem: String,
    },
    /// An index without a manifest for the platform.
    #[error("{what} has nothing for {platform}: it has {there}")]
    NoPlatform {
        /// The index.
        what: String,
        /// What was wanted.
        platform: types::Platform,
        /// What it has.
        there: String,
    },
    /// A size limit where the file system has no project quotas.
    #[error(
        "the file system of {0} cannot limit what a container writes: \
         project quotas are needed, as ext4 and xfs have them when mounted with prjquota"
    )]
    NoQuota(PathBuf),
    /// A volume's options that cannot be.
    #[error("{0}")]
    VolumeOptions(String),
    /// A size of a volume where the file system has no project quotas.
    #[error(
        "quota size requested but no quota support: the file system of {0} needs project quotas, \
         as ext4 and xfs have them when mounted with prjquota"
    )]
    NoVolumeQuota(PathBuf),
    /// No volume of that name.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// A volume that has the name already.
    #[error("a volume with the name {0} exists already")]
    VolumeExists(VolumeName),
    /// A container has it.
    #[error("{what} {name}: volume is in use - [{}]", Ids(.users))]
    VolumeInUse {
        /// What was to be done.
        what: &'static str,
        /// The volume.
        name: VolumeName,
        /// The containers.
        users: Vec<types::ContainerId>,
    },
    /// An import that would replace files.
    #[error(
        "the volume {0} is not empty: import into a new one, or say that what it has is to be \
         replaced"
    )]
    VolumeNotEmpty(VolumeName),
    /// Somebody else gave a volume other content meanwhile.
    #[error("the content of the volume {0} was replaced by somebody else meanwhile")]
    VolumeChanged(VolumeName),
    /// A directory where an archive has something else, or the other way round.
    #[error(
        "cannot overwrite {} {path:?} with {} {path:?}",
        if *.directory { "directory" } else { "non-directory" },
        if *.directory { "non-directory" } else { "directory" }
    )]
    Overwrites {
        /// Whether it is a directory that is there.
        directory: bool,
        /// Where.
        path: String,
    },
    /// An owner that the container cannot have.
    #[error("{path} belongs to {uid}:{gid}, and the container's user namespace has no such ids")]
    NoId {
        /// What belongs to it.
        path: String,
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A volume of a file system that is not in the kernel.
    #[error("the volume's type {0:?} is no file system that this machine's kernel has")]
    NoFileSystem(String),
    /// A volume whose files are not the store's.
    #[error(
        "the volume {name} cannot be {what}: its files are where its options say, not in the store"
    )]
    VolumeElsewhere {
        /// The volume.
        name: VolumeName,
        /// What was to be done.
        what: &'static str,
    },
    /// No snapshot of that name.
    #[error("the volume {volume} has no snapshot {name}")]
    NoSuchSnapshot {
        /// The volume.
        volume: VolumeName,
        /// The snapshot.
        name: String,
    },
    /// A snapshot that has the name already.
    #[error("the volume {volume} has a snapshot {name} already")]
    SnapshotExists {
        /// The volume.
        volume: VolumeName,
        /// The snapshot.
        name: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Something an image names is not in the archive or not in the store.
    #[error("{0} is missing")]
    Missing(String),
    /// Bytes that do not hash to their name.
    #[error("{what} is damaged: its content hashes to {found}")]
    Damaged {
        /// Which.
        what: String,
        /// What it hashes to.
        found: Digest,
    },
    /// Bytes that are fewer or more than said.
    #[error("{what} is damaged: it has {found} bytes instead of {expected}")]
    WrongSize {
        /// Which.
        what: String,
        /// How many there are.
        found: u64,
        /// How many there should be.
        expected: u64,
    },
    /// A change of an image's configuration that cannot be made.
    #[error("invalid change {change:?}: {problem}")]
    Change {
        /// As it was given.
        change: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A container's record or writable layer that is not there.
    #[error("no container {0} in the store")]
    NoContainer(types::ContainerId),
    /// A container's name or id that is there already.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container {holder:?}. \
         You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The container that has it.
        holder: String,
    },
}

/// What is wrong with a tar archive.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not a tar header.
    #[error("the header's checksum is wrong")]
    Checksum,
    /// No header and no end.
    #[error("it is empty")]
    Empty,
    /// The stream ended within an entry.
    #[error("it ends too early")]
    Truncated,
    /// A field that should be a number.
    #[error("its {0} is not a number in range")]
    Number(&'static str),
    /// A header for the next entry that is out of proportion.
    #[error("its {0} is longer than any this program accepts")]
    TooLong(&'static str),
    /// An extended header that does not follow its grammar.
    #[error("its extended header is malformed")]
    Pax,
    /// The list of a sparse file's pieces contradicts itself.
    #[error("its sparse map is inconsistent")]
    Sparse,
    /// A kind of entry nobody knows.
    #[error("its type {0:?} is unknown")]
    Type(char),
    /// A name that leads out of the archive's root.
    #[error("the path {0:?} leads outside of the root")]
    Escapes(String),
    /// A name that cannot be one.
    #[error("the path {0:?} cannot be a file's name")]
    Name(String),
    /// Something else is where a directory should be.
    #[error("{0:?} is in the way: it is not a directory")]
    NotADirectory(String),
    /// A hard link to nothing.
    #[error("the hard link's target {0:?} is not in the archive")]
    NoLinkTarget(String),
    /// More entries than an image archive can need.
    #[error("it has more than {0} entries")]
    TooMany(usize),
}

/// Ids in a list.
struct Ids<'a>(&'a [types::ContainerId]);

impl std::fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.0.iter().map(types::ContainerId::as_str).collect();
        f.write_str(&ids.join(", "))
    }
}

/// The entry's name as the end of a clause.
struct Named<'a>(&'a Option<String>);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |entry| write!(f, ", at {entry:?}"))
    }
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchImage(_)
            | Self::NoContainer(_)
            | Self::NoPlatform { .. }
            | Self::NoSuchVolume(_)
            | Self::NoSuchSnapshot { .. } => ErrorKind::NotFound,
            Self::ManyRepositories(_)
            | Self::InUse { .. }
            | Self::LastPlatform(_)
            | Self::PlatformInUse { .. }
            | Self::NameTaken { .. }
            | Self::VolumeExists(_)
            | Self::VolumeInUse { .. }
            | Self::VolumeNotEmpty(_)
            | Self::VolumeChanged(_)
            | Self::SnapshotExists { .. } => ErrorKind::Conflict,
            Self::Ambiguous(_)
            | Self::Reference(_)
            | Self::TagWithDigest(_)
            | Self::Input(_)
            | Self::Decompress(..)
            | Self::Tar { .. }
            | Self::Archive(_)
            | Self::NotAnImageArchive
            | Self::Document { .. }
            | Self::Image { .. }
            | Self::VolumeOptions(_)
            | Self::NoFileSystem(_)
            | Self::Overwrites { .. }
            | Self::NoId { .. }
            | Self::Change { .. } => ErrorKind::Invalid,
            Self::Layer { source, .. } => source.kind(),
            Self::Locked { .. } => ErrorKind::Unavailable,
            Self::Newer { .. }
            | Self::NoQuota(_)
            | Self::NoVolumeQuota(_)
            | Self::VolumeElsewhere { .. } => ErrorKind::Unsupported,
            // A layer may ask for what no file system does, but a full disk is the usual case.
            Self::File { .. }
            | Self::Place { .. }
            | Self::Database(_)
            | Self::NoRoom
            | Self::Record { .. }
            | Self::Output(_)
            | Self::Thread(_)
            | Self::Missing(_)
            | Self::Damaged { .. }
            | Self::WrongSize { .. } => ErrorKind::Internal,
        }
    }

    /// Gives an error of a file its sentence.
    pub(crate) fn file<E: Into<io::Error>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::File {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// Tells what is wrong with an archive from what is wrong with the store.
    pub(crate) fn in_archive(self) -> Self {
        match self {
            Self::Missing(_) | Self::Damaged { .. } | Self::WrongSize { .. } => {
                Self::Archive(Box::new(self))
            }
            other => other,
        }
    }

    pub(crate) fn image(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Image {
            what: what.into(),
            problem: problem.into(),
        }
    }
}

impl From<rusqlite::Error> for Error {
    /// SQLite calls most full disks by their name, but not when it makes the file that connections
    /// share (SQLITE_IOERR_SHMSIZE).
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|failure| failure.extended_code);
        match code {
            Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => Self::NoRoom,
            _ => Self::Database(error),
        }
    }
}
