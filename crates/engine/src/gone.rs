//! How containers ended that went when they ended. Their clients may ask late: a daemon that was
//! killed while such a container ran, and is back, removes it before anybody can ask.

use std::collections::VecDeque;

use types::{ContainerId, ExitStatus};

/// So many are remembered.
const REMEMBERED: usize = 256;

/// The last ends, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Gone(VecDeque<(ContainerId, ExitStatus)>);

impl Gone {
    /// Keeps how a container ended, and forgets the oldest end when there are many.
    pub(crate) fn remember(&mut self, id: ContainerId, status: ExitStatus) {
        self.0.push_back((id, status));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// How the container with this full id ended. A name may be another's by now.
    pub(crate) fn find(&self, who: &str) -> Option<ExitStatus> {
        let ends = self.0.iter().rev();
        ends.filter(|(id, _)| id.as_str() == who)
            .map(|(_, status)| status.clone())
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ContainerId {
        ContainerId::from_random([number; 32])
    }

    fn ended(code: i32) -> ExitStatus {
        ExitStatus {
            code,
            oom_killed: false,
            finished: 1,
            error: String::new(),
        }
    }

    #[test]
    fn the_last_ones_are_found_by_their_full_id() {
        let mut gone = Gone::default();
        for number in 0..=u8::MAX {
            gone.remember(id(number), ended(number.into()));
        }
        let code = |gone: &Gone, who: &str| gone.find(who).map(|status| status.code);
        assert_eq!(code(&gone, id(0).as_str()), Some(0));
        assert_eq!(code(&gone, id(7).short()), None);
        gone.remember(id(7), ended(70));
        assert_eq!(code(&gone, id(0).as_str()), None);
        assert_eq!(code(&gone, id(7).as_str()), Some(70));
    }
}
