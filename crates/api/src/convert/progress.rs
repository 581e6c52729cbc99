//! The bar that Docker's daemon draws into progress messages, for clients that print it as it is.

/// `[==>      ]  1.234MB/5.678MB`
pub fn progress_bar(current: u64, total: u64) -> String {
    const WIDTH: usize = 50;
    if total == 0 || current > total {
        return format!("{:>8}", size(current));
    }
    let filled = usize::try_from(current.saturating_mul(100) / total / 2).unwrap_or(0);
    let filled = filled.min(WIDTH);
    let empty = WIDTH - filled;
    format!(
        "[{}>{}] {:>8}/{}",
        "=".repeat(filled),
        " ".repeat(empty),
        size(current),
        size(total)
    )
}

/// Four significant digits, powers of 1000.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match () {
        () if unit == 0 => 0,
        () if value >= 100.0 => 1,
        () if value >= 10.0 => 2,
        () => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        let bars = [(0, 100), (49, 100), (1_234_567, 1_234_567), (5, 0), (9, 3)];
        let text = bars.map(|(c, t)| progress_bar(c, t)).join("\n");
        insta::assert_snapshot!(text, @r"
        [>                                                  ]       0B/100B
        [========================>                          ]      49B/100B
        [==================================================>]  1.235MB/1.235MB
              5B
              9B
        ");
    }
}
