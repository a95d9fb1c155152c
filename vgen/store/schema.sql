-- The one truth about money and jobs. Money is whole micro-dollars. Times are unix seconds (UTC).
-- SQLite itself enforces the hardest rules, so that no mistake above it can spend twice or pass the cap.

-- The schema's version is PRAGMA user_version. This row is for the vgen that wrote schema 1: it refuses the file in words.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO meta VALUES ('schema', '2 or later');

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  started_at REAL NOT NULL,
  finished_at REAL,
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  cap INTEGER CHECK (cap >= 0)                       -- NULL: nothing binds (play money)
) STRICT;

-- purchase.py's table, copied in when the file is made
CREATE TABLE legal_move (was TEXT NOT NULL, becomes TEXT NOT NULL, PRIMARY KEY (was, becomes)) STRICT, WITHOUT ROWID;
CREATE TABLE state_money (state TEXT PRIMARY KEY, kind TEXT NOT NULL
  CHECK (kind IN ('reserved', 'spent', 'uncertain', 'none'))) STRICT, WITHOUT ROWID;

CREATE TABLE purchases (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL REFERENCES runs (id),
  shot_number INTEGER NOT NULL,                      -- who asked first; not part of what was bought
  recipe TEXT NOT NULL CHECK (length(recipe) = 64),
  manifest TEXT NOT NULL,                            -- JSON: the recipe in words
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  provider TEXT NOT NULL,
  account TEXT NOT NULL,                             -- fingerprint of the key
  base_url TEXT NOT NULL,
  model TEXT NOT NULL,
  path TEXT NOT NULL,
  request TEXT NOT NULL,                             -- canonical JSON body, without an image's bytes
  correlation_seed TEXT NOT NULL DEFAULT '',         -- a seed of its own, by which a lost job can be found again
  bought_s TEXT NOT NULL,
  price INTEGER NOT NULL CHECK (price >= 0),         -- the most it can cost, as reserved
  charged INTEGER NOT NULL DEFAULT 0 CHECK (charged >= 0),
  charged_by TEXT CHECK (charged_by IN ('provider', 'assumed', 'user')),
  state TEXT NOT NULL DEFAULT 'reserved' REFERENCES state_money (state),
  superseded TEXT,                                   -- why it no longer stands in the way of another
  job_id TEXT CHECK (length(job_id) > 0),
  urls TEXT NOT NULL DEFAULT '{}',
  error TEXT,
  error_code TEXT,
  final INTEGER NOT NULL DEFAULT 0,                  -- 1: this API must not be tried again for this recipe
  created_at REAL NOT NULL,
  submitted_at REAL,
  rendered_at REAL,
  sha256 TEXT,
  size_bytes INTEGER,
  sent_before REAL,                                  -- by the provider's Date: the order had been sent by then
  clock_ahead_s REAL,                                -- by how much this machine's clock was ahead of it
  unreadable_since REAL                              -- by the provider's Date: the result can't be read since then
) STRICT;

-- Promise 1: at most one live, uncertain, accepted or billed purchase of a recipe that nothing supersedes.
CREATE UNIQUE INDEX one_purchase ON purchases (recipe, simulated)
  WHERE superseded IS NULL
    AND NOT (state IN ('refused', 'released') OR (state IN ('failed', 'cancelled') AND charged = 0));
CREATE UNIQUE INDEX one_owner ON purchases (provider, account, job_id) WHERE job_id IS NOT NULL;
CREATE INDEX by_recipe ON purchases (recipe);
CREATE INDEX unfinished ON purchases (state)
  WHERE state IN ('reserved', 'submitting', 'not_sent', 'rendering', 'rendered', 'fetched', 'uncertain');

-- The money of each world, kept by SQLite in the transaction of the row that changes it (docs/decisions/0005): the cap
-- is checked at each reservation, and a sum over all rows would make n shots cost n². Auditors sum the rows.
CREATE TABLE totals (
  simulated INTEGER PRIMARY KEY CHECK (simulated IN (0, 1)),
  spent INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  uncertain INTEGER NOT NULL
) STRICT;
CREATE VIEW budget AS SELECT simulated, spent, reserved, uncertain FROM totals;
CREATE TRIGGER total_birth AFTER INSERT ON purchases BEGIN
  INSERT INTO totals VALUES (NEW.simulated, 0, NEW.price, 0)
    ON CONFLICT (simulated) DO UPDATE SET reserved = reserved + NEW.price; END;
CREATE TRIGGER total_move AFTER UPDATE OF state, price, charged ON purchases
  WHEN NEW.state <> OLD.state OR NEW.price <> OLD.price OR NEW.charged <> OLD.charged BEGIN
  UPDATE totals SET
    spent = spent + iif(becomes.kind = 'spent', NEW.charged, 0) - iif(was.kind = 'spent', OLD.charged, 0),
    reserved = reserved + iif(becomes.kind = 'reserved', NEW.price, 0) - iif(was.kind = 'reserved', OLD.price, 0),
    uncertain = uncertain + iif(becomes.kind = 'uncertain', NEW.price, 0) - iif(was.kind = 'uncertain', OLD.price, 0)
    FROM state_money AS was, state_money AS becomes
    WHERE was.state = OLD.state AND becomes.state = NEW.state AND totals.simulated = NEW.simulated; END;
CREATE TRIGGER world_stays BEFORE UPDATE OF simulated ON purchases WHEN NEW.simulated <> OLD.simulated
  BEGIN SELECT RAISE(ABORT, 'a purchase stays in its world'); END;

-- Promise 2: no reservation passes the cap of the run that makes it.
CREATE TRIGGER cap_guard BEFORE INSERT ON purchases
  WHEN NEW.price + coalesce((SELECT spent + reserved + uncertain FROM budget WHERE simulated = NEW.simulated), 0)
       > (SELECT cap FROM runs WHERE id = NEW.run_id)
  BEGIN SELECT RAISE(ABORT, 'over budget'); END;

