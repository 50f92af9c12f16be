-- The VIP desk. As in 0001, `body` is the whole record as JSON and the only thing that Evergate
-- reads back; the columns beside it are there to be searched, and for people with a shell. Money
-- is in minor units, times are microseconds since the Unix epoch, UTC.

-- Payments that staff are to help with.
CREATE TABLE assist_cases (
    id         TEXT    NOT NULL PRIMARY KEY,
    payment_id BLOB    NOT NULL,
    merchant   TEXT    NOT NULL,
    tier       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    amount     INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    reference  TEXT,                        -- merchant, kind and number of the offline money
    opened_at  INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    format     INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;

-- A payment has at most one case that is not closed, and a till slip pays one payment.
CREATE UNIQUE INDEX assist_cases_payment ON assist_cases (payment_id) WHERE state <> 'closed';
CREATE UNIQUE INDEX assist_cases_reference ON assist_cases (reference)
    WHERE reference IS NOT NULL;
CREATE INDEX assist_cases_opened ON assist_cases (opened_at, id);
CREATE INDEX assist_cases_waiting ON assist_cases (state, opened_at) WHERE state <> 'closed';

-- What each member of staff recorded lately, by currency; limits are counted in it.
CREATE TABLE assist_tallies (
    id      TEXT    NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    format  INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;

-- Who did what, when and why; never changed.
CREATE TABLE assist_events (
    seq     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    case_id TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
CREATE INDEX assist_events_case ON assist_events (case_id, seq);

-- Ids of changes, to read an unknown commit back by.
CREATE TABLE assist_changes (
    id BLOB    NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX assist_changes_at ON assist_changes (at);
