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
    /// Nothing: that it is for the manifest is enough.
    Digest,
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
        if *self == Self::Digest {
            return true;
        }
        let (image, Some(signed)) = (Named::of(image), Named::parse(signed)) else {
            return false;
        };
        match self {
            Self::Digest => true,
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

    fn check(identity: &Identity, image: &str, table: &[(&str, bool)]) {
        let image = image.parse().unwrap();
        for (signed, accepted) in table {
            let found = identity.accepts(&image, signed);
            assert_eq!(found, *accepted, "{identity:?} {image} {signed}");
        }
    }

    #[test]
    fn a_name_is_compared_with_the_images_own() {
        let tagged = "r.example/a/b:1";
        let by_digest = format!("r.example/a/b@sha256:{}", "ab".repeat(32));
        let same = ("r.example/a/b:1", true);
        let any = [same, ("other/x:3", true), ("UPPER CASE", true)];
        check(&Identity::Digest, tagged, &any);
        let exact = [
            same,
            ("r.example/a/b:2", false),
            ("r.example/a/b", false),
            ("", false),
        ];
        check(&Identity::Exact, tagged, &exact);
        check(&Identity::RepoDigestOrExact, tagged, &exact);
        check(&Identity::Exact, &by_digest, &[("r.example/a/b:1", false)]);
        let official = [
            ("docker.io/library/busybox:latest", true),
            ("busybox:latest", true),
            ("busybox", false),
        ];
        check(&Identity::Exact, "busybox", &official);
        let repository = [same, ("r.example/a/c:1", false), ("r.example/a/b", false)];
        check(&Identity::RepoDigestOrExact, &by_digest, &repository);
        let repository = [
            same,
            ("r.example/a/b", true),
            ("r.example/a:7", false),
            ("UPPER CASE", false),
        ];
        check(&Identity::Repository, tagged, &repository);
    }

    #[test]
    fn a_name_is_compared_with_the_one_that_the_policy_gives() {
        let exact = Identity::ExactReference(Named::parse("r.example/a/b:1").unwrap());
        check(
            &exact,
            "other/x:3",
            &[("r.example/a/b:1", true), ("r.example/a/b", false)],
        );
        let repository = Identity::ExactRepository("r.example/a/b".into());
        check(
            &repository,
            "other/x:3",
            &[("r.example/a/b:9", true), ("r.example/a/bc:9", false)],
        );
        let remap = Identity::Remap {
            prefix: "m.example/x".into(),
            signed: "r.example".into(),
        };
        let below = [("r.example/a/b:1", true), ("m.example/x/a/b:1", false)];
        check(&remap, "m.example/x/a/b:1", &below);
        check(&remap, "m.example/xy/b:1", &[("m.example/xy/b:1", true)]);
    }
}
