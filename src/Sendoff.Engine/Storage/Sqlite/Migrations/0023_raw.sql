-- The body as it came, where the event's JSON does not tell its bytes (E7).
ALTER TABLE events ADD COLUMN raw BLOB;
