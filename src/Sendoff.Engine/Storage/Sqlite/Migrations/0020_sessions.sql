-- Browsers that are signed in. Of a cookie there is the SHA-256 only.
CREATE TABLE sessions(id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, client TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, mark BLOB NOT NULL);
