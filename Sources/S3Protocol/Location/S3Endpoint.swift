/// The address of an S3 server: scheme, host and port. It has no path: the path belongs to buckets and keys.
package struct S3Endpoint: Sendable, Equatable, CustomStringConvertible {
  package enum Scheme: String, Sendable {
    case http
    case https

    var port: Int { self == .http ? 80 : 443 }
  }

  package let scheme: Scheme
  /// Lower case; an IPv6 address in its brackets.
  package let host: String
  /// nil: the scheme's own.
  package let port: Int?

  /// Reads `http(s)://host[:port]`, with or without a slash at its end.
  package init(_ text: String) throws(S3ConfigurationError) {
    guard let scheme = [Scheme.https, .http].first(where: { text.lowercased().hasPrefix($0.rawValue + "://") }) else {
      throw .unusableEndpoint(text, "it must begin with https:// or http://")
    }
    var authority = text.dropFirst(scheme.rawValue.count + 3)
    if authority.last == "/" { authority.removeLast() }
    guard !authority.contains(where: { "/?#".contains($0) }) else {
      throw .unusableEndpoint(text, "it must end after the host and port; bucket and prefix belong to s3://bucket/prefix")
    }
    guard !authority.contains("@") else {
      throw .unusableEndpoint(text, "credentials do not belong into it; use AWS_ACCESS_KEY_ID or a profile")
    }
    let hostEnd = authority.first == "[" ? authority.firstIndex(of: "]").map { authority.index(after: $0) } : nil
    let host = authority[..<(hostEnd ?? authority.firstIndex(of: ":") ?? authority.endIndex)]
    let rest = authority[host.endIndex...]
    guard Self.isHost(host) else { throw .unusableEndpoint(text, "\"\(host)\" is not a host name or address") }
    var port: Int?
    if !rest.isEmpty {
      guard rest.first == ":", rest.dropFirst().utf8.allSatisfy({ 0x30...0x39 ~= $0 }),
        let number = Int(rest.dropFirst()), 1...65_535 ~= number
      else { throw .unusableEndpoint(text, "a port is a number from 1 to 65535") }
      port = number
    }
    self.init(scheme: scheme, host: host.lowercased(), port: port)
  }

  private init(scheme: Scheme, host: String, port: Int?) {
    self.scheme = scheme
    self.host = host
    // libcurl leaves the scheme's own port out of the Host header, and that header is signed.
    self.port = port == scheme.port ? nil : port
  }

  package static func amazon(region: String) -> S3Endpoint {
    let china = region.hasPrefix("cn-") ? ".cn" : ""
    return S3Endpoint(scheme: .https, host: "s3.\(region).amazonaws.com\(china)", port: nil)
  }

  package var isAmazon: Bool { host.hasSuffix(".amazonaws.com") || host.hasSuffix(".amazonaws.com.cn") }

  /// `host[:port]`.
  var authority: String { host + (port.map { ":\($0)" } ?? "") }

  /// A bucket's name can be put before a host name, not before an address.
  var canCarryBucket: Bool { host.first != "[" && host.utf8.contains { !(0x30...0x39 ~= $0 || $0 == UInt8(ascii: ".")) } }

  package var description: String { scheme.rawValue + "://" + authority }

  private static func isHost(_ text: Substring) -> Bool {
    if text.first == "[" {
      return text.last == "]" && text.utf8.count > 3
        && text.dropFirst().dropLast().utf8.allSatisfy { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") || Hex.isDigit($0) }
    }
    return 1...253 ~= text.utf8.count
      && text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }
}
