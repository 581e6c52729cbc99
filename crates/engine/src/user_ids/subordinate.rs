//! The texts of subuid(5), subgid(5), passwd(5) and group(5), as far as they are needed here. Pure.

use super::Span;

/// The ids subordinate to a user, who stands there by name or by number; in the order of the file.
pub(super) fn ranges(text: &str, name: &str, uid: Option<u32>) -> Vec<Span> {
    let number = uid.map(|uid| uid.to_string());
    let of = |line: &str| {
        let (owner, range) = line.trim().split_once(':')?;
        let ours = owner == name || Some(owner) == number.as_deref();
        if ours { Span::parse(range) } else { None }
    };
    text.lines().filter_map(of).collect()
}

/// Name and number of a user or a group, found by either.
pub(super) fn entry(text: &str, who: &str) -> Option<(String, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        let id = number.parse().ok()?;
        (name == who || number == who).then(|| (name.to_owned(), id))
    })
}
