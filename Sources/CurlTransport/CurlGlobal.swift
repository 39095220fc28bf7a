import CCurl

/// libcurl's process-wide preparation, done once, by whoever comes first.
package enum CurlGlobal {
  static let isReady = ccurl_global_init() == CURLE_OK

  /// libcurl's version with those of the libraries below it, in its own words.
  package static var version: String { String(cString: curl_version()) }
}
