-- Volumes, each a directory in volumes/.
CREATE TABLE volumes (
    name    TEXT NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    options TEXT NOT NULL,
    labels  TEXT NOT NULL
);

-- What was kept of a volume's earlier content, each a directory in volumes/ too.
CREATE TABLE volume_snapshots (
    volume  TEXT NOT NULL REFERENCES volumes ON DELETE CASCADE ON UPDATE CASCADE,
    name    TEXT NOT NULL,
    number  INTEGER NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    PRIMARY KEY (volume, name)
);

-- Volumes that containers mount, which they keep; and whether one was made with its container, and
-- may go with it.
CREATE TABLE container_volumes (
    container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE,
    volume    TEXT NOT NULL REFERENCES volumes,
    own       INTEGER NOT NULL,
    PRIMARY KEY (container, volume)
) WITHOUT ROWID;
CREATE INDEX container_volumes_volume ON container_volumes (volume);

-- Images that containers mount beside their own.
CREATE TABLE container_images (
    container TEXT NOT NULL REFERENCES containers ON DELETE CASCADE,
    image     TEXT NOT NULL REFERENCES images,
    PRIMARY KEY (container, image)
) WITHOUT ROWID;
CREATE INDEX container_images_image ON container_images (image);
