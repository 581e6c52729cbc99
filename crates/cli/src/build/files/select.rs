//! Which files of a directory the daemon wants.

use sys::dir::Dir;
use types::ignore::{Above, InvalidPattern, Matcher};

use super::follow;

/// What the daemon says it wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Patterns of which one has to match; none means all.
    pub(crate) include: Vec<String>,
    /// Patterns of what is left out.
    pub(crate) exclude: Vec<String>,
    /// Paths that are wanted with whatever links on the way lead to.
    pub(crate) follow: Vec<String>,
    /// The name of the list of files that the daemon has, or an empty one if it has none; none when it does
    /// not know that lists have names.
    pub(crate) known: Option<String>,
}

/// What is known of a directory, for those below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    inside: Above,
    outside: Above,
    /// Everything below is taken, whatever it is called.
    all: bool,
}

/// What is done with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is told of.
    Take,
    /// It is told of if something below it is.
    Look,
    /// It is passed over with all below it.
    Skip,
}

/// The patterns, read.
#[derive(Debug)]
pub(super) struct Selection {
    include: Option<Matcher>,
    /// How each pattern to include begins, up to its first wildcard.
    prefixes: Vec<String>,
    exclude: Matcher,
}

impl Selection {
    /// Reads what is wanted of this directory.
    pub(super) fn new(root: &Dir, wanted: &Wanted) -> Result<Self, InvalidPattern> {
        let mut include = wanted.include.clone();
        let mut all = include.is_empty() && wanted.follow.is_empty();
        for path in follow::follow(root, &wanted.follow) {
            all |= path.is_empty() || path == ".";
            include.push(path);
        }
        let texts = || include.iter().map(String::as_str);
        Ok(Self {
            prefixes: texts().map(literal).collect(),
            include: (!all).then(|| Matcher::new(texts())).transpose()?,
            exclude: Matcher::new(wanted.exclude.iter().map(String::as_str))?,
        })
    }

    /// What is done with a path; `directory` may hold others.
    pub(super) fn of(&self, path: &str, directory: bool, above: &Known) -> (Verdict, Known) {
        if above.all {
            let all = Known {
                all: true,
                ..Known::default()
            };
            return (Verdict::Take, all);
        }
        let (inside, included) = match &self.include {
            None => (true, Above::default()),
            Some(include) => include.walk(path, &above.inside),
        };
        let (outside, excluded) = self.exclude.walk(path, &above.outside);
        let lasts = |matcher: &Matcher| !matcher.has_exceptions();
        let known = Known {
            all: inside && self.include.as_ref().is_none_or(lasts) && self.exclude.is_empty(),
            inside: included,
            outside: excluded,
        };
        let verdict = match (inside, outside) {
            (true, false) => Verdict::Take,
            _ if !directory => Verdict::Skip,
            (_, true) if !self.exclude.has_exceptions() => Verdict::Skip,
            (false, _) if !self.leads_on(path) => Verdict::Skip,
            _ => Verdict::Look,
        };
        (verdict, known)
    }

    /// Whether a pattern to include may match below a directory.
    fn leads_on(&self, path: &str) -> bool {
        let below = |long: &str, short: &str| {
            short.is_empty()
                || long == short
                || long
                    .strip_prefix(short)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let mut prefixes = self.prefixes.iter();
        prefixes.any(|prefix| below(prefix, path) || below(path, prefix))
    }
}

/// The directories that a pattern begins with before anything in it is a wildcard.
fn literal(pattern: &str) -> String {
    let clean = types::ignore::clean(pattern.trim_start_matches('/'));
    let parts = clean.split('/');
    let plain: Vec<&str> = parts
        .take_while(|part| !part.contains(['*', '?', '[', '\\', '!']) && *part != ".")
        .collect();
    plain.join("/")
}
