import S3Protocol
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
      do throws(S3ConfigurationError) {
        let (bucket, prefix) = try S3Location.parse(text)
        self = .s3(bucket: bucket, prefix: prefix, endpoint: s3Endpoint)
      } catch {
        throw TextError("\(error)")
      }
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

  var isS3: Bool { if case .s3 = self { true } else { false } }

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
