//! What is attached to a manifest: signatures, attestations, bills of materials.

use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use types::Digest;

use crate::error::{Action, Error};
use crate::manifest::{INDEX, MAX_MANIFEST};
use crate::route::Need;
use crate::session::{Call, Session};
use crate::tags::next_question;
use crate::{Content, Descriptor, Manifest, Repository};

const MAX_PAGES: usize = 1000;
const MAX_REFERRERS: usize = 100_000;

impl Repository {
    /// What refers to `subject`, of one type only if that is named. By the registry's API, or by the tag
    /// `sha256-...` where it has none. Empty when there is nothing.
    ///
    /// # Errors
    /// [`Error::Denied`] and all others.
    pub async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let what = format!(
            "list what refers to {subject} of {}",
            self.reference.familiar_name()
        );
        let mut tries = self.tries(Need::Digest, Action::Pull, &what)?;
        while let Some(session) = tries.next() {
            match self.referrers_at(&session, subject, artifact_type).await {
                Ok(mut all) => {
                    // A registry may filter, and need not.
                    all.retain(|one| artifact_type.is_none_or(|t| is_of(one, t)));
                    return Ok(all);
                }
                Err(error) => tries.failed(&session, error)?,
            }
        }
        Err(self.nobody())
    }

    async fn referrers_at(
        &self,
        session: &Session,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let filter = artifact_type.map(|t| {
            let mut url = reqwest::Url::parse("q:").ok()?;
            url.query_pairs_mut().append_pair("artifactType", t);
            url.query().map(str::to_owned)
        });
        let (mut all, mut query) = (Vec::new(), filter.flatten());
        for _ in 0..MAX_PAGES {
            let response = ask(session, subject, query.as_deref()).await?;
            if is_unknown(&response) {
                return Ok(self.tagged(session, subject).await?.unwrap_or_default());
            }
            if response.status() != StatusCode::OK {
                return Err(session.refusal(response).await);
            }
            query = next_question(&response);
            all.extend(entries(session, response).await?);
            if query.is_none() {
                return Ok(all);
            }
            if all.len() > MAX_REFERRERS {
                break;
            }
        }
        Err(session.broken(format!(
            "has a list of what refers to {subject} that has no end"
        )))
    }

    /// The list kept under a tag; none when there is no such tag.
    async fn tagged(
        &self,
        session: &Session,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        match self.fetch(session, &tag_of(subject), None).await {
            Ok(Manifest {
                content: Content::Index { manifests },
                ..
            }) => Ok(Some(manifests)),
            Ok(_) => Ok(None),
            Err(Error::NoManifest { .. } | Error::NoRepository { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a manifest to the list under the tag, for a registry that keeps none itself (distribution
    /// specification, "Pushing Manifests with Subject").
    pub(crate) async fn add_referrer(
        &self,
        session: &Session,
        subject: &Digest,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let tag = tag_of(subject);
        let mut index = match self.fetch(session, &tag, None).await {
            Ok(Manifest {
                bytes,
                content: Content::Index { .. },
                ..
            }) => serde_json::from_slice(&bytes).unwrap_or_else(|_| empty_index()),
            Ok(_) | Err(Error::NoManifest { .. } | Error::NoRepository { .. }) => empty_index(),
            Err(error) => return Err(error),
        };
        if !add(&mut index, manifest) {
            return Ok(());
        }
        let bytes = Bytes::from(index.to_string());
        self.put(session, &tag, INDEX, bytes).await.map(drop)
    }
}

fn empty_index() -> serde_json::Value {
    serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] })
}

/// Whether the index has changed.
fn add(index: &mut serde_json::Value, manifest: &Manifest) -> bool {
    let Descriptor {
        media_type,
        digest,
        size,
        annotations,
        artifact_type,
        ..
    } = &manifest.descriptor;
    let Some(list) = index
        .get_mut("manifests")
        .and_then(|list| list.as_array_mut())
    else {
        return false;
    };
    let digest = digest.to_string();
    if list.iter().any(|entry| entry["digest"] == digest.as_str()) {
        return false;
    }
    let kind = artifact_type.clone().or_else(|| match &manifest.content {
        Content::Image { config, .. } => Some(config.media_type.clone()),
        Content::Index { .. } => None,
    });
    let mut entry = serde_json::json!({
        "mediaType": media_type, "digest": digest, "size": size,
    });
    if let Some(kind) = kind {
        entry["artifactType"] = kind.into();
    }
    if !annotations.is_empty() {
        entry["annotations"] = serde_json::json!(annotations);
    }
    list.push(entry);
    true
}

/// `sha256-` and the digits (distribution specification, "Referrers Tag Schema").
fn tag_of(subject: &Digest) -> String {
    let text = subject.to_string().replace(':', "-");
    text.chars().take(128).collect()
}

fn is_of(descriptor: &Descriptor, artifact_type: &str) -> bool {
    descriptor.artifact_type.as_deref() == Some(artifact_type)
}

async fn ask(session: &Session, subject: &Digest, query: Option<&str>) -> Result<Response, Error> {
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let url = session.url(&format!("/referrers/{subject}{query}"))?;
    let call = Call::new(Method::GET, url).with(ACCEPT, HeaderValue::from_static(INDEX));
    session.send(&call).await
}

/// A registry of before the referrers API: it does not know the address, or takes it for another.
fn is_unknown(response: &Response) -> bool {
    matches!(response.status().as_u16(), 400 | 404 | 405)
}

async fn entries(session: &Session, response: Response) -> Result<Vec<Descriptor>, Error> {
    let body = session
        .document(response, MAX_MANIFEST, "a list of referrers")
        .await?;
    let index = Manifest::parse(Some(INDEX), body);
    match index.map(|index| index.content) {
        Ok(Content::Index { manifests }) => Ok(manifests),
        _ => Err(session.broken("sent a list of referrers that is no index")),
    }
}
