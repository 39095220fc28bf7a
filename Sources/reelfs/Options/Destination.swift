package import SyncStatus

/// Where recordings go.
package enum Destination: Sendable, Equatable {
  /// `reelfs receive`, over http or https.
  case receiver(ReceiverAddress)
  /// A tus 1.0 server: the address below which uploads are created.
  case tus(ReceiverAddress)
  case s3(bucket: String, prefix: String, endpoint: ReceiverAddress?)
  /// A folder on this machine, absolute.
  case folder(String)
  /// A receiver in this program, on loopback, that keeps its data in this folder.
  case embedded(data: String)

  /// Reads a DESTINATION of the command line.
  package init(_ text: String, s3Endpoint: ReceiverAddress?) throws(TextError) {
    if text.hasPrefix("http://") || text.hasPrefix("https://") {
      self = .receiver(try ReceiverAddress(text))
    } else if text.hasPrefix("tus+") {
      self = .tus(try ReceiverAddress(String(text.dropFirst(4))))
    } else if text.hasPrefix("s3://") {
      let rest = text.dropFirst(5)
      let bucket = rest.prefix { $0 != "/" }
      guard (3...63).contains(bucket.utf8.count),
        bucket.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46 })
      else {
        throw TextError("\"\(text)\": a bucket's name has 3 to 63 lower-case letters, digits, dashes or dots")
      }
      var prefix = String(rest.dropFirst(bucket.count).drop { $0 == "/" })
      while prefix.last == "/" { prefix.removeLast() }
      self = .s3(bucket: String(bucket), prefix: prefix, endpoint: s3Endpoint)
    } else if text.hasPrefix("file:///") {
      let path = String(text.dropFirst(7)).withoutTrailingSlash
      guard path != "/" else { throw TextError("\"\(text)\": the root folder cannot be a destination") }
      self = .folder(path)
    } else {
      throw TextError(
        "\"\(text)\" is not a destination: http://host:port, https://host:port, tus+https://host/files/, "
          + "s3://bucket/prefix or file:///folder")
    }
  }

  /// As `user.sync.destination` shows it; never holds a secret.
  package var description: String {
    switch self {
    case .receiver(let address): address.description
    case .tus(let address): "tus+" + address.description
    case .s3(let bucket, let prefix, _): "s3://" + bucket + (prefix.isEmpty ? "" : "/" + prefix)
    case .folder(let path): "file://" + path
    case .embedded(let data): "embedded, data in " + data
    }
  }
}
