internal import GRDB

// What further destinations have (`reelfs mount --also`). The first one's part is in `sessions`, `chunks` and `remote_facts`.
extension Schema {
  /// A row of `chunk_copies` says that a destination has a chunk as it is now: triggers take it away when the chunk's
  /// version changes or the chunk goes, whoever changes it. So nobody has to compare versions, and the sums are exact
  /// at once, also when a kernel thread reopens a chunk. Without further destinations the triggers find nothing.
  ///
  /// `sessions.content` counts changes of the content. With the destination's own `setbacks` (what it turned out to lack)
  /// it makes the revision that a copy is synced as: a new name changes nothing of that. `told_content` is the content of
  /// which people have been told that all destinations have it. `chunks.sealed_at` stays when the first destination has
  /// stored the chunk: others may lag behind it.
  static func addCopies(_ db: Database) throws {
    try db.execute(
      sql: """
        ALTER TABLE sessions ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE sessions ADD COLUMN told_content INTEGER;
        ALTER TABLE chunks ADD COLUMN sealed_at REAL;
        CREATE TABLE destinations (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE session_copies (
          session INTEGER NOT NULL, destination INTEGER NOT NULL, is_announced INTEGER NOT NULL DEFAULT 0, failure TEXT,
          setbacks INTEGER NOT NULL DEFAULT 0, synced_revision INTEGER, synced_at REAL,
          is_doubted INTEGER NOT NULL DEFAULT 0, stored_chunks INTEGER NOT NULL DEFAULT 0,
          stored_bytes INTEGER NOT NULL DEFAULT 0, stored_through INTEGER NOT NULL DEFAULT 0,
          PRIMARY KEY (session, destination)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE chunk_copies (
          session INTEGER NOT NULL, idx INTEGER NOT NULL, destination INTEGER NOT NULL, bytes INTEGER NOT NULL,
          digest BLOB NOT NULL, PRIMARY KEY (session, idx, destination)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE remote_copies (
          session INTEGER NOT NULL, destination INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
          PRIMARY KEY (session, destination, name)
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER chunk_changed AFTER UPDATE OF version ON chunks WHEN OLD.version <> NEW.version BEGIN
          DELETE FROM chunk_copies WHERE session = OLD.session AND idx = OLD.idx;
        END;
        CREATE TRIGGER chunk_gone AFTER DELETE ON chunks BEGIN
          DELETE FROM chunk_copies WHERE session = OLD.session AND idx = OLD.idx;
        END;
        CREATE TRIGGER session_gone AFTER DELETE ON sessions BEGIN
          DELETE FROM session_copies WHERE session = OLD.number;
          DELETE FROM remote_copies WHERE session = OLD.number;
        END;
        CREATE TRIGGER copy_made AFTER INSERT ON chunk_copies BEGIN
          UPDATE session_copies SET stored_chunks = stored_chunks + 1, stored_bytes = stored_bytes + NEW.bytes
          WHERE session = NEW.session AND destination = NEW.destination;
        END;
        CREATE TRIGGER copy_gone AFTER DELETE ON chunk_copies BEGIN
          UPDATE session_copies SET stored_chunks = stored_chunks - 1, stored_bytes = stored_bytes - OLD.bytes,
            stored_through = MIN(stored_through, OLD.idx)
          WHERE session = OLD.session AND destination = OLD.destination;
        END;
        """)
  }
}
