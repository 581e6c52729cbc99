//! Names for containers that were given none: `adjective_noun`.

const ADJECTIVES: &[&str] = &[
    "able", "agile", "amber", "ample", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "chipper", "clear", "clever", "coastal", "cosy", "crisp", "daring", "deft", "eager",
    "early", "easy", "fair", "fleet", "fond", "free", "fresh", "gallant", "gentle", "glad",
    "golden", "grand", "hardy", "hearty", "honest", "humble", "jaunty", "jolly", "keen", "kind",
    "lively", "lofty", "loyal", "lucky", "mellow", "merry", "mighty", "modest", "neat", "nimble",
    "noble", "patient", "placid", "plucky", "polar", "prompt", "proud", "quick", "quiet", "rapid",
    "ready", "robust", "rosy", "rugged", "salty", "serene", "sharp", "silver", "sleek", "snug",
    "sober", "spry", "starry", "steady", "stout", "sturdy", "sunny", "swift", "tidal", "tidy",
    "trim", "trusty", "upbeat", "valiant", "vivid", "warm", "windy", "witty", "worthy", "zesty",
];

const NOUNS: &[&str] = &[
    "albatross",
    "anchor",
    "atoll",
    "barge",
    "barque",
    "bay",
    "beacon",
    "berth",
    "bight",
    "boom",
    "bosun",
    "bow",
    "bowsprit",
    "breaker",
    "buoy",
    "cabin",
    "canal",
    "cape",
    "capstan",
    "captain",
    "channel",
    "clipper",
    "coral",
    "cove",
    "current",
    "cutter",
    "davit",
    "deck",
    "dinghy",
    "dock",
    "dolphin",
    "eddy",
    "estuary",
    "ferry",
    "fjord",
    "foghorn",
    "foremast",
    "frigate",
    "galleon",
    "galley",
    "gannet",
    "gull",
    "halyard",
    "harbour",
    "hatch",
    "hawser",
    "helm",
    "heron",
    "hull",
    "inlet",
    "islet",
    "jetty",
    "jib",
    "keel",
    "ketch",
    "knot",
    "lagoon",
    "lantern",
    "ledger",
    "lighthouse",
    "lock",
    "locker",
    "lookout",
    "mainsail",
    "marina",
    "mariner",
    "mast",
    "mizzen",
    "mooring",
    "narwhal",
    "oar",
    "orca",
    "osprey",
    "paddle",
    "pelican",
    "pennant",
    "pier",
    "pilot",
    "porpoise",
    "port",
    "prow",
    "puffin",
    "quay",
    "raft",
    "reef",
    "rigging",
    "rudder",
    "sail",
    "sailor",
    "schooner",
    "seal",
    "sextant",
    "shoal",
    "shore",
    "skiff",
    "sloop",
    "sound",
    "spar",
    "spinnaker",
    "stern",
    "strait",
    "surf",
    "tender",
    "tern",
    "tide",
    "tiller",
    "topsail",
    "trawler",
    "tug",
    "voyage",
    "wake",
    "walrus",
    "wave",
    "wharf",
    "yawl",
];

/// How many names are tried before a number is added to one.
pub(super) const ATTEMPTS: u32 = 6;

/// The name that `random` picks; a later `attempt` gets a digit, so that there is always a free one.
pub(super) fn random_name(random: [u8; 8], attempt: u32) -> String {
    let random = u64::from_le_bytes(random);
    let pick = |words: &[&'static str], value: u64| -> &'static str {
        // The lists are far shorter than any integer type.
        let index = value % words.len() as u64;
        words[usize::try_from(index).unwrap_or_default()]
    };
    let name = format!(
        "{}_{}",
        pick(ADJECTIVES, random & 0xffff_ffff),
        pick(NOUNS, random >> 32)
    );
    if attempt < ATTEMPTS {
        name
    } else {
        format!("{name}{}", random % u64::from(attempt.saturating_mul(10)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names() {
        assert_eq!(random_name([0; 8], 0), "able_albatross");
        assert_eq!(random_name([1, 0, 0, 0, 2, 0, 0, 0], 0), "agile_atoll");
        for seed in 0..=255 {
            for attempt in [0, ATTEMPTS, 900] {
                let name = random_name([seed; 8], attempt);
                assert!(name.parse::<types::ContainerName>().is_ok(), "{name:?}");
            }
        }
    }
}
