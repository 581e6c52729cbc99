-- The engine's records of networks, which this crate does not read.
CREATE TABLE networks (
    id   TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
