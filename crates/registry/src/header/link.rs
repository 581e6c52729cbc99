//! `Link` (RFC 8288): where the next page of a list is.

use super::MAX_HEADER;

/// The address of the link whose relation is `next`, as written: mostly relative.
pub(crate) fn next(header: &str) -> Option<&str> {
    if header.len() > MAX_HEADER {
        return None;
    }
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = end_of_parameters(after);
        if after[..end].split(';').any(is_next) {
            return Some(target.trim());
        }
        rest = &after[end..];
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value
            .split_ascii_whitespace()
            .any(|v| v.eq_ignore_ascii_case("next"))
}

/// A comma outside quotes begins the next link.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    text.bytes()
        .position(|b| {
            quoted ^= b == b'"';
            b == b',' && !quoted
        })
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let table = [
            (
                r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
                Some("/v2/a/tags/list?last=b&n=2"),
            ),
            ("<x>;rel=next", Some("x")),
            (
                r#"<p>; rel="prev", <n>; title="a, b"; REL="start next""#,
                Some("n"),
            ),
            (r#"<p>; rel="prev""#, None),
            ("<p", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(next(text), expected, "{text}");
        }
    }
}
