-- Ids grow with time and contain the slot of the server that made them. Times are microseconds since 1970 UTC, by the clocks of the servers;
-- leases are by the clock of the database. Numbers are BIGINT everywhere, and text is compared by its bytes.

CREATE TABLE meta(name TEXT COLLATE "C" PRIMARY KEY, value BIGINT NOT NULL);

-- The servers that are alive. Who removes a row whose lease has ended makes the work of its epoch free for all. steady_since: since when the server
-- has renewed its lease without a gap. An instance is a data folder, which one process at a time uses.
CREATE SEQUENCE epochs;
CREATE TABLE servers(
    epoch BIGINT PRIMARY KEY, slot BIGINT NOT NULL UNIQUE, instance TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    joined_at TIMESTAMPTZ NOT NULL DEFAULT now(), lease_until TIMESTAMPTZ NOT NULL, steady_since TIMESTAMPTZ NOT NULL DEFAULT now(), runs BIGINT NOT NULL DEFAULT 0, deliveries BIGINT NOT NULL DEFAULT 0)
    WITH (fillfactor = 50);

CREATE FUNCTION sendoff_epoch() RETURNS BIGINT LANGUAGE sql STABLE AS $$ SELECT current_setting('sendoff.epoch')::bigint $$;
CREATE FUNCTION sendoff_slot() RETURNS BIGINT LANGUAGE sql STABLE AS $$ SELECT current_setting('sendoff.slot')::bigint $$;

-- The first statement of each transaction that writes. It keeps others from taking this server's work over until the transaction ends.
CREATE FUNCTION sendoff_alive() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('sendoff.epoch', true), '') = '' THEN
        RAISE EXCEPTION 'the settings of the connection are gone' USING ERRCODE = 'SD002';
    END IF;
    PERFORM 1 FROM servers WHERE epoch = sendoff_epoch() FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another server has taken over the work of this one' USING ERRCODE = 'SD001';
    END IF;
END $$;

-- Bytes that are not UTF-8 are shown escaped.
CREATE FUNCTION sendoff_text(bytes BYTEA) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN OTHERS THEN
    RETURN encode(bytes, 'escape');
END $$;

CREATE TABLE workflows(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, version BIGINT NOT NULL, enabled BIGINT NOT NULL, name TEXT COLLATE "C" NOT NULL UNIQUE);
-- Drafts are versions with numbers below 0, the newest the lowest. A fixed one does not change any more.
CREATE TABLE versions(
    workflow_id BIGINT NOT NULL, number BIGINT NOT NULL, deployed_at BIGINT NOT NULL, fixed BIGINT NOT NULL DEFAULT 1, files BYTEA NOT NULL,
    PRIMARY KEY(workflow_id, number));
CREATE TABLE triggers(
    workflow_id BIGINT NOT NULL, position BIGINT NOT NULL, settled_at BIGINT NOT NULL DEFAULT 0, type TEXT NOT NULL, key TEXT COLLATE "C" NOT NULL UNIQUE,
    identity TEXT NOT NULL DEFAULT '', PRIMARY KEY(workflow_id, position));
CREATE TABLE deletions(workflow_id BIGINT PRIMARY KEY);

-- What one server at a time may do. The key is the id of a workflow with a limited concurrency, or below 0. Epoch 0 is nobody.
CREATE TABLE turns(key BIGINT PRIMARY KEY, owner BIGINT NOT NULL, wanted BIGINT NOT NULL DEFAULT 0) WITH (fillfactor = 20);

