import SyncStatus

/// What `reelfs status` prints, for one place or several.
package struct StatusReport {
  package struct Part {
    package let place: MountPlace
    package let snapshot: StatusSnapshot
  }

  package let parts: [Part]

  /// Reads every place now.
  package init(places: [MountPlace]) throws {
    parts = try places.map { place in
      let snapshot = try place.snapshot()
      if place.target != .all, snapshot.recordings.isEmpty, !place.isFolder {
        throw CommandFailure("\(place.file ?? "this session") is no recording that the mount knows")
      }
      return Part(place: place, snapshot: snapshot)
    }
  }

  package var exit: ReelfsExit {
    ReelfsExit(for: parts.map(\.snapshot.overall.total.state).max() ?? .synced)
  }

  package func table(_ terminal: Terminal, rowsMax: Int? = nil) -> String {
    let table = StatusTable(width: terminal.columns, usesColour: terminal.usesColour, rowsMax: rowsMax)
    let tables = parts.map { part in
      table.lines(part.snapshot.overall, part.snapshot.recordings, title: part.place.title).joined(separator: "\n")
    }
    return tables.joined(separator: "\n\n") + "\n"
  }

  /// One place: the object of `user.sync.json` (a recording) or of `.status/sessions.json` (a folder, a mount).
  /// Without a path: all mounts in one object, whether there is one or more.
  package func json(isList: Bool) -> String {
    let texts = parts.map { part in (part.place.title, Self.json(part)) }
    guard isList else { return texts.map(\.1).joined() }
    var mounts = JSONText()
    mounts.beginObject()
    mounts.add("schema_version", StatusAttributes.schemaVersion)
    mounts.beginArray("mounts")
    for (title, text) in texts {
      mounts.beginObject()
      mounts.add("mountpoint", title)
      mounts.add("status", json: text)
      mounts.endObject()
    }
    mounts.endArray()
    mounts.endObject()
    mounts.newline()
    return String(decoding: mounts.bytes, as: UTF8.self)
  }

  private static func json(_ part: Part) -> String {
    let snapshot = part.snapshot
    if part.place.target != .all, !part.place.isFolder, let recording = snapshot.recordings.first {
      return StatusAttributes.json(of: recording) + "\n"
    }
    return String(decoding: SessionsPage.bytes(snapshot.overall, snapshot.recordings), as: UTF8.self)
  }
}

extension MountPlace {
  /// The status of what is meant, and of nothing else.
  package func snapshot() throws(CommandFailure) -> StatusSnapshot { try root.snapshot().narrowed(to: target) }

  var isFolder: Bool {
    guard let file else { return target == .all }
    return SystemFiles.isDirectory(file)
  }

  /// How the place is called in the head of a table.
  var title: String { file ?? root.path }
}
