-- Name of the key that a run belongs to, empty: nobody, as all were before.
ALTER TABLE runs ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_by_asked_by ON runs (asked_by, started_at DESC);
