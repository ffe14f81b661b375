-- The accounts of apps. The content holds all that is known of one, sealed for the id; account is the id that workflows name.
CREATE TABLE accounts(
    id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, changed_at INTEGER NOT NULL, account TEXT NOT NULL UNIQUE, content BLOB NOT NULL);
