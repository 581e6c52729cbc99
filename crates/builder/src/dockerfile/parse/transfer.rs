//! `ADD` and `COPY`.

use super::flags::{Flags, Kind};
use super::{Request, Wrong};
use crate::dockerfile::heredoc;
use crate::dockerfile::instruction::{Inline, Transfer};

/// What both take.
const COMMON: [(&str, Kind); 4] = [
    ("chown", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Bool),
    ("exclude", Kind::Texts),
];

pub(super) fn add(request: &Request) -> Result<Transfer, Wrong> {
    let (mut transfer, mut flags) = common(
        request,
        &[
            ("keep-git-dir", Kind::Bool),
            ("checksum", Kind::Text),
            ("unpack", Kind::Bool),
        ],
    )?;
    transfer.keep_git_dir = flags.truth("keep-git-dir");
    transfer.checksum = flags.text("checksum").filter(|text| !text.is_empty());
    transfer.unpack = flags.truth("unpack");
    Ok(transfer)
}

pub(super) fn copy(request: &Request) -> Result<Transfer, Wrong> {
    let own = [("from", Kind::Text), ("parents", Kind::Bool)];
    let (mut transfer, mut flags) = common(request, &own)?;
    transfer.from = flags.text("from").filter(|text| !text.is_empty());
    transfer.parents = flags.truth("parents").unwrap_or_default();
    Ok(transfer)
}

fn common(request: &Request, own: &[(&'static str, Kind)]) -> Result<(Transfer, Flags), Wrong> {
    let mut list = request.list()?;
    let keyword = &request.keyword;
    let target = list.pop().filter(|_| !list.is_empty()).ok_or_else(|| {
        format!(
            "{keyword} requires at least two arguments, but only one was provided. \
             Destination could not be determined"
        )
    })?;
    let known: Vec<_> = COMMON.iter().chain(own).copied().collect();
    let mut flags = request.flags(&known)?;
    if heredoc::parse(&target)?.is_some() {
        return Err(format!("{keyword} cannot accept a heredoc as a destination").into());
    }
    let (sources, inline) = split(request, list)?;
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let transfer = Transfer {
        sources,
        inline,
        target,
        chown: text(flags.text("chown")),
        chmod: text(flags.text("chmod")),
        link: flags.truth("link").unwrap_or_default(),
        exclude: flags.texts("exclude"),
        ..Transfer::default()
    };
    Ok((transfer, flags))
}

/// Paths, and the documents among them.
fn split(request: &Request, list: Vec<String>) -> Result<(Vec<String>, Vec<Inline>), Wrong> {
    let (mut sources, mut inline) = (Vec::new(), Vec::new());
    for source in list {
        let Some(named) = heredoc::parse(&source)? else {
            sources.push(source);
            continue;
        };
        let mut bodies = request.statement.heredocs.iter().rev();
        let body = bodies.find(|heredoc| heredoc.name == named.name);
        inline.push(Inline {
            data: body.map(heredoc::Heredoc::content).unwrap_or_default(),
            name: named.name,
            expand: named.expand,
        });
    }
    Ok((sources, inline))
}
