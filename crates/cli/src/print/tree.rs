//! `images --tree`: each image with what it has for each platform, laid out as Docker's client does it.

use std::fmt::Write as _;

use api::wire::{ImageSummary, ManifestSummary};

use super::units;

/// Between columns.
const SPACE: usize = 3;
const ID: usize = 12;
const USAGE: usize = 10;
const CONTENT: usize = 12;
const EXTRA: usize = 5;
/// A first column that is narrower says nothing.
const NARROWEST: usize = 12;
const LEGEND: &str = "Info ->  U In Use ";

/// How the tree is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Names stand out.
    pub color: bool,
}

/// What follows a name.
struct Details {
    id: String,
    usage: String,
    content: String,
    used: bool,
}

/// The images, the newest first.
pub fn tree(images: &[ImageSummary], style: Style) -> String {
    let mut images: Vec<&ImageSummary> = images.iter().collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    let columns = Columns::fit(&images, style);
    let width = style.width;
    let mut text = format!("{LEGEND:>width$}\n\n");
    columns.heading(&mut text);
    for image in images {
        let children = children(image);
        let content = children.iter().map(|child| child.size.content).sum();
        let details = Details {
            id: units::short_id(&image.id).to_owned(),
            usage: units::size(image.size),
            content: units::size(content),
            used: image.containers > 0,
        };
        let names = names(image);
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        for name in others {
            let _ = writeln!(text, "{}", columns.name(name, true, 0));
        }
        columns.line(&mut text, last, true, &details);
        for (number, child) in children.iter().enumerate() {
            let branch = if number + 1 == children.len() {
                "└─"
            } else {
                "├─"
            };
            let name = format!("{branch} {}", platform(child));
            columns.line(&mut text, &name, false, &of_child(child));
        }
        text.push('\n');
    }
    text
}

fn of_child(child: &ManifestSummary) -> Details {
    let image = child.image_data.as_ref();
    Details {
        id: units::short_id(&child.id).to_owned(),
        usage: units::size(child.size.total),
        content: units::size(child.size.content),
        used: image.is_some_and(|image| !image.containers.is_empty()),
    }
}

fn names(image: &ImageSummary) -> Vec<&str> {
    match image.repo_tags.as_slice() {
        [] => vec!["<untagged>"],
        tags => tags.iter().map(String::as_str).collect(),
    }
}

fn children(image: &ImageSummary) -> Vec<&ManifestSummary> {
    let manifests = image.manifests.iter().flatten();
    manifests.filter(|m| m.image_data.is_some()).collect()
}

fn platform(child: &ManifestSummary) -> String {
    let platform = child.image_data.as_ref().map(|image| &image.platform);
    platform.map_or_else(String::new, |p| {
        let parts = [&p.os, &p.architecture, &p.variant].map(String::as_str);
        let said = parts.into_iter().filter(|part| !part.is_empty());
        said.collect::<Vec<_>>().join("/")
    })
}

/// As many columns as there is room for.
struct Columns {
    name: usize,
    others: usize,
    color: bool,
}

impl Columns {
    fn fit(images: &[&ImageSummary], style: Style) -> Self {
        let mut room = style.width;
        let mut others = 0;
        for width in [ID, USAGE, CONTENT, EXTRA] {
            if room < width + SPACE + NARROWEST {
                break;
            }
            room -= width + SPACE;
            others += 1;
        }
        let of_image = |image: &&ImageSummary| {
            let names = names(image).into_iter().map(length).max();
            let children = children(image);
            let platforms = children.iter().map(|child| length(&platform(child)) + 3);
            names.max(platforms.max()).unwrap_or_default()
        };
        let widest = images.iter().map(of_image).max().unwrap_or_default();
        Self {
            name: room.min(widest.max(length("IMAGE"))),
            others,
            color: style.color,
        }
    }

    /// A cell of the first column, `wide` or more.
    fn name(&self, name: &str, top: bool, wide: usize) -> String {
        let shown = units::ellipsis(name, self.name);
        let pad = " ".repeat(wide.saturating_sub(length(&shown)));
        match self.color && top {
            true => format!("\x1b[34m\x1b[1m{shown}\x1b[0m{pad}"),
            false => shown + &pad,
        }
    }

