-- Versions of the configuration. The text may hold secrets; it never leaves the store whole.
CREATE TABLE config_versions (
    version  INTEGER NOT NULL PRIMARY KEY,
    text     TEXT    NOT NULL,
    digest   TEXT    NOT NULL,               -- SHA-256 of the text in hex
    at       INTEGER NOT NULL,               -- microseconds since 1970
    by       TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    parent   INTEGER,                        -- the version that was in force
    state    TEXT    NOT NULL,
    cause    TEXT
) STRICT;

-- At most one is in force, and at most one is being tried.
CREATE UNIQUE INDEX config_versions_one ON config_versions (state)
    WHERE state IN ('live', 'staged');
