/// Which run of chunks of one recording may be sent next, where the destination does not take single chunks.
///
/// A chunk may travel only while its bytes stand still, so a run is ready when all its chunks are sealed and none of
/// them is on its way. The last sealed chunk of a recording that is still open counts as growing.
struct RunPlanner: Sendable {
  private(set) var geometry: TransferGeometry
  /// Sealed and not reopened since: pending, on their way, or stored.
  private(set) var sealed = PendingRanges()
  /// On their way.
  private(set) var leased = PendingRanges()
  private(set) var isFinished = false
  /// Parts that may be sent now. Kept up to date chunk by chunk, so that asking costs nothing.
  private var readyParts = PendingRanges()
  /// How often what had been appended was lost or changed: after `rollbacksMax` times it waits for the close, or a
  /// recorder that keeps rewriting its middle would be sent again and again.
  private var rollbacks = 0
  private static let rollbacksMax = 2

  init(_ geometry: TransferGeometry) { self.geometry = geometry }

  init(_ geometry: TransferGeometry, sealed: [Range<Int>], isFinished: Bool, pending: PendingRanges) {
    self.geometry = geometry
    self.sealed = PendingRanges(sealed)
    self.isFinished = isFinished
    judgeAll(pending)
  }

  /// Chunks up to the last sealed one.
  var end: Int { sealed.end }

  /// The run to send next; nil: none is ready.
  func next(_ pending: PendingRanges) -> Range<Int>? {
    switch geometry {
    case .chunks, .undiscovered: return nil
    case .parts(let layout, _):
      guard let part = readyParts.first else { return nil }
      return layout.chunks(ofPart: part).clamped(to: 0..<end)
    case .appended(let head, let runMax, let waitsForClose):
      let mayStart = isFinished || !(waitsForClose || rollbacks > Self.rollbacksMax)
      guard mayStart, leased.isEmpty, let run = pending.firstRange(from: head) else { return nil }
      let limit = min(run.upperBound, run.lowerBound + runMax, isFinished ? end : end - 1)
      guard run.lowerBound < limit, sealed.contains(head..<run.lowerBound) else { return nil }
      return run.lowerBound..<limit
    }
  }

  /// All of a closed recording fits into its completion.
  var fitsIntoCompletion: Bool {
    switch geometry {
    case .parts(_, let wholeChunksMax): isFinished && end <= wholeChunksMax
    case .chunks, .appended, .undiscovered: false
    }
  }

  /// Chunks that need no run of their own once the recording is closed.
  var chunksOfCompletion: Int {
    if case .appended(let head, _, _) = geometry { head } else { 0 }
  }

  /// Chunks whose bytes travel with the completion.
  var chunksWithCompletion: Int { fitsIntoCompletion ? end : min(end, chunksOfCompletion) }

  // MARK: What happens

  /// The destination has said what it takes.
  mutating func adopt(_ geometry: TransferGeometry, _ pending: PendingRanges) {
    guard geometry != self.geometry else { return }
    self.geometry = geometry
    judgeAll(pending)
  }

  mutating func sealed(_ index: Int, _ pending: PendingRanges) {
    let oldEnd = end
    sealed.insert(index)
    judge(index..<index + 1, pending)
    // The recording has grown past what was its growing end.
    if end > oldEnd { judge(max(0, oldEnd - 1)..<oldEnd, pending) }
  }

  mutating func reopened(_ index: Int, _ pending: PendingRanges) {
    sealed.remove(index)
    isFinished = false
    judgeEnds(pending)
    judge(index..<index + 1, pending)
  }

  mutating func truncated(to count: Int, _ pending: PendingRanges) {
    let oldEnd = end
    sealed.removeAll(from: count)
    isFinished = false
    judge(count..<max(count, oldEnd), pending)
    judgeEnds(pending)
  }

  mutating func finished(_ isFinished: Bool, _ pending: PendingRanges) {
    self.isFinished = isFinished
    judgeEnds(pending)
  }

  mutating func leased(_ run: Range<Int>, _ pending: PendingRanges) {
    leased.insert(run)
    judge(run, pending)
  }

  mutating func released(_ run: Range<Int>, _ pending: PendingRanges) {
    for index in run { leased.remove(index) }
    judge(run, pending)
  }

  /// `pending` changed by other means between `run`'s ends.
  mutating func changed(_ run: Range<Int>, _ pending: PendingRanges) { judge(run, pending) }

  mutating func rolledBack() { rollbacks += 1 }

  // MARK: Parts

  private mutating func judgeAll(_ pending: PendingRanges) {
    readyParts = PendingRanges()
    judge(0..<end, pending)
  }

  /// The first part and the last, which depend on whether the recording is closed.
  private mutating func judgeEnds(_ pending: PendingRanges) {
    judge(0..<min(1, end), pending)
    judge(max(0, end - 1)..<end, pending)
  }

  private mutating func judge(_ chunks: Range<Int>, _ pending: PendingRanges) {
    guard case .parts(let layout, _) = geometry, !chunks.isEmpty else { return }
    for part in layout.part(of: chunks.lowerBound)...layout.part(of: chunks.upperBound - 1) {
      if isReady(part, layout, pending) { readyParts.insert(part) } else { readyParts.remove(part) }
    }
  }

  private func isReady(_ part: Int, _ layout: PartLayout, _ pending: PendingRanges) -> Bool {
    let whole = layout.chunks(ofPart: part)
    let run = whole.clamped(to: 0..<end)
    guard !run.isEmpty, isFinished || (part > 0 && whole.upperBound < end) else { return false }
    return pending.intersects(run) && sealed.contains(run) && !leased.intersects(run)
  }
}
