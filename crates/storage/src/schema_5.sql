-- Results of steps of builds, by the digest of all that a step has read. One that was written in a boot
-- of the machine may be lost in a power cut as long as it says in which.
CREATE TABLE build_records (
    key     TEXT NOT NULL PRIMARY KEY,
    body    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    uses    INTEGER NOT NULL DEFAULT 0,
    boot    TEXT
);

-- The layers of each, the lowest first.
CREATE TABLE build_layers (
    record   TEXT NOT NULL REFERENCES build_records ON DELETE CASCADE,
    position INTEGER NOT NULL,
    diff_id  TEXT NOT NULL REFERENCES layers,
    PRIMARY KEY (record, position)
) WITHOUT ROWID;
CREATE INDEX build_layers_diff_id ON build_layers (diff_id);

-- Directories that steps of builds keep from build to build, each in caches/.
CREATE TABLE build_mounts (
    id      TEXT NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL
);
