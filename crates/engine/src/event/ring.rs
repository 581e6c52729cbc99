//! The ring and its readers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::Event;
use crate::table::lock;

/// So many events are remembered; Docker remembers 256.
pub(crate) const SIZE: usize = 4096;

/// The last events.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    last: Mutex<Last>,
    /// The number of the next event.
    next: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Last {
    events: VecDeque<Arc<Event>>,
    /// The number of the event after the last one.
    next: u64,
    /// The time of the last one.
    time: i64,
}

impl Last {
    /// The number of the oldest.
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    /// Times tell the order of events, also when the clock is set back.
    fn push(&mut self, mut event: Event) {
        event.time = event.time.max(self.time + 1);
        self.time = event.time;
        if self.events.len() == SIZE {
            self.events.pop_front();
        }
        self.events.push_back(Arc::new(event));
        self.next += 1;
    }
}

impl Ring {
    /// With what an earlier daemon remembered.
    pub(crate) fn new(events: Vec<Event>) -> Self {
        let mut last = Last::default();
        for event in events {
            last.push(event);
        }
        let next = watch::Sender::new(last.next);
        Self {
            shared: Arc::new(Shared {
                last: Mutex::new(last),
                next,
            }),
        }
    }

    pub(crate) fn push(&self, event: Event) {
        let next = {
            let mut last = lock(&self.shared.last);
            last.push(event);
            last.next
        };
        // Two that push at once may tell of their numbers in either order.
        self.shared.next.send_if_modified(|told| {
            let more = *told < next;
            *told = next.max(*told);
            more
        });
    }

    /// Everything that is remembered, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Event>> {
        lock(&self.shared.last).events.iter().cloned().collect()
    }

    /// The time of the last one.
    pub(crate) fn last(&self) -> i64 {
        lock(&self.shared.last).time
    }

    /// How many read.
    pub(crate) fn readers(&self) -> usize {
        self.shared.next.receiver_count()
    }

    /// One that begins with the oldest event, or with the next one.
    pub(crate) fn reader(&self, past: bool) -> Reader {
        let told = self.shared.next.subscribe();
        let last = lock(&self.shared.last);
        Reader {
            place: if past { last.first() } else { last.next },
            shared: self.shared.clone(),
            told,
        }
    }
}

/// More has happened than is remembered since this reader last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were missed: they are not read as fast as they happen")]
pub struct Missed(pub u64);

/// A place in the ring.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// The number of the event that is read next.
    place: u64,
    told: watch::Receiver<u64>,
}

impl Reader {
    /// The next event, as soon as there is one.
    ///
    /// # Errors
    /// When it is no longer remembered.
    pub async fn next(&mut self) -> Result<Arc<Event>, Missed> {
        loop {
            self.told.borrow_and_update();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            // The ring lives as long as this has a share in it.
            drop(self.told.changed().await);
        }
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// When it is no longer remembered.
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, Missed> {
        let last = lock(&self.shared.last);
        let Some(index) = self.place.checked_sub(last.first()) else {
            return Err(Missed(last.first() - self.place));
        };
        let event = usize::try_from(index)
            .ok()
            .and_then(|index| last.events.get(index));
        self.place += u64::from(event.is_some());
        Ok(event.cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    pub(crate) fn event(number: usize) -> Event {
        Event {
            kind: Kind::Container,
            action: "start".into(),
            id: number.to_string(),
            attributes: std::collections::BTreeMap::new(),
            time: 7,
        }
    }

    fn ids(reader: &mut Reader) -> Vec<String> {
        std::iter::from_fn(|| reader.try_next().unwrap().map(|event| event.id.clone())).collect()
    }

    #[test]
    fn events_come_in_order_whatever_the_clock_says() {
        let ring = Ring::new(vec![event(0), event(1)]);
        let (mut old, mut new) = (ring.reader(true), ring.reader(false));
        ring.push(Event {
            time: 3,
            ..event(2)
        });
        assert_eq!(ids(&mut old), ["0", "1", "2"]);
        assert_eq!(ids(&mut new), ["2"]);
        let times: Vec<i64> = ring.all().iter().map(|event| event.time).collect();
        assert_eq!(times, [7, 8, 9]);
        assert_eq!(old.try_next(), Ok(None));
    }

    #[test]
    fn who_is_too_slow_is_told() {
        let ring = Ring::new(Vec::new());
        let mut slow = ring.reader(false);
        for number in 0..SIZE {
            ring.push(event(number));
        }
        assert_eq!(slow.try_next().unwrap().unwrap().id, "0");
        ring.push(event(SIZE));
        assert_eq!(slow.try_next().unwrap().unwrap().id, "1");
        for number in 0..5 {
            ring.push(event(number));
        }
        assert_eq!(slow.try_next(), Err(Missed(4)));
        assert_eq!(ids(&mut ring.reader(true)).len(), SIZE);
    }

    #[tokio::test]
    async fn a_reader_waits_for_what_has_not_happened_yet() {
        let ring = Ring::new(Vec::new());
        let mut reader = ring.reader(true);
        let reading = tokio::spawn(async move { reader.next().await });
        tokio::task::yield_now().await;
        ring.push(event(5));
        assert_eq!(reading.await.unwrap().unwrap().id, "5");
    }
}
