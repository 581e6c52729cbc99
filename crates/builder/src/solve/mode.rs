//! chmod(1)'s words.

/// The permissions that `words` make of `mode`.
pub(super) fn apply(words: &str, mode: u32, is_dir: bool) -> u32 {
    words
        .split(',')
        .fold(mode, |mode, clause| one(clause, mode, is_dir))
}

/// `[ugoa...][[-+=][rwxXst|ugo]...]...`; without a class it is everybody.
fn one(clause: &str, mut mode: u32, is_dir: bool) -> u32 {
    let end = clause.find(|c| !"ugoa".contains(c)).unwrap_or(clause.len());
    let (classes, mut rest) = clause.split_at(end);
    let mask = match classes {
        "" => 0o7777,
        classes => classes.chars().fold(0, |mask, class| {
            mask | match class {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o1007,
                _ => 0o7777,
            }
        }),
    };
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']);
        let end = end.map_or(rest.len(), |end| end + 1);
        let bits = bits(&rest[1..end], mode, is_dir) & mask;
        mode = match operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            // Of a directory set-id bits stay unless they are named.
            _ if is_dir => mode & !(mask & 0o1777) | bits,
            _ => mode & !mask | bits,
        };
        rest = &rest[end..];
    }
    mode
}

fn bits(permissions: &str, mode: u32, is_dir: bool) -> u32 {
    permissions.chars().fold(0, |bits, permission| {
        bits | match permission {
            'r' => 0o444,
            'w' => 0o222,
            'x' => 0o111,
            'X' if is_dir || mode & 0o111 != 0 => 0o111,
            's' => 0o6000,
            't' => 0o1000,
            'u' => (mode >> 6 & 7) * 0o111,
            'g' => (mode >> 3 & 7) * 0o111,
            'o' => (mode & 7) * 0o111,
            _ => 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_chmod_takes_them() {
        let table = [
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("u=rwX,go=rX", 0o755, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("u+s", 0o755, false, 0o4755),
            ("g=u", 0o740, false, 0o770),
            ("o=", 0o777, false, 0o770),
            ("+t", 0o777, true, 0o1777),
            ("u=rw,u+x-w", 0o000, false, 0o500),
            ("g=rx", 0o2775, true, 0o2755),
        ];
        for (words, mode, is_dir, expected) in table {
            let found = apply(words, mode, is_dir);
            assert_eq!(found, expected, "{words} on {mode:o}: {found:o}");
        }
    }
}
