-- What a trigger keeps over a redeploy by. A schedule whose text changes is another one.
ALTER TABLE triggers ADD COLUMN identity TEXT NOT NULL DEFAULT '';
-- Of a schedule: its due times up to here are settled. Only a later one starts a run, and moves it, in the transaction of its event.
ALTER TABLE triggers ADD COLUMN settled_at INTEGER NOT NULL DEFAULT 0;

-- Runs whose history is not to be kept: it is pruned once every delivery has ended.
CREATE TABLE unkept(run_id INTEGER PRIMARY KEY);
-- Events without a run, which none takes along when it is pruned.
CREATE INDEX events_alone ON events(received_at) WHERE run_id = 0;
