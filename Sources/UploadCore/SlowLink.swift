import UploadProtocol

/// How many transfers at once a slow link is worth.
///
/// A link is slow when a transfer takes 4 s or more for each mebibyte. There more transfers at once make each of them take
/// longer, and more is lost when the link breaks; but where each connection is slow by itself, they bring more bytes. So it is
/// measured, at 1, 2, 4, 8 … transfers up to `--parallel`: the bytes a second that are stored while as many are under way as
/// may be. From the level in use the next one is tried: a higher one is kept when it brings a tenth more, a lower one when it
/// brings no twentieth less. One that is not kept is followed by a rest of five minutes, or twenty times what the trial took,
/// and then by a trial in the other direction: at most a twentieth of the time is spent on a level that brings less. A link
/// that was slow and then carries 512 KiB/s in one transfer is slow no more.
struct SlowLink: Sendable {
  /// One transfer that was stored.
  struct Receipt: Sendable {
    /// Of the request.
    let number: UInt64
    let bytes: Int
    let started: Instant
    let ended: Instant

    private var milliseconds: Int64 { max(1, (ended - started).nanoseconds / 1_000_000) }
    var isSlow: Bool { milliseconds >= 4_000 * Int64(max(1, ChunkLayout.chunkCount(size: Int64(bytes)))) }
    /// Short ones say little: most of their time is the round trip.
    var isQuick: Bool { bytes >= 256 << 10 && Int64(bytes) >= 512 * milliseconds * 1_024 / 1_000 }
  }

  private static let rest = Span.seconds(300)

  /// In use, or tried.
  var limit: Int { trial ?? level }
  private var level: Int
  private var trial: Int?
  /// Bytes a second that `level` brought.
  private var rate: Int64 = 0
  private var goesUp = true
  private var nextTrial: Instant?

  /// The first receipt of a request from this number on begins the measurement: the link is then as the level makes it.
  private var mark: UInt64
  private var since: Instant?
  private var bytes: Int64 = 0
  private var receipts = 0

  init(level: Int, most parallel: Int, next: UInt64) {
    self.level = min(level, parallel)
    mark = next
  }

  mutating func stored(_ receipt: Receipt, next: UInt64, most parallel: Int) {
    guard let since else {
      if receipt.number >= mark { since = receipt.ended }
      return
    }
    bytes += Int64(receipt.bytes)
    receipts += 1
    guard receipts >= max(4, 2 * limit) else { return }
    let time = receipt.ended - since
    judge(bytes * 1_000 / max(1, time.nanoseconds / 1_000_000), after: time, at: receipt.ended)
    if nextTrial.map({ $0 <= receipt.ended }) ?? true { beginTrial(most: parallel) }
    isDisturbed()
    mark = next
  }

  /// Something else than the number of transfers decides over their speed for a while.
  mutating func isDisturbed() { (since, bytes, receipts) = (nil, 0, 0) }

  private mutating func judge(_ measured: Int64, after time: Span, at now: Instant) {
    guard let trial else { return rate = measured }
    self.trial = nil
    let isKept = trial > level ? measured * 10 >= rate * 11 : measured * 20 >= rate * 19
    if isKept {
      (level, rate, nextTrial) = (trial, measured, nil)
    } else {
      goesUp.toggle()
      nextTrial = now + max(Self.rest, Span(nanoseconds: time.nanoseconds * 20))
    }
  }

  private mutating func beginTrial(most parallel: Int) {
    for _ in 0..<2 {
      let other = goesUp ? min(parallel, level * 2) : max(1, level / 2)
      if other != level { return trial = other }
      goesUp.toggle()
    }
  }
}
