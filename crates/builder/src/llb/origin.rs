//! Sources by their identifiers and attributes.

use std::collections::{BTreeMap, HashMap};

use super::Wrong;
use crate::go;
use crate::graph::{Git, Http, Image, Layout, Local, Origin, Pull};

/// Attributes that are taken one by one.
struct Attributes<'a>(&'a HashMap<String, String>);

impl Attributes<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|text| !text.is_empty()).cloned()
    }

    fn truth(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text == "true")
    }

    fn wrong(name: &str, value: &str) -> Wrong {
        Wrong(format!("attribute {name} cannot be {}", go::quote(value)))
    }

    /// A JSON array of strings.
    fn list(&self, name: &str) -> Result<Vec<String>, Wrong> {
        let Some(text) = self.text(name) else {
            return Ok(Vec::new());
        };
        let list: Option<Vec<String>> =
            serde_json::from_str(&text).map_err(|_| Self::wrong(name, &text))?;
        Ok(list.unwrap_or_default())
    }

    fn number(&self, name: &str, radix: u32) -> Result<Option<u32>, Wrong> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = u32::from_str_radix(&text, radix);
        number.map(Some).map_err(|_| Self::wrong(name, &text))
    }

    fn layers(&self, name: &str) -> Result<usize, Wrong> {
        let number = self.number(name, 10)?.unwrap_or(0);
        usize::try_from(number).map_err(|_| Self::wrong(name, "so many"))
    }
}

/// The source that an identifier names.
pub(super) fn origin(
    identifier: &str,
    attributes: &HashMap<String, String>,
) -> Result<Origin, Wrong> {
    let all = Attributes(attributes);
    let Some((scheme, rest)) = identifier.split_once("://") else {
        return Err(Wrong(format!(
            "the source {} has no scheme",
            go::quote(identifier)
        )));
    };
    match scheme {
        "docker-image" => image(rest, &all),
        "oci-layout" => Ok(Origin::Layout(Layout {
            reference: rest.to_owned(),
            store: all.text("oci.store").unwrap_or_default(),
            session: all.text("oci.session").unwrap_or_default(),
            layers: all.layers("oci.layerlimit")?,
        })),
        "local" => local(rest, &all),
        "http" | "https" => http(identifier, &all),
        "git" => Ok(git(rest, &all)),
        _ => Ok(Origin::Other {
            identifier: identifier.to_owned(),
            attributes: attributes.clone().into_iter().collect(),
        }),
    }
}

fn image(reference: &str, all: &Attributes) -> Result<Origin, Wrong> {
    let mode = "image.resolvemode";
    let pull = match all.text(mode).as_deref() {
        None | Some("default") => Pull::Default,
        Some("pull") => Pull::Always,
        Some("local") => Pull::PreferLocal,
        Some(other) => return Err(Attributes::wrong(mode, other)),
    };
    Ok(Origin::Image(Image {
        reference: reference.to_owned(),
        pull,
        layers: all.layers("image.layerlimit")?,
    }))
}

fn local(name: &str, all: &Attributes) -> Result<Origin, Wrong> {
    Ok(Origin::Local(Local {
        name: name.to_owned(),
        session: all.text("local.session"),
        include: all.list("local.includepattern")?,
        exclude: all.list("local.excludepatterns")?,
        follow: all.list("local.followpaths")?,
        shared_key: all.text("local.sharedkeyhint").unwrap_or_default(),
        metadata_only: all.text("local.differ").as_deref() == Some("metadata"),
    }))
}

fn http(url: &str, all: &Attributes) -> Result<Origin, Wrong> {
    let headers = all.0.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("http.header.")?;
        Some((name.to_owned(), value.clone()))
    });
    Ok(Origin::Http(Http {
        url: url.to_owned(),
        filename: all.text("http.filename"),
        checksum: all.text("http.checksum"),
        mode: all.number("http.perm", 8)?,
        uid: all.number("http.uid", 10)?,
        gid: all.number("http.gid", 10)?,
        auth_secret: all.text("http.authheadersecret"),
        headers: headers.collect::<BTreeMap<_, _>>(),
    }))
}

/// `host/path#reference:subdirectory`; the address with its scheme is an attribute.
fn git(rest: &str, all: &Attributes) -> Origin {
    let (address, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
    let full = all.text("git.fullurl");
    Origin::Git(Git {
        remote: full.unwrap_or_else(|| format!("https://{address}")),
        reference: reference.to_owned(),
        subdirectory: subdirectory.to_owned(),
        keep_git_dir: all.truth("git.keepgitdir"),
        checksum: all.text("git.checksum"),
        skip_submodules: all.truth("git.skipsubmodules"),
        token_secret: all.text("git.authtokensecret"),
        header_secret: all.text("git.authheadersecret"),
        known_hosts: all.text("git.knownsshhosts"),
        ssh: all.text("git.mountsshsock"),
    })
}
