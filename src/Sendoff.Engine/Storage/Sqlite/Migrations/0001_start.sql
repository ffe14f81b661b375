-- Ids grow with time and are the rowids of the hot tables, so that rows are appended. Small columns come first and the wide ones last:
-- a list then reads a row's head, and what does not fit its page is never touched. Times are microseconds since 1970 UTC.

CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE workflows(
    id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, version INTEGER NOT NULL, enabled INTEGER NOT NULL, name TEXT NOT NULL UNIQUE);
CREATE TABLE versions(
    workflow_id INTEGER NOT NULL, number INTEGER NOT NULL, deployed_at INTEGER NOT NULL, files BLOB NOT NULL, UNIQUE(workflow_id, number));
-- A key is unguessable, or what the workflow's YAML says.
CREATE TABLE triggers(
    workflow_id INTEGER NOT NULL, position INTEGER NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL UNIQUE, PRIMARY KEY(workflow_id, position)) WITHOUT ROWID;

-- Deleted workflows whose history is not all gone yet.
CREATE TABLE deletions(workflow_id INTEGER PRIMARY KEY);

-- Written once, when it is accepted, with the run that it queues. A run that has no row in runs has not ended.
CREATE TABLE events(
    id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, workflow_id INTEGER NOT NULL, run_id INTEGER NOT NULL, run_version INTEGER NOT NULL,
    received_at INTEGER NOT NULL, trigger TEXT NOT NULL, body BLOB);
CREATE INDEX events_workflow ON events(workflow_id);

-- Further runs of a stored event.
CREATE TABLE replays(run_id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE INDEX replays_event ON replays(event_id);

-- How often a run that a crash cut off was started again; gone with the run's end.
CREATE TABLE recoveries(run_id INTEGER PRIMARY KEY, count INTEGER NOT NULL);

-- Written once, at the run's end. Its deliveries are the block of delivery_count ids from first_delivery. flags: 1 recovered, 2 replay.
CREATE TABLE runs(
    id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, workspace_id INTEGER NOT NULL, workflow_id INTEGER NOT NULL, version INTEGER NOT NULL,
    status INTEGER NOT NULL, flags INTEGER NOT NULL, started_at INTEGER NOT NULL, duration_us INTEGER NOT NULL, compute_us INTEGER NOT NULL,
    first_delivery INTEGER, delivery_count INTEGER NOT NULL, trigger TEXT NOT NULL, message TEXT, error BLOB, response BLOB, steps BLOB);
CREATE INDEX runs_workflow ON runs(workflow_id);
CREATE INDEX runs_bad ON runs(status) WHERE status <> 2;

-- status: see DeliveryStatus. The indexes hold what is unfinished or went wrong, not the many that went well.
CREATE TABLE deliveries(
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, workspace_id INTEGER NOT NULL, workflow_id INTEGER NOT NULL, step INTEGER NOT NULL,
    idx INTEGER NOT NULL, status INTEGER NOT NULL, destination TEXT NOT NULL, method TEXT NOT NULL, url TEXT NOT NULL, error BLOB, headers BLOB, body BLOB);
CREATE INDEX deliveries_workflow ON deliveries(workflow_id);
CREATE INDEX deliveries_pending ON deliveries(destination) WHERE status = 2;
CREATE INDEX deliveries_sending ON deliveries(id) WHERE status = 3;
CREATE INDEX deliveries_bad ON deliveries(status) WHERE status > 4;

-- The first attempt has its delivery's id. Later ones have their own, and are found by the index.
CREATE TABLE attempts(
    id INTEGER PRIMARY KEY, delivery_id INTEGER NOT NULL, number INTEGER NOT NULL, status INTEGER NOT NULL, started_at INTEGER NOT NULL,
    queue_us INTEGER, dns_us INTEGER, connect_us INTEGER, tls_us INTEGER, write_us INTEGER, wait_us INTEGER, read_us INTEGER, total_us INTEGER,
    reused INTEGER NOT NULL, local_address TEXT, remote_address TEXT, response_status INTEGER, http_version TEXT, body_flags INTEGER, body_bytes INTEGER,
    error BLOB, request_headers BLOB, response_headers BLOB, body BLOB);
CREATE INDEX attempts_later ON attempts(delivery_id) WHERE number > 1;

-- Days are counted from 1970, UTC.
CREATE TABLE usage(
    workflow_id INTEGER NOT NULL, day INTEGER NOT NULL, runs INTEGER NOT NULL, compute_us INTEGER NOT NULL, deliveries INTEGER NOT NULL,
    delivery_us INTEGER NOT NULL, PRIMARY KEY(workflow_id, day)) WITHOUT ROWID;
