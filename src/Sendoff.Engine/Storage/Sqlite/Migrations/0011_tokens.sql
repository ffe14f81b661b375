-- Who may use the API besides the admin token. Of a token there is the SHA-256 only.
CREATE TABLE tokens(id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, scope INTEGER NOT NULL, created_at INTEGER NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE);
