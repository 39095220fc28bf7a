import Dispatch
import Foundation
import PageServing
import SyncStatus
import UploadProtocol

/// The mount's `.status`, read and written as any program of its user does. A mount whose worker is being replaced makes
/// callers wait, so the calls are made on threads of their own.
struct StatusFolder: Sendable {
  private let mountpoint: String
  private let path: String
  private let threads = DispatchQueue(label: "reelfs.page.status", attributes: .concurrent)
  private let open: Budget

  /// Recordings on a page: more than a person looks through, and what a browser draws at ease.
  private static let recordingsMax = 2_000

  /// Calls at once; each holds a thread while the mount does not answer.
  private static let callsMax = 8

  init(mountpoint: String) {
    self.mountpoint = mountpoint
    path = mountpoint + "/.status"
    open = Budget(Self.callsMax)
  }

  func snapshot() async throws(PageRefusal) -> PageSnapshot {
    let bytes = try await read("sessions.json")
    guard let parts = SessionsPage.Parts(bytes) else {
      throw .mount("The mount's sessions.json cannot be read: is it another version of reelfs?")
    }
    return PageSnapshot(time: parts.time, head: named(parts.head), items: parts.mostUrgent(Self.recordingsMax))
  }

  /// With the mount's name in front: a JSON object.
  private func named(_ head: [UInt8]) -> [UInt8] {
    var json = JSONText()
    json.beginObject()
    json.add("mountpoint", mountpoint)
    return json.bytes + [UInt8(ascii: ",")] + head.dropFirst()
  }

  func chunkMap(of session: SessionID) async throws(PageRefusal) -> [UInt8] {
    try await read("\(session).chunks", missing: .notFound)
  }

  func metrics() async throws(PageRefusal) -> [UInt8] { try await read("metrics") }

  /// One write of all lines: carried out as a whole, or not at all.
  func control(_ lines: [UInt8]) async throws(PageRefusal) {
    let file = path + "/control"
    let error: Int32? = try await call {
      let descriptor = Glibc.open(file, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return errno }
      defer { close(descriptor) }
      return Glibc.write(descriptor, lines, lines.count) == lines.count ? nil : errno
    }
    switch error {
    case nil: return
    case EINVAL: throw .badCommand("The mount does not understand this command.")
    case ENOENT: throw .badCommand("The mount knows no such recording.")
    case let number?: throw .mount("The mount did not take the command: \(String(cString: strerror(number)))")
    }
  }

  private func read(_ name: String, missing: PageRefusal? = nil) async throws(PageRefusal) -> [UInt8] {
    let file = path + "/" + name
    let result: Result<[UInt8], StatusFailure> = try await call {
      let descriptor = Glibc.open(file, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return .failure(StatusFailure(number: errno)) }
      defer { close(descriptor) }
      var bytes: [UInt8] = []
      var block = [UInt8](repeating: 0, count: 128 << 10)
      while true {
        let count = Glibc.read(descriptor, &block, block.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { return .failure(StatusFailure(number: errno)) }
        if count == 0 { return .success(bytes) }
        bytes += block[..<count]
      }
    }
    switch result {
    case .success(let bytes): return bytes
    case .failure(let failure):
      if failure.number == ENOENT, let missing { throw missing }
      throw .mount("The mount does not answer: \(String(cString: strerror(failure.number)))")
    }
  }

  private struct StatusFailure: Error {
    let number: Int32
  }

  private func call<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws(PageRefusal) -> Value {
    guard open.take() else { throw .mount("The mount does not answer: other questions are waiting already.") }
    defer { open.release() }
    return await withCheckedContinuation { continuation in
      threads.async { continuation.resume(returning: body()) }
    }
  }
}
