-- Suspended runs that have not been continued to their end, by workflow: a draft is kept for them.
CREATE INDEX suspensions_open ON suspensions(workflow_id) WHERE state IS NOT NULL;
