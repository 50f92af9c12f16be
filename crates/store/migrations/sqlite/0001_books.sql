-- The books. Times are microseconds since the Unix epoch, UTC; money is in minor units.
-- `payments.body` is the whole payment as JSON and the only thing that Evergate reads back;
-- the columns and rows beside it are there to be searched, and for people with a shell.

CREATE TABLE payments (
    id          BLOB    NOT NULL PRIMARY KEY,  -- UUIDv7, 16 bytes: sorts by the time it was made
    merchant    TEXT    NOT NULL,
    order_no    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    amount      INTEGER NOT NULL,              -- minor units
    currency    TEXT    NOT NULL,
    purpose     TEXT    NOT NULL,
    tier        TEXT    NOT NULL,
    method      TEXT,                          -- of the latest attempt
    review      TEXT,                          -- why it is in a person's queue
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    due_at      INTEGER,                       -- its next task
    fence       INTEGER NOT NULL,              -- counts its claims
    lease_until INTEGER,                       -- claimed until then
    owner       TEXT,                          -- by this worker
    wake_at     INTEGER,                       -- the later of due_at and lease_until
    format      INTEGER NOT NULL,              -- of the body
    body        TEXT    NOT NULL,
    UNIQUE (merchant, order_no)
) STRICT;

CREATE INDEX payments_wake ON payments (wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX payments_merchant ON payments (merchant, id);
CREATE INDEX payments_status ON payments (status, id);
CREATE INDEX payments_review ON payments (id) WHERE review IS NOT NULL;

CREATE TABLE attempts (
    payment_id  BLOB    NOT NULL REFERENCES payments (id),
    ordinal     INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    number      TEXT    NOT NULL UNIQUE,       -- what the provider knows it by
    state       TEXT    NOT NULL,
    sent_at     INTEGER NOT NULL,
    reference   TEXT,                          -- the provider's own id
    PRIMARY KEY (payment_id, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE refunds (
    payment_id   BLOB    NOT NULL REFERENCES payments (id),
    ordinal      INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    number       TEXT    NOT NULL UNIQUE,
    amount       INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    requested_at INTEGER NOT NULL,
    reference    TEXT,
    PRIMARY KEY (payment_id, ordinal)
) STRICT, WITHOUT ROWID;

-- What was answered under each idempotency key. Purged by age.
CREATE TABLE requests (
    merchant    TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    payment_id  BLOB    NOT NULL,
    refund      INTEGER,
    at          INTEGER NOT NULL,
    PRIMARY KEY (merchant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_at ON requests (at);

-- Every commit by its id, so that one with an unknown end can be read back. Purged by age.
CREATE TABLE changes (
    id         BLOB    NOT NULL PRIMARY KEY,
    payment_id BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX changes_at ON changes (at);

CREATE TABLE events (
    payment_id BLOB    NOT NULL REFERENCES payments (id),
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (payment_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id         TEXT    NOT NULL PRIMARY KEY,
    payment_id BLOB    NOT NULL REFERENCES payments (id),
    merchant   TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,               -- while it is claimed: the end of the lease
    tries      INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    last_error TEXT,
    fence      INTEGER NOT NULL
) STRICT;

CREATE INDEX messages_due ON messages (due_at, id) WHERE state = 'pending';
CREATE INDEX messages_made ON messages (created_at, id);
CREATE INDEX messages_dead ON messages (created_at, id) WHERE state = 'dead';

CREATE TABLE controls (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;

CREATE TABLE audit (
    seq    INTEGER NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    by     TEXT    NOT NULL,
    action TEXT    NOT NULL,
    reason TEXT    NOT NULL
) STRICT;

-- Written only to prove that the store can be written.
CREATE TABLE barrier (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;

INSERT INTO barrier (id, n) VALUES (1, 0);

-- For people: the payments with readable ids and times (UTC).
CREATE VIEW payments_v AS
SELECT json_extract(body, '$.id')                                      AS payment,
       merchant, order_no, status,
       amount, currency, purpose, tier, method, review,
       strftime('%Y-%m-%d %H:%M:%f', created_at / 1e6, 'unixepoch')    AS created,
       strftime('%Y-%m-%d %H:%M:%f', expires_at / 1e6, 'unixepoch')    AS expires,
       strftime('%Y-%m-%d %H:%M:%f', due_at / 1e6, 'unixepoch')        AS due,
       strftime('%Y-%m-%d %H:%M:%f', lease_until / 1e6, 'unixepoch')   AS leased_until,
       owner, version
FROM payments
ORDER BY id DESC;
