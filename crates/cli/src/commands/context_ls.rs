//! `context ls`

use crate::args::Globals;
use crate::args::contexts::ContextLsArgs;
use crate::contexts::{self, DEFAULT, DESCRIPTION, Store};
use crate::error::CliError;
use crate::print;
use crate::print::contexts::Line;
use crate::print::template::Format;

pub(super) fn run(args: ContextLsArgs, globals: &Globals) -> Result<u8, CliError> {
    let store = Store::find(&super::variable)?;
    let in_use = contexts::current(globals, &super::variable)?;
    let mut lines = vec![Line {
        name: DEFAULT.to_owned(),
        description: DESCRIPTION.to_owned(),
        host: contexts::default(globals, &super::variable)?.host,
        ..Line::default()
    }];
    lines.extend(store.list()?.into_iter().map(|stored| Line {
        description: stored.description().to_owned(),
        host: stored.host().to_owned(),
        name: stored.name,
        ..Line::default()
    }));
    if !lines.iter().any(|line| line.name == in_use) {
        let why = store.get(&in_use).err().map(|error| error.to_string());
        lines.push(Line {
            name: in_use.clone(),
            error: why.unwrap_or_default(),
            ..Line::default()
        });
    }
    for line in &mut lines {
        line.current = line.name == in_use;
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    let text = match args.quiet {
        true => lines
            .iter()
            .map(|line| format!("{}\n", line.name))
            .collect(),
        false => print::contexts::list(&lines, &Format::parse(args.format.as_deref()))?,
    };
    print::out(&text)?;
    let mut stronger = ["BRIG_HOST", "DOCKER_HOST"].into_iter();
    let stronger = stronger.find(|name| super::variable(name).is_some());
    if let Some(variable) = stronger.filter(|_| globals.context.is_none()) {
        print::complain(&format!(
            "Warning: {variable} environment variable overrides the active context. To use a context, either set the global --context flag, or unset {variable} environment variable."
        ));
    }
    Ok(0)
}
