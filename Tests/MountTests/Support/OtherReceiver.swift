import Foundation
import Glibc
import TestSupport

/// A receiver beside the world's own: a further destination.
final class OtherReceiver {
  private let world: World
  let data: String
  private let flags: [String]
  private(set) var port: UInt16 = 0
  private(set) var child: Child?

  init(_ world: World, name: String = "data-2", flags: [String] = []) throws {
    self.world = world
    self.flags = flags
    data = world.folder + "/" + name
    try start()
  }

  deinit { child?.killAll() }

  var url: String { "http://127.0.0.1:\(port)" }

  /// On the port that it had before, if it had one.
  func start() throws {
    let child = try world.start([Machine.reelfs, "receive", "--listen", "127.0.0.1:\(port)", "--data", data] + flags)
    self.child = child
    try eventually("the other receiver listens: \(child.said)") { child.said.contains("receiving on") || child.exitCode != nil }
    guard let digits = child.said.firstMatch(of: /127\.0\.0\.1:(\d+)/)?.1, let port = UInt16(digits) else {
      throw Failure("no receiver: \(child.said)")
    }
    self.port = port
  }

  func stop(_ signal: Int32 = SIGTERM) throws {
    child?.send(signal)
    _ = try child?.wait()
  }

  /// Where it keeps the whole recording.
  func received(_ name: Path) throws -> Path {
    guard let session = world.attribute("session", of: name) else { throw Failure("\(name) has no session") }
    return Path(data + "/" + session) / Path(name.lastName)
  }

  func isIdentical(_ name: Path) throws -> Bool { try Files.read(world.path(name)) == Files.read(received(name)) }
}

extension World {
  /// What each destination has of a recording, as `user.sync.json` tells it.
  func shares(of name: Path) throws -> [(destination: String, status: String, bytes: Int, error: String?)] {
    guard let text = attribute("json", of: name),
      let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
      let list = object["destinations"] as? [[String: Any]]
    else { return [] }
    return list.map {
      ($0["destination"] as? String ?? "", $0["status"] as? String ?? "", $0["bytes_synced"] as? Int ?? -1, $0["error"] as? String)
    }
  }

  /// The destination that each event names, by type.
  func destinations(ofEvents type: String) throws -> [String?] {
    try Files.read(statusPath("events.jsonl")).split(separator: UInt8(ascii: "\n")).compactMap { line in
      let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
      return object?["type"] as? String == type ? .some(object?["destination"] as? String) : nil
    }
  }
}
