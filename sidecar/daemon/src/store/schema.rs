//! The daemon's tables and how they came about. The mesh keeps its own beside them, named `mesh_*`.

use rusqlite::Connection;

use super::StoreError;

/// One entry per schema version; never changed once released, only appended to.
const STEPS: &[&str] = &[
    "
    CREATE TABLE conversations (
        id         TEXT PRIMARY KEY,
        network    TEXT NOT NULL,           -- hexadecimal id; '' for one that belongs to no network
        title      TEXT NOT NULL,
        titled     INTEGER NOT NULL,        -- 1: the person gave the title
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        deleted_at INTEGER                  -- soft deletion; purged later
    ) STRICT;
    CREATE INDEX conversations_by_network ON conversations (network, updated_at);

    CREATE TABLE messages (
        id           TEXT PRIMARY KEY,
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        position     INTEGER NOT NULL,
        author       TEXT NOT NULL CHECK (author IN ('person', 'model')),
        text         TEXT NOT NULL,
        thinking     TEXT,
        at           INTEGER NOT NULL,
        answer       TEXT,                  -- how the answer was made, JSON
        writing      INTEGER NOT NULL DEFAULT 0,
        UNIQUE (conversation, position)
    ) STRICT;

    CREATE TABLE engines (
        id      TEXT PRIMARY KEY,
        url     TEXT NOT NULL,
        kind    TEXT,
        has_key INTEGER NOT NULL            -- the key itself is among the secrets
    ) STRICT;

    CREATE TABLE lending (
        network   TEXT PRIMARY KEY,
        accepting TEXT NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE activities (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- rises for ever: pages begin at one
        at          INTEGER NOT NULL,
        network     TEXT,                   -- hexadecimal id; NULL for what belongs to none
        kind        TEXT NOT NULL,
        device      TEXT,                   -- hexadecimal id
        device_name TEXT,                   -- its name at that time
        text        TEXT NOT NULL,
        folded      TEXT NOT NULL           -- text and name in small letters, to search in
    ) STRICT;
    CREATE INDEX activities_by_kind ON activities (kind, id);
    CREATE INDEX activities_by_network ON activities (network, id);
    CREATE INDEX activities_by_time ON activities (at);
",
    // Folders of conversations, and what of them is shown to the network.
    "
    ALTER TABLE conversations ADD COLUMN folder TEXT;                       -- NULL: in none
    ALTER TABLE conversations ADD COLUMN private INTEGER NOT NULL DEFAULT 0; -- 1: never shown

    CREATE TABLE catalogue (
        network TEXT PRIMARY KEY,           -- hexadecimal id
        showing INTEGER NOT NULL            -- 1: titles are shown
    ) STRICT;
",
    // Permissions of tools, and what members may do here.
    "
    CREATE TABLE permissions (
        network TEXT NOT NULL,              -- hexadecimal id
        tool    TEXT NOT NULL,
        state   TEXT NOT NULL,              -- what was agreed to, what was said since, what was declined; JSON
        PRIMARY KEY (network, tool)
    ) STRICT;

    CREATE TABLE permission_trust (
        network       TEXT NOT NULL,
        device        TEXT NOT NULL,        -- hexadecimal id
        since_ms      INTEGER NOT NULL,     -- what it has said after this time is trusted
        since_counter INTEGER NOT NULL,
        PRIMARY KEY (network, device)
    ) STRICT;

    CREATE TABLE scopes_off (               -- a row for each thing that a member may not do
        network TEXT NOT NULL,
        device  TEXT NOT NULL,
        scope   TEXT NOT NULL,
        PRIMARY KEY (network, device, scope)
    ) STRICT;
",
    // Keys for the local API.
    "
    CREATE TABLE api_keys (
        name         TEXT PRIMARY KEY,
        hash         BLOB NOT NULL,         -- BLAKE3 of the secret, which is kept nowhere
        created_at   INTEGER NOT NULL,
        last_used_at INTEGER
    ) STRICT;
",
    // What a key is for.
    "
    ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'chat,embeddings,models';
",
    // How fast devices answered with their models.
    "
    CREATE TABLE rates (
        device TEXT NOT NULL,               -- hexadecimal id
        model  TEXT NOT NULL,
        rate   TEXT NOT NULL,               -- what was learned, in numbers; JSON
        at     INTEGER NOT NULL,            -- when it last answered
        PRIMARY KEY (device, model)
    ) STRICT;
",
    // What is kept in mind of the models on this device.
    "
    CREATE TABLE kept_models (
        engine       TEXT NOT NULL,
        model        TEXT NOT NULL,
        pinned       INTEGER NOT NULL,      -- 1: it stays in memory, and is not suggested for deletion
        since        INTEGER NOT NULL,
        last_used_at INTEGER,
        PRIMARY KEY (engine, model)
    ) STRICT;

    CREATE TABLE model_hashes (             -- of files in the models folder, as they were when they were read
        name        TEXT PRIMARY KEY,
        size        INTEGER NOT NULL,
        modified_ms INTEGER NOT NULL,
        sha256      TEXT NOT NULL
    ) STRICT;

    CREATE TABLE catalogue_sources (        -- one at most
        url TEXT PRIMARY KEY
    ) STRICT;
",
    // Lending: rules, the pause, and the ledger of what was lent and borrowed.
    "
    ALTER TABLE lending ADD COLUMN rules TEXT;  -- JSON; NULL: none

    CREATE TABLE lending_members (
        network TEXT NOT NULL,              -- hexadecimal id
        device  TEXT NOT NULL,              -- hexadecimal id
        rules   TEXT NOT NULL,              -- JSON
        PRIMARY KEY (network, device)
    ) STRICT;

    CREATE TABLE lending_pause (            -- a row while there is one
        until   INTEGER,                    -- NULL: until a person ends it
        at_once INTEGER NOT NULL            -- 1: running answers were cut
    ) STRICT;

    CREATE TABLE ledger (
        direction   TEXT NOT NULL CHECK (direction IN ('lent', 'borrowed')),
        device      TEXT NOT NULL,          -- the other one
        request     TEXT NOT NULL,          -- the name both devices know it by
        network     TEXT NOT NULL,          -- hexadecimal id; '' for none
        device_name TEXT NOT NULL,          -- at that time
        model       TEXT NOT NULL,
        tokens      INTEGER NOT NULL,
        prompt      INTEGER NOT NULL,       -- tokens of the question, where they were told
        seconds     REAL NOT NULL,          -- of the answer, without waiting
        at          INTEGER NOT NULL,       -- when it ended
        sure        INTEGER NOT NULL,       -- 1: it is known that it was served
        agreed      INTEGER NOT NULL,       -- 1: both devices count the same
        PRIMARY KEY (direction, device, request)
    ) STRICT;
    CREATE INDEX ledger_by_time ON ledger (at);
",
];

/// Brings the schema up to date, each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (step, version) in STEPS.iter().zip(1_i64..).filter(|(_, version)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
