//! Changes of files without a command: LLB's `FileOp`.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use types::Digest;

use super::{Reads, Selection};

/// What an action works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Operand {
    /// Nothing: an empty file system.
    Empty,
    /// An input of the vertex.
    Input(usize),
    /// What an earlier action of the vertex has made.
    Action(usize),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileAction {
    /// What is changed.
    pub on: Operand,
    /// The result it is, if it is one and not the next action's input only.
    pub output: Option<u32>,
    /// How.
    pub act: Act,
}

/// The changes there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Act {
    /// Copies.
    Copy(Box<CopyFiles>),
    /// Makes a file.
    MakeFile {
        /// Its path.
        path: String,
        /// Its mode.
        mode: u32,
        /// What is in it; a digest tells them apart.
        #[serde(serialize_with = "digested")]
        data: Vec<u8>,
        /// Its owner.
        owner: Option<Owner>,
        /// Its time, in nanoseconds since 1970.
        time: Option<i64>,
    },
    /// Makes a directory.
    MakeDirectory {
        /// Its path.
        path: String,
        /// Its mode.
        mode: u32,
        /// Those above it are made too.
        parents: bool,
        /// Its owner.
        owner: Option<Owner>,
        /// Its time, in nanoseconds since 1970.
        time: Option<i64>,
    },
    /// Makes a symbolic link.
    MakeLink {
        /// What it says.
        target: String,
        /// Its path.
        path: String,
        /// Its owner.
        owner: Option<Owner>,
        /// Its time, in nanoseconds since 1970.
        time: Option<i64>,
    },
    /// Removes.
    Remove {
        /// A path, or a pattern.
        path: String,
        /// It is a pattern.
        wildcard: bool,
        /// Nothing there is no error.
        allow_missing: bool,
    },
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyFiles {
    /// From which files.
    pub from: Operand,
    /// A path in them, or a pattern.
    pub source: String,
    /// Where to; a slash at the end says that it is a directory.
    pub target: String,
    /// A new owner.
    pub owner: Option<Owner>,
    /// A new mode.
    pub mode: Option<FileMode>,
    /// A link as the source is followed.
    pub follow: bool,
    /// Of a directory, what is in it.
    pub contents: bool,
    /// An archive is unpacked.
    pub unpack: bool,
    /// Directories above the target are made.
    pub make_target: bool,
    /// The source is a pattern.
    pub wildcard: bool,
    /// A pattern that finds nothing is no error.
    pub allow_empty: bool,
    /// Only what matches one of these, if there are any.
    pub include: Vec<String>,
    /// Not what matches one of these.
    pub exclude: Vec<String>,
    /// Paths that must be there.
    pub required: Vec<String>,
    /// A thing of another kind in the way is replaced.
    pub replace: bool,
    /// A new time, in nanoseconds since 1970.
    pub time: Option<i64>,
}

/// Permissions: all of them, or what changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum FileMode {
    /// The bits.
    Bits(u32),
    /// chmod(1)'s words: `u=rwX,go=rX`.
    Words(String),
}

/// Who a file belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The user.
    pub user: Option<User>,
    /// The group; with a user by name alone, that user's.
    pub group: Option<User>,
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum User {
    /// By number.
    Id(u32),
    /// By name, looked up in the files of an operand.
    Name {
        /// The name.
        name: String,
        /// Whose `/etc/passwd` and `/etc/group`.
        known_to: Operand,
    },
}

impl Owner {
    /// `user[:group]`, names known to `known_to`.
    pub fn parse(text: &str, known_to: Operand) -> Self {
        let one = |text: &str| {
            let number = text.parse().ok();
            let name = || User::Name {
                name: text.to_owned(),
                known_to,
            };
            (!text.is_empty()).then(|| number.map_or_else(name, User::Id))
        };
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        Self {
            user: one(user),
            group: one(group),
        }
    }
}

fn digested<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let digest = Digest::sha256(Sha256::digest(data).into());
    serializer.serialize_str(&digest.to_string())
}

/// How the results of some actions depend on an input: on all of it where it is changed or asked for
/// names, on what is copied where it is copied from.
pub(super) fn reads(actions: &[FileAction], input: usize) -> Reads {
    let this = Operand::Input(input);
    let mut selections = Vec::new();
    for action in actions {
        if action.on == this || owner(&action.act).is_some_and(|owner| asks(owner, this)) {
            return Reads::All;
        }
        if let Act::Copy(copy) = &action.act
            && copy.from == this
        {
            selections.push(Selection {
                path: copy.source.clone(),
                wildcard: copy.wildcard,
                follow: copy.follow,
                include: copy.include.clone(),
                exclude: copy.exclude.clone(),
            });
        }
    }
    if selections.is_empty() {
        Reads::Nothing
    } else {
        Reads::Files(selections)
    }
}

fn owner(act: &Act) -> Option<&Owner> {
    match act {
        Act::Copy(copy) => copy.owner.as_ref(),
        Act::MakeFile { owner, .. }
        | Act::MakeDirectory { owner, .. }
        | Act::MakeLink { owner, .. } => owner.as_ref(),
        Act::Remove { .. } => None,
    }
}

fn asks(owner: &Owner, operand: Operand) -> bool {
    let mut named = [&owner.user, &owner.group].into_iter().flatten();
    named.any(|user| matches!(user, User::Name { known_to, .. } if *known_to == operand))
}

impl CopyFiles {
    /// A copy that does no more than copy.
    pub fn plain(from: Operand, source: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            from,
            source: source.into(),
            target: target.into(),
            owner: None,
            mode: None,
            follow: false,
            contents: false,
            unpack: false,
            make_target: false,
            wildcard: false,
            allow_empty: false,
            include: Vec::new(),
            exclude: Vec::new(),
            required: Vec::new(),
            replace: false,
            time: None,
        }
    }
}
