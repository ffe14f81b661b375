-- What is written down is masked. What sending and running again need of the original is sealed beside it, under a key that is not in here.
ALTER TABLE events ADD COLUMN sealed BLOB;
ALTER TABLE deliveries ADD COLUMN sealed BLOB;

-- The workspace's variables and secrets; the value is sealed for its id. A value that was replaced is kept, to be masked in what comes late, until the
-- history that may hold it is pruned.
CREATE TABLE secrets(
    id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, changed_at INTEGER NOT NULL, replaced_at INTEGER, is_secret INTEGER NOT NULL, name TEXT NOT NULL,
    value BLOB NOT NULL);
CREATE UNIQUE INDEX secrets_current ON secrets(workspace_id, name) WHERE replaced_at IS NULL;
