import CCurl
import Glibc
package import UploadCore

/// Carries several HTTP requests at once over one libcurl multi handle with reused connections. It knows nothing of what
/// they mean. Belongs to one thread; only `wakeHandle` may be used from others.
package final class HTTPEngine {
  package enum Event {
    /// The request is alive. Bytes of its body sent so far: the same as before when only the kernel or the answer moved,
    /// less when libcurl had to begin again.
    case progressed(TransferID, bytes: Int)
    case finished(TransferID, HTTPResult)
  }

  package struct Configuration {
    /// Requests at once, and connections kept. The caller keeps to it.
    package var parallel: Int
    /// PEM file with the authorities to trust in place of the system's.
    package var caFile: String?
    /// Hosts to reach without the proxy that the environment names; nil: as the environment says.
    package var noProxy: String?
    /// A connection whose bytes are not acknowledged for so long ends.
    package var unacknowledgedMax: Span

    package init(parallel: Int, unacknowledgedMax: Span, caFile: String? = nil, noProxy: String? = nil) {
      self.parallel = parallel
      self.unacknowledgedMax = unacknowledgedMax
      self.caFile = caFile
      self.noProxy = noProxy
    }
  }

  /// Longest single wait, so that a missed wake could never be for ever.
  private static let waitMillisecondsMax: Int64 = 60_000

  /// News that come thick and fast, as of many small files, are then dealt with together, in one turn and one transaction.
  private static let wakeSpacing = Span.milliseconds(4)

  package let wakeHandle: WakeHandle
  private let multi: UnsafeMutableRawPointer
  private let configuration: Configuration
  private let clock: any MonotonicClock
  private let sockets: SocketTable
  private var active: [TransferID: EasyHandle] = [:]
  /// At most `parallel` of them: each holds an upload buffer's worth of memory while in use, little when idle.
  private var idle: [EasyHandle] = []
  /// Set by an exchange without an answer until the next answer: connections of the time before are probably as dead,
  /// and finding that out for each would take a timeout each.
  private var distrustsOldConnections = false
  /// Requests that libcurl would not even take; reported by the next poll.
  private var refused: [Event] = []
  /// When the last poll ended.
  private var lastReturn = Instant(nanoseconds: 0)

  package init(_ configuration: Configuration, clock: any MonotonicClock) throws(DestinationError) {
    guard CurlGlobal.isReady, let multi = curl_multi_init() else { throw .libraryUnavailable }
    self.multi = multi
    self.configuration = configuration
    self.clock = clock
    self.sockets = SocketTable(unacknowledgedMax: configuration.unacknowledgedMax)
    self.wakeHandle = WakeHandle(multi)
    ccurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
    ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, configuration.parallel)
  }

  deinit {
    wakeHandle.detach()
    for handle in active.values { curl_multi_remove_handle(multi, handle.easy) }
    active.removeAll()
    idle.removeAll()
    // Closes the last connections, through `sockets`.
    withExtendedLifetime(sockets) { _ = curl_multi_cleanup(multi) }
  }

  package func start(_ id: TransferID, _ request: HTTPRequest) {
    guard let handle = idle.popLast() ?? EasyHandle() else {
      refused.append(.finished(id, .failed(code: CURLE_OUT_OF_MEMORY.rawValue, "no memory for a request")))
      return
    }
    let exchange = Exchange(id, request, clock: clock)
    handle.prepare(for: exchange, sockets, caFile: configuration.caFile, noProxy: configuration.noProxy)
    if distrustsOldConnections { ccurl_set_long(handle.easy, CURLOPT_FRESH_CONNECT, 1) }
    let code = curl_multi_add_handle(multi, handle.easy)
    guard code == CURLM_OK else {
      let reason = String(cString: curl_multi_strerror(code))
      refused.append(.finished(id, .failed(code: CURLE_FAILED_INIT.rawValue, reason)))
      return handle.reset()
    }
    active[id] = handle
  }

  /// Ends the request at once; nothing is reported of it afterwards. An unknown id is ignored.
  package func cancel(_ id: TransferID) {
    guard let handle = active.removeValue(forKey: id) else {
      refused.removeAll { event in if case .finished(id, _) = event { true } else { false } }
      return
    }
    abandon(handle)
  }

  /// Waits until something is to be reported, somebody calls `wake()`, or `deadline` (nil: for ever). A wake ends it no sooner
  /// than some milliseconds after the last one ended.
  package func poll(until deadline: Instant?) -> [Event] {
    defer {
      lastReturn = clock.now
      // Before the caller looks for what it was woken for.
      wakeHandle.lower()
    }
    let wakesFrom = lastReturn + Self.wakeSpacing
    while true {
      var running: Int32 = 0
      // A failure here shows in the transfers: they stall or fail.
      curl_multi_perform(multi, &running)
      let now = clock.now
      let events = takeRefused() + takeFinished() + takeStalledAndProgress(at: now)
      let isWoken = wakeHandle.isUp
      let end = isWoken ? min(wakesFrom, deadline ?? wakesFrom) : deadline
      if !events.isEmpty || end.map({ now >= $0 }) ?? false { return events }
      wait(until: end, now: now)
    }
  }

  private func wait(until deadline: Instant?, now: Instant) {
    let looks = active.values.compactMap { $0.exchange?.nextLook }
    let next = (looks + [deadline].compactMap { $0 }).min()
    let rest = next.map { max(0, ($0 - now).nanoseconds) } ?? Int64.max
    // Rounded up: waking a fraction too early would spin.
    let milliseconds = min(Self.waitMillisecondsMax, rest / 1_000_000 + (rest % 1_000_000 > 0 ? 1 : 0))
    guard curl_multi_poll(multi, nil, 0, Int32(milliseconds), nil) == CURLM_OK else {
      // Only out of memory or descriptors: a short sleep keeps this loop from spinning until there are some.
      usleep(100_000)
      return
    }
  }

  private func takeRefused() -> [Event] {
    defer { refused.removeAll() }
    return refused
  }

  private func takeFinished() -> [Event] {
    var events: [Event] = []
    var remaining: Int32 = 0
    while let message = curl_multi_info_read(multi, &remaining) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
      // The message dies with the next call on the multi handle.
      let code = message.pointee.data.result
      guard let (id, handle) = active.first(where: { $0.value.easy == easy }) else { continue }
      let result = Self.result(of: handle, code)
      if case .answered = result { distrustsOldConnections = false } else { distrustsOldConnections = true }
      events.append(.finished(id, result))
      active[id] = nil
      recycle(handle)
    }
    return events
  }

  private func takeStalledAndProgress(at now: Instant) -> [Event] {
    var events: [Event] = []
    for (id, handle) in active {
      guard let exchange = handle.exchange else { continue }
      if exchange.isStalled(at: now, queuedBytes: { sockets.queuedBytes(localPort: handle.localPort) }) {
        events.append(.finished(id, .stalled(exchange.request.stallTimeout)))
        active[id] = nil
        distrustsOldConnections = true
        abandon(handle)
      } else if let bytes = exchange.progressToReport(at: now) {
        events.append(.progressed(id, bytes: bytes))
      }
    }
    return events
  }

  /// Refusals that say everything by their status. A server may send one and close before it has read the body; then the
  /// status has arrived although the exchange failed.
  private static let earlyRefusals: Set<Int> = [401, 403, 413, 429, 503, 507]

  /// Any other 4xx says by its body what is wrong (S3's 404 may be the bucket or the upload), so that must have arrived.
  private static func isWholeRefusal(_ answer: HTTPAnswer) -> Bool {
    400..<500 ~= answer.status && !answer.body.isEmpty && answer.headers["content-length"] == String(answer.body.count)
  }

  private static func result(of handle: EasyHandle, _ code: CURLcode) -> HTTPResult {
    guard let exchange = handle.exchange else { return .failed(code: code.rawValue, "no exchange") }
    var answer = exchange.answer
    answer.status = handle.status
    if code == CURLE_OK || earlyRefusals.contains(answer.status) || isWholeRefusal(answer) { return .answered(answer) }
    if exchange.isEndless { return .endless }
    return .failed(code: code.rawValue, handle.message(for: code))
  }

  /// Ends an exchange in the middle, and its connection.
  private func abandon(_ handle: EasyHandle) {
    sockets.dropUnsentBytes(localPort: handle.localPort)
    recycle(handle)
  }

  private func recycle(_ handle: EasyHandle) {
    curl_multi_remove_handle(multi, handle.easy)
    handle.reset()
    if idle.count < configuration.parallel { idle.append(handle) }
  }
}
