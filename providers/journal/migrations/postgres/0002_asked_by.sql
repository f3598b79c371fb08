-- Name of the key that a run belongs to, empty: nobody, as all were before.
ALTER TABLE deepsearch_runs ADD COLUMN asked_by text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX deepsearch_runs_by_asked_by ON deepsearch_runs (asked_by, started_at DESC, number DESC) WHERE parent = '';
