-- 0001 and 0005 were first applied without these.
CREATE TABLE IF NOT EXISTS deletions(workflow_id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS unkept(run_id INTEGER PRIMARY KEY);
CREATE INDEX IF NOT EXISTS events_alone ON events(received_at) WHERE run_id = 0;