CREATE TRIGGER born_reserved BEFORE INSERT ON purchases WHEN NEW.state <> 'reserved' OR NEW.charged <> 0
  BEGIN SELECT RAISE(ABORT, 'a purchase begins reserved'); END;
CREATE TRIGGER legal_moves_only BEFORE UPDATE OF state ON purchases
  WHEN NEW.state <> OLD.state AND NOT EXISTS
    (SELECT 1 FROM legal_move WHERE was = OLD.state AND becomes = NEW.state)
  BEGIN SELECT RAISE(ABORT, 'illegal move'); END;
CREATE TRIGGER nothing_is_forgotten BEFORE DELETE ON purchases BEGIN SELECT RAISE(ABORT, 'append only'); END;

-- Every move, written by SQLite itself.
CREATE TABLE moves (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  purchase_id INTEGER NOT NULL REFERENCES purchases (id),
  at REAL NOT NULL,
  state TEXT NOT NULL,
  superseded TEXT,
  price INTEGER NOT NULL,
  charged INTEGER NOT NULL,
  note TEXT
) STRICT;
CREATE TRIGGER moves_stay BEFORE UPDATE ON moves BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER moves_stay_too BEFORE DELETE ON moves BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER log_birth AFTER INSERT ON purchases BEGIN
  INSERT INTO moves (purchase_id, at, state, superseded, price, charged, note)
  VALUES (NEW.id, wall_clock(), NEW.state, NEW.superseded, NEW.price, NEW.charged, NULL); END;
CREATE TRIGGER log_move AFTER UPDATE ON purchases
  WHEN NEW.state <> OLD.state OR NEW.charged <> OLD.charged OR NEW.price <> OLD.price
    OR NEW.superseded IS NOT OLD.superseded BEGIN
  INSERT INTO moves (purchase_id, at, state, superseded, price, charged, note)
  VALUES (NEW.id, wall_clock(), NEW.state, NEW.superseded, NEW.price, NEW.charged, NEW.error); END;

CREATE TABLE takes (
  purchase_id INTEGER PRIMARY KEY REFERENCES purchases (id),
  recipe TEXT NOT NULL,
  simulated INTEGER NOT NULL,
  take INTEGER NOT NULL CHECK (take >= 1),
  path TEXT NOT NULL,                                -- relative to the outputs directory
  good INTEGER NOT NULL CHECK (good IN (0, 1)),
  reason TEXT,
  sha256 TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  width INTEGER, height INTEGER, duration_s REAL, fps REAL, codec TEXT, has_audio INTEGER,
  generation_s REAL,
  remarks TEXT,                                      -- JSON list: what strikes the eye (black, frozen, silent)
  claims TEXT,                                       -- JSON: what the file says of its making (C2PA, IPTC), unchecked
  checked_at_host TEXT,                              -- which other machine has checked it; NULL: the one that ran vgen
  UNIQUE (recipe, simulated, take)
) STRICT;
CREATE INDEX by_bytes ON takes (sha256);

-- The user's word which take serves a recipe: another of its own (pick), or one of an earlier prompt (keep). It holds
-- until a newer take of the recipe is accepted; `newest` is the ledger's last purchase when it was said.
CREATE TABLE chosen (
  recipe TEXT NOT NULL,
  simulated INTEGER NOT NULL,
  purchase_id INTEGER NOT NULL REFERENCES takes (purchase_id),
  newest INTEGER NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (recipe, simulated)
) STRICT;

-- New takes that `doit -a` was asked for: one row a clip, kept until every clip of that command has its new take, so that
-- an interrupted one can be typed again and buys nothing twice.
CREATE TABLE retakes (
  id INTEGER PRIMARY KEY,
  command TEXT NOT NULL,                             -- rows of one command go together: the run that asked last
  shot_number INTEGER NOT NULL,
  recipes TEXT NOT NULL,                             -- JSON list: the shot's recipes then
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  newest INTEGER NOT NULL,                           -- purchases up to this one are no new take
  settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),  -- 1: the user chose a take since (pick, keep)
  at REAL NOT NULL
) STRICT;

-- What the user said of shots in review. Each is about a shot, known by its recipes (they follow it when the list is
-- renumbered) and else by its number (it stays when the prompt is edited). `twins`: other shots with such a recipe then;
-- `alike`: those that differed only in the takes whose frames they are made from.
CREATE TABLE locks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,              -- never given twice: the mark says how many there must have been
  shot_number INTEGER NOT NULL,
  recipes TEXT NOT NULL,                             -- JSON list
  twins TEXT NOT NULL,                               -- JSON list of numbers
  alike TEXT NOT NULL,
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  purchase_id INTEGER NOT NULL REFERENCES takes (purchase_id),  -- whose take is the clip, whatever changes
  at REAL NOT NULL
) STRICT;
CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  shot_number INTEGER NOT NULL,
  recipes TEXT NOT NULL,
  twins TEXT NOT NULL,
  alike TEXT NOT NULL,
  text TEXT NOT NULL CHECK (length(text) > 0),
  at REAL NOT NULL
) STRICT;

-- Which take lies under which clip's name, and how the file looked when vgen put it there.
CREATE TABLE placed (
  name TEXT PRIMARY KEY,
  shot_number INTEGER NOT NULL,
  purchase_id INTEGER NOT NULL REFERENCES takes (purchase_id),
  sha256 TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  edited INTEGER NOT NULL DEFAULT 0,                 -- 1: somebody changed the file, and it is a video still
  facts TEXT                                         -- JSON: what ffprobe said of the edit
) STRICT;
