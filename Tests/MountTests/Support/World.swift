import Foundation
import Glibc
import Synchronization
import TestSupport

/// A receiver and a mount of the real program, with all they need in one temporary folder.
final class World: Sendable {
  let folder: String
  var mountpoint: String { folder + "/mnt" }
  var state: String { folder + "/state" }
  /// The receiver's data: `{session}/{name}`.
  let data: String
  private let parts = Mutex(Parts())

  private struct Parts {
    var mount: Child?
    var receiver: Child?
    var port: UInt16 = 0
    var isRemoved = false
    var outputs = 0
  }

  /// Short times, so that nothing waits longer than what it waits for.
  static let quickFlags = [
    "--settle", "0.2", "--max-lag", "1", "--retry-initial", "0.1", "--retry-max", "0.5", "--connection-check-interval",
    "0.5",
  ]

  /// Afterwards a test's time is up and its mount is killed, which ends every call that hangs in it. Longer than several waits of
  /// `patience`: a sanitizer's test is slow, not hung.
  private static let secondsMax = 600

  fileprivate init() throws {
    var template = Array((NSTemporaryDirectory() + "/reelfs-mount-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil, let path = realpath(template, nil) else {
      throw Failure("no temporary folder", code: errno)
    }
    defer { free(path) }
    folder = String(cString: path)
    data = folder + "/data"
    // Other users get in, for the tests that are about them.
    chmod(folder, 0o755)
    mkdir(mountpoint, 0o755)
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Self.secondsMax)) { [weak self] in
      guard let self, let mount else { return }
      FileHandle.standardError.write(Data("\(mountpoint): its time is up, the mount is killed\n".utf8))
      mount.killAll()
    }
  }

  // MARK: Programs

  var mount: Child? { parts.withLock { $0.mount } }
  var receiver: Child? { parts.withLock { $0.receiver } }
  /// Of the receiver.
  var port: UInt16 { parts.withLock { $0.port } }
  var receiverURL: String { "http://127.0.0.1:\(port)" }

  /// Starts `reelfs` with these words. XDG folders are the test's own.
  func start(_ words: [String], environment: [String: String] = [:]) throws -> Child {
    let number = parts.withLock { parts in
      parts.outputs += 1
      return parts.outputs
    }
    let own = [
      "XDG_STATE_HOME": folder + "/xdg-state", "XDG_CONFIG_HOME": folder + "/xdg-config", "MNT": mountpoint,
      "DIR": folder,
    ]
    return try Child(words, environment: own.merging(environment) { $1 }, output: folder + "/output-\(number)")
  }

  /// Starts a receiver, on the port that an earlier one had if there was one. - Throws: unless it listens in time.
  func startReceiver(_ flags: [String] = []) throws {
    let child = try start(
      [Machine.reelfs, "receive", "--listen", "127.0.0.1:\(port)", "--data", data] + flags)
    parts.withLock { $0.receiver = child }
    try eventually("the receiver listens: \(child.said)") { child.said.contains("receiving on") || child.exitCode != nil }
    let digits = child.said.firstMatch(of: /127\.0\.0\.1:(\d+)/)?.1
    guard let digits, let port = UInt16(digits) else { throw Failure("no receiver: \(child.said)") }
    parts.withLock { $0.port = port }
  }

  func stopReceiver(_ signal: Int32 = SIGTERM) throws {
    receiver?.send(signal)
    _ = try receiver?.wait()
  }

  /// Mounts, and returns when the mount is usable.
  /// - Parameters:
  ///   - to: the destination; nil for the receiver that is embedded.
  ///   - prefix: a command that runs the rest, as another user.
  func startMount(
    _ flags: [String] = [], to destination: String?, environment: [String: String] = [:], by prefix: [String] = []
  ) throws {
    let child = try start(
      prefix + [Machine.reelfs, "mount"] + (destination.map { [$0] } ?? []) + [mountpoint, "--state-dir", state]
        + Self.quickFlags + flags, environment: environment)
    parts.withLock { $0.mount = child }
    try eventually("the mount is there") { child.said.contains("recording folder") || child.exitCode != nil }
    if child.exitCode != nil { throw Failure("no mount: \(child.said)") }
  }

  /// Ends the mount as Ctrl-C does. - Returns: its exit code.
  @discardableResult
  func endMount() throws -> Int32? {
    mount?.send(SIGTERM)
    return try mount?.wait()
  }

  /// Nothing of the mount gets a chance to say goodbye.
  func killMount() throws {
    mount?.killAll()
    _ = try? shell("umount -l \"$MNT\"")
    try eventually("the mount is gone") { try !Self.mountTable().contains(" \(mountpoint) ") }
  }

  static func mountTable() throws -> String { try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8) }

  // MARK: Commands

  /// Runs a shell script, with the mountpoint as $MNT and the folder as $DIR. - Returns: exit code and output.
  @discardableResult
  func run(_ script: String) throws -> (code: Int32, output: String) {
    let child = try start(["/bin/sh", "-c", script])
    do {
      return (try child.wait(), child.said)
    } catch {
      child.killAll()
      throw Failure("\(script): \(error): \(child.said)")
    }
  }

  /// The same; throws when the script fails. - Returns: its output.
  @discardableResult
  func shell(_ script: String) throws -> String {
    let (code, output) = try run(script)
    guard code == 0 else { throw Failure("exit code \(code) of: \(script)\n\(output)") }
    return output
  }

  /// Runs `reelfs` with these words.
  func reelfs(_ words: String...) throws -> (code: Int32, output: String) {
    let child = try start([Machine.reelfs] + words)
    return (try child.wait(), child.said)
  }

  // MARK: Recordings

  /// A path in the mount.
  func path(_ name: Path) -> Path { Path(mountpoint) / name }
  func statusPath(_ name: Path) -> Path { Path(mountpoint + "/.status") / name }

  /// nil when there is none.
  func attribute(_ name: String, of recording: Path) -> String? {
    try? Files.attribute("user.sync." + name, of: path(recording))
  }
  func number(_ name: String, of recording: Path) -> Int { attribute(name, of: recording).flatMap { Int($0) } ?? -1 }

  func waitUntilSynced(_ names: Path..., seconds: Int = patience) throws {
    for name in names { try wait(for: "synced", of: name, seconds: seconds) }
  }

  func wait(for status: String, of name: Path, seconds: Int = patience) throws {
    do {
      try eventually("\(name) is \(status)", seconds: seconds) { attribute("status", of: name) == status }
    } catch {
      throw Failure("\(error); it is \(attribute("json", of: name) ?? "gone"); the mount said:\n\(mount?.said ?? "")")
    }
  }

  /// Where the receiver keeps the whole recording.
  func received(_ name: Path) throws -> Path {
    guard let session = attribute("session", of: name) else { throw Failure("\(name) has no session") }
    return Path(data + "/" + session) / Path(name.lastName)
  }

  /// Whether the receiver's copy is the mount's, byte by byte; says what differs.
  func isIdentical(_ name: Path) throws -> Bool {
    let (here, there) = (try Files.read(path(name)), try Files.read(received(name)))
    if here == there { return true }
    let place = zip(here, there).enumerated().first { $1.0 != $1.1 }?.offset
    print("\(name): \(here.count) bytes here, \(there.count) there, the first that differs is \(place ?? -1)")
    return false
  }

  // MARK: Events

  struct Event {
    let id: Int
    let type: String
    let session: String?
    let chunk: Int?
    let error: String?
  }

  func events() throws -> [Event] {
    try Files.read(statusPath("events.jsonl")).split(separator: UInt8(ascii: "\n")).map { line in
      guard let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any],
        let id = object["id"] as? Int, let type = object["type"] as? String
      else { throw Failure("no event: \(String(decoding: line, as: UTF8.self))") }
      return Event(
        id: id, type: type, session: object["sessionId"] as? String, chunk: object["chunkId"] as? Int,
        error: object["error"] as? String)
    }
  }

  /// Waits until such an event is told, which is a moment after the journal, and so an attribute, has what it is about.
  func waitUntilTold(_ type: String, where isMeant: (Event) -> Bool = { _ in true }) throws {
    try eventually("\(type) is told") { try events().contains { $0.type == type && isMeant($0) } }
  }

  /// How often each chunk of a recording was uploaded.
  func uploads(of name: Path) throws -> [Int: Int] {
    let session = attribute("session", of: name)
    return try events().reduce(into: [:]) { counts, event in
      if event.type == "CHUNK_UPLOADED", event.session == session, let chunk = event.chunk { counts[chunk, default: 0] += 1 }
    }
  }

  // MARK: Cleaning up

  fileprivate func remove() {
    mount?.killAll()
    receiver?.killAll()
    _ = try? run("umount -l \"$MNT\"; exit 0")
    // Never into a mount that is still there.
    if let table = try? Self.mountTable(), !table.contains(" \(folder)/") {
      // Not `run`: its output file would be in the folder.
      _ = try? Child(["rm", "-rf", "--one-file-system", folder], output: "/dev/null").wait()
    }
  }
}

/// Runs `body` with a folder of its own, in which nothing runs yet; ends and removes everything afterwards.
func withWorld(_ body: (World) throws -> Void) async throws {
  try await withTaskExecutorPreference(MountThreads.shared) {
    let world = try World()
    defer { world.remove() }
    try body(world)
  }
}

/// The same with a receiver, and a mount that uploads to it.
func withMount(_ flags: String..., body: (World) throws -> Void) async throws {
  try await withWorld { world in
    try world.startReceiver()
    try world.startMount(flags, to: world.receiverURL)
    try body(world)
  }
}
