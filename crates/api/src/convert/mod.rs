//! Wire <-> domain, both directions.
