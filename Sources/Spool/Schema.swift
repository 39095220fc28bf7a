internal import GRDB

/// The journal's tables. A change of them is a new migration, never an edit of an old one.
enum Schema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 sessions and chunks") { db in
      // `number` is the SessionID. `revision` counts every change of content or name, so that an answer about an older
      // state of the recording is told apart. `stored_through`: every chunk before this index is stored.
      try db.execute(
        sql: """
          CREATE TABLE sessions (
            number INTEGER PRIMARY KEY, path BLOB NOT NULL, inode INTEGER NOT NULL, created_at REAL NOT NULL,
            size INTEGER NOT NULL DEFAULT 0, base_version INTEGER NOT NULL DEFAULT 1,
            revision INTEGER NOT NULL DEFAULT 0, is_open INTEGER NOT NULL DEFAULT 0,
            is_finished INTEGER NOT NULL DEFAULT 0, is_synced INTEGER NOT NULL DEFAULT 0,
            is_announced INTEGER NOT NULL DEFAULT 0, failure TEXT, priority INTEGER NOT NULL DEFAULT 1,
            is_held INTEGER NOT NULL DEFAULT 0, stored_chunks INTEGER NOT NULL DEFAULT 0,
            stored_bytes INTEGER NOT NULL DEFAULT 0, stored_through INTEGER NOT NULL DEFAULT 0,
            synced_at REAL, sha256 BLOB
          ) STRICT;
          CREATE INDEX sessions_path ON sessions (path, number);
          CREATE INDEX sessions_pending ON sessions (number) WHERE is_synced = 0;
          CREATE TABLE chunks (
            session INTEGER NOT NULL, idx INTEGER NOT NULL, version INTEGER NOT NULL, state INTEGER NOT NULL,
            bytes INTEGER NOT NULL, digest BLOB, at REAL NOT NULL, PRIMARY KEY (session, idx)
          ) STRICT, WITHOUT ROWID;
          CREATE INDEX chunks_pending ON chunks (session, idx) WHERE state < 2;
          CREATE INDEX chunks_stored ON chunks (at) WHERE state = 2;
          CREATE INDEX chunks_evicted ON chunks (session, idx) WHERE state = 3;
          CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
          """)
    }
    migrator.registerMigration("2 remote facts") { db in
      // What a destination told and later requests need (`RemoteFact`): upload ids, locations, ETags.
      try db.execute(
        sql: """
          CREATE TABLE remote_facts (
            session INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (session, name)
          ) STRICT, WITHOUT ROWID;
          """)
    }
    migrator.registerMigration("3 truncations under way") { db in
      // A row from the commit that forgets chunks until the uploader has recorded it as well: seals from before, still on
      // their way, must not bring rows back that tell of bytes that are gone.
      try db.execute(
        sql: """
          CREATE TABLE truncations (
            session INTEGER NOT NULL, from_idx INTEGER NOT NULL, base INTEGER NOT NULL,
            PRIMARY KEY (session, base)
          ) STRICT, WITHOUT ROWID;
          """)
    }
    migrator.registerMigration("4 sums and queues from an index alone") { db in
      // A million chunks are summed up, or queued at a start, without a look at each row.
      try db.execute(
        sql: """
          DROP INDEX chunks_stored;
          CREATE INDEX chunks_stored ON chunks (at, bytes) WHERE state = 2;
          CREATE INDEX chunks_open ON chunks (session, idx) WHERE state = 0;
          """)
    }
    migrator.registerMigration("5 known chunks") { db in
      // What the destination listed of sessions that this journal has no receipts of; a row is used once.
      try db.execute(
        sql: """
          CREATE TABLE known_chunks (
            session INTEGER NOT NULL, idx INTEGER NOT NULL, version INTEGER NOT NULL, bytes INTEGER NOT NULL,
            digest BLOB NOT NULL, PRIMARY KEY (session, idx)
          ) STRICT, WITHOUT ROWID;
          """)
    }
    migrator.registerMigration("6 copies at further destinations") { try addCopies($0) }
    migrator.registerMigration("7 attempts") { db in
      // What became of requests: sums by the hour, and the last failures (`AttemptWriter` has the bounds).
      try db.execute(
        sql: """
          CREATE TABLE attempt_hours (
            hour INTEGER NOT NULL, ending TEXT NOT NULL, attempts INTEGER NOT NULL, retries INTEGER NOT NULL,
            chunks INTEGER NOT NULL, bytes INTEGER NOT NULL, milliseconds INTEGER NOT NULL, PRIMARY KEY (hour, ending)
          ) STRICT, WITHOUT ROWID;
          CREATE TABLE attempt_sessions (
            session INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, failures INTEGER NOT NULL,
            in_a_row_max INTEGER NOT NULL, last_at REAL NOT NULL
          ) STRICT;
          CREATE TABLE attempt_failures (
            number INTEGER PRIMARY KEY, session INTEGER NOT NULL, at REAL NOT NULL, ending TEXT NOT NULL, message TEXT NOT NULL
          ) STRICT;
          CREATE INDEX attempt_failures_session ON attempt_failures (session, number);
          """)
    }
    migrator.registerMigration("8 hooks") { db in
      // Commands that are to be run (`Journal+Hooks`).
      try db.execute(
        sql: """
          CREATE TABLE hooks_due (
            number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, session INTEGER NOT NULL, error TEXT,
            UNIQUE (session, event)
          ) STRICT;
          """)
    }
    return migrator
  }
}

/// `chunks.state`. *Sending* is a lease in the uploader's memory: a lease that dies with the process frees itself.
enum StoredChunkState: Int, Sendable {
  case open = 0
  case sealed = 1
  case stored = 2
  /// Stored, and its local bytes punched out.
  case evicted = 3
}