    fn heading(&self, text: &mut String) {
        let bold = |title: &str| match self.color {
            true => format!("\x1b[1m{title}\x1b[0m"),
            false => title.to_owned(),
        };
        let pad = |title: &str, width: usize| " ".repeat(width.saturating_sub(length(title)));
        let titles = [
            ("ID", ID),
            ("DISK USAGE", USAGE),
            ("CONTENT SIZE", CONTENT),
            ("EXTRA", EXTRA),
        ];
        text.push_str(&bold("IMAGE"));
        text.push_str(&pad("IMAGE", self.name));
        for (title, width) in titles.into_iter().take(self.others) {
            let _ = write!(text, "   {}{}", bold(title), pad(title, width));
        }
        text.push('\n');
    }

    fn line(&self, text: &mut String, name: &str, top: bool, details: &Details) {
        let used = match (details.used, self.color) {
            (false, _) => "     ",
            (true, false) => "U    ",
            (true, true) => "\x1b[38;5;0m\x1b[48;5;14m U \x1b[0m  ",
        };
        let cells = [
            format!("{:ID$}", details.id),
            format!("{:>USAGE$}", details.usage),
            format!("{:>CONTENT$}", details.content),
            used.to_owned(),
        ];
        text.push_str(&self.name(name, top, self.name));
        for cell in cells.iter().take(self.others) {
            let _ = write!(text, "   {cell}");
        }
        text.push('\n');
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use api::wire::{ManifestImage, ManifestSize, OciPlatform};

    use super::*;

    fn child(architecture: &str, variant: &str, bytes: i64) -> ManifestSummary {
        ManifestSummary {
            id: format!("sha256:{}", "c2".repeat(32)),
            size: ManifestSize {
                total: bytes,
                content: bytes / 3,
            },
            image_data: Some(ManifestImage {
                platform: OciPlatform {
                    os: "linux".to_owned(),
                    architecture: architecture.to_owned(),
                    variant: variant.to_owned(),
                    ..OciPlatform::default()
                },
                ..ManifestImage::default()
            }),
            ..ManifestSummary::default()
        }
    }

    fn images() -> Vec<ImageSummary> {
        vec![
            ImageSummary {
                id: format!("sha256:{}", "0a".repeat(32)),
                created: 1,
                size: 3_000_000,
                manifests: Some(vec![child("amd64", "", 3_000_000)]),
                ..ImageSummary::default()
            },
            ImageSummary {
                id: format!("sha256:{}", "b1".repeat(32)),
                created: 2,
                size: 9_000_000,
                containers: 1,
                repo_tags: vec![
                    "debian:12".to_owned(),
                    "localhost:5000/team/debian:12".into(),
                ],
                manifests: Some(vec![child("amd64", "", 9_000_000), child("arm", "v7", 0)]),
                ..ImageSummary::default()
            },
        ]
    }

    #[test]
    fn platforms_hang_below_their_image() {
        let show = |width| {
            let style = Style {
                width,
                color: false,
            };
            tree(&images(), style).replace(" \n", "|\n")
        };
        insta::assert_snapshot!(show(80), @r"
                                                                      Info ->  U In Use|

        IMAGE                           ID             DISK USAGE   CONTENT SIZE   EXTRA
        debian:12
        localhost:5000/team/debian:12   b1b1b1b1b1b1          9MB            3MB   U   |
        ├─ linux/amd64                  c2c2c2c2c2c2          9MB            3MB       |
        └─ linux/arm/v7                 c2c2c2c2c2c2           0B             0B       |

        <untagged>                      0a0a0a0a0a0a          3MB            1MB       |
        └─ linux/amd64                  c2c2c2c2c2c2          3MB            1MB       |
        ");
        let narrow = show(48);
        assert!(narrow.contains("localhost:5000/team…"), "{narrow}");
        assert!(narrow.lines().all(|line| length(line) <= 48), "{narrow}");
    }
}
