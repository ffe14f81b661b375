-- The state of event sources. deployed: the hook deploy has succeeded. version: the one whose hook activate has succeeded; 0 if the source is not active.
-- hook_run: the last run of a hook; 0 once its end is stored. mark: what dedupe greatest or last compares with.
CREATE TABLE sources(
    workflow_id INTEGER NOT NULL, name TEXT NOT NULL, deployed INTEGER NOT NULL, version INTEGER NOT NULL, hook_run INTEGER NOT NULL, mark BLOB,
    PRIMARY KEY(workflow_id, name)) WITHOUT ROWID;

-- Hashes of the ids that sources with dedupe unique have emitted: the newest of each source.
CREATE TABLE source_ids(
    id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id INTEGER NOT NULL, source TEXT NOT NULL, hash BLOB NOT NULL, UNIQUE(workflow_id, source, hash));
CREATE INDEX source_ids_newest ON source_ids(workflow_id, source, id);
