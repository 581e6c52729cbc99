-- Content by digest, each a file in blobs/.
CREATE TABLE content (
    digest     TEXT PRIMARY KEY,
    size       INTEGER NOT NULL,
    media_type TEXT NOT NULL
) WITHOUT ROWID;

-- Layers unpacked, each a directory in layers/.
CREATE TABLE layers (
    diff_id TEXT PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    size    INTEGER NOT NULL
) WITHOUT ROWID;

-- Images, named or not. With row ids, like all tables of long rows: without them a search compares
-- whole rows and reads them from the disk.
CREATE TABLE images (
    id       TEXT NOT NULL PRIMARY KEY,
    manifest TEXT NOT NULL,
    config   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    added    INTEGER NOT NULL
);

-- What an image keeps.
CREATE TABLE image_content (
    image  TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    digest TEXT NOT NULL REFERENCES content,
    PRIMARY KEY (image, digest)
) WITHOUT ROWID;
CREATE INDEX image_content_digest ON image_content (digest);

-- An image's layers, the lowest first.
CREATE TABLE image_layers (
    image    TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    position INTEGER NOT NULL,
    diff_id  TEXT NOT NULL REFERENCES layers,
    PRIMARY KEY (image, position)
) WITHOUT ROWID;
CREATE INDEX image_layers_diff_id ON image_layers (diff_id);

-- Names of images, fully qualified.
CREATE TABLE names (
    name  TEXT PRIMARY KEY,
    image TEXT NOT NULL REFERENCES images ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX names_image ON names (image);

-- Writable layers, each a directory in containers/. One keeps its image.
CREATE TABLE snapshots (
    container TEXT PRIMARY KEY,
    image     TEXT NOT NULL REFERENCES images,
    throwaway INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX snapshots_image ON snapshots (image);

-- The engine's records, which this crate does not read.
CREATE TABLE containers (
    id    TEXT NOT NULL PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL,
    body  TEXT NOT NULL
);
CREATE INDEX containers_image ON containers (image);
