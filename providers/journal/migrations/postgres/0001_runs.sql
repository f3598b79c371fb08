-- One line about every run. `summary` is the document, the columns beside it are what queries ask for; `state` counts, not the one in it.
CREATE TABLE deepsearch_runs (
    run_id text COLLATE "C" PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    parent text COLLATE "C" NOT NULL,
    background boolean NOT NULL,
    state text NOT NULL,
    started_at double precision NOT NULL,
    updated_at timestamptz NOT NULL,
    owner text NOT NULL,
    writes bigint NOT NULL,  -- number of its owner's last write: one that is made again is known by it
    lease_until timestamptz NOT NULL,
    cancel_asked boolean NOT NULL DEFAULT false,
    events integer NOT NULL,  -- how many there are
    summary text NOT NULL,
    state_digest text NOT NULL DEFAULT ''
) WITH (fillfactor = 70);  -- room to update a line in its place
CREATE INDEX deepsearch_runs_by_start ON deepsearch_runs (started_at DESC, number DESC) WHERE parent = '';
CREATE INDEX deepsearch_runs_by_parent ON deepsearch_runs (parent) WHERE parent <> '';
CREATE INDEX deepsearch_runs_unfinished ON deepsearch_runs (started_at, number)
    WHERE background AND parent = '' AND state IN ('running', 'interrupted');
CREATE TABLE deepsearch_events (
    run_id text COLLATE "C" NOT NULL REFERENCES deepsearch_runs ON DELETE CASCADE,
    sequence integer NOT NULL, time double precision NOT NULL, event text NOT NULL, PRIMARY KEY (run_id, sequence)
);
CREATE TABLE deepsearch_attachments (
    run_id text COLLATE "C" NOT NULL REFERENCES deepsearch_runs ON DELETE CASCADE,
    url text COLLATE "C" NOT NULL, attachment text NOT NULL, PRIMARY KEY (run_id, url)
);
CREATE TABLE deepsearch_pages (
    run_id text COLLATE "C" NOT NULL REFERENCES deepsearch_runs ON DELETE CASCADE,
    page_id text COLLATE "C" NOT NULL, page text NOT NULL, PRIMARY KEY (run_id, page_id)
);
