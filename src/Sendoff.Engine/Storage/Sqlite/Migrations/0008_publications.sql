-- What workflows emitted (kind 2) and streamed (kind 3): the newest of each, by numbers in the order of commits. The payload is the delivery's, masked and sealed.
CREATE TABLE publications(
    id INTEGER PRIMARY KEY AUTOINCREMENT, workflow_id INTEGER NOT NULL, kind INTEGER NOT NULL, delivery_id INTEGER NOT NULL, attempt INTEGER NOT NULL,
    run_id INTEGER NOT NULL, published_at INTEGER NOT NULL, url TEXT NOT NULL, body BLOB, sealed BLOB, UNIQUE(delivery_id, attempt));
CREATE INDEX publications_newest ON publications(workflow_id, kind, id);

-- Events that an emitted one became: one a listening workflow. Hops are the workflows before it in a row.
CREATE TABLE emissions(
    delivery_id INTEGER NOT NULL, workflow_id INTEGER NOT NULL, event_id INTEGER NOT NULL, hops INTEGER NOT NULL,
    PRIMARY KEY(delivery_id, workflow_id)) WITHOUT ROWID;
CREATE INDEX emissions_event ON emissions(event_id);
