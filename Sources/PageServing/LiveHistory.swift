/// What a page shows at one moment. Heads and items are JSON objects, UTF-8, on one line.
public struct PageSnapshot: Sendable, Equatable {
  /// When it was taken, RFC 3339.
  public var time: String
  public var head: [UInt8]
  /// By a key that needs no escaping in JSON, such as a session id.
  public var items: [String: [UInt8]]

  public init(time: String, head: [UInt8], items: [String: [UInt8]]) {
    self.time = time
    self.head = head
    self.items = items
  }
}

/// Turns snapshots into the frames of a stream of server-sent events: the whole once, then what has changed. Pure.
///
/// A listener that says which frame it saw last gets those after it; one that fell too far behind gets the whole again.
package struct LiveHistory {
  /// Frames kept for listeners that come back or are slow: half a minute of a busy mount.
  package static let framesMax = 32
  /// Their bytes, whatever their number.
  package static let bytesMax = 1 << 20

  /// Tells this stream's ids from those of an earlier process.
  let epoch: String
  private(set) var snapshot: PageSnapshot?
  /// Number of the newest frame.
  private(set) var last: Int64 = 0
  private var frames: [(number: Int64, bytes: [UInt8])] = []
  private var bytes = 0

  package init(epoch: String) { self.epoch = epoch }

  /// - Parameter tellsTime: makes a frame although only the time has changed.
  package mutating func advance(to next: PageSnapshot, tellsTime: Bool) {
    guard let before = snapshot else {
      (snapshot, last) = (next, 1)
      return
    }
    let changed = next.items.filter { before.items[$0.key] != $0.value }
    let removed = before.items.keys.filter { next.items[$0] == nil }.sorted()
    let isSameHead = before.head == next.head
    guard tellsTime || !isSameHead || !changed.isEmpty || !removed.isEmpty else { return }
    snapshot = next
    last += 1
    var text = Array("\"time\":\"\(next.time)\"".utf8)
    if !isSameHead { text += Array(",\"head\":".utf8) + next.head }
    if !changed.isEmpty { text += Array(",\"changed\":".utf8) + Self.object(changed) }
    if !removed.isEmpty { text += Array(",\"removed\":[\(removed.map { "\"\($0)\"" }.joined(separator: ","))]".utf8) }
    keep(frame("change", text))
  }

  /// What a listener is sent that has seen `id`: bytes of frames, and the id it has seen then. Empty: nothing is new.
  package func frames(after id: String?) -> (bytes: [UInt8], id: String?) {
    guard let snapshot else { return ([], id) }
    guard let seen = id.flatMap(number), seen <= last, seen == last || frames.first.map({ $0.number <= seen + 1 }) == true
    else {
      let text =
        Array("\"time\":\"\(snapshot.time)\",\"head\":".utf8) + snapshot.head + Array(",\"items\":".utf8)
        + Self.object(snapshot.items)
      return (frame("snapshot", text), "\(epoch)-\(last)")
    }
    return (frames.filter { $0.number > seen }.flatMap(\.bytes), "\(epoch)-\(last)")
  }

  private mutating func keep(_ frame: [UInt8]) {
    frames.append((last, frame))
    bytes += frame.count
    while frames.count > Self.framesMax || (bytes > Self.bytesMax && frames.count > 1) {
      bytes -= frames.removeFirst().bytes.count
    }
  }

  private func frame(_ event: String, _ members: [UInt8]) -> [UInt8] {
    Array("event: \(event)\nid: \(epoch)-\(last)\ndata: {".utf8) + members + Array("}\n\n".utf8)
  }

  private func number(_ id: String) -> Int64? {
    guard id.hasPrefix(epoch + "-") else { return nil }
    return Int64(id.dropFirst(epoch.count + 1))
  }

  private static func object(_ items: [String: [UInt8]]) -> [UInt8] {
    var text = [UInt8(ascii: "{")]
    for key in items.keys.sorted() {
      if text.count > 1 { text.append(UInt8(ascii: ",")) }
      text += Array("\"\(key)\":".utf8) + (items[key] ?? [])
    }
    return text + [UInt8(ascii: "}")]
  }
}
