-- Until when a run is its owner's (seconds since the epoch), and whether somebody asked to cancel it.
ALTER TABLE runs ADD COLUMN lease_until REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN cancel_asked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_parent ON runs (json_extract(summary, '$.parent'));
CREATE INDEX runs_by_state ON runs (json_extract(summary, '$.state'), started_at);
-- A process that died at once could leave a run without any event, before a run was begun in one piece.
DELETE FROM runs WHERE run_id NOT IN (SELECT run_id FROM events);
