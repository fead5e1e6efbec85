-- The journal of one gate. `hash` chains each line to the one before; nothing here is ever updated but `meta`.

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    line BLOB NOT NULL,
    hash BLOB NOT NULL
);

CREATE TABLE epoch (
    id TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    root BLOB NOT NULL,
    board TEXT NOT NULL,
    began TEXT NOT NULL,
    why TEXT NOT NULL
);

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

INSERT INTO meta (key, value) VALUES
    ('schema', 1),
    ('acked', 0),
    ('pruned_seq', 0),
    ('pruned_hash', zeroblob(32)),
    ('probe', 0);
