-- Drafts are versions with numbers below 0, the newest the lowest. One that a run was made of does not change any more.
ALTER TABLE versions ADD COLUMN fixed INTEGER NOT NULL DEFAULT 1;
-- The sends of this run are captured, whatever its event was.
ALTER TABLE replays ADD COLUMN captured INTEGER NOT NULL DEFAULT 0;
