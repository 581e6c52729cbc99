//! Where files come from: LLB's `SourceOp`, its identifiers and attributes as fields.

use std::collections::BTreeMap;

use serde::Serialize;

/// A source of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Origin {
    /// `docker-image://`
    Image(Image),
    /// `oci-layout://`
    Layout(Layout),
    /// `local://`: files of the client.
    Local(Local),
    /// `https://` or `http://`: one file.
    Http(Http),
    /// `git://`
    Git(Git),
    /// A source that LLB may name and nobody here knows: asked for, it is refused by its name.
    Other {
        /// The whole identifier.
        identifier: String,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
    },
}

/// Whether a registry is asked for an image that is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Pull {
    /// As the worker does it.
    #[default]
    Default,
    /// Always.
    Always,
    /// Not if an image of that name is here.
    PreferLocal,
}

/// An image by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Fully qualified, with the digest once that is known.
    pub reference: String,
    /// Whether a registry is asked.
    pub pull: Pull,
    /// Only so many of its layers, from the lowest; 0 is all.
    pub layers: usize,
}

/// An image in a directory of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// `name@digest`
    pub reference: String,
    /// The client's name for the store.
    pub store: String,
    /// The session that has it.
    pub session: String,
    /// Only so many of its layers; 0 is all.
    pub layers: usize,
}

/// A directory of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Local {
    /// `context`, `dockerfile`, or a name the client gave.
    pub name: String,
    /// The session that has it; none is the build's.
    pub session: Option<String>,
    /// Only what matches one of these, if there are any.
    pub include: Vec<String>,
    /// Not what matches one of these: `.dockerignore`.
    pub exclude: Vec<String>,
    /// Only these paths and where links in them lead, if there are any.
    pub follow: Vec<String>,
    /// Builds with the same hint may find each other's files.
    pub shared_key: String,
    /// A difference in the files' times alone is none.
    pub metadata_only: bool,
}

/// A file on the web.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Http {
    /// Its address.
    pub url: String,
    /// What the file is called.
    pub filename: Option<String>,
    /// What it must hash to.
    pub checksum: Option<String>,
    /// Its mode.
    pub mode: Option<u32>,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// The secret that is sent in the header `Authorization`.
    pub auth_secret: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
}

/// A repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Git {
    /// Its address.
    pub remote: String,
    /// A branch, tag or commit; empty is the remote's default.
    pub reference: String,
    /// Only what is below.
    pub subdirectory: String,
    /// `.git` is kept.
    pub keep_git_dir: bool,
    /// The commit it must be.
    pub checksum: Option<String>,
    /// Submodules are left out.
    pub skip_submodules: bool,
    /// The secret with a token for https.
    pub token_secret: Option<String>,
    /// The secret with a header for https.
    pub header_secret: Option<String>,
    /// Host keys that are known.
    pub known_hosts: Option<String>,
    /// The agent for ssh.
    pub ssh: Option<String>,
}
