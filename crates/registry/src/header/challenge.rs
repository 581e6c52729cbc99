//! `WWW-Authenticate` (RFC 9110 section 11.6.1): how to say who one is.

use super::MAX_HEADER;

const MAX_PARAMETERS: usize = 64;

/// A way to authenticate that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with every request (RFC 7617).
    Basic,
    /// A token, from somewhere else (the distribution project's token authentication).
    Bearer {
        /// Where tokens are given out.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// What is needed, separated by spaces.
        scope: Option<String>,
    },
}

/// All challenges of one header that this client can meet, in their order.
pub(crate) fn challenges(header: &str) -> Vec<Challenge> {
    if header.len() > MAX_HEADER {
        return Vec::new();
    }
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = header;
    for _ in 0..MAX_PARAMETERS {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        let trimmed = after.trim_start_matches([' ', '\t']);
        let parameter = trimmed.strip_prefix('=').filter(|r| !r.starts_with('='));
        match (parameter, found.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = self::value(value.trim_start_matches([' ', '\t']));
                parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => return Vec::new(),
            (None, _) => {
                found.push((word.to_ascii_lowercase(), Vec::new()));
                rest = after;
            }
        }
    }
    found.into_iter().filter_map(known).collect()
}

fn known((scheme, parameters): (String, Vec<(String, String)>)) -> Option<Challenge> {
    let get = |name: &str| {
        let found = parameters.iter().find(|(n, _)| n == name);
        found
            .map(|(_, value)| value.clone())
            .filter(|v| !v.is_empty())
    };
    match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: get("realm")?,
            service: get("service"),
            scope: get("scope"),
        }),
        _ => None,
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// A token or a quoted string.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        // What is not a token but not quoted either, such as a bare address, ends at the next comma.
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn challenges_are_read() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#;
        let table = [
            (
                docker,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/debian:pull"),
                )],
            ),
            (r#"Basic realm="Registry""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"Digest realm="x", nonce="a,b", BASIC realm="y", Bearer realm="https://t/?a=b", error="invalid_token""#,
                vec![Challenge::Basic, bearer("https://t/?a=b", None, None)],
            ),
            (
                r#"Bearer realm="https://t/" , scope = "a\"b c", service="""#,
                vec![bearer("https://t/", None, Some("a\"b c"))],
            ),
            (
                "Bearer realm=https://t/x?y,service=s",
                vec![bearer("https://t/x?y", Some("s"), None)],
            ),
            (
                r#"Bearer realm="unclosed"#,
                vec![bearer("unclosed", None, None)],
            ),
            ("Bearer", vec![]),
            ("Negotiate abc==", vec![]),
            ("=x", vec![]),
            ("", vec![]),
        ];
        for (text, expected) in table {
            assert_eq!(challenges(text), expected, "{text}");
        }
        assert!(challenges(&format!("Basic {}", "a".repeat(MAX_HEADER))).is_empty());
    }
}
