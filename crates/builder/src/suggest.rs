//! "Did you mean": the nearest of the words that would have been right.

/// A guess may differ from what was typed by so much.
const FARTHEST: usize = 2;
/// Longer words are no slips of the pen; comparing them costs their product.
const LONGEST: usize = 64;

/// The option nearest to `word`, none where it is an option itself or nothing is near.
pub(crate) fn nearest<'a>(
    word: &str,
    options: impl IntoIterator<Item = &'a str>,
    exact_case: bool,
) -> Option<&'a str> {
    let fold = |text: &str| {
        if exact_case {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    };
    let word = fold(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for option in options {
        let folded = fold(option);
        if folded == word {
            return None;
        }
        let far = distance(&word, &folded);
        if far <= FARTHEST.min(word.len() - 1) && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, option));
        }
    }
    best.map(|(_, option)| option)
}

/// A sentence with the guess behind it, where there is one.
pub(crate) fn hint<'a>(
    sentence: String,
    word: &str,
    options: impl IntoIterator<Item = &'a str>,
    exact_case: bool,
) -> String {
    match nearest(word, options, exact_case) {
        Some(guess) => format!("{sentence} (did you mean {guess}?)"),
        None => sentence,
    }
}

/// Levenshtein's distance, in characters; more than `LONGEST` of them are far away.
fn distance(a: &str, b: &str) -> usize {
    if b.len() > LONGEST {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_guessed_and_other_words_are_not() {
        let options = ["FROM", "RUN", "COPY"];
        assert_eq!(nearest("form", options, false), Some("FROM"));
        assert_eq!(nearest("RUNN", options, false), Some("RUN"));
        assert_eq!(nearest("form", options, true), None);
        assert_eq!(nearest("run", options, false), None);
        assert_eq!(nearest("INSTALL", options, false), None);
        assert_eq!(nearest("", options, false), None);
    }
}
