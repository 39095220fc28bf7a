import GRDB

/// The catalog's tables. Old versions are migrated; a newer one is refused by `Catalog`.
enum CatalogSchema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1") { db in try db.execute(sql: version1) }
    migrator.registerMigration("tus") { db in try db.execute(sql: tus) }
    return migrator
  }

  private static let version1 = """
    CREATE TABLE session (
      number INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      device BLOB,                 -- NULL until announced
      path BLOB,
      writer TEXT,                 -- NULL: anybody may write
      metadata TEXT NOT NULL DEFAULT '{}',
      complete INTEGER NOT NULL DEFAULT 0,
      folded INTEGER NOT NULL DEFAULT 0,   -- chunks 0..<folded have a place in the growing recording
      prepared INTEGER NOT NULL DEFAULT 1, -- 0: the growing recording must first be copied from the whole one
      size INTEGER NOT NULL DEFAULT 0,     -- of the whole recording
      chain BLOB,
      whole BLOB,                  -- name of the whole recording in the session's folder; NULL: never completed
      link BLOB,                   -- its path below recordings/, as long as it is this session's
      publish INTEGER NOT NULL DEFAULT 0,  -- 1: the folder may not yet look as this row says
      changed INTEGER NOT NULL,    -- milliseconds since 1970
      completed INTEGER
    );
    CREATE INDEX session_path ON session(device, path);
    CREATE INDEX session_link ON session(link) WHERE link IS NOT NULL;
    CREATE INDEX session_unsettled ON session(number) WHERE complete = 0 OR publish = 1;
    CREATE TABLE chunk (
      session INTEGER NOT NULL REFERENCES session(number),
      idx INTEGER NOT NULL,
      version INTEGER NOT NULL,    -- 0: found in the data, its version is not known
      bytes INTEGER NOT NULL,
      digest BLOB NOT NULL,
      place INTEGER NOT NULL,      -- 0: in its part, 1: in the growing (or whole) recording
      PRIMARY KEY (session, idx)
    ) WITHOUT ROWID;
    CREATE INDEX chunk_in_part ON chunk(session, idx) WHERE place = 0;
    CREATE INDEX chunk_short ON chunk(session, idx) WHERE bytes < 1048576;
    """

  private static let tus = """
    CREATE TABLE tus (
      session INTEGER PRIMARY KEY REFERENCES session(number),
      length INTEGER,              -- NULL: not declared yet
      kind INTEGER NOT NULL,       -- 0: an upload of its own, 1: a partial one, 2: a final one, made of partial ones
      concat TEXT,                 -- Upload-Concat as the client sent it
      source TEXT,                 -- the client's own name for the recording; NULL: it has none
      removed INTEGER NOT NULL DEFAULT 0   -- 1: being deleted; nobody may see it any more
    );
    CREATE INDEX tus_source ON tus(source) WHERE source IS NOT NULL;
    """
}
