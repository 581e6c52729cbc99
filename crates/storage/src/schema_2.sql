-- How content is kept: 0 as a file, 1 as what its unpacked layer is packed into again, 2 not at all,
-- because the file was found damaged and has to be brought again.
ALTER TABLE content ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
-- The layer it unpacks to, and by which encoder the layer's archive becomes it again, once known.
ALTER TABLE content ADD COLUMN diff_id TEXT;
ALTER TABLE content ADD COLUMN encoder TEXT;
CREATE INDEX content_diff_id ON content (diff_id) WHERE kept = 1;

-- Whether the archive can be told from the files and the record beside them; bytes on disk, once
-- counted; whether its files were found damaged.
ALTER TABLE layers ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE layers ADD COLUMN disk INTEGER;
ALTER TABLE layers ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;

-- What of an image is unpacked: a manifest for each platform.
CREATE TABLE manifests (
    image    TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    digest   TEXT NOT NULL,
    config   TEXT NOT NULL,
    PRIMARY KEY (image, digest)
);

-- The layers of each, the lowest first.
CREATE TABLE manifest_layers (
    image    TEXT NOT NULL,
    manifest TEXT NOT NULL,
    position INTEGER NOT NULL,
    diff_id  TEXT NOT NULL REFERENCES layers,
    PRIMARY KEY (image, manifest, position),
    FOREIGN KEY (image, manifest) REFERENCES manifests ON DELETE CASCADE
) WITHOUT ROWID;
INSERT INTO manifests SELECT id, manifest, config FROM images;
INSERT INTO manifest_layers
    SELECT image, manifest, position, diff_id FROM image_layers JOIN images ON id = image;
DROP TABLE image_layers;
ALTER TABLE manifest_layers RENAME TO image_layers;
CREATE INDEX image_layers_diff_id ON image_layers (diff_id);

-- The manifest whose layers a writable layer stands on.
ALTER TABLE snapshots ADD COLUMN manifest TEXT NOT NULL DEFAULT '';
UPDATE snapshots SET manifest = (SELECT manifest FROM images WHERE id = image);

-- The project whose quota limits a writable layer, if any does.
ALTER TABLE snapshots ADD COLUMN project INTEGER;

-- Repositories of registries that have content, as far as is known from pulls and pushes.
CREATE TABLE sources (
    digest     TEXT NOT NULL REFERENCES content ON DELETE CASCADE,
    repository TEXT NOT NULL,
    PRIMARY KEY (digest, repository)
) WITHOUT ROWID;
