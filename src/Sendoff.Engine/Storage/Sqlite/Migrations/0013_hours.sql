-- Usage by the hour, with what went wrong: a day is its sum, and the last day can be drawn. Hours are counted from 1970, UTC; what was known by day is in its first one.
CREATE TABLE usage_hours(
    workflow_id INTEGER NOT NULL, hour INTEGER NOT NULL, runs INTEGER NOT NULL, runs_failed INTEGER NOT NULL, compute_us INTEGER NOT NULL,
    deliveries INTEGER NOT NULL, deliveries_failed INTEGER NOT NULL, delivery_us INTEGER NOT NULL, PRIMARY KEY(workflow_id, hour)) WITHOUT ROWID;
INSERT INTO usage_hours SELECT workflow_id, day * 24, runs, 0, compute_us, deliveries, 0, delivery_us FROM usage;
DROP TABLE usage;
ALTER TABLE usage_hours RENAME TO usage;
