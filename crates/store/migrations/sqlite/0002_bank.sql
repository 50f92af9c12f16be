-- The bank channels' books. As in 0001, `body` is the whole record as JSON and the only thing
-- that Evergate reads back; the columns beside it are there to be searched, and for people with
-- a shell. Money is in minor units, times are microseconds since the Unix epoch, UTC.
-- `rank` is what lists are sorted by: for accounts when they may be given out again, for
-- everything else when it was made.

-- What is expected: one row per attempt by bank transfer.
CREATE TABLE bank_allotments (
    id       TEXT    NOT NULL PRIMARY KEY,  -- the attempt's number
    channel  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    rank     INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    format   INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX bank_allotments_state ON bank_allotments (channel, state, rank, id);

-- What came: one row per credit, from a statement or recorded by staff.
CREATE TABLE bank_transfers (
    id       TEXT    NOT NULL PRIMARY KEY,
    channel  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    rank     INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    format   INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX bank_transfers_state ON bank_transfers (channel, state, rank, id);

-- What is owed to payers and is to go out.
CREATE TABLE bank_payouts (
    id       TEXT    NOT NULL PRIMARY KEY,
    channel  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    rank     INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    format   INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX bank_payouts_state ON bank_payouts (channel, state, rank, id);

-- Files that were imported.
CREATE TABLE bank_statements (
    id       TEXT    NOT NULL PRIMARY KEY,
    channel  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    rank     INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    format   INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX bank_statements_state ON bank_statements (channel, state, rank, id);

-- How many account numbers of a channel were ever given out.
CREATE TABLE bank_counters (
    id       TEXT    NOT NULL PRIMARY KEY,
    channel  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    rank     INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    format   INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;

-- What a record is found by: references, account numbers, identities of entries. A key that is
-- unique belongs to one record at a time.
CREATE TABLE bank_keys (
    kind      TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    is_unique INTEGER NOT NULL,
    PRIMARY KEY (kind, key, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX bank_keys_unique ON bank_keys (kind, key) WHERE is_unique = 1;
CREATE INDEX bank_keys_id ON bank_keys (kind, id);

-- Who did what, when and why; never changed.
CREATE TABLE bank_history (
    seq    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    about  TEXT    NOT NULL,                -- the record's id
    at     INTEGER NOT NULL,
    by     TEXT    NOT NULL,
    action TEXT    NOT NULL,
    reason TEXT    NOT NULL
) STRICT;
CREATE INDEX bank_history_about ON bank_history (about, seq);

-- Ids of changes, to read an unknown commit back by.
CREATE TABLE bank_changes (
    id BLOB    NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bank_changes_at ON bank_changes (at);
