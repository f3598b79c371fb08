CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, started_at REAL NOT NULL, updated_at REAL NOT NULL, owner TEXT NOT NULL,
    summary TEXT NOT NULL, state_digest TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started_at DESC);
CREATE TABLE IF NOT EXISTS events (
    run_id TEXT NOT NULL, sequence INTEGER NOT NULL, time REAL NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (run_id, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attachments (
    run_id TEXT NOT NULL, url TEXT NOT NULL, attachment TEXT NOT NULL, PRIMARY KEY (run_id, url)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (
    run_id TEXT NOT NULL, page_id TEXT NOT NULL, page TEXT NOT NULL, PRIMARY KEY (run_id, page_id)
) WITHOUT ROWID;
