//! The policy: which requirements hold for which images (containers-policy.json(5)). Read by [`parse`];
//! the choice is a pure function of the policy and the reference.

mod parse;

use types::ImageRef;

use super::certificate::Authority;
use super::identity::Identity;
use super::key::PublicKey;
use super::openpgp::Keyring;
pub use parse::InvalidPolicy;

/// The transport of registries.
const DOCKER: &str = "docker";

/// What a policy file says, with all keys that it names read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    default: Vec<Requirement>,
    transports: Vec<(String, Scopes)>,
}

/// Requirements by scope.
type Scopes = Vec<(String, Vec<Requirement>)>;

/// One thing that an image has to fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Requirement {
    /// Nothing.
    Anything,
    /// What none can.
    Reject,
    /// Simple signing.
    SignedBy { keys: Keyring, identity: Identity },
    /// Sigstore, as cosign attaches it.
    Sigstore {
        trust: Trust,
        /// Keys of logs, one of which must have it; empty is none asked for.
        rekor: Vec<PublicKey>,
        identity: Identity,
    },
}

impl Requirement {
    /// As the file has it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Anything => "insecureAcceptAnything",
            Self::Reject => "reject",
            Self::SignedBy { .. } => "signedBy",
            Self::Sigstore { .. } => "sigstoreSigned",
        }
    }
}

/// Whose sigstore signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those of any of these keys.
    Keys(Vec<PublicKey>),
    /// Those of keys that an authority has certified when the log took the signature in.
    Fulcio(Authority),
    /// Those of keys that an authority has certified, as of now.
    Pki(Authority),
}

/// The requirements for one image, and where they stand in the file.
#[derive(Debug, Clone)]
pub struct Rule<'a> {
    /// `default`, or `transports.docker["docker.io/library"]`.
    pub(super) place: String,
    pub(super) requirements: &'a [Requirement],
}

impl Rule<'_> {
    /// Whether nothing is asked of the image.
    pub fn accepts_anything(&self) -> bool {
        self.requirements
            .iter()
            .all(|one| *one == Requirement::Anything)
    }

    /// Whether no image can fulfil it: nobody need be asked for signatures.
    pub fn rejects(&self) -> bool {
        self.requirements.contains(&Requirement::Reject)
    }

    /// Whether signatures of simple signing are looked at.
    pub fn wants_simple(&self) -> bool {
        self.requirements
            .iter()
            .any(|one| matches!(one, Requirement::SignedBy { .. }))
    }

    /// Whether signatures of sigstore are looked at.
    pub fn wants_sigstore(&self) -> bool {
        self.requirements
            .iter()
            .any(|one| matches!(one, Requirement::Sigstore { .. }))
    }
}

impl Policy {
    /// What holds for an image of a registry: the rule of the most specific scope that fits.
    pub fn of_image(&self, image: &ImageRef) -> Rule<'_> {
        self.find(DOCKER, &scopes(image))
    }

    /// What holds for everything of another transport, such as `docker-archive` or `tarball`.
    pub fn of_transport(&self, transport: &str) -> Rule<'_> {
        self.find(transport, &[])
    }

    fn find(&self, transport: &str, wanted: &[String]) -> Rule<'_> {
        let scopes = self.transports.iter().find(|(name, _)| name == transport);
        let scopes = scopes.map_or(&[][..], |(_, scopes)| scopes);
        // The empty one is the transport's own default.
        let wanted = wanted.iter().map(String::as_str).chain([""]);
        for scope in wanted {
            if let Some((name, requirements)) = scopes.iter().find(|(name, _)| name == scope) {
                return Rule {
                    place: place(transport, name),
                    requirements,
                };
            }
        }
        Rule {
            place: "default".to_owned(),
            requirements: &self.default,
        }
    }
}

fn place(transport: &str, scope: &str) -> String {
    format!("transports.{transport}[{scope:?}]")
}

/// The scopes that an image falls under, the most specific first: itself, its repository, what is above
/// it, its host, and the domains that its host is in.
pub(super) fn scopes(image: &ImageRef) -> Vec<String> {
    let repository = image.repository();
    let itself = match (image.digest(), image.tag()) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) => repository.clone(),
    };
    let mut all = vec![itself];
    let mut name = repository.as_str();
    loop {
        all.push(name.to_owned());
        match name.rsplit_once('/') {
            Some((above, _)) => name = above,
            None => break,
        }
    }
    let mut host = name.split(':').next().unwrap_or_default();
    while let Some((_, above)) = host.split_once('.') {
        all.push(format!("*.{above}"));
        host = above;
    }
    all
}

#[cfg(test)]
mod tests;
