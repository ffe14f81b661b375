-- What a server tells the others: the work that it takes (1 ingest, 2 run, 4 deliver), the addresses of its deliveries, separated by commas, and
-- the number of live pages that it serves.
ALTER TABLE servers ADD COLUMN roles BIGINT NOT NULL DEFAULT 7, ADD COLUMN egress TEXT NOT NULL DEFAULT '', ADD COLUMN watching BIGINT NOT NULL DEFAULT 0;
-- queue.is_left: 1 for a run of a server that has ended, 2 for one that no server has started yet. Owner 0 is nobody: whoever has the role takes it.
