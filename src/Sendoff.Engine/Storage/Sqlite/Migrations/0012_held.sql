-- Accepted runs that wait for the reset of a quota, or for somebody to release them.
CREATE TABLE held(run_id INTEGER PRIMARY KEY);
