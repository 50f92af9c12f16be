-- Messages to customers. Contacts are personal data: they are here and in payments.body only.
CREATE TABLE customer_notes (
    id          TEXT    NOT NULL PRIMARY KEY,
    payment_id  BLOB    NOT NULL REFERENCES payments (id),
    merchant    TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    way         TEXT    NOT NULL,
    addressee   TEXT    NOT NULL,              -- keyed digest of merchant and contact
    contact     TEXT    NOT NULL,
    locale      TEXT    NOT NULL,
    data        TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,              -- while it is claimed: the end of the lease
    not_after   INTEGER NOT NULL,
    tries       INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    reason      TEXT,
    sent_at     INTEGER,
    forced      INTEGER NOT NULL,
    lease_until INTEGER,
    fence       INTEGER NOT NULL
) STRICT;

CREATE INDEX customer_notes_due     ON customer_notes (due_at, id) WHERE state = 'pending';
CREATE INDEX customer_notes_made    ON customer_notes (created_at, id);
CREATE INDEX customer_notes_dead    ON customer_notes (created_at, id) WHERE state = 'dead';
CREATE INDEX customer_notes_payment ON customer_notes (payment_id, created_at, id);
CREATE INDEX customer_notes_sent    ON customer_notes (addressee, sent_at, id);
CREATE INDEX customer_notes_leased  ON customer_notes (addressee) WHERE lease_until IS NOT NULL;

-- Who wants no reminders.
CREATE TABLE unsubscribed (
    addressee TEXT    NOT NULL PRIMARY KEY,
    at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys that this store made for itself, by what they are for.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
