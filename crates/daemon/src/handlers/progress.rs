//! What has changed in a pull or a push, in the words of Docker's progress messages.

use api::Version;
use api::convert::progress_bar;
use api::wire::{self, ProgressDetail};
use engine::image::{Part, Progress, Stage};

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Pull,
    Push,
}

/// What a client has been told.
#[derive(Debug)]
pub(super) struct Told {
    way: Way,
    /// Whether it wants bars drawn.
    bars: bool,
    parts: Vec<Part>,
}

impl Told {
    pub(super) fn new(way: Way, version: Version) -> Self {
        Self {
            way,
            bars: !version.has(52),
            parts: Vec::new(),
        }
    }

    /// What is to be told now. Stages that passed unseen are told too, as clients count them.
    pub(super) fn news(&mut self, now: &Progress) -> Vec<wire::Progress> {
        let mut messages = Vec::new();
        for part in &now.parts {
            let before = self.parts.iter().find(|told| told.digest == part.digest);
            let before = before.map(|told| &told.stage);
            if before != Some(&part.stage) {
                messages.extend(self.of_part(part, before));
            }
        }
        self.parts.clone_from(&now.parts);
        messages
    }

    fn of_part(&self, part: &Part, before: Option<&Stage>) -> Vec<wire::Progress> {
        let id = part.digest.short().to_owned();
        let plain = |status: &str| wire::Progress {
            status: status.to_owned(),
            progress_detail: Some(ProgressDetail::default()),
            id: id.clone(),
            ..wire::Progress::default()
        };
        let mut messages = Vec::new();
        if before.is_none() && !settled(&part.stage) {
            messages.push(plain(match self.way {
                Way::Pull => "Pulling fs layer",
                Way::Push => "Preparing",
            }));
        }
        let downloaded = matches!(before, Some(Stage::Moved));
        match (&part.stage, self.way) {
            (Stage::Waiting, _) => {}
            (Stage::Moving(current), way) => messages.push(self.moving(part, *current, way)),
            (Stage::Moved, Way::Pull) => messages.push(plain("Download complete")),
            (Stage::Moved, Way::Push) => {}
            (Stage::Done, Way::Pull) => {
                if !downloaded {
                    messages.push(plain("Download complete"));
                }
                messages.push(plain("Pull complete"));
            }
            (Stage::Done, Way::Push) => messages.push(plain("Pushed")),
            (Stage::Exists, Way::Pull) => messages.push(plain("Already exists")),
            (Stage::Exists, Way::Push) => messages.push(plain("Layer already exists")),
            (Stage::Mounted(from), _) => messages.push(plain(&format!("Mounted from {from}"))),
            (Stage::Foreign, _) => messages.push(plain("Skipped foreign layer")),
        }
        messages
    }

    fn moving(&self, part: &Part, current: u64, way: Way) -> wire::Progress {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        wire::Progress {
            status: match way {
                Way::Pull => "Downloading",
                Way::Push => "Pushing",
            }
            .to_owned(),
            progress_detail: Some(ProgressDetail {
                current: number(current),
                total: number(part.size),
            }),
            progress: match self.bars {
                true => progress_bar(current, part.size),
                false => String::new(),
            },
            id: part.digest.short().to_owned(),
            ..wire::Progress::default()
        }
    }
}

/// Whether it is at its end without anything having been done.
fn settled(stage: &Stage) -> bool {
    matches!(stage, Stage::Exists | Stage::Mounted(_) | Stage::Foreign)
}

/// A line about nothing in particular.
pub(super) fn line(status: String) -> wire::Progress {
    wire::Progress {
        status,
        ..wire::Progress::default()
    }
}

/// A failure after the first byte.
pub(super) fn failure(message: String) -> wire::Progress {
    wire::Progress {
        error_detail: Some(wire::ErrorDetail {
            code: 0,
            message: message.clone(),
        }),
        error: message,
        ..wire::Progress::default()
    }
}

#[cfg(test)]
mod tests {
    use types::Digest;

    use super::*;

    fn progress(stages: &[Stage]) -> Progress {
        let part = |(n, stage): (usize, &Stage)| Part {
            digest: Digest::sha256([u8::try_from(n).unwrap(); 32]),
            size: 1000,
            stage: stage.clone(),
        };
        Progress {
            begun: true,
            parts: stages.iter().enumerate().map(part).collect(),
            end: None,
        }
    }

    fn tell(way: Way, steps: &[&[Stage]]) -> String {
        let mut told = Told::new(way, Version::MAX);
        let mut text = String::new();
        for step in steps {
            for message in told.news(&progress(step)) {
                text.push_str(&serde_json::to_string(&message).unwrap());
                text.push('\n');
            }
            text.push_str("--\n");
        }
        text
    }

    #[test]
    fn a_pull_is_told_as_docker_tells_it() {
        let text = tell(
            Way::Pull,
            &[
                &[Stage::Exists, Stage::Waiting],
                &[Stage::Exists, Stage::Moving(10)],
                &[Stage::Exists, Stage::Moving(10)],
                &[Stage::Exists, Stage::Done],
            ],
        );
        insta::assert_snapshot!(text, @r#"
        {"status":"Already exists","progressDetail":{},"id":"000000000000"}
        {"status":"Pulling fs layer","progressDetail":{},"id":"010101010101"}
        --
        {"status":"Downloading","progressDetail":{"current":10,"total":1000},"id":"010101010101"}
        --
        --
        {"status":"Download complete","progressDetail":{},"id":"010101010101"}
        {"status":"Pull complete","progressDetail":{},"id":"010101010101"}
        --
        "#);
    }

    #[test]
    fn a_push_is_told_as_docker_tells_it() {
        let text = tell(
            Way::Push,
            &[
                &[Stage::Waiting, Stage::Waiting],
                &[Stage::Mounted("library/a".into()), Stage::Moving(500)],
                &[Stage::Mounted("library/a".into()), Stage::Done],
            ],
        );
        insta::assert_snapshot!(text, @r#"
        {"status":"Preparing","progressDetail":{},"id":"000000000000"}
        {"status":"Preparing","progressDetail":{},"id":"010101010101"}
        --
        {"status":"Mounted from library/a","progressDetail":{},"id":"000000000000"}
        {"status":"Pushing","progressDetail":{"current":500,"total":1000},"id":"010101010101"}
        --
        {"status":"Pushed","progressDetail":{},"id":"010101010101"}
        --
        "#);
    }

    #[test]
    fn bars_are_drawn_for_older_clients() {
        let mut told = Told::new(Way::Pull, Version::new(1, 41));
        let messages = told.news(&progress(&[Stage::Moving(500)]));
        assert!(messages[1].progress.starts_with("[======"), "{messages:?}");
    }
}
