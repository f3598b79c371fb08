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
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
INSERT INTO runs VALUES ('done', 5.0, 6.0, 'elsewhere:1:1', '{"run_id":"done","question":"q","state":"finished","stop_reason":"answered","started_at":5.0,"seconds":1.0,"steps":2,"total_tokens":3,"background":false,"parent":""}', 'digest');
INSERT INTO runs VALUES ('died', 7.0, 7.5, 'elsewhere:1:1', '{"run_id":"died","question":"q","state":"running","stop_reason":"","started_at":7.0,"seconds":0.0,"steps":0,"total_tokens":0,"background":true,"parent":""}', '');
INSERT INTO runs VALUES ('empty', 8.0, 8.0, 'elsewhere:1:1', '{"run_id":"empty","question":"q","state":"running","started_at":8.0}', '');
INSERT INTO events VALUES ('done', 1, 5.0, 'run_resumed', '{"type":"run_resumed"}'), ('died', 1, 7.0, 'run_resumed', '{"type":"run_resumed"}');
INSERT INTO pages VALUES ('done', 'p', '{"page_id":"p","url":"file:///x","text":"text"}');
INSERT INTO attachments VALUES ('done', 'attachment:1/x', '{"name":"x","media_type":"text/plain","content":"Zm9v"}');
