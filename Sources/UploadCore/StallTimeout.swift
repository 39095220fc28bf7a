import UploadProtocol

/// How long a transfer of chunks may move no byte before it is given up: what destination and link have shown, at most
/// `--upload-timeout`.
///
/// - It is four times the longest silence after which a transfer went on or was answered, within the last ten to twenty
///   minutes, and at least `least`. Silence is the time between two moments at which bytes moved, from the start to the answer,
///   so a receiver that syncs slowly or a store that answers late is given the time that it takes.
/// - What carries a chunk again that was given up has the whole `--upload-timeout`: it may have been slow, not lost.
/// - Until `answersMin` transfers have been stored within that time nothing is known, and `--upload-timeout` holds.
///
/// So no chunk is given up too early twice within ten minutes: whoever answers within `--upload-timeout` is never cut off again
/// and again, and the answer makes the timeout longer for everybody.
///
/// Only for requests that carry chunks. Announcing and completing always have the configured time: what a server does
/// then says nothing of chunks, nor the other way around. Constant time for each event and chunk.
struct StallTimeout: Sendable {
  /// As long as a probe may take. A TCP connection that lost all it sent for seven seconds sends again within thirteen.
  static let least = Connection.probeTimeout
  /// Of one of two windows; the older one counts until the younger is full.
  static let windowLength = Span.seconds(600)
  static let answersMin = 8
  /// So many chunks that were given up are known; with more of them, `--upload-timeout` holds for all.
  static let givenUpMax = 1_024
  /// What is written to a socket at once under a rate limit, and pauses: its time comes on top.
  private static let limitedBytes = 128 << 10

  private struct Window {
    var longest = Span.zero
    var answers = 0
    /// Given up, and not stored since.
    var givenUp: Set<ChunkID> = []
  }

  private var current = Window()
  private var previous = Window()
  private var since: Instant?

  /// Forgets what is too old. Before everything else of a turn.
  mutating func roll(to now: Instant) {
    guard let since else { return self.since = now }
    let age = now - since
    guard age >= Self.windowLength else { return }
    previous = age >= Self.windowLength + Self.windowLength ? Window() : current
    current = Window()
    self.since = now
  }

  /// A transfer moved no byte for `span`, and then it went on or was answered.
  mutating func ended(_ span: Span) { current.longest = max(current.longest, span) }

  mutating func stored(_ chunks: Range<Int>, of session: SessionID) {
    current.answers += 1
    guard givenUpCount > 0 else { return }
    for chunk in chunks.map({ ChunkID(session, $0) }) {
      current.givenUp.remove(chunk)
      previous.givenUp.remove(chunk)
    }
  }

  mutating func gaveUp(_ chunks: Range<Int>, of session: SessionID) {
    guard givenUpCount < Self.givenUpMax else { return }
    for index in chunks { current.givenUp.insert(ChunkID(session, index)) }
  }

  func wasGivenUp(_ chunks: Range<Int>, of session: SessionID) -> Bool {
    guard givenUpCount > 0 else { return false }
    return chunks.contains { index in
      let chunk = ChunkID(session, index)
      return current.givenUp.contains(chunk) || previous.givenUp.contains(chunk)
    }
  }

  private var givenUpCount: Int { current.givenUp.count + previous.givenUp.count }

  /// - Parameters:
  ///   - most: `--upload-timeout`.
  ///   - bytesPerSecond: the limit in force, at which a transfer pauses between writes.
  func timeout(most: Span, bytesPerSecond: Int?) -> Span {
    guard current.answers + previous.answers >= Self.answersMin, givenUpCount < Self.givenUpMax else { return most }
    let longest = min(max(current.longest, previous.longest), most)
    let pause = bytesPerSecond.map { Int64(Self.limitedBytes) * 1_000_000_000 / Int64($0) } ?? 0
    return min(most, Span(nanoseconds: max(Self.least.nanoseconds, 4 * longest.nanoseconds) + pause))
  }
}

extension UploadScheduler {
  /// Of transfers of chunks, at present.
  var stallTimeout: Span { silences.timeout(most: policy.uploadTimeout, bytesPerSecond: limiter.bytesPerSecond) }

  func stallTimeout(of transfer: InFlight) -> Span {
    switch transfer.request {
    case .chunk, .run: transfer.wasGivenUp ? policy.uploadTimeout : stallTimeout
    case .announce, .complete, .recordings: policy.uploadTimeout
    case .probe: min(policy.uploadTimeout, Connection.probeTimeout)
    }
  }

  /// How link and destination are, by how `attempt` ended.
  mutating func learn(from attempt: UploadAttempt?, _ transfer: InFlight) {
    guard let attempt, attempt.ending.isAnswer else { return }
    silenceEnded(of: transfer)
    switch attempt.ending {
    case .stored, .announced, .completed, .advanced:
      connection.spacing.succeeded(
        took: attempt.ending == .stored && !transfer.request.chunks.isEmpty ? attempt.duration : nil, parallel: policy.parallel)
    default: break
    }
    guard attempt.ending == .stored, !transfer.request.chunks.isEmpty else { return }
    silences.stored(transfer.request.chunks, of: attempt.session)
    connection.window.stored(
      SlowLink.Receipt(number: transfer.id.number, bytes: attempt.bytes, started: transfer.started, ended: now),
      next: nextTransfer, most: policy.parallel)
  }

  /// A transfer went on, or was answered.
  mutating func silenceEnded(of transfer: InFlight) {
    if !transfer.request.chunks.isEmpty { silences.ended(now - transfer.lastProgress) }
  }
}
