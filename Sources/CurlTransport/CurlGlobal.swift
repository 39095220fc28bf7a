import CCurl

/// libcurl's process-wide preparation, done once, by whoever comes first.
enum CurlGlobal {
  static let isReady = ccurl_global_init() == CURLE_OK
}
