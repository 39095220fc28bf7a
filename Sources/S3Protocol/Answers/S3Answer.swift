/// What a server answered, as far as this side looks at it.
package struct S3Answer: Sendable, Equatable {
  package let status: Int
  /// By lower-case name; `Self.headerNames` are enough.
  package let headers: [String: String]
  package let body: [UInt8]

  package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The headers that anything here looks at, lower case.
  package static let headerNames: Set<String> = [
    "content-length", "content-range", "content-type", "date", "etag", "location", "retry-after", "x-amz-bucket-region",
    "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-type", "x-amz-request-id",
    "x-amz-retry-after",
  ]

  /// Without quotes, and without the mark of a weak one.
  static func bare(_ etag: String) -> String {
    var text = etag[...]
    if text.hasPrefix("W/") { text = text.dropFirst(2) }
    if text.hasPrefix("\""), text.hasSuffix("\""), text.utf8.count >= 2 { text = text.dropFirst().dropLast() }
    return String(text)
  }

  var etag: String? {
    guard let etag = headers["etag"].map(Self.bare), !etag.isEmpty else { return nil }
    return etag
  }
}

extension S3Answer {
  /// Seconds that the server asks to wait; nil when it asks for nothing that can be understood.
  /// A date counts from the answer's own `Date`, so that our clock may be wrong; without one it counts for nothing.
  package var retryAfter: Int64? {
    // Amazon's own header has milliseconds.
    if let text = headers["x-amz-retry-after"], let milliseconds = Self.number(text) { return (milliseconds + 999) / 1_000 }
    guard let text = headers["retry-after"] else { return nil }
    if let seconds = Self.number(text) { return min(seconds, Self.retryAfterMax) }
    guard let date = HTTPDate.seconds(of: text), let now = serverTime else { return nil }
    return min(max(0, date - now), Self.retryAfterMax)
  }

  /// The server's clock, in seconds since 1970: what a clock that is refused is set right by.
  package var serverTime: Int64? { headers["date"].flatMap(HTTPDate.seconds(of:)) }

  /// Longer than anybody honours, short enough to calculate with.
  private static let retryAfterMax: Int64 = 366 * 86_400

  static func number(_ text: String) -> Int64? {
    let digits = text.utf8.drop { $0 == 0x20 }.prefix { $0 != 0x20 }
    guard 1...18 ~= digits.count, digits.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
  }
}
