import UploadCore

/// One request on its way: what libcurl's callbacks read and write. Touched by the uploader thread only, which is also
/// where libcurl calls back from.
final class Exchange {
  /// Between two reports of progress of one transfer.
  static let progressInterval = Span.milliseconds(250)

  let id: TransferID
  let request: HTTPRequest
  private let clock: any MonotonicClock
  private var bodyOffset = 0
  private var bytesMoved = 0
  private var bytesSent = 0
  private var reportedAt: Instant
  private let heartbeat: Span?
  private var watch: StallWatch
  private(set) var answer = HTTPAnswer(status: 0)
  private(set) var isEndless = false

  init(_ id: TransferID, _ request: HTTPRequest, clock: any MonotonicClock) {
    self.id = id
    self.request = request
    self.clock = clock
    let now = clock.now
    let patience = Self.patience(with: request)
    self.reportedAt = now
    self.watch = StallWatch(timeout: patience, now: now)
    let isPatient = patience > request.stallTimeout
    self.heartbeat = isPatient ? Span(nanoseconds: request.stallTimeout.nanoseconds / 4) : request.heartbeat
  }

  /// A rate limit makes libcurl pause between whole upload buffers; such a pause is no stall.
  private static func patience(with request: HTTPRequest) -> Span {
    guard let rate = request.bytesPerSecondMax else { return request.stallTimeout }
    let pause = Span.seconds(Int64(2 * EasyHandle.uploadBufferBytes(bytesPerSecondMax: rate) / max(1, rate)))
    return max(request.stallTimeout, pause)
  }

  // What the callbacks do.

  func readBody(into output: UnsafeMutableRawBufferPointer) -> Int {
    guard let body = request.body else { return 0 }
    let count = body.copy(from: bodyOffset, into: output)
    bodyOffset += count
    return count
  }

  /// - Returns: false for an offset outside of the body.
  func seekBody(to offset: Int) -> Bool {
    guard let body = request.body, 0...body.count ~= offset else { return false }
    bodyOffset = offset
    return true
  }

  /// - Returns: false once the answer is longer than any of ours.
  func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard answer.body.count + bytes.count <= HTTPAnswer.bytesMax else {
      isEndless = true
      return false
    }
    answer.body.append(contentsOf: bytes)
    return true
  }

  /// Takes one line of an answer's head. 1xx answers come through here too: each status line starts over.
  func takeHeader(_ line: UnsafeRawBufferPointer) {
    watch.moved(at: clock.now)
    if line.starts(with: "HTTP/".utf8) { answer = HTTPAnswer(status: 0) }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
    let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
    guard answer.headers.count < Self.headersMax else { return }
    let value = line[(colon + 1)...].prefix(Self.headerValueMax).drop { $0 == UInt8(ascii: " ") }
    let text = String(decoding: value.prefix { $0 >= 0x20 && $0 != 0x7f }, as: UTF8.self)
    var end = text.endIndex
    while end > text.startIndex, text[text.index(before: end)] == " " { end = text.index(before: end) }
    answer.headers[name] = String(text[..<end])
  }

  /// Longest header value kept: these are dates, numbers, digests and addresses.
  private static let headerValueMax = 4_096
  /// Headers kept of one answer; servers send some twenty.
  private static let headersMax = 64

  func takeProgress(sent: Int, received: Int) {
    bytesSent = sent
    guard sent + received != bytesMoved else { return }
    bytesMoved = sent + received
    watch.moved(at: clock.now)
  }

  // What the engine asks.

  /// Bytes of the body sent so far, when something moved or a heartbeat is due, and the last report is long enough ago.
  func progressToReport(at now: Instant) -> Int? {
    let hasMoved = watch.lastMoved > reportedAt && now - reportedAt >= Self.progressInterval
    guard hasMoved || heartbeat.map({ now - reportedAt >= $0 }) == true else { return nil }
    reportedAt = now
    return bytesSent
  }

  /// When the engine should look at the exchange although libcurl has nothing to do.
  var nextLook: Instant {
    guard let heartbeat else { return watch.nextLook }
    return min(watch.nextLook, reportedAt + heartbeat)
  }

  func isStalled(at now: Instant, queuedBytes: () -> Int?) -> Bool {
    watch.isStalled(at: now, queuedBytes: queuedBytes)
  }
}
