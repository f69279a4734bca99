package store

// applicationID stands in the file's header and tells our files from those of
// other programs: "flcr".
const applicationID = 0x666c6372

// schemaVersion is the newest schema this program writes and reads.
const schemaVersion = 3

// schema makes an empty file a run's. What it says about the tables is for
// whoever opens one with the sqlite3 shell, where .schema prints it.
const schema = `
CREATE TABLE run ( -- one row: what was known before the first shopper arrived
	id               TEXT NOT NULL,
	campaign         TEXT NOT NULL,
	target           TEXT NOT NULL,
	plan_fingerprint TEXT NOT NULL,
	shoppers         INTEGER NOT NULL, -- planned
	created          TEXT NOT NULL,    -- RFC 3339, UTC
	version          TEXT NOT NULL,    -- of the flashcrowd that made it
	about            TEXT NOT NULL,    -- JSON: all of the above, stages and factors
	plan             BLOB NOT NULL,    -- as workers got it
	args             TEXT NOT NULL DEFAULT '[]' -- JSON: the campaign as it was asked for, and the flags, without secrets
) STRICT;

CREATE TABLE snapshots ( -- what workers sent; the report is computed from these and the notes
	n       INTEGER PRIMARY KEY, -- in the order of commits
	worker  TEXT NOT NULL,       -- the worker's id
	seq     INTEGER NOT NULL,    -- 1 for its first
	sha256  BLOB NOT NULL,       -- of bytes
	bytes   BLOB NOT NULL,       -- CBOR; empty where a worker ended without one
	UNIQUE (worker, seq)
) STRICT;

CREATE TABLE lease ( -- one row: the coordinator's state, as of the last decision
	one   INTEGER PRIMARY KEY CHECK (one = 1),
	state BLOB NOT NULL
) STRICT;

CREATE TABLE notes ( -- what only the coordinator knew
	n       INTEGER PRIMARY KEY,
	kind    TEXT NOT NULL, -- started, worker, skips, stop, barred
	subject TEXT NOT NULL, -- worker: its id
	note    TEXT NOT NULL  -- JSON
) STRICT;

CREATE TABLE verdict ( -- one row once the run is judged
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	outcome TEXT NOT NULL,    -- pass, fail, invalid
	orders  INTEGER NOT NULL, -- promised to shoppers
	ended   TEXT NOT NULL,    -- RFC 3339, UTC
	reasons TEXT NOT NULL,    -- JSON: [{rule, measured, held, kind}]
	audit   TEXT              -- JSON; NULL where no books were held against the ledger
) STRICT;
` + apartTable
