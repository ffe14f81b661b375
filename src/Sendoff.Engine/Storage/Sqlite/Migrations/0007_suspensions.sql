-- Runs that are held, or were: each goes on in a run of its own. The state is what that one needs, sealed; it is gone when that one has ended.
CREATE TABLE suspensions(
    run_id INTEGER PRIMARY KEY, workflow_id INTEGER NOT NULL, kind INTEGER NOT NULL, step INTEGER NOT NULL, until INTEGER NOT NULL, continued_by INTEGER,
    state BLOB, callback BLOB);
CREATE INDEX suspensions_due ON suspensions(until) WHERE continued_by IS NULL;
CREATE UNIQUE INDEX suspensions_next ON suspensions(continued_by) WHERE continued_by IS NOT NULL;
-- The held run that this one goes on from; 0 of a replay.
ALTER TABLE replays ADD COLUMN continues INTEGER NOT NULL DEFAULT 0;
