//! Expansion, form by form, and what holds of any text.

use proptest::prelude::*;

use super::*;

fn env() -> Env {
    Env::from_list([
        "A=1",
        "EMPTY=",
        "P=/usr/local/bin.tar.gz",
        "S=x  y",
        "U_1=\u{e9}",
    ])
}

fn expand(word: &str) -> String {
    match Expander::new('\\').expand(word, &env()) {
        Ok(expanded) => expanded.text,
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn plain_forms() {
    for (word, wanted) in [
        ("$A", "1"),
        ("${A}b", "1b"),
        ("$Ab", ""),
        ("$A/b", "1/b"),
        ("$U_1.", "\u{e9}."),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ("\"$A\"", "1"),
        ("\"'$A'\"", "'1'"),
        ("\"\\$A \\\" \\\\ \\n\"", "$A \" \\ \\n"),
        ("a\\", "a"),
        ("$1x", "x"),
        ("a'b'\"c\"", "abc"),
    ] {
        assert_eq!(expand(word), wanted, "{word}");
    }
}

#[test]
fn modifiers() {
    for (word, wanted) in [
        ("${A:-w}", "1"),
        ("${EMPTY:-w}", "w"),
        ("${EMPTY-w}", ""),
        ("${N:-$A}", "1"),
        ("${N-${A}}", "1"),
        ("${A:+w}", "w"),
        ("${EMPTY:+w}", ""),
        ("${EMPTY+w}", "w"),
        ("${N+w}", ""),
        ("${A:?w}", "1"),
        ("${EMPTY?w}", ""),
        ("${P#*/}", "usr/local/bin.tar.gz"),
        ("${P##*/}", "bin.tar.gz"),
        ("${P%.*}", "/usr/local/bin.tar"),
        ("${P%%.*}", "/usr/local/bin"),
        ("${P/\\//_}", "_usr/local/bin.tar.gz"),
        ("${P//\\//_}", "_usr_local_bin.tar.gz"),
        ("${P//l*l/L}", "/usr/L/bin.tar.gz"),
        ("${N:-\"}\"}", "}"),
        ("${N:-\\}}", "}"),
    ] {
        assert_eq!(expand(word), wanted, "{word}");
    }
}

#[test]
fn errors_say_what_is_missing() {
    for (word, wanted) in [
        ("${", "syntax error: missing '}'"),
        ("${A", "syntax error: missing '}'"),
        ("${A:-x", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:-x}", "syntax error: bad substitution"),
        ("${A/x}", "syntax error: missing '/' in ${}"),
        ("${A^}", "unsupported modifier (^) in substitution"),
        ("${A:=x}", "unsupported modifier (:=) in substitution"),
        ("${N?}", "N: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${N:?no $A}", "N: no 1"),
        (
            "'a",
            "unexpected end of statement while looking for matching single-quote",
        ),
        (
            "\"a",
            "unexpected end of statement while looking for matching double-quote",
        ),
    ] {
        let shown = format!("error: failed to process {}: {wanted}", go::quote(word));
        assert_eq!(expand(word), shown);
    }
}

#[test]
fn words_are_split_at_free_spaces() {
    let words = |word: &str| {
        Expander::new('\\')
            .expand(word, &env())
            .map(|expanded| expanded.words)
            .unwrap()
    };
    assert_eq!(words("$S z"), ["x", "y", "z"]);
    assert_eq!(words("\"$S\" 'a b'c"), ["x  y", "a bc"]);
    assert_eq!(words("a\\ b c"), ["a b", "c"]);
    assert!(words("\"\" $EMPTY").is_empty());
}

#[test]
fn what_was_set_and_what_was_not_is_told() {
    let expanded = Expander::new('\\')
        .expand("$A ${N:-$M} $A", &env())
        .unwrap();
    assert!(expanded.matched.iter().eq(["A"]));
    assert!(expanded.unmatched.iter().eq(["M", "N"]));
}

#[test]
fn other_ways_of_taking_words() {
    let raw = Expander {
        keep_quotes: true,
        keep_escapes: true,
        keep_unset: true,
        ..Expander::new('\\')
    };
    let text = |word: &str| raw.expand(word, &env()).unwrap().text;
    assert_eq!(
        text("'a' \"$N\" \\x ${N:-b} ${N//a/b}"),
        "'a' \"$N\" \\x ${N:-b} ${N//a/b}"
    );
    let heredoc = Expander::heredoc();
    let text = |word: &str| heredoc.expand(word, &env()).unwrap().text;
    assert_eq!(text("it's \"$A\" \\$A\n"), "it's \"1\" $A\n");
    let windows = Expander::new('`');
    assert_eq!(windows.expand("a\\b`$A", &env()).unwrap().text, "a\\b$A");
}

#[test]
fn growth_and_depth_end() {
    let mut env = Env::from_list(["A=aaaaaaaaaaaaaaaa"]);
    let how = Expander::new('\\');
    let error = (0..100)
        .find_map(|_| match how.expand("$A$A$A$A", &env) {
            Ok(expanded) => {
                env.set("A", expanded.text);
                None
            }
            Err(error) => Some(error.to_string()),
        })
        .unwrap();
    assert!(error.ends_with("the value would be longer than 16777216 bytes"));
    let deep = "${x:-".repeat(100_000);
    let error = how.expand(&deep, &env).unwrap_err().to_string();
    assert!(error.ends_with("nested more than 64 deep") && error.len() < 1000);
}

proptest! {
    #[test]
    fn text_without_signs_is_itself(text in "[a-z0-9 ./:=_-]{0,60}") {
        let expanded = Expander::new('\\').expand(&text, &Env::new()).unwrap();
        prop_assert_eq!(&expanded.text, &text);
        prop_assert!(expanded.words.iter().map(String::as_str).eq(text.split_whitespace()));
    }

    #[test]
    fn what_is_quoted_comes_back(text in "[^']{0,60}") {
        let quoted = format!("'{text}'");
        prop_assert_eq!(Expander::new('\\').expand(&quoted, &env()).unwrap().text, text);
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[a-zA$\\{\\}:/#%?+'\"\\\\ -]{0,40}") {
        for escape in ['\\', '`'] {
            if let Ok(expanded) = Expander::new(escape).expand(&text, &env()) {
                prop_assert!(expanded.matched.is_disjoint(&expanded.unmatched));
            }
        }
    }

    #[test]
    fn kept_whole_nothing_changes(text in "[a-z$'\" ]{0,40}") {
        let raw = Expander { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Expander::new('\\') };
        if let Ok(expanded) = raw.expand(&text, &Env::new()) {
            prop_assert_eq!(expanded.text, text);
        }
    }

    #[test]
    fn defaults_follow_their_rule(value in proptest::option::of("[a-z]{0,3}"), word in "[a-z]{0,3}") {
        let mut env = Env::new();
        if let Some(value) = &value { env.set("V", value.clone()); }
        let text = |form: String| Expander::new('\\').expand(&form, &env).unwrap().text;
        let full = value.clone().filter(|value| !value.is_empty());
        prop_assert_eq!(text(format!("${{V:-{word}}}")), full.clone().unwrap_or(word.clone()));
        prop_assert_eq!(text(format!("${{V-{word}}}")), value.clone().unwrap_or(word.clone()));
        prop_assert_eq!(text(format!("${{V:+{word}}}")), full.map_or(String::new(), |_| word.clone()));
        prop_assert_eq!(text(format!("${{V+{word}}}")), value.map_or(String::new(), |_| word));
    }
}
