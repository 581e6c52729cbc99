//! Tells each link a container comes to that its addresses are there now: who had them before may have had
//! another link-layer address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use types::ProcessRef;

use super::attach::open_namespace;
use super::error::NetworkError;
use super::record::Live;
use crate::Engine;
use crate::table::Container;

/// How often it is told, and milliseconds between two times.
const TIMES: &str = "com.docker.network.advertise_addr_nmsgs";
const PAUSE: &str = "com.docker.network.advertise_addr_ms";

/// Before the first time: who has just been started, or waits for that answer, needs the processors more.
const BREATH: Duration = Duration::from_millis(3);

/// How a network wants it told. Docker's options, bounds and values unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advertising {
    times: u64,
    pause: Duration,
}

impl Advertising {
    pub(super) fn of(options: &BTreeMap<String, String>) -> Result<Self, NetworkError> {
        Ok(Self {
            times: number(options, TIMES, 0..=3)?.unwrap_or(3),
            pause: Duration::from_millis(number(options, PAUSE, 100..=2000)?.unwrap_or(1000)),
        })
    }
}

fn number(
    options: &BTreeMap<String, String>,
    key: &str,
    bounds: RangeInclusive<u64>,
) -> Result<Option<u64>, NetworkError> {
    let read = |text: &String| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| {
            let (least, most) = bounds.clone().into_inner();
            let reason = format!("{text:?}: a number from {least} to {most} is expected");
            NetworkError::setting(key, reason)
        })
    };
    options.get(key).map(read).transpose()
}

/// Begins to tell of all places of a container that runs, or of one, and goes on while it is there.
pub(crate) fn begin(engine: &Engine, container: &Arc<Container>, network: Option<&str>) {
    let status = container.status();
    let Some(process) = status.lifecycle.process() else {
        return;
    };
    for (name, endpoint) in &status.networks {
        let of = engine.networks().of(endpoint);
        if network.is_some_and(|wanted| wanted != name) || endpoint.live.is_none() {
            continue;
        }
        // What it was made with was checked then.
        let asked = of.and_then(|of| Advertising::of(&of.record.spec.options).ok());
        if let Some(asked) = asked {
            let (container, name) = (container.clone(), name.clone());
            let task = tell(engine.clone(), container, (name, process), asked);
            engine.watch(task);
        }
    }
}

async fn tell(
    engine: Engine,
    container: Arc<Container>,
    (network, process): (String, ProcessRef),
    asked: Advertising,
) {
    let mut pause = BREATH;
    for _ in 0..asked.times {
        tokio::time::sleep(std::mem::replace(&mut pause, asked.pause)).await;
        let status = container.status();
        let live = status.networks.get(&network).and_then(|e| e.live.clone());
        let (Some(live), true) = (live, status.lifecycle.process() == Some(process)) else {
            return;
        };
        let told = engine.blocking(move |_| once(&live, process)).await;
        if let Err(error) = told {
            tracing::debug!(container = %container.id(), network, error = %error.chain(),
                "addresses cannot be advertised");
        }
    }
}

fn once(live: &Live, process: ProcessRef) -> Result<(), crate::Error> {
    let namespace = open_namespace(process)?;
    let addresses: Vec<IpAddr> = live.addresses.iter().map(|a| a.address()).collect();
    let attachment = &live.attachment;
    let interface = &attachment.interface;
    network::advertise(
        std::os::fd::AsFd::as_fd(&namespace),
        interface,
        attachment.mac,
        &addresses,
    )
    .map_err(NetworkError::network("advertise a container's addresses"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[(&str, &str)]) -> Result<Advertising, String> {
        let options = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Advertising::of(&options.collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_have_bounds() {
        let pause = Duration::from_millis(1000);
        assert_eq!(of(&[]), Ok(Advertising { times: 3, pause }));
        assert_eq!(of(&[(TIMES, "0")]), Ok(Advertising { times: 0, pause }));
        let pause = Duration::from_millis(100);
        assert_eq!(of(&[(PAUSE, "100")]), Ok(Advertising { times: 3, pause }));
        for bad in [
            (TIMES, "4"),
            (TIMES, "-1"),
            (TIMES, "some"),
            (PAUSE, "99"),
            (PAUSE, "2001"),
        ] {
            let words = of(&[bad]).unwrap_err();
            assert!(words.contains(bad.0) && words.contains(bad.1), "{words}");
        }
    }
}
