/// Room between the starts of two requests, once the destination has refused to take more (429, 503 with Retry-After). One
/// request at a time is still too many when ten thousand machines share a receiver, so what shrinks is the rate:
///
/// - The first refusal makes it twice as long as requests were apart of late, at most `retryInitial`; each further one doubles
///   it, up to a fifth of `retryMax`. Refusals of requests that were in flight together count once.
/// - Each success takes a 48th away, but for the first after a refusal: under a load that stays, one request in some twenty is
///   refused.
/// - Two transfers in a row that are stored about as quickly as the quickest of late halve it: nobody waits there any more.
/// - Room that `--parallel` requests side by side have anyway is none.
///
/// Each start is moved by up to half of the room, by chance: machines that were refused together do not come back together. A
/// machine alone that is told once to slow down goes on at half its speed, and is soon back at all of it. Constant memory,
/// constant time for each event.
struct RequestSpacing: Sendable {
  /// Less is a round trip, and not worth waiting for.
  static let least = Span.milliseconds(20)
  private static let decay: Int64 = 48
  /// The quickest is forgotten by a 256th with each transfer: links change.
  private static let forgetting: Int64 = 256

  /// nil: requests go as they come.
  private(set) var room: Span?
  /// Nothing is started before.
  private(set) var nextStart: Instant?
  /// Requests below this number had started when it was refused last.
  private var mark: UInt64 = 0
  private var lastStart: Instant?
  /// Between two starts, smoothed.
  private var usual: Span?
  /// A refusal, and no success since.
  private var wasRefused = false
  private var quickest: Span?
  private var isQuick = false

  func mayStart(at now: Instant) -> Bool { nextStart.map { $0 <= now } ?? true }

  mutating func started(at now: Instant, using generator: inout some RandomNumberGenerator) {
    if let lastStart {
      let last = (now - lastStart).nanoseconds
      usual = Span(nanoseconds: usual.map { $0.nanoseconds + (last - $0.nanoseconds) / 8 } ?? last)
    }
    lastStart = now
    keepRoom(from: now, using: &generator)
  }

  /// - Parameters:
  ///   - number: of the request.
  ///   - next: that the next one will have.
  mutating func refused(
    _ number: UInt64, next: UInt64, policy: UploadPolicy, at now: Instant, using generator: inout some RandomNumberGenerator
  ) {
    guard number >= mark else { return }
    mark = next
    (wasRefused, isQuick) = (true, false)
    let longest = max(policy.retryInitial, Span(nanoseconds: policy.retryMax.nanoseconds / 5))
    let doubled = (room ?? usual).map { $0 + $0 } ?? policy.retryInitial
    room = max(Self.least, min(doubled, room == nil ? policy.retryInitial : longest))
    keepRoom(from: now, using: &generator)
  }

  /// - Parameter took: from start to receipt, of a transfer of chunks.
  mutating func succeeded(took: Span?, parallel: Int) {
    let wasQuick = isQuick
    if let took { measure(took) }
    guard let old = room?.nanoseconds else { return }
    guard !wasRefused else { return wasRefused = false }
    let new = Span(nanoseconds: wasQuick && isQuick ? old / 2 : old - old / Self.decay)
    let isNone = new <= max(Self.least, Span(nanoseconds: (took ?? .zero).nanoseconds / Int64(parallel)))
    if isNone { forget() } else { room = new }
  }

  /// Somebody asks for it, or all is well: requests go as they come.
  mutating func forget() { (room, nextStart, wasRefused) = (nil, nil, false) }

  private mutating func measure(_ took: Span) {
    let known = quickest.map { min(took, Span(nanoseconds: $0.nanoseconds + $0.nanoseconds / Self.forgetting)) } ?? took
    quickest = known
    isQuick = took.nanoseconds <= known.nanoseconds + known.nanoseconds / 2
  }

  private mutating func keepRoom(from now: Instant, using generator: inout some RandomNumberGenerator) {
    guard let room else { return }
    let half = room.nanoseconds / 2
    nextStart = now + Span(nanoseconds: room.nanoseconds + Int64.random(in: -half...half, using: &generator))
  }
}
