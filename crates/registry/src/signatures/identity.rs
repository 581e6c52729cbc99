//! Whether a signature made for one name is good for an image of another (containers-policy.json(5),
//! `signedIdentity`).

use types::ImageRef;

/// What a signature has to say about the image's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// The same reference.
    Exact,
    /// The same reference, or the same repository where the image is asked for by digest.
    RepoDigestOrExact,
    /// The same repository.
    Repository,
    /// This reference.
    ExactReference(Named),
    /// This repository.
    ExactRepository(String),
    /// As [`Self::RepoDigestOrExact`], with the beginning of the name replaced.
    Remap { prefix: String, signed: String },
}

/// A reference that need not have a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Named {
    /// As people or signatures write it; none if it is no reference.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed: ImageRef = text.parse().ok()?;
        let without_digest = text.split('@').next().unwrap_or_default();
        let last = without_digest.rsplit('/').next().unwrap_or_default();
        Some(Self {
            repository: parsed.repository(),
            // The default is nobody's word.
            tag: parsed
                .tag()
                .filter(|_| last.contains(':'))
                .map(str::to_owned),
            digest: parsed.digest().map(ToString::to_string),
        })
    }

    /// What an image is called for a policy: by its digest if it has one.
    pub(super) fn of(image: &ImageRef) -> Self {
        let digest = image.digest().map(ToString::to_string);
        let tag = image.tag().filter(|_| digest.is_none());
        Self {
            repository: image.repository(),
            tag: tag.map(str::to_owned),
            digest,
        }
    }

    /// Neither tag nor digest.
    pub(super) fn is_bare(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    fn repo_digest_or_exact(&self, signed: &Self) -> bool {
        match &self.digest {
            _ if signed.is_bare() => false,
            Some(_) => self.repository == signed.repository,
            None => self == signed,
        }
    }

    fn remapped(&self, prefix: &str, signed: &str) -> Option<Self> {
        let rest = self.repository.strip_prefix(prefix);
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(rest) = rest else {
            return Some(self.clone());
        };
        let repository: ImageRef = format!("{signed}{rest}").parse().ok()?;
        Some(Self {
            repository: repository.repository(),
            ..self.clone()
        })
    }
}

impl Identity {
    /// Whether a signature that names `signed` is good for `image`.
    pub(super) fn accepts(&self, image: &ImageRef, signed: &str) -> bool {
        let (image, Some(signed)) = (Named::of(image), Named::parse(signed)) else {
            return false;
        };
        match self {
            Self::Exact => !signed.is_bare() && image == signed,
            Self::RepoDigestOrExact => image.repo_digest_or_exact(&signed),
            Self::Repository => image.repository == signed.repository,
            Self::ExactReference(wanted) => *wanted == signed,
            Self::ExactRepository(wanted) => *wanted == signed.repository,
            Self::Remap {
                prefix,
                signed: replaced,
            } => {
                let image = image.remapped(prefix, replaced);
                image.is_some_and(|image| image.repo_digest_or_exact(&signed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_accepted_as_the_policy_says() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let by_digest = format!("r.example/a/b@{digest}");
        let exact = Identity::ExactReference(Named::parse("r.example/a/b:1").unwrap());
        let repository = Identity::ExactRepository("r.example/a/b".into());
        let remap = Identity::Remap {
            prefix: "m.example/x".into(),
            signed: "r.example".into(),
        };
        let table = [
            (&Identity::Exact, "r.example/a/b:1", "r.example/a/b:1", true),
            (
                &Identity::Exact,
                "r.example/a/b:1",
                "r.example/a/b:2",
                false,
            ),
            (&Identity::Exact, "r.example/a/b", "r.example/a/b", false),
            (
                &Identity::Exact,
                "busybox",
                "docker.io/library/busybox:latest",
                true,
            ),
            (&Identity::Exact, &by_digest, "r.example/a/b:1", false),
            (
                &Identity::RepoDigestOrExact,
                &by_digest,
                "r.example/a/b:1",
                true,
            ),
            (
                &Identity::RepoDigestOrExact,
                &by_digest,
                "r.example/a/c:1",
                false,
            ),
            (
                &Identity::RepoDigestOrExact,
                &by_digest,
                "r.example/a/b",
                false,
            ),
            (
                &Identity::RepoDigestOrExact,
                "r.example/a/b:1",
                "r.example/a/b:2",
                false,
            ),
            (
                &Identity::RepoDigestOrExact,
                "r.example/a/b:1",
                "r.example/a/b",
                false,
            ),
            (
                &Identity::Repository,
                "r.example/a/b:1",
                "r.example/a/b",
                true,
            ),
            (
                &Identity::Repository,
                "r.example/a/b:1",
                "r.example/a/b:7",
                true,
            ),
            (
                &Identity::Repository,
                "r.example/a/b:1",
                "r.example/a:7",
                false,
            ),
            (&exact, "other/x:3", "r.example/a/b:1", true),
            (&exact, "other/x:3", "r.example/a/b", false),
            (&repository, "other/x:3", "r.example/a/b:9", true),
            (&repository, "other/x:3", "r.example/a/bc:9", false),
            (&remap, "m.example/x/a/b:1", "r.example/a/b:1", true),
            (&remap, "m.example/x/a/b:1", "m.example/x/a/b:1", false),
            (&remap, "m.example/xy/b:1", "m.example/xy/b:1", true),
            (
                &Identity::Repository,
                "r.example/a/b:1",
                "UPPER CASE",
                false,
            ),
            (&Identity::Repository, "r.example/a/b:1", "", false),
        ];
        for (identity, image, signed, accepted) in table {
            let image = image.parse().unwrap();
            assert_eq!(
                identity.accepts(&image, signed),
                accepted,
                "{identity:?} {image} {signed}"
            );
        }
    }
}
