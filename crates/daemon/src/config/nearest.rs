//! The known word that a mistyped one was meant to be.

/// The nearest of `known`, if one is near enough.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, best) = known
        .map(|candidate| (distance(word, candidate), candidate))
        .min()?;
    let near = (word.chars().count() / 3).max(1);
    (distance <= near).then_some(best)
}

/// Letters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_word() {
        let find = |word| nearest(word, super::super::settings::KEYS.iter().copied());
        assert_eq!(find("data_root"), Some("data-root"));
        assert_eq!(find("hots"), None);
        assert_eq!(find("hosts"), Some("host"));
        assert_eq!(find("loglevel"), Some("log-level"));
        assert_eq!(find("bridge"), None);
    }
}