-- The unfinished runs. is_left: its server has not started it, because it took it over.
CREATE TABLE queue(
    run_id BIGINT PRIMARY KEY, owner BIGINT NOT NULL DEFAULT sendoff_epoch(), event_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, version BIGINT NOT NULL,
    received_at BIGINT NOT NULL, replay BIGINT NOT NULL, captured BIGINT NOT NULL, continues BIGINT NOT NULL, is_left BIGINT NOT NULL DEFAULT 0, trigger TEXT NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_workflow ON queue(workflow_id);
CREATE INDEX queue_owner ON queue(owner, run_id);

CREATE TABLE events(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, run_id BIGINT NOT NULL, run_version BIGINT NOT NULL,
    received_at BIGINT NOT NULL, trigger TEXT NOT NULL, body BYTEA, sealed BYTEA, raw BYTEA);
CREATE INDEX events_workflow ON events(workflow_id, id);
CREATE INDEX events_alone ON events(received_at) WHERE run_id = 0;

-- Further runs of a stored event.
CREATE TABLE replays(
    run_id BIGINT PRIMARY KEY, event_id BIGINT NOT NULL, version BIGINT NOT NULL, captured BIGINT NOT NULL DEFAULT 0, continues BIGINT NOT NULL DEFAULT 0);
CREATE INDEX replays_event ON replays(event_id);
CREATE TABLE recoveries(run_id BIGINT PRIMARY KEY, count BIGINT NOT NULL);
CREATE TABLE held(run_id BIGINT PRIMARY KEY);
CREATE TABLE unkept(run_id BIGINT PRIMARY KEY);

-- Written once, at the run's end. Its deliveries are the block of delivery_count ids from first_delivery. flags: 1 recovered, 2 replay, 4 continuation.
CREATE TABLE runs(
    id BIGINT PRIMARY KEY, event_id BIGINT NOT NULL, workspace_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, version BIGINT NOT NULL,
    status BIGINT NOT NULL, flags BIGINT NOT NULL, started_at BIGINT NOT NULL, duration_us BIGINT NOT NULL, compute_us BIGINT NOT NULL,
    first_delivery BIGINT, delivery_count BIGINT NOT NULL, trigger TEXT NOT NULL, message TEXT, error BYTEA, response BYTEA, steps BYTEA);
CREATE INDEX runs_workflow ON runs(workflow_id, id);
CREATE INDEX runs_bad ON runs(status, id) WHERE status <> 2;

-- status: see DeliveryStatus. The indexes hold what is unfinished or went wrong.
CREATE TABLE deliveries(
    id BIGINT PRIMARY KEY, run_id BIGINT NOT NULL, workspace_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, step BIGINT NOT NULL, idx BIGINT NOT NULL,
    status BIGINT NOT NULL, owner BIGINT NOT NULL DEFAULT sendoff_epoch(), destination TEXT COLLATE "C" NOT NULL, method TEXT NOT NULL, url TEXT NOT NULL,
    error BYTEA, headers BYTEA, body BYTEA, sealed BYTEA)
    WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX deliveries_workflow ON deliveries(workflow_id, id);
CREATE INDEX deliveries_pending ON deliveries(owner, destination, id) WHERE status = 2;
CREATE INDEX deliveries_sending ON deliveries(owner, id) WHERE status = 3;
CREATE INDEX deliveries_bad ON deliveries(status, id) WHERE status > 4;

-- The first attempt has its delivery's id. Later ones have their own.
CREATE TABLE attempts(
    id BIGINT PRIMARY KEY, delivery_id BIGINT NOT NULL, number BIGINT NOT NULL, status BIGINT NOT NULL, started_at BIGINT NOT NULL,
    queue_us BIGINT, dns_us BIGINT, connect_us BIGINT, tls_us BIGINT, write_us BIGINT, wait_us BIGINT, read_us BIGINT, total_us BIGINT,
    reused BIGINT NOT NULL, response_status BIGINT, body_flags BIGINT, body_bytes BIGINT, local_address TEXT, remote_address TEXT, http_version TEXT,
    error BYTEA, request_headers BYTEA, response_headers BYTEA, body BYTEA, redirects BYTEA);
CREATE INDEX attempts_later ON attempts(delivery_id, number) WHERE number > 1;

-- By the hour since 1970 UTC. Each server adds to rows of its own, so that servers do not wait for each other.
CREATE TABLE usage(
    workflow_id BIGINT NOT NULL, hour BIGINT NOT NULL, slot BIGINT NOT NULL DEFAULT sendoff_slot(), runs BIGINT NOT NULL, runs_failed BIGINT NOT NULL,
    compute_us BIGINT NOT NULL, deliveries BIGINT NOT NULL, deliveries_failed BIGINT NOT NULL, delivery_us BIGINT NOT NULL,
    PRIMARY KEY(workflow_id, hour, slot)) WITH (fillfactor = 50);

CREATE TABLE secrets(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, changed_at BIGINT NOT NULL, replaced_at BIGINT, is_secret BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL, value BYTEA NOT NULL);
CREATE UNIQUE INDEX secrets_current ON secrets(workspace_id, name) WHERE replaced_at IS NULL;

CREATE TABLE stores(
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, workspace_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, keys BIGINT NOT NULL,
    bytes BIGINT NOT NULL DEFAULT 0, name TEXT COLLATE "C" NOT NULL, UNIQUE(workspace_id, workflow_id, name));
CREATE TABLE store_values(
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, store_id BIGINT NOT NULL, changed_at BIGINT NOT NULL, expires_at BIGINT, key BYTEA NOT NULL,
    value BYTEA NOT NULL, UNIQUE(store_id, key));
CREATE INDEX store_values_expiring ON store_values(expires_at, store_id) WHERE expires_at IS NOT NULL;
CREATE FUNCTION sendoff_count_values() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE stores SET keys = keys + 1, bytes = bytes + length(NEW.value) WHERE id = NEW.store_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE stores SET keys = keys - 1, bytes = bytes - length(OLD.value) WHERE id = OLD.store_id;
    ELSE
        UPDATE stores SET bytes = bytes + length(NEW.value) - length(OLD.value) WHERE id = NEW.store_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER store_values_counted AFTER INSERT OR DELETE OR UPDATE OF value ON store_values FOR EACH ROW EXECUTE FUNCTION sendoff_count_values();

CREATE TABLE suspensions(
    run_id BIGINT PRIMARY KEY, workflow_id BIGINT NOT NULL, kind BIGINT NOT NULL, step BIGINT NOT NULL, until BIGINT NOT NULL, continued_by BIGINT,
    state BYTEA, callback BYTEA);
CREATE INDEX suspensions_due ON suspensions(until) WHERE continued_by IS NULL;
CREATE UNIQUE INDEX suspensions_next ON suspensions(continued_by) WHERE continued_by IS NOT NULL;
CREATE INDEX suspensions_open ON suspensions(workflow_id) WHERE state IS NOT NULL;

CREATE TABLE publications(
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, workflow_id BIGINT NOT NULL, kind BIGINT NOT NULL, delivery_id BIGINT NOT NULL,
    attempt BIGINT NOT NULL, run_id BIGINT NOT NULL, published_at BIGINT NOT NULL, url TEXT NOT NULL, body BYTEA, sealed BYTEA, UNIQUE(delivery_id, attempt));
CREATE INDEX publications_newest ON publications(workflow_id, kind, id);
CREATE TABLE emissions(
    delivery_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, event_id BIGINT NOT NULL, hops BIGINT NOT NULL, PRIMARY KEY(delivery_id, workflow_id));
CREATE INDEX emissions_event ON emissions(event_id);

CREATE TABLE tokens(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, scope BIGINT NOT NULL, created_at BIGINT NOT NULL, name TEXT NOT NULL, hash BYTEA NOT NULL UNIQUE);
CREATE TABLE sessions(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, client TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE, mark BYTEA NOT NULL);

CREATE TABLE alerts(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, causes BIGINT NOT NULL, kind BIGINT NOT NULL, quiet_us BIGINT NOT NULL, recovered BIGINT NOT NULL,
    backlog_us BIGINT, backlog_runs BIGINT, workflow TEXT, name TEXT COLLATE "C" NOT NULL UNIQUE, target BYTEA NOT NULL);
CREATE TABLE alert_states(
    alert_id BIGINT NOT NULL, workflow_id BIGINT NOT NULL, quiet_until BIGINT NOT NULL, told_at BIGINT NOT NULL, failing BIGINT NOT NULL,
    recovered BIGINT NOT NULL, runs BIGINT NOT NULL, deliveries BIGINT NOT NULL, backlogs BIGINT NOT NULL, run_id BIGINT, delivery_id BIGINT,
    PRIMARY KEY(alert_id, workflow_id));
-- The messages of alerts are deliveries of runs of this workflow, which has no version: nothing deploys, starts or deletes it.
INSERT INTO workflows(id, workspace_id, version, enabled, name) VALUES (1, 1, 0, 1, 'sendoff/alerts');

CREATE TABLE accounts(
    id BIGINT PRIMARY KEY, workspace_id BIGINT NOT NULL, changed_at BIGINT NOT NULL, account TEXT COLLATE "C" NOT NULL UNIQUE, content BYTEA NOT NULL);

-- What servers cache: see Cached. A change of a table increases the revision of its content, in the same transaction.
CREATE TABLE revisions(name BIGINT PRIMARY KEY, value BIGINT NOT NULL) WITH (fillfactor = 20);
INSERT INTO revisions(name, value) SELECT name, 1 FROM generate_series(1, 7) AS name;
CREATE FUNCTION sendoff_revise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revisions SET value = value + 1 WHERE name = TG_ARGV[0]::bigint;
    PERFORM pg_notify('sendoff', '');
    RETURN NULL;
END $$;
CREATE TRIGGER workflows_revised AFTER INSERT OR DELETE OR UPDATE ON workflows FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('1');
CREATE TRIGGER triggers_revised AFTER INSERT OR DELETE OR UPDATE OF key, type ON triggers FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('1');
CREATE TRIGGER secrets_revised AFTER INSERT OR UPDATE ON secrets FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('2');
CREATE TRIGGER secrets_removed AFTER DELETE ON secrets FOR EACH ROW WHEN (OLD.replaced_at IS NULL) EXECUTE FUNCTION sendoff_revise('2');
CREATE TRIGGER accounts_revised AFTER INSERT OR DELETE OR UPDATE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('3');
CREATE TRIGGER alerts_revised AFTER INSERT OR DELETE OR UPDATE ON alerts FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('4');
CREATE TRIGGER tokens_revised AFTER INSERT OR DELETE OR UPDATE ON tokens FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('5');
CREATE TRIGGER sessions_revised AFTER INSERT OR DELETE OR UPDATE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION sendoff_revise('6');
CREATE FUNCTION sendoff_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(NEW.name, OLD.name) = 'held_since' THEN
        UPDATE revisions SET value = value + 1 WHERE name = 7;
        PERFORM pg_notify('sendoff', '');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER meta_revised AFTER INSERT OR DELETE OR UPDATE ON meta FOR EACH ROW EXECUTE FUNCTION sendoff_held();
