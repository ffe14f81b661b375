-- Redirects that an attempt followed, as JSON; null when there were none.
ALTER TABLE attempts ADD COLUMN redirects BLOB;
