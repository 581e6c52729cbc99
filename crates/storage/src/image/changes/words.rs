//! Words of an instruction: quotes, backslashes and variables, as in a Dockerfile.

/// Splits at blanks outside of quotes; quotes and backslashes stay in the words.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\\', q) if q != Some('\'') => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            _ => {}
        }
        word.push(c);
    }
    if let Some(quote) = quote {
        return Err(format!(
            "unexpected end of statement while looking for matching {quote}"
        ));
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// A word with its quotes removed and its variables replaced by what `env` has for them.
pub(super) fn expand(word: &str, env: &[String]) -> Result<String, String> {
    let mut text = String::new();
    let mut quote = None;
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (c, quote) {
            ('\'', None) => quote = Some('\''),
            ('"', None) => quote = Some('"'),
            (c, Some(q)) if c == q => quote = None,
            (c, Some('\'')) => text.push(c),
            ('\\', quote) => {
                let next = rest.chars().next();
                // Within double quotes a backslash stays before what it need not protect.
                if quote.is_some() && !next.is_some_and(|n| matches!(n, '"' | '$' | '\\')) {
                    text.push('\\');
                }
                text.extend(next);
                rest = next.map_or(rest, |next| &rest[next.len_utf8()..]);
            }
            ('$', _) => rest = variable(rest, env, &mut text)?,
            (c, _) => text.push(c),
        }
    }
    if quote.is_some() {
        return Err(format!(
            "unexpected end of statement while looking for matching quote: {word}"
        ));
    }
    Ok(text)
}

/// Replaces the variable whose name `rest` begins with; returns what follows it.
fn variable<'a>(rest: &'a str, env: &[String], text: &mut String) -> Result<&'a str, String> {
    let value = |name: &str| {
        let entry = env.iter().filter_map(|entry| entry.split_once('='));
        entry
            .clone()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let Some(braced) = rest.strip_prefix('{') else {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        match name {
            "" => text.push('$'),
            name => text.push_str(value(name).unwrap_or_default()),
        }
        return Ok(after);
    };
    let (inside, after) = braced
        .split_once('}')
        .ok_or_else(|| format!("missing }} in ${rest}"))?;
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, modifier) = inside.split_at(end);
    let found = value(name);
    match (modifier.get(..2), modifier.get(2..)) {
        _ if modifier.is_empty() && !name.is_empty() => text.push_str(found.unwrap_or_default()),
        (Some(":-"), Some(word)) if !name.is_empty() => {
            text.push_str(found.filter(|value| !value.is_empty()).unwrap_or(word));
        }
        (Some(":+"), Some(word)) if !name.is_empty() => {
            text.push_str(found.filter(|value| !value.is_empty()).map_or("", |_| word));
        }
        _ => {
            return Err(format!(
                "unsupported modifier in substitution: ${{{inside}}}"
            ));
        }
    }
    Ok(after)
}
