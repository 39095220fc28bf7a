extension SessionsPage {
  /// A page taken apart by its lines, without reading its JSON: the head is one line, each recording another. That is how
  /// `SessionsPage` writes it, and costs little when it is done every second for many recordings.
  public struct Parts: Sendable, Equatable {
    /// When the snapshot was taken, as it stands in the page.
    public let time: String
    /// Everything about the mount as a whole but the time: a JSON object.
    public let head: [UInt8]
    /// A JSON object each, by session id, or by `path:` and its place for one without a session.
    public let recordings: [String: [UInt8]]

    /// nil for anything that `SessionsPage` does not write.
    public init?(_ page: [UInt8]) {
      var lines = page.split(separator: UInt8(ascii: "\n"))
      guard lines.popLast()?.elementsEqual("]}".utf8) == true, let first = lines.first else { return nil }
      let tail = Array(#","sessions":["#.utf8)
      guard first.suffix(tail.count).elementsEqual(tail) else { return nil }
      guard let (time, rest) = Self.cut("time", from: first.dropLast(tail.count)) else { return nil }
      (self.time, head) = (time, rest + [UInt8(ascii: "}")])
      var recordings: [String: [UInt8]] = [:]
      recordings.reserveCapacity(lines.count)
      for (place, line) in lines.dropFirst().enumerated() {
        let object = line.first == UInt8(ascii: ",") ? line.dropFirst() : line
        recordings[Self.value("session", in: object) ?? "path:\(place)"] = Array(object)
      }
      self.recordings = recordings
    }

    /// At most `max` of the recordings: those that are not synced, then those that were synced last.
    public func mostUrgent(_ max: Int) -> [String: [UInt8]] {
      guard recordings.count > max else { return recordings }
      // "1…" sorts behind "0…": what is not synced comes first.
      let ranked = recordings.map { key, line in
        let isSynced = Self.value("status", in: line[...]) == "synced"
        return (rank: (isSynced ? "0" : "1") + (Self.value("last_synced_at", in: line[...]) ?? "") + key, key: key)
      }
      var urgent: [String: [UInt8]] = [:]
      for (_, key) in ranked.sorted(by: { $0.rank > $1.rank }).prefix(max) { urgent[key] = recordings[key] }
      return urgent
    }

    /// The value of a member that is a plain string. A quote inside a string is escaped, so `"name":"` cannot stand in one.
    private static func value(_ name: String, in line: ArraySlice<UInt8>) -> String? {
      range(of: name, in: line).map { String(decoding: line[$0], as: UTF8.self) }
    }

    /// The same, and the line without the member and the comma before it.
    private static func cut(_ name: String, from line: ArraySlice<UInt8>) -> (String, [UInt8])? {
      guard let range = range(of: name, in: line) else { return nil }
      let start = range.lowerBound - name.utf8.count - 5
      guard start >= line.startIndex, line[start] == UInt8(ascii: ",") else { return nil }
      return (String(decoding: line[range], as: UTF8.self), Array(line[..<start] + line[(range.upperBound + 1)...]))
    }

    private static func range(of name: String, in line: ArraySlice<UInt8>) -> Range<Int>? {
      let wanted = Array("\"\(name)\":\"".utf8)
      var start = line.startIndex
      while start + wanted.count <= line.endIndex {
        guard let quote = line[start...].firstIndex(of: UInt8(ascii: "\"")), quote + wanted.count <= line.endIndex else {
          return nil
        }
        if line[quote..<quote + wanted.count].elementsEqual(wanted) {
          let from = quote + wanted.count
          guard let end = line[from...].firstIndex(of: UInt8(ascii: "\"")) else { return nil }
          return from..<end
        }
        start = quote + 1
      }
      return nil
    }
  }
}
