import CCurl
import UploadCore

/// One libcurl easy handle, used for one exchange after the other. Uploader thread only.
final class EasyHandle {
  /// Idle connections older than this are not used again: load balancers drop them after 60 s without a word.
  private static let idleSecondsMax = 50
  private static let connectSecondsMax = 10
  private static let keepAliveIdleSeconds = 30
  private static let keepAliveIntervalSeconds = 10

  let easy: UnsafeMutableRawPointer
  private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
  private var headerList: UnsafeMutablePointer<curl_slist>?
  /// The exchange it carries. libcurl holds an unretained pointer to it, so it stays here until `reset()`.
  private(set) var exchange: Exchange?

  init?() {
    guard let easy = curl_easy_init() else { return nil }
    self.easy = easy
    errorText[0] = 0
  }

  deinit {
    curl_easy_cleanup(easy)
    curl_slist_free_all(headerList)
    errorText.deallocate()
  }

  /// 512 KiB was the fastest size measured on a fast link; under a rate limit a tenth of a second's worth, because the
  /// limit is overshot by one buffer. libcurl takes 16 KiB to 2 MiB.
  static func uploadBufferBytes(bytesPerSecondMax: Int?) -> Int {
    guard let rate = bytesPerSecondMax else { return 512 << 10 }
    return min(512 << 10, max(16 << 10, rate / 10))
  }

  /// Prepares the handle for `exchange`. Every option is set anew: `reset()` has cleared them all.
  func prepare(for exchange: Exchange, _ sockets: SocketTable, caFile: String?, noProxy: String?) {
    self.exchange = exchange
    errorText[0] = 0
    setAddress(exchange.request, caFile: caFile, noProxy: noProxy)
    setConnection(exchange.request)
    setBody(exchange.request)
    setHeaders(exchange.request)
    setCallbacks(for: exchange, sockets)
  }

  /// Ends the exchange. The handle must not be in a multi handle any more. Keeps connections, names and TLS sessions.
  func reset() {
    curl_easy_reset(easy)
    curl_slist_free_all(headerList)
    headerList = nil
    exchange = nil
  }

  /// libcurl's sentence for the last failure.
  func message(for code: CURLcode) -> String {
    errorText[0] == 0 ? String(cString: curl_easy_strerror(code)) : String(cString: errorText)
  }

  /// The final answer's status; 0 when there was none.
  var status: Int {
    var status = 0
    return ccurl_get_long(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK ? status : 0
  }

  /// Local port of the connection in use; 0 when there is none yet.
  var localPort: Int {
    var port = 0
    return ccurl_get_long(easy, CURLINFO_LOCAL_PORT, &port) == CURLE_OK ? port : 0
  }

  // MARK: Options. Their results are not looked at: they fail only for values of ours that libcurl does not know.

  private func setAddress(_ request: HTTPRequest, caFile: String?, noProxy: String?) {
    ccurl_set_string(easy, CURLOPT_URL, request.url)
    // Signed addresses travel as they were signed: dots are names, not directions.
    ccurl_set_long(easy, CURLOPT_PATH_AS_IS, 1)
    ccurl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
    if let caFile { ccurl_set_string(easy, CURLOPT_CAINFO, caFile) }
    if let noProxy { ccurl_set_string(easy, CURLOPT_NOPROXY, noProxy) }
    ccurl_set_string(easy, CURLOPT_USERAGENT, "reelfs")
    ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
  }

  private func setConnection(_ request: HTTPRequest) {
    // HTTP/2 uploads of this libcurl are slower, and had bugs that were mended later.
    ccurl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1)
    ccurl_set_long(easy, CURLOPT_CONNECTTIMEOUT, Self.connectSecondsMax)
    ccurl_set_long(easy, CURLOPT_MAXAGE_CONN, Self.idleSecondsMax)
    ccurl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
    ccurl_set_long(easy, CURLOPT_TCP_KEEPIDLE, Self.keepAliveIdleSeconds)
    ccurl_set_long(easy, CURLOPT_TCP_KEEPINTVL, Self.keepAliveIntervalSeconds)
  }

  private func setBody(_ request: HTTPRequest) {
    if let body = request.body {
      let rate = request.bytesPerSecondMax
      ccurl_set_long(easy, CURLOPT_UPLOAD, 1)
      ccurl_set_size(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(body.count))
      ccurl_set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, Self.uploadBufferBytes(bytesPerSecondMax: rate))
      if let rate { ccurl_set_size(easy, CURLOPT_MAX_SEND_SPEED_LARGE, curl_off_t(max(1, rate))) }
    }
    // Of HEAD only the head comes, whatever its Content-Length says.
    if request.method == .head { ccurl_set_long(easy, CURLOPT_NOBODY, 1) }
    ccurl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method.rawValue)
  }

  private func setHeaders(_ request: HTTPRequest) {
    // libcurl would wait up to a second for `100 Continue` before each body.
    for line in ["Expect:"] + request.headers {
      guard let longer = curl_slist_append(headerList, line) else { continue }
      headerList = longer
    }
    ccurl_set_list(easy, CURLOPT_HTTPHEADER, headerList)
  }
}
