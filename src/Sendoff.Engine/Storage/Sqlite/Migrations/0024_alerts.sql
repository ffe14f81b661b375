-- Who is told what goes wrong. causes and kind: see AlertCauses and AlertKind. The target holds addresses or a URL, one a line, sealed for the id.
CREATE TABLE alerts(
    id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL, causes INTEGER NOT NULL, kind INTEGER NOT NULL, quiet_us INTEGER NOT NULL, recovered INTEGER NOT NULL,
    backlog_us INTEGER, backlog_runs INTEGER, workflow TEXT, name TEXT NOT NULL UNIQUE, target BLOB NOT NULL);

-- What a rule has told of a workflow, and what it has counted since.
CREATE TABLE alert_states(
    alert_id INTEGER NOT NULL, workflow_id INTEGER NOT NULL, quiet_until INTEGER NOT NULL, told_at INTEGER NOT NULL, failing INTEGER NOT NULL,
    recovered INTEGER NOT NULL, runs INTEGER NOT NULL, deliveries INTEGER NOT NULL, backlogs INTEGER NOT NULL, run_id INTEGER, delivery_id INTEGER,
    PRIMARY KEY(alert_id, workflow_id)) WITHOUT ROWID;

-- The messages of alerts are deliveries of runs of this workflow, which has no version: nothing deploys, starts or deletes it.
INSERT INTO workflows(id, workspace_id, version, enabled, name) VALUES (1, 1, 0, 1, 'sendoff/alerts');
