internal import HTTPTypes
public import Hummingbird
internal import NIOCore

/// Server-sent events of a page: while somebody listens it looks at the source, and tells each listener what has changed.
///
/// One look serves all listeners. A listener takes its frames when it is ready for them, so a slow one costs no memory.
public actor LiveFeed {
  /// Pages open at once; more are told to come again.
  public static let listenersMax = 16
  /// Between two looks at least: what a person can follow.
  static let interval = Duration.seconds(1)
  /// Looking takes at most a tenth of the time, however much there is to look at.
  static let restPerLook = 9
  /// A sign of life at least so often, so that "as of" is never old and a page can tell a dead connection.
  static let quiet = Duration.seconds(5)

  private let source: @Sendable () async throws -> PageSnapshot
  private var history: LiveHistory
  private var trouble: String?
  private var lastFrame = ContinuousClock.now
  private var listeners = 0
  private var isLooking = false
  private var isStopped = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// - Parameter source: looks; its error's text is shown on the page.
  public init(source: @escaping @Sendable () async throws -> PageSnapshot) {
    self.source = source
    history = LiveHistory(epoch: String(UInt64.random(in: 0...UInt64.max), radix: 36))
  }

  /// - Returns: the stream; nil when there are too many listeners, or the server is ending.
  public func response(to request: Request) -> Response? {
    guard listeners < Self.listenersMax, !isStopped else { return nil }
    var headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
    headers[.accelBuffering] = "no"
    PageHeaders.add(to: &headers)
    let seen = request.headers[.lastEventID]
    return Response(
      status: .ok, headers: headers,
      body: ResponseBody { writer in
        // Counted only now: a body that is never written would never be uncounted.
        guard await self.enter() else { return try await writer.finish(nil) }
        do {
          // A comment at once: the page knows that it is connected.
          try await writer.write(ByteBuffer(string: ": reelfs\nretry: 2000\n\n"))
          var place = Place(seen: seen)
          while let (bytes, next) = await self.next(after: place) {
            try await writer.write(ByteBuffer(bytes: bytes))
            place = next
          }
        } catch {
          await self.leave()
          throw error
        }
        await self.leave()
        try await writer.finish(nil)
      })
  }

  /// Whether anybody listens.
  public var isHeard: Bool { listeners > 0 }

  /// Ends all streams, so that the server can end.
  public func stop() {
    isStopped = true
    wakeAll()
  }

  private func enter() -> Bool {
    guard listeners < Self.listenersMax, !isStopped else { return false }
    listeners += 1
    if !isLooking {
      isLooking = true
      Task { await look() }
    }
    return true
  }

  private func leave() { listeners -= 1 }

  /// How far a listener has been told.
  private struct Place: Sendable {
    var seen: String?
    var trouble: String?
    var at = ContinuousClock.now

    init(seen: String?) { self.seen = seen }
  }

  /// Waits until there is something to tell. - Returns: nil when the feed is stopped.
  private func next(after place: Place) async -> (bytes: [UInt8], place: Place)? {
    var place = place
    while !isStopped {
      var (bytes, seen) = history.frames(after: place.seen)
      place.seen = seen
      if trouble != place.trouble {
        place.trouble = trouble
        bytes += Array("event: trouble\ndata: \(Self.quoted(trouble))\n\n".utf8)
      }
      if bytes.isEmpty, place.at.duration(to: .now) >= Self.quiet { bytes = Array(": quiet\n\n".utf8) }
      if !bytes.isEmpty {
        place.at = .now
        return (bytes, place)
      }
      await withCheckedContinuation { waiting.append($0) }
    }
    return nil
  }

  private func look() async {
    while listeners > 0, !isStopped {
      let begin = ContinuousClock.now
      do {
        let snapshot = try await source()
        trouble = nil
        let number = history.last
        history.advance(to: snapshot, tellsTime: lastFrame.duration(to: .now) >= Self.quiet)
        if history.last != number { lastFrame = .now }
      } catch {
        trouble = "\(error)"
      }
      wakeAll()
      let rest = max(Self.interval, begin.duration(to: .now) * Self.restPerLook)
      try? await Task.sleep(for: rest)
    }
    isLooking = false
    wakeAll()
  }

  private func wakeAll() {
    let woken = waiting
    waiting = []
    for continuation in woken { continuation.resume() }
  }

  /// A JSON string, or null.
  private static func quoted(_ text: String?) -> String {
    guard let text else { return "null" }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _ where scalar.value < 0x20: quoted += " "
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

extension HTTPField.Name {
  static let accelBuffering = HTTPField.Name("X-Accel-Buffering")!
  static let lastEventID = HTTPField.Name("Last-Event-ID")!
}
