//! Patterns one by one, then rules that hold of all.

use proptest::prelude::*;

use super::*;

fn matches(patterns: &[&str], path: &str) -> bool {
    Matcher::new(patterns.iter().copied())
        .unwrap()
        .matches(path)
}

#[test]
fn single_patterns() {
    let table = [
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir", false),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir", "a/b/dir", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/*", "dir2", false),
        ("**file", "dir/xfile", true),
        ("**file?", "dir/xfile1", false),
        ("**file?", "dir/file1", true),
        ("**/file*txt", "dir/file.txt", true),
        ("x(1)/y", "x(1)/y", true),
        (".{$|^}+", ".{$|^}+", true),
        ("lib/x-1.0+g1.*", "lib/x-1.0+g1.so", true),
        ("*.go", "a.go", true),
        ("*.go", "b/a.go", false),
        ("**/*.go", "b/a.go", true),
        ("*", "b/a.go", true),
        ("a*b*c", "axbyc", true),
        ("a/*/b", "a/c/b", true),
        ("a/*/b", "a/c/d/b", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/c/d/b", true),
        ("a/**/b", "ab", false),
        ("a**b", "ab", true),
        ("a**b", "axb", false),
        ("a**b", "ax/b", true),
        ("abc", "abc/d/e", true),
        ("abc/", "abc/d", true),
        ("/abc", "abc", false),
        ("./abc", "abc", true),
        ("x/../abc", "abc", true),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[^c]", "abc", false),
        ("ab[!c]", "ab!", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("[\\]a]", "]", true),
        ("a?b", "a\u{263a}b", true),
        ("a???b", "a\u{263a}b", false),
        ("a]", "a]", true),
    ];
    for (pattern, path, wanted) in table {
        assert_eq!(matches(&[pattern], path), wanted, "{pattern} on {path}");
    }
}

#[test]
fn the_last_that_matches_decides() {
    let table: [(&[&str], &str, bool); 12] = [
        (&["*.md", "!README.md"], "README.md", false),
        (
            &["*.md", "!README*.md", "README-secret.md"],
            "README-secret.md",
            true,
        ),
        (
            &["*.md", "README-secret.md", "!README*.md"],
            "README-secret.md",
            false,
        ),
        (&["!README.md", "*.md"], "README.md", true),
        (&["**", "!a/b/c"], "a/b/c/d", false),
        (&["**", "!a/b/c", "a/b/c/d"], "a/b/c/d", true),
        (&["**", "!lib/a.so"], "lib/a.so", false),
        (&["dir", "!dir/keep"], "dir/keep", false),
        (&["dir", "!dir/keep"], "dir/other", true),
        (&["dir/*", "!dir/a*"], "dir/abc/x", false),
        (&["!a"], "a", false),
        (&["a", "! a"], "a", true),
    ];
    for (patterns, path, wanted) in table {
        assert_eq!(matches(patterns, path), wanted, "{patterns:?} on {path}");
    }
}

#[test]
fn bad_patterns_are_refused() {
    for bad in ["[", "[a", "[]a]", "[-]", "[x-]", "[-x]", "a\\", "[^", "a["] {
        let error = Matcher::new([bad]).unwrap_err();
        assert_eq!(error, InvalidPattern::Syntax(bad.to_owned()));
        assert!(
            error
                .to_string()
                .starts_with(&format!("syntax error in pattern {bad:?}"))
        );
    }
    assert_eq!(Matcher::new(["!"]).unwrap_err(), InvalidPattern::Exclusion);
    assert_eq!(
        Matcher::new(["!["]).unwrap_err(),
        InvalidPattern::Syntax("[".into())
    );
}

#[test]
fn a_file_is_read_line_by_line() {
    let text = b"\xef\xbb\xbfone\r\n/two\n/a/b/c\n\nthree\n# four\n! /d/e\n!\n! \n #name\na/../b//c/.\n/\n";
    assert_eq!(
        read(text),
        [
            "one", "two", "a/b/c", "three", "!d/e", "!", "!", "#name", "b/c", "/"
        ]
    );
    assert_eq!(
        candidates("build/Dockerfile"),
        ["build/Dockerfile.dockerignore", ".dockerignore"]
    );
}

/// Walks down to a path as a client does.
fn walked(matcher: &Matcher, path: &str) -> bool {
    let mut above = Above::default();
    let mut out = false;
    for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
        (out, above) = matcher.walk(&path[..at], &above);
    }
    out
}

#[test]
fn a_walk_keeps_what_was_taken_back() {
    let matcher = Matcher::new(["*", "!d/keep*", "d"]).unwrap();
    assert!(!walked(&matcher, "d/keep1") && matcher.matches("d/keep1"));
    assert!(walked(&matcher, "d/other") && walked(&matcher, "d"));
}

#[test]
fn a_directory_is_passed_over_only_when_nothing_below_comes_back() {
    let matcher = Matcher::new(["*", "!src/**/*.rs", "!docs"]).unwrap();
    assert!(!matcher.prunes("src") && !matcher.prunes("src/a/b") && !matcher.prunes("docs/x"));
    assert!(matcher.prunes("target") && matcher.prunes("srcs"));
    let matcher = Matcher::new(["*", "!**/x"]).unwrap();
    assert!(!matcher.prunes("a/b/c"));
}

/// The same rule as a search without states, as slow as it is plain.
fn plain(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', '/', rest @ ..] if !rest.is_empty() => {
            plain(rest, path)
                || (0..path.len()).any(|at| path[at] == '/' && plain(rest, &path[at + 1..]))
        }
        ['*', '*'] => true,
        ['*', rest @ ..] => (0..=path.len())
            .take_while(|at| *at == 0 || path[at - 1] != '/')
            .any(|at| plain(rest, &path[at..])),
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && plain(rest, &path[1..]),
        [c, rest @ ..] => path.first() == Some(c) && plain(rest, &path[1..]),
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("**".to_owned()), "[ab?]{1,3}", "[ab]{0,1}\\*[ab]{0,1}"];
    proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn states_agree_with_a_plain_search(pattern in pattern(), path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let parsed = Pattern::parse(&pattern).unwrap();
        prop_assert_eq!(parsed.matches(&path), plain(&chars(&pattern), &chars(&path)), "{} on {}", pattern, path);
        let above = path.match_indices('/').any(|(at, _)| parsed.matches(&path[..at]));
        prop_assert_eq!(parsed.matches_or_above(&path), above || parsed.matches(&path));
    }

    #[test]
    fn a_walk_agrees_where_nothing_is_taken_back(
        patterns in proptest::collection::vec(pattern(), 0..4),
        path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
    ) {
        let matcher = Matcher::new(patterns.iter().map(String::as_str)).unwrap();
        prop_assert_eq!(walked(&matcher, &path), matcher.matches(&path));
    }

    #[test]
    fn nothing_that_comes_back_is_below_what_is_passed_over(
        patterns in proptest::collection::vec((any::<bool>(), pattern()), 0..4),
        path in "[ab]{1,2}(/[ab]{1,2}){1,3}",
    ) {
        let patterns: Vec<String> = patterns
            .into_iter()
            .map(|(back, pattern)| if back { format!("!{pattern}") } else { pattern })
            .collect();
        let matcher = Matcher::new(patterns.iter().map(String::as_str)).unwrap();
        for (at, _) in path.match_indices('/') {
            let directory = &path[..at];
            if walked(&matcher, directory) && matcher.prunes(directory) {
                prop_assert!(walked(&matcher, &path), "{:?}: {} in {}", patterns, path, directory);
            }
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[ab*?\\[\\]\\\\!/^. -]{0,12}", path in "[ab/]{0,8}") {
        if let Ok(matcher) = Matcher::new([text.as_str()]) {
            matcher.matches(&path);
        }
    }
}
