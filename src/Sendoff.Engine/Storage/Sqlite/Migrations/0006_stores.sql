-- What steps keep between runs. workflow_id is 0 for the workspace's data stores; else the store is the workflow's own and goes with it.
CREATE TABLE stores(
    id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, workflow_id INTEGER NOT NULL, keys INTEGER NOT NULL, name TEXT NOT NULL,
    UNIQUE(workspace_id, workflow_id, name));

-- The value is JSON, sealed for its workspace, workflow, store and key. The key is UTF-8.
CREATE TABLE store_values(
    id INTEGER PRIMARY KEY, store_id INTEGER NOT NULL, changed_at INTEGER NOT NULL, expires_at INTEGER, key BLOB NOT NULL, value BLOB NOT NULL,
    UNIQUE(store_id, key));
CREATE INDEX store_values_expiring ON store_values(expires_at, store_id) WHERE expires_at IS NOT NULL;

-- Counting a large store would be slow, and its limit is looked at with every new key.
CREATE TRIGGER store_values_added AFTER INSERT ON store_values BEGIN UPDATE stores SET keys = keys + 1 WHERE id = NEW.store_id; END;
CREATE TRIGGER store_values_removed AFTER DELETE ON store_values BEGIN UPDATE stores SET keys = keys - 1 WHERE id = OLD.store_id; END;
